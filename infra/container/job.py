"""One job of a pipeline inside its container: fetch its inputs, run its steps with the store, report how it ended.

The same on SageMaker, on the local cloud and in tests. Its input are SageMaker's files, job.json (infra/sagemaker/jobs.py)
and the variables of ARCHITECTURE.md, "The container contract".
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from infra.backends.local import LocalBackend
from infra.container import processes
from infra.container.contract import Container
from infra.container.live import Live
from infra.processes import handle, interrupt
from infra.runs import records
from infra.runs.keys import differences, scratch_key
from infra.runs.plan import Plan, PlannedStep
from infra.runs.records import RunRecord, StageRecord
from infra.s3.folder import FolderObjects
from infra.sources.source import restore
from infra.store.s3 import S3Store
from steps.cards.sagemaker import package_card
from steps.core import import_step
from steps.errors import FourscoreError, GateRefused, Interrupted
from steps.journal import Event

GRACE = 30
"""Seconds after SIGTERM in which a step may reach a safe point; SageMaker kills after 120, the upload included."""


def main(arguments: list[str]) -> int:
    """Run the job of that name and return the exit code, which means what the command line's does."""
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
    except Exception as error:  # noqa: BLE001  whoever follows the run must hear the reason
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}; the job's log has the details"
    sys.stderr.write(f"error: {reason}\n")
    processes.note_code(code)
    if container is not None and processes.leads(container):
        container.report_failure(reason)
    return code


def _run(container: Container, name: str) -> None:
    spec = container.spec(name)
    run, root = os.environ["FOURSCORE_RUN"], os.environ["FOURSCORE_ROOT"]  # which the definition sets
    steps = tuple(map(_planned, spec["steps"]))
    _check_container(steps)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        leads = processes.leads(container)
        folder = os.environ.get("FOURSCORE_FOLDER")
        objects = FolderObjects(root, Path(folder)) if folder else None
        store = S3Store(Path(place), root, objects=objects, publishes=leads)
        sources = {
            name: restore(description, store, Path(place) / "sources" / name)
            for name, description in spec["sources"].items()
        }
        plan = Plan(steps, sources, (), spec["divided"], smoke=spec["smoke"])
        for planned in steps:
            _lay_checkpoints(container, store, planned)
        record = _record(run, spec, steps)
        records.save(store.workspace, record)
        with Live(store, record, silent=not leads) as live:
            _execute(store, plan, record, live)
        _deliver(container, store, plan, record)


def _planned(step: Mapping[str, Any]) -> PlannedStep:
    imported = replace(import_step(step["step"]), layer=step["layer"])
    config = imported.config_type.model_validate(step["config"])
    return PlannedStep(imported, config, step["key"], step["ingredients"], step["inputs"], cached=False, reason="")


def _check_container(steps: tuple[PlannedStep, ...]) -> None:
    """Check that the container has the code and packages that the keys were made of."""
    other = sorted({line for planned in steps for line in differences(planned.ingredients)})
    if other:
        listed = "; ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        raise FourscoreError(
            f"the container is not what the plan was made for: {listed}. Build the image again ('fourscore infra image'), "
            "or plan with the image's Python and packages"
        )


def _lay_checkpoints(container: Container, store: S3Store, planned: PlannedStep) -> None:
    """Link the step's scratch directories to the checkpoints, which SageMaker keeps between attempts."""
    for name in planned.step.scratch if container.trains else ():
        checkpoints = container.base.absolute() / "checkpoints" / name
        checkpoints.mkdir(parents=True, exist_ok=True)
        link = store.workspace / "scratch" / scratch_key(planned) / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(checkpoints)


def _record(run: str, spec: Mapping[str, Any], steps: tuple[PlannedStep, ...]) -> RunRecord:
    """Return a record of all stages in their order, of which the job has only its own to run."""
    own = {planned.step.name: planned.record() for planned in steps}
    stages = [own.get(name) or StageRecord(name, "", "skipped") for name in spec["stages"]]
    return RunRecord(run, smoke=spec["smoke"], stages=stages, status="running", started=records.now())


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
    refused = [stage for stage in record.stages if stage.status == "refused"]
    if refused:
        raise GateRefused(f"refused: {refused[0].name}: {record.message}")


def _of_stage(record: RunRecord, error: FourscoreError) -> FourscoreError:
    """Return the same error with the name of the stage."""
    failed = next((stage.name for stage in record.stages if stage.status == "failed"), None)
    return type(error)(f"stage {failed}: {error}") if failed else error


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Yield a list that is filled by SIGTERM: stop at a safe point then, or be interrupted after ``GRACE`` seconds."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.alarm(GRACE)

    with handle({signal.SIGTERM: note, signal.SIGALRM: interrupt}):
        try:
            yield received
        finally:
            signal.alarm(0)


def _deliver(container: Container, store: S3Store, plan: Plan, record: RunRecord) -> None:
    """Leave what SageMaker itself reads: the verdict as a property file, the model as an artifact."""
    if not container.trains:
        result = container.base / "processing/output/result"
        result.mkdir(parents=True, exist_ok=True)
        document = _verdict(store, plan, record)
        (result / "verdict.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    elif processes.leads(container):
        for planned in plan.steps:
            if "model" in planned.step.outputs:
                shutil.copytree(store.open(planned.key, "model"), container.base / "model", dirs_exist_ok=True)


def _verdict(store: S3Store, plan: Plan, record: RunRecord) -> dict[str, Any]:
    """Return the verdict of the job's steps and of those that they read, which may have been cached."""
    keys = dict.fromkeys(key for planned in plan.steps for key in (*planned.inputs.values(), planned.key))
    manifests = [manifest for key in keys if (manifest := store.find(key))]
    rejected = [manifest for manifest in manifests if manifest.verdict == "rejected"]
    reasons = dict.fromkeys(reason for manifest in rejected for reason in manifest.reasons)
    verdict = {"verdict": "rejected" if rejected else "pass", "reasons": "; ".join(reasons), "run": record.run}
    registering = plan.producer("registration")
    if registering is None or store.find(registering.key) is None:
        return verdict
    return verdict | {"card": package_card(store.open(registering.key, "registration"))}
