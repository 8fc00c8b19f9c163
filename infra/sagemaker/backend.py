"""The backend that runs a plan as a SageMaker Pipeline, on AWS or on what stands for it here, and follows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.runs import records
from infra.runs.plan import Plan, Reporter
from infra.runs.records import RunRecord
from infra.sagemaker import code, cost
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.definition import Definition, compile_plan, package_groups, pipeline_name
from infra.sagemaker.follow import Following, exit_code, stages_again
from infra.sagemaker.jobs import Decision, Job, decided, fuse
from infra.sagemaker.limits import check_limits
from infra.sagemaker.requests import fit, model_name, package_group, tags
from infra.sagemaker.service import ExecutionState, Service
from infra.sagemaker.stack import Stack
from infra.sagemaker.starting import Work, start
from infra.sagemaker.upload import upload
from steps.errors import FourscoreError, InputError, Interrupted

if TYPE_CHECKING:
    from infra.store.s3 import S3Store

POLL = 5.0
"""Seconds between two looks at an execution on AWS."""
POLL_HERE = 0.5
"""... and on this machine."""
CAPACITY = ("CapacityError", "InsufficientInstanceCapacity", "no capacity")


@dataclass(frozen=True)
class Compiled:
    """A plan as it would be sent."""

    jobs: tuple[Job, ...]
    definition: Definition | None
    """None where there is nothing left to do."""
    decision: Decision | None


def compiled(plan: Plan, problem: str, config: SageMakerConfig, stack: Stack, store: S3Store) -> Compiled:
    """Compile and check; nothing is sent.

    Raises:
        InputError: the run could cost more than its cap, or asks for something that SageMaker does not have.
    """
    check_limits(config, stack)
    decision = decided(plan, store.find)
    jobs = () if decision and decision.verdict == "refused" else fuse(plan)
    if not jobs and not _registers(plan, decision):
        return Compiled((), None, decision)
    worst = cost.worst_case(jobs, config, stack.region)
    return Compiled(jobs, compile_plan(plan, problem, config, stack, code.digest(), worst, decision), decision)


def _registers(plan: Plan, decision: Decision | None) -> bool:
    """Whether a plan whose stages are all cached still asks for a model package."""
    passed = decision is not None and decision.verdict == "pass"
    return passed and plan.producer("registration") in plan.steps and not plan.smoke


class SageMakerBackend:
    """Sends a plan, starts it, follows it; what is cached is not run, and where all is cached no job is started."""

    def __init__(
        self,
        store: S3Store,
        stack: Stack,
        config: SageMakerConfig,
        *,
        mlflow_run: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.store, self.stack, self.config = store, stack, config
        self.mlflow_run = mlflow_run
        """Asked before the start: the MLflow run that the model package is linked with."""

    def run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        try:
            return self._run(plan, record, reporter)
        except KeyboardInterrupt:
            if record.execution is None:
                self._close(record, "interrupted", "interrupted before anything was started")
                raise Interrupted(record.message) from None
            raise Interrupted(detached(record)) from None
        except FourscoreError as error:
            if record.status == "running" and record.execution:  # AWS was lost sight of, which stops nothing there
                raise type(error)(f"{error}\n  {detached(record)}") from None
            if record.status == "running":
                self._close(record, "error", str(error))
            raise

    def _run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        done = compiled(plan, record.problem_name, self.config, self.stack, self.store)
        self._note_cached(plan, record, reporter)
        if done.definition is None or (not done.jobs and self._registered(plan, record)):
            return self._conclude_cached(record, done.decision)
        if self.stack.endpoint is None:
            cost.require_prices(done.jobs, self.config, self.stack.region)
        upload(self.store, plan, done.jobs, lambda n, of, what: _progress(reporter, n, of, what))
        service = Service(self.stack)
        instances = self.config.train.types if any(job.name == "train" for job in done.jobs) else ("",)
        for instance in instances:
            self._start(service, done, record, instance)
            reporter("", _note(f"execution {record.execution}"))
            state = Following(service, self.store, record, reporter).until_over(self.poll)
            if instance == instances[-1] or not _lacks_capacity(state):
                break
            reporter("", _note(f"there is no capacity for {instance}; trying the next type", "warning"))
            record.stages, record.status, record.finished = stages_again(record), "running", None
        return _outcome(record, state)

    @property
    def poll(self) -> float:
        return POLL_HERE if self.stack.endpoint else POLL

    def _note_cached(self, plan: Plan, record: RunRecord, reporter: Reporter) -> None:
        """Those before the first that runs: it may refuse, and then what stands behind it was not used."""
        for planned in plan.steps:
            manifest = self.store.find(planned.key) if planned.cached else None
            if manifest is None:
                break
            stage = record.stage(planned.step.name)
            stage.status, stage.seconds = "refused" if manifest.verdict == "refused" else "cached", 0.0
            stage.journal = str((self.store.directory(planned.key) / "journal.jsonl").relative_to(self.store.workspace))
            reporter(stage.name, {"kind": "stage", "status": stage.status, "seconds": 0.0})
        records.save(self.store.workspace, record)

    def _conclude_cached(self, record: RunRecord, decision: Decision | None) -> RunRecord:
        """Everything is known already: no job, no execution."""
        passed = decision is None or decision.verdict == "pass" or record.smoke
        if decision and not passed:
            record.message = "\n".join(decision.reasons)
        self._close(record, "pass" if passed else "rejected", record.message)
        return record

    def _registered(self, plan: Plan, record: RunRecord) -> bool:
        """Whether this very result has a model package already."""
        planned = plan.producer("registration")
        if planned is None:
            return True
        for package in Service(self.stack).packages(package_group(self.stack, model_name(planned))):
            if package.get("CustomerMetadataProperties", {}).get("evaluate_key") == planned.inputs["evaluation"]:
                record.package = package["ModelPackageArn"]
                return True
        return False

    def _start(self, service: Service, compilation: Compiled, record: RunRecord, instance: str) -> None:
        assert compilation.definition is not None

        def note(arn: str) -> None:
            record.execution = arn
            records.save(self.store.workspace, record)

        work = Work(
            pipeline=pipeline_name(f"{self.stack.name}-{record.problem_name}"),
            definition=compilation.definition,
            instance=instance,
            role=self.stack.roles["pipeline"],
            tags=tags(record.problem_name, None, self.stack),
            title=fit(record.run, 82),
            run=record.run,
            mlflow_run=self.mlflow_run() or "none",
        )
        for group in package_groups(compilation.definition["Steps"]):
            service.create_group(group, work.tags)
        start(service, work, note)

    def _close(self, record: RunRecord, status: str, message: str) -> None:
        record.status, record.message, record.finished = status, message, records.now()
        for stage in record.stages:
            if stage.status == "pending":
                stage.status = "skipped"
        records.save(self.store.workspace, record)


def attach(record: RunRecord, store: S3Store, stack: Stack, reporter: Reporter) -> RunRecord:
    """Follow an execution that was started before; of one that is over already, what it came to."""
    if record.status in records.FINAL:
        return record
    poll = POLL_HERE if stack.endpoint else POLL
    try:
        state = Following(Service(stack), store, record, reporter).until_over(poll)
    except KeyboardInterrupt:
        raise Interrupted(detached(record)) from None
    return _outcome(record, state)


def stop(record: RunRecord, stack: Stack) -> None:
    """Ask the execution to stop; what is running gets the time that it needs to keep its checkpoint."""
    service, arn = Service(stack), str(record.execution)
    if (state := service.execution(arn)).over:
        raise InputError(f"run {record.run}: its execution is {state.status}; there is nothing to stop")
    service.stop(arn)


def check_retry(record: RunRecord, stack: Stack) -> None:
    """Whether there is anything to retry.

    Raises:
        InputError: the execution goes on, or succeeded, or there is none.
    """
    state = Service(stack).execution(str(record.execution))
    if not state.over or state.status == "Succeeded":
        raise InputError(f"run {record.run}: its execution is {state.status}; there is nothing to retry")


def note_if_over(record: RunRecord, store: S3Store, stack: Stack) -> bool:
    """Bring the record to its end if the execution has come to its own; returns whether it has."""
    service = Service(stack)
    state = service.execution(str(record.execution))
    if state.over:
        following = Following(service, store, record, lambda *_: None)
        following.note(state)
        following.close(state)
    return state.over


def retry(record: RunRecord, store: S3Store, stack: Stack, reporter: Reporter) -> RunRecord:
    """Go on with an execution that failed or was stopped, from the steps that did not succeed."""
    service, arn, before = Service(stack), str(record.execution), replace(record)
    record.stages, record.status, record.finished, record.message = stages_again(record), "running", None, ""
    # First: whatever happens now, an execution that goes on is one that can be stopped.
    records.save(store.workspace, record)
    try:
        service.retry(arn, uuid.uuid4().hex)
    except KeyboardInterrupt:
        raise Interrupted(detached(record)) from None
    except FourscoreError:
        if service.execution(arn).over:
            records.save(store.workspace, before)
        raise
    return attach(record, store, stack, reporter)


def detached(record: RunRecord) -> str:
    """What to say to someone who stops watching."""
    return (
        f"no longer watching; the execution goes on, and costs. 'fourscore attach {record.run}' watches again, "
        f"'fourscore stop {record.run}' stops it"
    )


def _outcome(record: RunRecord, state: ExecutionState) -> RunRecord:
    """The record of a run whose gate said no, or which passed; anything else is an error.

    Raises:
        Interrupted: it was stopped.
        InputError: a job found its input wrong.
        FourscoreError: it failed.
    """
    if record.status == "interrupted":
        raise Interrupted(record.message)
    if record.status == "error":
        raise (InputError if exit_code(state) == InputError.exit_code else FourscoreError)(record.message)
    return record


def _lacks_capacity(state: ExecutionState) -> bool:
    return state.status == "Failed" and any(
        word in step.failure for step in state.steps if step.name == "train" for word in CAPACITY
    )


def _note(said: str, level: str = "info") -> dict[str, str]:
    return {"kind": "note", "level": level, "text": said}


def _progress(reporter: Reporter, done: int, total: int, what: str) -> None:
    reporter("", {"kind": "progress", "done": done, "total": total, "what": what})
