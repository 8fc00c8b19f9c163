"""The ledger of the sealed test set: each reading of it by a step is a line that no run rewrites.

<workspace>/seals/<key of the split>.jsonl     {"time", "run", "step", "key", "divided", "before"} per reading
<workspace>/seals/<key of the split>.head      digest of the last line that this workspace wrote
<root>/seals/<key of the split>/<id>.jsonl     the same on S3 where a store is shared: readings of all machines

``divided`` is the key of the table that the split divided. Divisions of one table are counted together, so that nobody
divides it with seed after seed until the result pleases.

``before`` is the digest of the readable line before, the head is that of the last, and every published execution that read
a test set has a line: so a line that was cut off or deleted is noticed and still counts, as does one that cannot be read (a
full disk leaves half of one). Such a line is not sent to other machines. Whoever deletes the last lines and the head, too,
of readings that led to no result leaves no trace here, only on S3, where a store is shared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from infra.files import append_lines, locked, write_atomically
from infra.runs.records import now
from infra.store.local import LocalStore
from infra.store.manifest import Manifest

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
        before = [_digest(earlier) for earlier in _lines(ledger) if _read(earlier) is not None]
        content = json.dumps({**line, "before": before[-1] if before else ""}).encode()
        append_lines(ledger, [content])
        write_atomically(ledger.with_suffix(".head"), _digest(content))


def exchange(objects: Objects, workspace: Path) -> None:
    """Merge the readings of the store's other users into the ledgers of this workspace, and share its own."""
    own, shared = dict(to_send(workspace)), {entry.name for entry in objects.list("seals/").values()}
    for name in sorted(shared - own.keys()):
        ledger = workspace / "seals" / f"{PurePosixPath(name).parent.name}.jsonl"
        _merge(ledger, (objects.get(name) or b"").splitlines())
    for name in sorted(own.keys() - shared):
        objects.put(name, own[name])


def to_send(workspace: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the object for each reading; the name is a digest, so that a reading is sent once."""
    for ledger in sorted((workspace / "seals").glob("*.jsonl")):
        for line in _lines(ledger):
            if _read(line) is not None:
                yield f"seals/{ledger.stem}/{_digest(line)[:32]}.jsonl", line + b"\n"


def _merge(ledger: Path, lines: Iterable[bytes]) -> None:
    """Add the readable lines that the ledger does not have yet."""
    with locked(ledger.with_suffix(".lock")):
        present = set(_lines(ledger))
        append_lines(ledger, [line for line in lines if line not in present and _read(line) is not None])


def _read(line: bytes) -> dict[str, Any] | None:
    """Return the reading in a line; None if the line is not whole."""
    try:
        reading = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return reading if isinstance(reading, dict) else None


def _lines(ledger: Path) -> list[bytes]:
    return ledger.read_bytes().splitlines() if ledger.exists() else []


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def divisions(workspace: Path, split_key: str) -> int:
    """Return how many different test sets of the table that this split divided have been opened, this one included."""
    rows_of = {split: [row for row in rows if "divided" in row] for split, rows in ledgers(workspace).items()}
    tables = {row["divided"] for row in rows_of.get(split_key, [])}
    opened = {split for split, rows in rows_of.items() if any(row["divided"] in tables for row in rows)}
    return len(opened | {split_key} if split_key in rows_of else opened)


def ledgers(workspace: Path) -> dict[str, list[dict[str, Any]]]:
    """Return split -> every reading of its test set, the oldest first.

    One that cannot be read or was deleted is ``{"unreadable": "<ledger>, line <number>"}`` or what else is known of it.
    """
    uses: dict[str, list[Manifest]] = {}
    for manifest in LocalStore(workspace).manifests():
        if split := manifest.ingredients.get(f"input {SEALED}"):
            uses.setdefault(split, []).append(manifest)
    names = {path.stem for path in (workspace / "seals").glob("*") if path.suffix in (".jsonl", ".head")}
    return {split: _rows(workspace, split, uses.get(split, [])) for split in sorted(names | uses.keys())}


def _rows(workspace: Path, split: str, uses: Iterable[Manifest]) -> list[dict[str, Any]]:
    """Return the readings in a ledger, and those that it should have."""
    ledger = workspace / "seals" / f"{split}.jsonl"
    head = ledger.with_suffix(".head")
    lines = {number: line for number, line in enumerate(_lines(ledger), 1) if line.strip()}
    whole = {number: row for number, line in lines.items() if (row := _read(line)) is not None}
    torn = [f"line {number}" for number in lines if number not in whole]
    keys, digests = {row.get("key") for row in whole.values()}, {"", *map(_digest, lines.values())}
    deleted = [f"the deleted line of {use.step} {use.key[:12]}" for use in uses if use.key not in keys]
    followers = [number for number, row in whole.items() if row.get("before", "") not in digests]
    gaps = [f"the deleted line before line {number}" for number in followers]
    if head.is_file() and head.read_text() not in digests:
        gaps.append("the deleted last line")
    faults = [*torn, *deleted, *gaps[len(deleted) :]]  # a gap may be one of the deleted
    rows = [*whole.values(), *({"unreadable": f"{ledger}, {fault}"} for fault in faults)]
    return sorted(rows, key=lambda line: str(line.get("time", "")))


def unreadable(workspace: Path) -> list[str]:
    """Return ledger and number of every line that cannot be read or was deleted."""
    return [row["unreadable"] for rows in ledgers(workspace).values() for row in rows if "unreadable" in row]
