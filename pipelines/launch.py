"""Running a problem: load it, plan it, run what is not cached, write the report, let tracking follow."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import places
from infra.backends.backend import Detached
from infra.backends.local import full_disk
from infra.files import locked
from infra.places import Place
from infra.runs import records
from infra.runs.plan import Plan, Reporter
from infra.runs.records import RunRecord
from infra.signals import raise_keyboard_interrupt
from infra.store.manifest import CorruptExecution
from infra.store.store import Store
from pipelines.plan import make_plan
from pipelines.problem.definition import Loaded, Problem, load
from pipelines.training import TRAINING
from steps.core import Pipeline
from steps.errors import FourscoreError, InputError

HANDED_OUT = ("model", "application")
"""Layers whose files people read and use when a run is over; those of the data layer are read by later stages only."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    problem: Path
    workspace: Path
    settings: Mapping[str, str]
    smoke: bool = False
    until: str | None = None
    name: str | None = None
    tracking_uri: str | None = None
    """None: the problem's own, or sqlite in the workspace."""
    tracking: bool = True
    """Whether to project to MLflow now; what is not projected can be later."""
    store: str | None = None
    """Root of a store on S3; None: the workspace alone."""
    on: str = "local"
    """local | sagemaker | sagemaker-local"""


@dataclass(frozen=True)
class Prepared:
    """A problem that was loaded and planned; nothing has run yet."""

    request: Request
    loaded: Loaded
    plan: Plan
    run: str
    place: Place

    @property
    def tracking_uri(self) -> str | None:
        """Where to project to, None for the workspace's own sqlite; asked only where tracking is on."""
        detached = self.place.detached
        chosen = self.request.tracking_uri or self.loaded.problem.tracking_uri
        return chosen or (detached.tracking_uri if detached else None)

    @property
    def store(self) -> Store:
        return self.place.store


def prepare(request: Request, pipeline: Pipeline = TRAINING) -> Prepared:
    """Load and plan; nothing is run and nothing but memories of digests is written.

    Raises:
        InputError: something in the problem, its data or the request is wrong.
    """
    if request.name is not None and not records.NAME.fullmatch(request.name):
        raise InputError(f"--name {request.name}: wanted letters, digits, - and _, 80 at most, such as baseline-2")
    loaded = load(request.problem, request.settings, smoke=request.smoke)
    problem = loaded.problem
    if request.on != places.LOCAL and request.store:
        raise InputError(
            f"--store {request.store}: on {request.on} results are in the stack's own bucket; leave it out"
        )
    place = _place(request, problem)
    document = problem.model_dump(mode="json")
    sources = {
        name: kind.find(document, request.problem.parent, request.workspace) for name, kind in pipeline.sources.items()
    }
    plan = make_plan(
        pipeline,
        loaded.configs(pipeline),
        sources,
        place.store,
        request.workspace,
        problem.name,
        request.until,
        smoke=request.smoke,
    )
    last = plan.steps[-1].key
    return Prepared(request, loaded, plan, request.name or f"{problem.name}-{last[:8]}", place)


def _place(request: Request, problem: Problem) -> Place:
    if request.on == places.LOCAL:
        return places.local(request.workspace, request.store)

    def mlflow_run(run: str) -> str | None:
        from infra.tracking import follower

        return follower.parent_of(request.workspace, run) if request.tracking else None

    return places.sagemaker(
        request.on,
        request.workspace,
        problem.sagemaker.stack,
        problem.sagemaker.model_dump(mode="json"),
        tracking_uri=request.tracking_uri or problem.tracking_uri,
        mlflow_run=mlflow_run,
    )


def run(prepared: Prepared, reporter: Reporter) -> RunRecord:
    """Run the plan, or find that this very run is finished already.

    Raises:
        FourscoreError: whatever stopped it; the record on disk says the same.
    """
    workspace = prepared.request.workspace
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        # Read by numerical libraries when they are first imported. Pools of threads that spin while others work make a
        # busy machine many times slower; train.threads says how many training uses.
        os.environ.setdefault(name, "1")
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    _mark_killed(prepared, reporter)
    _say_if_busy(workspace, prepared.run, "made", reporter)
    with locked(records.lock_of(workspace, prepared.run)):
        if finished := _finished(prepared):
            _project_what_is_missing(prepared, finished, reporter)
            return finished
        record = _detached(prepared) or _record(prepared)
        records.save(workspace, record)
        uri = prepared.tracking_uri if prepared.request.tracking else None
        watched = _watched(workspace, record, uri, reporter, tracked=prepared.request.tracking)
        with watched, _readings_exchanged(prepared, reporter):
            return prepared.place.backend.run(prepared.plan, record, reporter)


