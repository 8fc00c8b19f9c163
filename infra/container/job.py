"""One job of a pipeline inside its container: bring what is outside, execute the steps with the store, say how it went.

The same on SageMaker, in its emulation and in a test; all that it knows comes from SageMaker's files and three variables:

FOURSCORE_BASE   where SageMaker's files lie (/opt/ml)        FOURSCORE_ROOT   s3://bucket/prefix/, the store's
FOURSCORE_RUN    the run's name                               job.json         what to do (infra/sagemaker/jobs.py)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from infra.backends.local import LocalBackend
from infra.container import processes
from infra.container.contract import Container
from infra.container.live import Live
from infra.runs import records
from infra.runs.keys import differences
from infra.runs.plan import Plan, PlannedStep
from infra.runs.records import RunRecord, StageRecord
from infra.sources.source import restore
from infra.store.local import LocalStore, Manifest
from infra.store.s3 import S3Store
from steps.core import import_step
from steps.errors import FourscoreError, GateRefused, Interrupted
from steps.journal import Event

GRACE = 30
"""Seconds after SIGTERM that a safe point is waited for; SageMaker kills after 120, the upload included."""


def main(arguments: list[str]) -> int:
    """Run the job of that name; returns the exit code, the command line's own."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m infra.container prepare|train|assess\n")
        return 2
    reason, code = "", 1
    container: Container | None = None
    try:
        container = Container.at(Path(os.environ.get("FOURSCORE_BASE", "/opt/ml")))
        if processes.process_count(container) > 1:
            return processes.launch(container, arguments[0])
        _run(container, arguments[0])
        if not processes.leads(container) and processes.RANK in os.environ:
            processes.leave(0)
        return 0
    except FourscoreError as error:
        reason, code = str(error), error.exit_code
    except Exception as error:  # noqa: BLE001  whatever it is, the person who follows must be told
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}; the job's log has the details"
    sys.stderr.write(f"error: {reason}\n")
    processes.note_code(code)
    if container is not None and processes.leads(container):
        container.report_failure(reason)
    return code


def _run(container: Container, name: str) -> None:
    spec = container.spec(name)
    run, root = _told("FOURSCORE_RUN"), _told("FOURSCORE_ROOT")
    steps = tuple(_planned(each) for each in spec["steps"])
    _check_container(steps)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        store = S3Store(Path(place), root) if processes.leads(container) else _Silent(Path(place), root)
        sources = {
            name: restore(description, store, Path(place) / "sources" / name)
            for name, description in spec["sources"].items()
        }
        plan = Plan(steps, sources, (), spec["divided"], pipeline=spec["pipeline"], smoke=spec["smoke"])
        for planned in steps:
            _lay_checkpoints(container, store, planned)
        record = _record(run, spec)
        silent = isinstance(store, _Silent)
        with _tracked(store.workspace, record, silent=silent), Live(store, record, silent=silent) as live:
            _execute(store, plan, record, live)
        _deliver(container, store, plan, record)


class _Silent(S3Store):
    """The store of a process that trains with others: one of them publishes."""

    def publish(self, directory: Path, manifest: Manifest) -> Manifest:
        return LocalStore.publish(self, directory, manifest)


def _told(variable: str) -> str:
    try:
        return os.environ[variable]
    except KeyError:
        raise FourscoreError(f"the environment has no {variable}; the pipeline's definition sets it") from None


def _planned(each: Mapping[str, Any]) -> PlannedStep:
    """A step as the plan has it."""
    found = import_step(each["step"])
    config = found.config_type.model_validate(each["config"])
    return PlannedStep(found, config, each["key"], each["ingredients"], each["inputs"], cached=False, reason="")


def _check_container(steps: tuple[PlannedStep, ...]) -> None:
    """A key says what made a result; in a container with other code or packages it would not.

    Raises:
        FourscoreError: this one has others.
    """
    other = sorted({line for planned in steps for line in differences(planned.ingredients)})
    if other:
        shown = "; ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        raise FourscoreError(
            f"the container is not what the plan was made for: {shown}. Make the image anew ('fourscore infra image'), or "
            "plan where Python and packages are the image's"
        )


