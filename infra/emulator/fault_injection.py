"""Faults that tests let happen to jobs: a spot instance that is taken away, a failure inside AWS.

They wait in ``cloud/faults.json``; each happens to the next jobs of its step.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from infra.files import locked, write_json


@dataclass(frozen=True)
class Fault:
    """Something that AWS does to a job at a time of its own choosing."""

    step: str
    reason: str = ""
    """The job fails with this reason, such as ``CapacityError: ...``; empty: its spot instance is taken away."""
    after_checkpoints: int = 1
    """The instance is taken away when the checkpoints have changed this often ..."""
    after_seconds: float | None = None
    """... or this long after the container started."""
    times: int = 1


def inject(path: Path, fault: Fault) -> None:
    """Add a fault to the file."""
    with locked(path.with_suffix(".lock")):
        write_json(path, [asdict(other) for other in (*_read(path), fault)])


def take(path: Path, step: str, *, interruption: bool) -> Fault | None:
    """Return the first fault of this kind for the step, and count it as happened."""
    with locked(path.with_suffix(".lock")):
        faults = _read(path)
        fault = next((other for other in faults if other.step == step and bool(other.reason) != interruption), None)
        if fault:
            rest = [replace(other, times=other.times - 1) if other is fault else other for other in faults]
            write_json(path, [asdict(other) for other in rest if other.times > 0])
        return fault


def _read(path: Path) -> list[Fault]:
    return [Fault(**raw) for raw in json.loads(path.read_bytes())] if path.exists() else []
