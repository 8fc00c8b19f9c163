"""The test set is sealed: each time a step is given it, a line is added to a ledger that no run rewrites.

<workspace>/seals/<key of the split>.jsonl    {"time", "run", "step", "key"} per reading
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.backend import PlannedStep
from infra.runs import now

SEALED = "test_set"


def note_reading(workspace: Path, planned: PlannedStep, run: str) -> None:
    """Count the reading, before it happens, if the step reads the sealed artifact."""
    if SEALED not in planned.inputs:
        return
    ledger = workspace / "seals" / f"{planned.inputs[SEALED]}.jsonl"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": now(), "run": run, "step": planned.step.name, "key": planned.key}) + "\n")


def readings(workspace: Path, split_key: str) -> list[dict[str, Any]]:
    """Every reading of the test set that this split sealed, the first one first."""
    ledger = workspace / "seals" / f"{split_key}.jsonl"
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()] if ledger.exists() else []