def _lay_checkpoints(container: Container, store: S3Store, planned: PlannedStep) -> None:
    """What a step keeps between attempts goes where SageMaker keeps files between attempts."""
    if container.checkpoints is None:
        return
    for name in planned.step.scratch:
        (container.checkpoints / name).mkdir(parents=True, exist_ok=True)
        link = store.workspace / "scratch" / planned.key / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(container.checkpoints.absolute() / name)


def _record(run: str, spec: Mapping[str, Any]) -> RunRecord:
    """All stages in their order; the job knows the keys of its own."""
    keys = {each["step"].partition(":")[2]: each["key"] for each in spec["steps"]}
    return RunRecord(
        run=run,
        problem_name=run,
        problem_path="",
        problem={},
        overrides={},
        smoke=spec["smoke"],
        status="running",
        started=records.now(),
        stages=[StageRecord(key=keys.get(stage["name"], ""), **stage) for stage in spec["stages"]],
        pipeline=spec["pipeline"],
    )


@contextmanager
def _tracked(workspace: Path, record: RunRecord, *, silent: bool) -> Iterator[None]:
    """Where a tracking server and a run there are told, the job's stages are projected while they run.

    A server that cannot be reached from here changes nothing: whoever follows the run projects the same journals.
    """
    uri, parent = (os.environ.get(name, "none") for name in ("FOURSCORE_TRACKING_URI", "FOURSCORE_MLFLOW_RUN"))
    if silent or "none" in (uri, parent):
        yield
        return
    from infra.tracking import follower

    record.mlflow_run = parent
    records.save(workspace, record)
    process = follower.follow(workspace, record.run, uri)
    try:
        yield
    finally:
        process.finish()


def _execute(store: S3Store, plan: Plan, record: RunRecord, live: Live) -> None:
    from model_code import parallel

    with _stopping() as stopping, parallel.joined():

        def reporter(stage: str, event: Event) -> None:
            live(stage, event)
            if stopping and event["kind"] == "progress":  # between two pieces of work: a training keeps this very epoch
                raise KeyboardInterrupt

        try:
            LocalBackend(store).run(plan, record, reporter)
        except Interrupted:
            raise
        except FourscoreError as error:
            raise _of_stage(record, error) from error
    refused = [each for each in record.stages if each.status == "refused"]
    if refused:
        raise GateRefused(f"refused: {refused[0].name}: {record.message}")


def _of_stage(record: RunRecord, error: FourscoreError) -> FourscoreError:
    """The same error, naming the stage."""
    failed = next((each.name for each in record.stages if each.status == "failed"), None)
    return type(error)(f"stage {failed}: {error}") if failed else error


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Filled when SIGTERM comes; whoever finds it so stops at a safe point, or is stopped when the grace is over."""
    signals: list[int] = []

    def asked(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        signal.alarm(GRACE)

    def over(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, how)) for number, how in ((signal.SIGTERM, asked), (signal.SIGALRM, over))]
    try:
        yield signals
    finally:
        signal.alarm(0)
        for number, how in before:
            signal.signal(number, how)


def _deliver(container: Container, store: S3Store, plan: Plan, record: RunRecord) -> None:
    """What SageMaker itself wants of the job: the verdict as a property file, the model as an artifact."""
    if container.result is not None:
        container.result.mkdir(parents=True, exist_ok=True)
        document = _verdict(store, plan, record)
        (container.result / "verdict.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    if container.model is not None and processes.leads(container):
        for planned in plan.steps:
            if "model" in planned.step.outputs:
                shutil.copytree(store.open(planned.key, "model"), container.model, dirs_exist_ok=True)


def _verdict(store: S3Store, plan: Plan, record: RunRecord) -> dict[str, Any]:
    """The verdict of the job's steps and of those that they read, which may have been cached."""
    keys = dict.fromkeys(key for planned in plan.steps for key in (*planned.inputs.values(), planned.key))
    manifests = [manifest for key in keys if (manifest := store.find(key))]
    rejected = [manifest for manifest in manifests if manifest.verdict == "rejected"]
    reasons = dict.fromkeys(reason for manifest in rejected for reason in manifest.reasons)
    return {"verdict": "rejected" if rejected else "pass", "reasons": "; ".join(reasons), "run": record.run}
