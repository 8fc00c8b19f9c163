"""The test set is sealed: each time a step is given it, a line is added to a ledger that no run rewrites.

<workspace>/seals/<key of the split>.jsonl     {"time", "run", "step", "key", "divided"} per reading
<root>/seals/<key of the split>/<id>.jsonl     the same on S3, where a store is shared: readings made anywhere

``divided`` is the key of the table that the split divided: dividing it again with another seed until the answer pleases
would give every division an innocent ledger of its own, so divisions of one table are counted together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from infra.files import locked, write_json
from infra.runs import now

if TYPE_CHECKING:
    from infra.backend import PlannedStep
    from infra.s3_objects import Objects

SEALED = "test_set"


def divided(steps: Iterable[PlannedStep]) -> dict[str, str]:
    """Of each split the key of the table that it divides."""
    return {each.key: next(iter(each.inputs.values()), "") for each in steps if SEALED in each.step.outputs}


def note_reading(workspace: Path, planned: PlannedStep, tables: Mapping[str, str], run: str) -> None:
    """Count the reading, before it happens, if the step reads the sealed artifact; ``tables`` as :func:`divided` has it."""
    if SEALED not in planned.inputs:
        return
    split = planned.inputs[SEALED]
    ledger = workspace / "seals" / f"{split}.jsonl"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", encoding="utf-8") as file:
        line = {
            "time": now(),
            "run": run,
            "step": planned.step.name,
            "key": planned.key,
            "divided": tables.get(split, ""),
        }
        file.write(json.dumps(line) + "\n")


def exchange(objects: Objects, workspace: Path, known: Path) -> None:
    """Bring readings that were made elsewhere with the same store into the ledgers here, and those made here there.

    Args:
        known: remembers which objects were brought; they never change.
    """
    seen: list[str] = json.loads(known.read_bytes()) if known.is_file() else []
    there = [each.name for each in objects.list("seals/").values()]
    for name in sorted(set(there) - set(seen)):
        _merge(workspace / "seals" / f"{PurePosixPath(name).parent.name}.jsonl", (objects.get(name) or b"").decode())
    sent = []
    for ledger in sorted((workspace / "seals").glob("*.jsonl")):
        for line in ledger.read_bytes().splitlines():
            name = f"seals/{ledger.stem}/{hashlib.sha256(line).hexdigest()[:32]}.jsonl"
            if name not in there:
                objects.put(name, line + b"\n")
                sent.append(name)
    if sent or set(there) != set(seen):
        known.parent.mkdir(parents=True, exist_ok=True)
        write_json(known, sorted({*there, *sent}))


def _merge(ledger: Path, text: str) -> None:
    """Add the lines that are not there yet."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with locked(ledger.with_suffix(".lock")):
        here = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
        new = [line for line in text.splitlines() if line not in here]
        with ledger.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in new)


def divisions(workspace: Path, split_key: str) -> int:
    """How many different test sets of the table that this split divided have been opened, this one included."""
    tables = {line.get("divided") for line in readings(workspace, split_key)}
    opened = [
        path
        for path in sorted((workspace / "seals").glob("*.jsonl"))
        if any(line.get("divided") in tables for line in readings(workspace, path.stem))
    ]
    return len(opened)


def readings(workspace: Path, split_key: str) -> list[dict[str, Any]]:
    """Every reading of the test set that this split sealed, the first one first."""
    ledger = workspace / "seals" / f"{split_key}.jsonl"
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    return sorted(map(json.loads, lines), key=lambda line: str(line.get("time", "")))