def attach(workspace: Path, run: str, reporter: Reporter, *, again: bool = False) -> RunRecord:
    """Watch a run whose execution goes on without this process, to its end; ``again`` retries what failed in it first.

    Raises:
        FourscoreError: whatever ended it; the record on disk says the same.
    """
    from infra.tracking import follower

    record = records.load(workspace, run)
    backend = _backend_of(workspace, record)
    if record.status in records.FINAL and not again:
        return record
    uri = follower.place_of(workspace, record, backend.tracking_uri)
    _say_if_busy(workspace, run, "watched", reporter)
    with locked(records.lock_of(workspace, run)), _watched(workspace, record, uri, reporter, tracked=uri is not None):
        go_on = backend.retry if again else backend.attach
        return go_on(record, reporter)


def stop(workspace: Path, run: str) -> None:
    """Ask a run's execution to stop.

    Raises:
        InputError: it runs in this process, or is over.
    """
    record = records.load(workspace, run)
    _backend_of(workspace, record).stop(record)


def _backend_of(workspace: Path, record: RunRecord) -> Detached:
    backend = places.place_of(workspace, record).detached
    assert backend is not None
    return backend


def look_again(workspace: Path) -> list[str]:
    """Bring the records of executions that nobody watches up to date; those that cannot be asked stay as they are."""
    ended = []
    for record in list(records.every(workspace)):
        if record.status != "running" or record.execution is None:
            continue
        with (
            locked(records.lock_of(workspace, record.run), blocking=False) as is_free,
            contextlib.suppress(FourscoreError),
        ):
            if is_free and _backend_of(workspace, record).refresh(record):
                _report(workspace, record, lambda *_: None)
                ended.append(record.run)
    return ended


def _say_if_busy(workspace: Path, run: str, doing: str, reporter: Reporter) -> None:
    with locked(records.lock_of(workspace, run), blocking=False) as is_free:
        if not is_free:
            text = f"run {run} is being {doing} by another process; waiting for it"
            reporter("", {"kind": "note", "level": "info", "text": text})


@contextlib.contextmanager
def _watched(
    workspace: Path, record: RunRecord, uri: str | None, reporter: Reporter, *, tracked: bool
) -> Iterator[None]:
    """SIGTERM as Ctrl-C, tracking beside the run, and the report at its end, however it ends."""
    with raise_keyboard_interrupt([signal.SIGTERM]), _followed(workspace, record, uri, reporter, tracked=tracked):
        try:
            yield
        finally:
            _report(workspace, record, reporter)


@contextlib.contextmanager
def _readings_exchanged(prepared: Prepared, reporter: Reporter) -> Iterator[None]:
    """However the run ends: its report counts readings of the test set that others made, and theirs the ones made here."""
    try:
        yield
    finally:
        try:
            prepared.store.exchange_readings()
        except FourscoreError as error:
            text = f"readings of the sealed test set that were made elsewhere are not counted now: {error}"
            reporter("", {"kind": "note", "level": "warning", "text": text})


def _detached(prepared: Prepared) -> RunRecord | None:
    """The record of this very run where its execution goes on; running it again is watching it again."""
    path = records.path_of(prepared.request.workspace, prepared.run)
    before = records.load(prepared.request.workspace, prepared.run) if path.exists() else None
    keys = [planned.key for planned in prepared.plan.stages]
    if before is None or before.execution is None or [stage.key for stage in before.stages] != keys:
        return None
    location = (prepared.request.on, prepared.place.stack)
    if before.status == "running" and (before.on, before.stack) == location:
        return before
    if before.status == "running":
        raise InputError(
            f"run {before.run} goes on on {before.on}, stack {before.stack}, and costs: 'fourscore attach {before.run}' "
            f"watches it, 'fourscore stop {before.run}' stops it; to run the same here, too, say --name"
        )
    if before.status in ("pass", "rejected") and (before.on, before.stack) != location:
        raise InputError(
            f"run {before.run} was made on {before.on}, stack {before.stack}; 'fourscore show {before.run}' shows it. To "
            f"use its results say --on {before.on} again, to make it here, too, say --name"
        )
    return None


def _mark_killed(prepared: Prepared, reporter: Reporter) -> None:
    """Say of runs whose process was killed that they were, here and where they were tracked."""
    workspace = prepared.request.workspace
    for record in records.mark_killed(workspace):
        text = f"run {record.run} was killed and is now marked as killed"
        reporter("", {"kind": "note", "level": "info", "text": text})
        if prepared.request.tracking and record.run != prepared.run:
            from infra.tracking import follower

            follower.project_aside(workspace, record)


