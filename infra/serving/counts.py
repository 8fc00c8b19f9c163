"""The counters of a server in the text format of Prometheus (its documentation, "Exposition formats")."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds up to which the answers of each bucket took."""


class Counts:
    """What one process has answered since it started."""

    def __init__(self) -> None:
        self._started = time.time()
        self.requests: Counter[tuple[str, int]] = Counter()
        """(path, status) -> requests."""
        self.unlike: Counter[str] = Counter()
        """Column -> values unlike those of training."""
        self.rows = 0
        self.in_progress = 0
        self.captured, self.capture_lost = 0, 0
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request; the seconds of answers of the model have a histogram."""
        self.requests[path, status] += 1
        if path == "/invocations" and status == 200:
            self._buckets[bisect_left(BOUNDS, seconds)] += 1
            self._seconds += seconds

    def text(self, digest: str) -> str:
        """Return the page of metrics; the digest is that of the model that is served now."""
        return "\n".join(self._lines(digest)) + "\n"

    def _lines(self, digest: str) -> Iterator[str]:
        yield from _head("model_info", "gauge", "The model that is served.")
        yield f'fourscore_model_info{{digest="{digest}"}} 1'
        yield from _head("requests_total", "counter", "Requests by path and status.")
        for (path, status), count in sorted(self.requests.items()):
            yield f'fourscore_requests_total{{path="{path}",status="{status}"}} {count}'
        yield from _head("answer_seconds", "histogram", "How long answers of the model took.")
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), self._buckets, strict=True):
            total += count
            yield f'fourscore_answer_seconds_bucket{{le="{bound}"}} {total}'
        yield f"fourscore_answer_seconds_sum {self._seconds:.6f}"
        yield f"fourscore_answer_seconds_count {total}"
        yield from _head("unlike_training_total", "counter", "Values that are unlike those of training, by column.")
        for column, count in sorted(self.unlike.items()):
            yield f'fourscore_unlike_training_total{{column="{_escaped(column)}"}} {count}'
        for name, kind, value, meaning in (
            ("rows_total", "counter", self.rows, "Rows that were answered."),
            ("in_progress", "gauge", self.in_progress, "Requests in progress."),
            ("captured_total", "counter", self.captured, "Requests that were captured."),
            ("capture_lost_total", "counter", self.capture_lost, "Requests that were not captured, for want of room."),
            ("start_time_seconds", "gauge", f"{self._started:.3f}", "When the server started, in seconds since 1970."),
            ("resident_memory_bytes", "gauge", _memory(), "Memory of the process."),
        ):
            yield from _head(name, kind, meaning)
            yield f"fourscore_{name} {value}"


def _head(name: str, kind: str, meaning: str) -> tuple[str, str]:
    return f"# HELP fourscore_{name} {meaning}", f"# TYPE fourscore_{name} {kind}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _memory() -> int:
    """Return the bytes of the process in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
