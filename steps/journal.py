"""What a step says, as an append-only file of JSON lines; tracking is a projection of it.

Every line has ``time`` (milliseconds since 1970) and ``kind``:

    metric     name, value (a finite number), step (or null)
    parameter  name, value (a string)
    note       text, level (info | warning)
    table      name, rows (a list of flat objects)
    dataset    name, digest, rows, columns, context, schema (a list of name and type; may be absent)
    verdict    verdict (pass | refused | rejected), reasons
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from steps.credentials import masked

LAYERS = ("data", "framework", "model", "application")
Event = dict[str, Any]
Listener = Callable[[Event], None]


def check_metric_name(name: str) -> None:
    """A metric is named ``layer/name``: one of the four layers, exactly one slash, no ``=`` (MLflow refuses it)."""
    layer, slash, rest = name.partition("/")
    if layer not in LAYERS or not slash or not rest or "/" in rest or "=" in rest:
        raise ValueError(
            f"metric name {name!r}: wanted 'layer/name' with a layer of {', '.join(LAYERS)}, no second '/' and no '='"
        )


class Journal:
    """Appends events to ``path`` and shows each to ``listener`` (which also hears of progress, which is not kept)."""

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._listener = listener
        self._lock = threading.Lock()  # the sampler of the machine's load writes from a thread of its own

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, kind: str, **fields: Any) -> None:
        event: Event = {"time": time.time_ns() // 1_000_000, "kind": kind, **fields}
        text = json.dumps(event, ensure_ascii=False, allow_nan=False)
        line = masked(text)
        with self._lock:
            self._file.write(line + "\n")
            if self._listener:
                self._listener(event if line == text else json.loads(line))

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Record a number; one that is not finite is said in words, since trackers disagree on what to do with it."""
        check_metric_name(name)
        if math.isfinite(value):
            self._write("metric", name=name, value=float(value), step=step)
        else:
            self.warning(f"{name} is {value}, not a finite number, and was not recorded as a metric")

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        for name, value in values.items():
            self.metric(name, value, step)

    def parameter(self, name: str, value: object) -> None:
        self._write("parameter", name=name, value=value if isinstance(value, str) else json.dumps(value, default=str))

    def note(self, text: str) -> None:
        self._write("note", text=text, level="info")

    def warning(self, text: str) -> None:
        self._write("note", text=text, level="warning")

    def table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._write("table", name=name, rows=[dict(row) for row in rows])

    def dataset(
        self, name: str, *, digest: str, rows: int, columns: int, context: str, schema: Mapping[str, str]
    ) -> None:
        """Record a table that the step read or wrote; ``schema`` has the type of each column by its name."""
        listed = [{"name": column, "type": kind} for column, kind in schema.items()]
        self._write("dataset", name=name, digest=digest, rows=rows, columns=columns, context=context, schema=listed)

    def verdict(self, verdict: Literal["pass", "refused", "rejected"], reasons: Sequence[str] = ()) -> None:
        self._write("verdict", verdict=verdict, reasons=list(reasons))

    def progress(self, count: float, total: float, what: str, *, share: float = 0.0, so_far: str = "") -> None:
        """Tell the person who watches how far the work is; nothing is kept.

        Args:
            share: how much of the whole step is finished, at most 1; 0 where that is unknown.
            so_far: a result so far, in words.
        """
        if self._listener:
            event = {"kind": "progress", "done": count, "total": total, "what": what, "share": share, "so_far": so_far}
            self._listener(event)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal; a last line that a killed writer left unfinished is not an event."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
