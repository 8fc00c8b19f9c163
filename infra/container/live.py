"""Journals and progress of a running job, sent to S3 every few seconds for those who follow the run, and to MLflow.

<root>/runs/<run>/live/<stage>.jsonl       the stage's journal until now
<root>/runs/<run>/live/<stage>.now.json    {"status", "seconds", "progress": {"done", "total", "what"} or null}
<root>/seals/<key of the split>/<id>.jsonl readings of the test set by this job, also if it is killed
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from typing import Any, Self

from infra.runs.records import RunRecord
from infra.store.ledger import to_send
from infra.store.s3 import S3Store
from infra.tracking import follower
from steps.journal import Event

EVERY = 3.0
"""Seconds between two uploads; without news nothing is sent."""


class Live:
    """A reporter that sends the events of a job's stages from a thread of its own, and sends again what S3 refused.

    Args:
        silent: whether to send nothing, as a process does that trains beside the one that publishes.
        every: seconds between two uploads.
    """

    def __init__(self, store: S3Store, record: RunRecord, *, silent: bool = False, every: float = EVERY) -> None:
        self.store, self.record, self.silent, self.every = store, record, silent, every
        self.now: dict[str, dict[str, Any]] = {}
        self.uploaded: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self.tracking: subprocess.Popen[bytes] | None = None
        """The process that projects the job's stages to MLflow, as soon as it is known where."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __call__(self, stage: str, event: Event) -> None:
        now = self.now.setdefault(stage, {"status": "running", "seconds": 0.0, "progress": None})
        if event["kind"] == "stage":
            now |= {"status": event["status"], "seconds": event.get("seconds", 0.0)}
        elif event["kind"] == "progress":
            now["progress"] = {name: value for name, value in event.items() if name != "kind"}

    def __enter__(self) -> Self:
        if not self.silent:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.silent:
            self._over.set()
            self._thread.join()
            self._send()
            if self.refused:
                time.sleep(self.every)
                self._send()
            if self.tracking:
                follower.finish(self.tracking)

    def _run(self) -> None:
        while not self._over.wait(self.every):
            self._send()

    def _send(self) -> None:
        with contextlib.suppress(Exception):  # whoever follows the run projects what is missing
            self.tracking = self.tracking or follower.join(self.store, self.record.run)
        with contextlib.suppress(OSError):  # a reading that cannot be recorded is refused
            for name, line in to_send(self.store.workspace):
                self._put(name, line)
        for stage in list(self.record.stages):
            place = f"runs/{self.record.run}/live/{stage.name}"
            if stage.name in self.now:
                self._put(f"{place}.now.json", json.dumps(self.now[stage.name]).encode())
            if stage.journal:
                with contextlib.suppress(OSError):  # it is being published; the next upload finds it in the store
                    self._put(f"{place}.jsonl", (self.store.workspace / stage.journal).read_bytes())

    def _put(self, name: str, content: bytes) -> None:
        if self.uploaded.get(name) == content:
            return
        try:
            self.store.objects.put(name, content)
        except Exception as error:  # noqa: BLE001  followers hear it later; the work goes on
            sys.stderr.write(f"{name} was not sent: {error}\n")
            self.refused.add(name)
        else:
            self.refused.discard(name)
            self.uploaded[name] = content
