"""The decision that makes a candidate the champion. Approvals will take this place; until then a person says --yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.places import store_of
from infra.runs import records
from infra.sources import champion as champions
from infra.sources.champion import Champion
from steps import documents
from steps.cards.document import Registration, unwritten
from steps.errors import GateRefused, InputError
from steps.evaluation.wording import listed


def promote(workspace: Path, run: str, tracking_uri: str | None) -> dict[str, Any]:
    """Move ``champion`` to the candidate of a run, here and in the registry.

    Raises:
        InputError: the run is not finished, or is a smoke run.
        GateRefused: its verdict is not "pass", or nobody answers for it yet.
    """
    record = records.load(workspace, run)
    if record.smoke:
        raise InputError(f"run {run} is a smoke run on a sample; only a whole run has a candidate")
    if record.status == "rejected":
        raise GateRefused(f"run {run} was rejected and cannot be promoted:\n{record.message}")
    if fields := unwritten(record.problem):
        raise GateRefused(
            f"run {run} cannot be promoted, since nobody answers for it: write the {listed(fields)} in "
            f"{record.problem_path}, then run it again (finished stages are not repeated)"
        )
    record.check_outputs()
    registering, training = record.producer("registration"), record.producer("model")
    if record.status != "pass" or not registering or not training or registering.status == "skipped":
        raise InputError(
            f"run {run} has no candidate (it is {record.status}); finish it with 'fourscore run {record.problem_path}'"
        )
    store = store_of(workspace, record)
    request = documents.read(Registration, store.open(registering.key, "registration"))
    before = champions.read(workspace, request.name)
    from infra.tracking import follower

    version = follower.promote(workspace, run, tracking_uri, store_of)
    champion = Champion(
        name=request.name,
        run=run,
        train_key=training.key,
        model_digest=request.tags["model_digest"],
        version=version,
        since=records.now(),
    )
    champions.write(workspace, champion)
    return {"name": champion.name, "run": run, "version": version, "before": before.run if before else None}
