"""Requests and their answers as files of JSON lines, for whoever watches the model; never at the cost of an answer.

A thread writes what a queue hands to it. A full queue or a full disk loses lines, which ``/metrics`` counts, and delays nobody.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from typing import IO

import orjson

from infra.serving.counts import Counts
from infra.serving.model import Evidence

MOST_WAITING, MOST_WAITING_BYTES = 1_000, 16 << 20
"""Lines that wait for the disk, and their bytes."""
FILE_BYTES, FILES = 64 << 20, 16
"""Bytes of a file before the next one begins, and how many files are kept: 1 GiB in all."""


class Capture:
    """The writer of one folder, whose files only their owner reads."""

    def __init__(self, folder: Path, counts: Counts, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        """Make the folder and start the thread.

        Raises:
            OSError: the folder cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._counts = folder, counts
        self._file_bytes, self._files = file_bytes, files
        self._queue: Queue[bytes | None] = Queue(MOST_WAITING)
        self._waiting_bytes = 0
        self._file: IO[bytes] | None = None
        self._number = 0
        self._thread = threading.Thread(target=self._write, name="capture", daemon=True)
        self._thread.start()

    def keep(self, request_id: str, evidence: Evidence) -> None:
        """Hand over one request; its rows are as they were read."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "request_id": request_id, "model": evidence.model, "rows": evidence.rows}
        parts = {"inputs": orjson.Fragment(evidence.inputs), "answers": orjson.Fragment(evidence.answers)}
        data = orjson.dumps(line | parts, option=orjson.OPT_APPEND_NEWLINE)
        if self._waiting_bytes + len(data) > MOST_WAITING_BYTES:
            self._counts.capture_lost += 1
            return
        try:
            self._queue.put_nowait(data)
            self._waiting_bytes += len(data)
        except Full:
            self._counts.capture_lost += 1

    def close(self) -> None:
        """Write what waits, for five seconds at most."""
        try:
            self._queue.put(None, timeout=5)
        except Full:
            return
        self._thread.join(5)

    def _write(self) -> None:
        while (data := self._queue.get()) is not None:
            self._waiting_bytes -= len(data)
            try:
                self._append(data)
                self._counts.captured += 1
            except OSError:
                self._counts.capture_lost += 1
        if self._file:
            self._file.close()

    def _append(self, data: bytes) -> None:
        """Write to the current file, or to a new one if that is full; the oldest ones are removed."""
        if self._file and self._file.tell() + len(data) > self._file_bytes:
            self._file.close()
            self._file = None
        if self._file is None:
            self._number += 1
            start = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            path = self._folder / f"capture-{start}-{os.getpid()}-{self._number:06}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
            for old in sorted(self._folder.glob("capture-*.jsonl"))[: -self._files]:
                old.unlink(missing_ok=True)
        self._file.write(data)
