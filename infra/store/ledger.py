"""The test set is sealed: each time a step is given it, a line is added to a ledger that no run rewrites.

<workspace>/seals/<key of the split>.jsonl     {"time", "run", "step", "key", "divided"} per reading
<root>/seals/<key of the split>/<id>.jsonl     the same on S3, where a store is shared: readings made anywhere

``divided`` is the key of the table that the split divided: dividing it again with another seed until the answer pleases
would give every division an innocent ledger of its own, so divisions of one table are counted together.

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
    """Of each split the key of the table that it divides."""
    return {entry.key: next(iter(entry.inputs.values()), "") for entry in steps if SEALED in entry.step.outputs}


def note_reading(workspace: Path, planned: PlannedStep, tables: Mapping[str, str], run: str) -> None:
    """Count the reading, before it happens, if the step reads the sealed artifact; ``tables`` as :func:`divided` has it."""
    if SEALED not in planned.inputs:
        return
    split = planned.inputs[SEALED]
    ledger = workspace / "seals" / f"{split}.jsonl"
    line = {
        "time": now(),
        "run": run,
        "step": planned.step.name,
        "key": planned.key,
        "divided": tables.get(split, ""),
    }
    with locked(ledger.with_suffix(".lock")):
        append_lines(ledger, [json.dumps(line).encode()])


def exchange(objects: Objects, workspace: Path, memory: Path) -> None:
    """Bring readings that were made elsewhere with the same store into the ledgers here, and those made here there.

    Args:
        known: remembers which objects were brought; they never change.
    """
    imported: list[str] = json.loads(memory.read_bytes()) if memory.is_file() else []
    shared = [entry.name for entry in objects.list("seals/").values()]
    for name in sorted(set(shared) - set(imported)):
        _merge(workspace / "seals" / f"{PurePosixPath(name).parent.name}.jsonl", objects.get(name) or b"")
    uploaded = []
    for name, line in to_send(workspace):
        if name not in shared:
            objects.put(name, line)
            uploaded.append(name)
    if uploaded or set(shared) != set(imported):
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, sorted({*shared, *uploaded}))


def to_send(workspace: Path) -> Iterator[tuple[str, bytes]]:
    """Of each reading that was counted here the object that tells of it, whose name says its content, so that it is one."""
    for ledger in sorted((workspace / "seals").glob("*.jsonl")):
        for line in ledger.read_bytes().splitlines():
            if _read(line) is not None:
                yield f"seals/{ledger.stem}/{hashlib.sha256(line).hexdigest()[:32]}.jsonl", line + b"\n"


def _merge(ledger: Path, content: bytes) -> None:
    """Add the lines that are not there yet."""
    with locked(ledger.with_suffix(".lock")):
        present = set(ledger.read_bytes().splitlines()) if ledger.exists() else set()
        append_lines(ledger, [line for line in content.splitlines() if line not in present and _read(line) is not None])


def _read(line: bytes) -> dict[str, Any] | None:
    """The reading that a line tells of; None where the line is no whole one."""
    try:
        reading = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return reading if isinstance(reading, dict) else None


def divisions(workspace: Path, split_key: str) -> int:
    """How many different test sets of the table that this split divided have been opened, this one included."""
    tables = {line.get("divided") for line in readings(workspace, split_key) if "unreadable" not in line}
    opened = {
        path.stem
        for path in (workspace / "seals").glob("*.jsonl")
        if any("unreadable" not in line and line.get("divided") in tables for line in readings(workspace, path.stem))
    }
    return len(opened | {split_key} if readings(workspace, split_key) else opened)


def readings(workspace: Path, split_key: str) -> list[dict[str, Any]]:
    """Every reading of the test set that this split sealed, the first one first.

    Of a line that cannot be read all that is known is ``{"unreadable": "<ledger>, line <number>"}``.
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
    """Where the lines are that cannot be read."""
    ledgers = sorted((workspace / "seals").glob("*.jsonl"))
    rows = [line for ledger in ledgers for line in readings(workspace, ledger.stem)]
    return [line["unreadable"] for line in rows if "unreadable" in line]
