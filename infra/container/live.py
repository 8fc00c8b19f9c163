"""What a running job says, brought to S3 every few seconds, so that whoever follows the run hears it while it works.

<root>/runs/<run>/live/<stage>.jsonl       the stage's journal so far
<root>/runs/<run>/live/<stage>.now.json    {"status", "seconds", "progress": {"done", "total", "what"} or null}
<root>/seals/<key of the split>/<id>.jsonl the readings of the test set that this job made, also of one that is killed in it
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from typing import Any, Self

from infra.runs.records import RunRecord
from infra.store.ledger import to_send
from infra.store.s3 import S3Store
from steps.journal import Event

EVERY = 3.0
"""Seconds between two uploads; nothing is sent when nothing is new."""


class Live:
    """Hears what the job's stages say and sends it in a thread of its own; what S3 refuses is sent again later."""

    def __init__(self, store: S3Store, record: RunRecord, *, silent: bool = False) -> None:
        self.store, self.record, self.silent = store, record, silent
        self.now: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __call__(self, stage: str, event: Event) -> None:
        now = self.now.setdefault(stage, {"status": "running", "seconds": 0.0, "progress": None})
        if event["kind"] == "stage":
            now |= {"status": event["status"], "seconds": event.get("seconds", 0.0)}
        elif event["kind"] == "progress":
            now["progress"] = {name: event[name] for name in ("done", "total", "what")}

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
                time.sleep(EVERY)
                self._send()

    def _go(self) -> None:
        while not self._over.wait(EVERY):
            self._send()

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # a reading that could not be noted is not made
            for name, line in to_send(self.store.workspace):
                self._put(name, line)
        for stage in list(self.record.stages):
            place = f"runs/{self.record.run}/live/{stage.name}"
            if stage.name in self.now:
                self._put(f"{place}.now.json", json.dumps(self.now[stage.name]).encode())
            if stage.journal:
                with contextlib.suppress(OSError):  # it is just being published, and lies elsewhere in a moment
                    self._put(f"{place}.jsonl", (self.store.workspace / stage.journal).read_bytes())

    def _put(self, name: str, content: bytes) -> None:
        if self.sent.get(name) == content:
            return
        try:
            self.store.objects.put(name, content)
        except Exception as error:  # noqa: BLE001  whoever follows hears it later; the work does not stop for it
            sys.stderr.write(f"{name} was not sent: {error}\n")
            self.refused.add(name)
        else:
            self.refused.discard(name)
            self.sent[name] = content
