"""Earlier runs of the same name: a finished one is not run again, one that goes on elsewhere is followed."""

from __future__ import annotations

from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.manifest import CorruptExecution
from pipelines.request import Prepared
from steps.errors import InputError


def find_running(prepared: Prepared) -> RunRecord | None:
    """Return the record of this very run if its execution goes on.

    Raises:
        InputError: it goes on, or was made, at another place.
    """
    earlier = records.find(prepared.workspace, prepared.run)
    if earlier is None or earlier.execution is None or not _is_same(prepared, earlier):
        return None
    elsewhere = (earlier.on, earlier.stack) != (prepared.request.on, prepared.place.stack)
    if earlier.status == "running" and not elsewhere:
        return earlier
    if earlier.status == "running":
        raise InputError(
            f"run {earlier.run} goes on on {earlier.on}, stack {earlier.stack}, and costs: 'fourscore attach "
            f"{earlier.run}' watches it, 'fourscore stop {earlier.run}' stops it; to run the same here, too, say --name"
        )
    if earlier.status in ("pass", "rejected") and elsewhere:
        raise InputError(
            f"run {earlier.run} was made on {earlier.on}, stack {earlier.stack}; 'fourscore show {earlier.run}' shows "
            f"it. To use its results say --on {earlier.on} again, to make it here, too, say --name"
        )
    return None


def find_finished(prepared: Prepared) -> RunRecord | None:
    """Return the record of this very run if it is finished and its results are intact.

    Raises:
        InputError: the run of the requested name was made from something else.
    """
    earlier = records.find(prepared.workspace, prepared.run)
    if earlier is None:
        return None
    same = _is_same(prepared, earlier)
    if not same and prepared.request.name:
        raise InputError(
            f"run {prepared.run!r} exists and was made from something else; choose another --name, or leave it out"
        )
    refused = any(stage.status == "refused" for stage in earlier.stages)
    reached = [stage for stage in earlier.stages if stage.status != "skipped"]
    far_enough = refused or len(reached) == len(prepared.plan.steps)
    complete = earlier.status in ("pass", "rejected") and all(prepared.store.find(stage.key) for stage in reached)
    usable = same and far_enough and complete and _is_intact(prepared, earlier) and _share(prepared, earlier)
    return earlier if usable else None


def _is_same(prepared: Prepared, earlier: RunRecord) -> bool:
    return [stage.key for stage in earlier.stages] == [planned.key for planned in prepared.plan.stages]


def _is_intact(prepared: Prepared, finished: RunRecord) -> bool:
    """Return whether the files of every stage are as published; put aside a result whose are not."""
    for stage in finished.stages:
        if stage.status == "skipped":
            continue
        try:
            prepared.store.check(stage.key)
        except CorruptExecution:
            prepared.store.quarantine(stage.key)
            return False
    return True


def _share(prepared: Prepared, finished: RunRecord) -> bool:
    """Bring the results of a run to the store on S3 that is asked for now; return whether they are what counts in it."""
    store = prepared.store
    if store.uri in (None, finished.store):
        return True
    try:
        for stage in finished.stages:
            manifest = store.find(stage.key) if stage.status != "skipped" else None
            if manifest and not store.push(stage.key).is_like(manifest):
                return False  # the store has another execution, and that one counts
    except CorruptExecution:
        return False
    finished.store = store.uri
    records.save(prepared.workspace, finished)
    return True