def _project_what_is_missing(prepared: Prepared, finished: RunRecord, reporter: Reporter) -> None:
    """A run that finished without tracking, or while the server was away, is projected when it is asked for again."""
    if not prepared.request.tracking:
        return
    from infra.tracking import follower, state

    workspace = prepared.request.workspace
    if not state.is_complete(workspace, finished, prepared.tracking_uri):
        follower.follow(workspace, finished.run, prepared.tracking_uri).finish()
        if message := state.read_state(workspace, finished.run).get("message"):
            reporter("", {"kind": "note", "level": "warning", "text": f"tracking: {message}"})


def _finished(prepared: Prepared) -> RunRecord | None:
    workspace = prepared.request.workspace
    if not records.path_of(workspace, prepared.run).exists():
        return None
    before = records.load(workspace, prepared.run)
    keys = [planned.key for planned in prepared.plan.stages]
    same = [stage.key for stage in before.stages] == keys
    refused = any(stage.status == "refused" for stage in before.stages)
    reaches_as_far = refused or sum(stage.status != "skipped" for stage in before.stages) == len(prepared.plan.steps)
    if not same and prepared.request.name:
        raise InputError(
            f"run {prepared.run!r} exists and was made from something else; choose another --name, or leave it out"
        )
    store = prepared.store
    complete = before.status in ("pass", "rejected") and all(
        store.find(stage.key) for stage in before.stages if stage.status != "skipped"
    )
    return _shared(prepared, before) if same and reaches_as_far and complete and _whole(prepared, before) else None


def _whole(prepared: Prepared, finished: RunRecord) -> bool:
    """Whether what a finished run hands out is what was published; what is not is put aside, to be made again.

    Of a store on S3 each file is verified when it is fetched.
    """
    store = prepared.store
    for stage in finished.stages:
        if store.uri is None and stage.layer in HANDED_OUT and (manifest := store.find(stage.key)):
            try:
                store.verify(manifest)
            except CorruptExecution:
                store.quarantine(stage.key)
                return False
    return True


def _shared(prepared: Prepared, finished: RunRecord) -> RunRecord | None:
    """A finished run that is asked for with another store than it was made with: its results are brought there too."""
    store = prepared.store
    if store.uri in (None, finished.store):
        return finished
    try:
        for stage in finished.stages:
            if (
                stage.status != "skipped"
                and (manifest := store.find(stage.key))
                and not store.push(stage.key).is_like(manifest)
            ):
                return None  # another execution is there and counts: the run is of that one
    except CorruptExecution:
        return None  # what rotted is made again
    finished.store = store.uri
    records.save(prepared.request.workspace, finished)
    return finished


def _record(prepared: Prepared) -> RunRecord:
    request, detached = prepared.request, prepared.place.detached
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
            *(planned.record() for planned in prepared.plan.steps),
            *(planned.record("skipped", "not asked for") for planned in prepared.plan.later),
        ],
        versions={
            name.removeprefix("package "): value
            for planned in prepared.plan.steps
            for name, value in planned.ingredients.items()
            if name.startswith("package ") or name == "python"
        },
        store=prepared.store.uri,
        on=request.on,
        pipeline=prepared.plan.pipeline,
        stack=prepared.place.stack,
        tracked_by_jobs=bool(request.tracking and detached and detached.tracking_uri),
    )


def exists(workspace: Path, run: str) -> bool:
    return records.path_of(workspace, run).exists()


def message_of(workspace: Path, run: str, error: BaseException) -> str:
    """What the record says of an error that nobody foresaw; where it says nothing of one, the error itself."""
    if exists(workspace, run) and (record := records.load(workspace, run)).status == "error" and record.message:
        return record.message
    return full_disk(error, workspace) or f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _followed(
    workspace: Path, record: RunRecord, uri: str | None, reporter: Reporter, *, tracked: bool
) -> Iterator[None]:
    """Tracking follows in a process of its own, so that a slow or absent server costs the run nothing."""
    if not tracked:
        yield
        return
    from infra.tracking import follower, state

    process = follower.follow(workspace, record.run, uri or record.problem.get("tracking_uri"))
    try:
        yield
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # the run has come to its end, and to its outcome
            process.finish()
        if message := state.read_state(workspace, record.run).get("message"):
            reporter("", {"kind": "note", "level": "warning", "text": f"tracking: {message}"})


def _report(workspace: Path, record: RunRecord, reporter: Reporter) -> None:
    """The report of a run that stopped early is as wanted as any; one that cannot be drawn must not hide the run."""
    from pipelines.pages.report import write_report

    try:
        write_report(workspace, record.run)
    except Exception as error:  # noqa: BLE001  a run does not fail because its report does
        text = f"the report could not be written ({type(error).__name__}: {error}); try 'fourscore report {record.run}'"
        reporter("", {"kind": "note", "level": "warning", "text": text})
