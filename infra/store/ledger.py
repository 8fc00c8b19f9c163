"""The ledger of the sealed test set: each reading of it by a step is a line that no run rewrites.

<workspace>/seals/<key of the split>.jsonl     {"time", "run", "step", "key", "divided"} per reading
<root>/seals/<key of the split>/<id>.jsonl     the same on S3 where a store is shared: readings of all machines

``divided`` is the key of the table that the split divided. Divisions of one table are counted together, so that nobody
divides it with seed after seed until the result pleases.

A line that cannot be read (a full disk leaves half of one) still counts as a reading; it is not sent to other machines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from infra.files import append_lines, locked, write_json
from infra.runs.records import now

if TYPE_CHECKING:
    from infra.runs.plan import PlannedStep
    from infra.s3.objects import Objects

SEALED = "test_set"


def divided(steps: Iterable[PlannedStep]) -> dict[str, str]:
    """Return for each split the key of the table that it divides."""
    return {entry.key: next(iter(entry.inputs.values()), "") for entry in steps if SEALED in entry.step.outputs}


def note_reading(workspace: Path, planned: PlannedStep, tables: Mapping[str, str], run: str) -> None:
    """Count a reading before it happens, if the step reads the test set; ``tables`` is what :func:`divided` returns."""
    if SEALED not in planned.inputs:
        return
    split = planned.inputs[SEALED]
    line = {"time": now(), "run": run, "step": planned.step.name, "key": planned.key, "divided": tables.get(split, "")}
    ledger = workspace / "seals" / f"{split}.jsonl"
    with locked(ledger.with_suffix(".lock")):
        append_lines(ledger, [json.dumps(line).encode()])


def exchange(objects: Objects, workspace: Path, memory: Path) -> None:
    """Merge the readings of the store's other users into the ledgers of this workspace, and share its own.

    Args:
        memory: file with the names of the objects that were merged; they never change.
    """
    merged: list[str] = json.loads(memory.read_bytes()) if memory.is_file() else []
    shared = {entry.name for entry in objects.list("seals/").values()}
    for name in sorted(shared - set(merged)):
        _merge(
            workspace / "seals" / f"{PurePosixPath(name).parent.name}.jsonl", (objects.get(name) or b"").splitlines()
        )
    unsent = {name: line for name, line in to_send(workspace) if name not in shared}
    for name, line in unsent.items():
        objects.put(name, line)
    if shared | set(unsent) != set(merged):
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, sorted(shared | set(unsent)))


def to_send(workspace: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the object for each reading; the name is a digest, so that a reading is sent once."""
    for ledger in sorted((workspace / "seals").glob("*.jsonl")):
        for line in ledger.read_bytes().splitlines():
            if _read(line) is not None:
                yield f"seals/{ledger.stem}/{hashlib.sha256(line).hexdigest()[:32]}.jsonl", line + b"\n"


def _merge(ledger: Path, lines: Iterable[bytes]) -> None:
    """Add the readable lines that the ledger does not have yet."""
    with locked(ledger.with_suffix(".lock")):
        present = set(ledger.read_bytes().splitlines()) if ledger.exists() else set()
        append_lines(ledger, [line for line in lines if line not in present and _read(line) is not None])


def _read(line: bytes) -> dict[str, Any] | None:
    """Return the reading in a line; None if the line is not whole."""
    try:
        reading = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return reading if isinstance(reading, dict) else None


def divisions(workspace: Path, split_key: str) -> int:
    """Return how many different test sets of the table that this split divided have been opened, this one included."""
    ledgers = {path.stem: readings(workspace, path.stem) for path in (workspace / "seals").glob("*.jsonl")}
    rows = ledgers.get(split_key, [])
    tables = {row.get("divided") for row in rows if "unreadable" not in row}
    opened = {
        split
        for split, lines in ledgers.items()
        if any("unreadable" not in row and row.get("divided") in tables for row in lines)
    }
    return len(opened | {split_key} if rows else opened)


def readings(workspace: Path, split_key: str) -> list[dict[str, Any]]:
    """Return every reading of the test set of a split, the oldest first.

    A line that cannot be read is ``{"unreadable": "<ledger>, line <number>"}``.
    """
    ledger = workspace / "seals" / f"{split_key}.jsonl"
    lines = ledger.read_bytes().splitlines() if ledger.exists() else []
    rows = [
        reading if (reading := _read(line)) is not None else {"unreadable": f"{ledger}, line {number}"}
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    return sorted(rows, key=lambda line: str(line.get("time", "")))


def unreadable(workspace: Path) -> list[str]:
    """Return ledger and number of every line that cannot be read."""
    ledgers = sorted((workspace / "seals").glob("*.jsonl"))
    rows = [line for ledger in ledgers for line in readings(workspace, ledger.stem)]
    return [line["unreadable"] for line in rows if "unreadable" in line]
