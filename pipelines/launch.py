"""The run of a prepared problem: what is not cached runs, tracking follows, the report is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from infra.backends.local import full_disk
from infra.files import locked
from infra.runs import records
from infra.runs.plan import Reporter
from infra.runs.records import RunRecord
from infra.tracking import follower
from infra.tracking.state import has_report
from pipelines import watch
from pipelines.provenance import provenance
from pipelines.request import Prepared, check_names
from pipelines.reuse import find_finished, find_running
from steps.errors import FourscoreError


def run(prepared: Prepared, reporter: Reporter) -> bool:
    """Run the plan; return False if nothing ran, since this very run was finished already.

    Raises:
        FourscoreError: whatever stopped it; the record on disk says the same.
    """
    workspace, uri = prepared.workspace, prepared.tracking_uri
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    _mark_killed(prepared, reporter)
    watch.note_if_busy(workspace, prepared.run, "made", reporter)
    with locked(records.lock_of(workspace, prepared.run)):
        if finished := find_finished(prepared):
            if not has_report(workspace, finished.run):
                watch.report(workspace, finished.run, reporter)
            watch.complete_tracking(workspace, finished, uri, reporter)
            return False
        record = find_running(prepared)
        if record is None:
            check_names(prepared)
            record = _new_record(prepared)
        records.save(workspace, record)
        with watch.watch(workspace, record, uri, reporter), _exchange_readings(prepared, reporter):
            prepared.place.backend.run(prepared.plan, record, reporter)
            return True


def message_of(workspace: Path, run: str, error: BaseException) -> str:
    """Return what the record says of an unforeseen error; if it says nothing, the error itself."""
    record = records.find(workspace, run)
    if record and record.status == "error" and record.message:
        return record.message
    return full_disk(error, workspace) or f"{type(error).__name__}: {error}"


def _mark_killed(prepared: Prepared, reporter: Reporter) -> None:
    """Mark the runs whose process was killed, and track how they ended where they were tracked."""
    for record in records.mark_killed(prepared.workspace):
        watch.note(reporter, f"run {record.run} was killed and is now marked as killed")
        if prepared.request.tracking and record.run != prepared.run:
            follower.project_aside(prepared.workspace, record)


@contextlib.contextmanager
def _exchange_readings(prepared: Prepared, reporter: Reporter) -> Iterator[None]:
    """At the end of the run, exchange the readings of the test set with the store that others use."""
    try:
        yield
    finally:
        try:
            prepared.store.exchange_readings()
        except FourscoreError as error:
            text = f"readings of the sealed test set that were made elsewhere are not counted now: {error}"
            watch.note(reporter, text, "warning")


def _new_record(prepared: Prepared) -> RunRecord:
    request, plan = prepared.request, prepared.plan
    versions = {
        name.removeprefix("package "): value
        for planned in plan.steps
        for name, value in planned.ingredients.items()
        if name.startswith("package ") or name == "python"
    }
    return RunRecord(
        run=prepared.run,
        problem_name=prepared.loaded.problem.name,
        problem_path=str(request.problem.resolve()),
        problem=prepared.loaded.problem.model_dump(mode="json", by_alias=True),
        overrides=dict(request.settings),
        smoke=request.smoke,
        status="running",
        started=records.now(),
        stages=[
            *(planned.record() for planned in plan.steps),
            *(planned.record("skipped", records.NOT_REQUESTED) for planned in plan.later),
        ],
        versions=versions,
        provenance=provenance(request.problem),
        store=prepared.store.uri,
        on=request.on,
        pipeline=plan.pipeline,
        number=records.next_number(prepared.workspace),
        stack=prepared.place.stack,
    )
