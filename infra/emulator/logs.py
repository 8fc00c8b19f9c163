"""What the containers of a job say, from their log files to CloudWatch Logs while they say it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from infra.emulator.cloud import Cloud

MOST_EVENTS, LONGEST = 1000, 200_000
"""Events of one request and characters of one event, well below what CloudWatch Logs takes."""


class Follower:
    """Sends new lines of some log files, each to a stream of its own, every second and once more at the end."""

    def __init__(self, cloud: Cloud, group: str, streams: dict[str, Path], every: float = 1.0) -> None:
        self.cloud, self.group, self.streams, self.every = cloud, group, streams, every
        self.sent = {stream: path.stat().st_size if path.exists() else 0 for stream, path in streams.items()}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._follow, name=f"logs-{group}", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _follow(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        made: set[str] = set()
        last = False
        while not last:
            last = self.ended.wait(self.every)
            for stream, path in self.streams.items():
                try:
                    self._send(stream, path, made, whole=last)
                except (BotoCoreError, ClientError):
                    continue  # a log that cannot be sent stops no job; the file stays

    def _send(self, stream: str, path: Path, made: set[str], *, whole: bool) -> None:
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.sent[stream])
            content = file.read()
        end = len(content) if whole else content.rfind(b"\n") + 1
        lines = content[:end].decode("utf-8", "replace").splitlines()
        client = self.cloud.client("logs")
        if lines and stream not in made:
            self._make(client, stream)
            made.add(stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line[:LONGEST] or " "} for line in lines]
        for start in range(0, len(events), MOST_EVENTS):
            client.put_log_events(
                logGroupName=self.group, logStreamName=stream, logEvents=events[start : start + MOST_EVENTS]
            )
        self.sent[stream] += end

    def _make(self, client: Any, stream: str) -> None:
        from botocore.exceptions import ClientError

        group = {"logGroupName": self.group}
        for make, names in (
            (client.create_log_group, group),
            (client.create_log_stream, {**group, "logStreamName": stream}),
        ):
            try:
                make(**names)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise
