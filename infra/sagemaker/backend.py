"""The backend that runs a plan as a SageMaker Pipeline, on AWS or on the local cloud, and follows it."""

import uuid
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from infra.aws_errors import ResourceNotFound
from infra.runs import records
from infra.runs.plan import Plan, Reporter
from infra.runs.records import RunRecord
from infra.sagemaker import cost
from infra.sagemaker.config import SageMakerConfig, check_limits
from infra.sagemaker.definition import Definition, all_steps, compile_plan, missing_answers, pipeline_name
from infra.sagemaker.follow import Following, exit_code, reset_stages
from infra.sagemaker.jobs import Decision, Job, decided, fuse
from infra.sagemaker.requests import TO_BE_WRITTEN, model_name, package_group, tags
from infra.sagemaker.service import ExecutionState, Service
from infra.sagemaker.stack import Stack
from infra.sagemaker.starting import Work, start
from infra.sagemaker.upload import code_digest, upload
from infra.store.manifest import JOURNAL
from infra.store.s3 import S3Store
from infra.tracking.state import await_parent
from steps.cards.sagemaker import package_card
from steps.errors import GO_ON, FourscoreError, InputError, Interrupted

POLL_AWS, POLL_LOCAL = 5.0, 0.5
"""Seconds between two looks at an execution, on AWS and on this machine."""


@dataclass(frozen=True)
class Compiled:
    """A plan as it would be sent."""

    jobs: tuple[Job, ...]
    definition: Definition | None
    """None if nothing is left to do."""
    decision: Decision | None
    estimate: cost.Estimate


def compiled(plan: Plan, problem: str, config: SageMakerConfig, stack: Stack, store: S3Store) -> Compiled:
    """Compile and check a plan; nothing is sent.

    Raises:
        InputError: the run could cost more than its cap, or asks for something that SageMaker does not have.
    """
    check_limits(config)
    decision = decided(plan, store.find)
    registering = plan.producer("registration")
    if decision and decision.verdict == "pass" and registering in plan.steps:
        decision = replace(decision, card=package_card(store.open(registering.key, "registration")))
    jobs = () if decision and decision.verdict == "refused" else fuse(plan)
    passed = decision is not None and decision.verdict == "pass"
    estimate = cost.estimate(jobs, config, stack.region)
    if not jobs and not (passed and registering in plan.steps and not plan.smoke):
        return Compiled((), None, decision, estimate)
    cost.check_cap(estimate)
    definition = compile_plan(plan, problem, config, stack, code_digest(), decision)
    return Compiled(jobs, definition, decision, estimate)


class SageMakerBackend:
    """Runs plans as pipeline executions, which outlive this process."""

    def __init__(self, store: S3Store, stack: Stack, config: SageMakerConfig) -> None:
        self.store, self.stack, self.config = store, stack, config

    @cached_property
    def service(self) -> Service:
        """Created on first use: a run that finds everything in the store imports no SDK."""
        return Service(self.stack)

    def estimate(self, plan: Plan, problem: str) -> dict[str, Any]:
        jobs = compiled(plan, problem, self.config, self.stack, self.store).jobs
        seconds = cost.history(self.store.workspace, problem, self.store.find, smoke=plan.smoke)
        return dict(cost.estimate(jobs, self.config, self.stack.region, seconds))

    def run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        """Send what is not cached, start it and follow it; if everything is cached, no job is started.

        Raises:
            Interrupted: Ctrl-C, which an execution that was started survives; or somebody stopped the execution.
            InputError: the plan asks for what it may not have, or a job found its input wrong.
            FourscoreError: AWS cannot be reached, or a job failed.
        """
        try:
            return self._run(plan, record, reporter)
        except KeyboardInterrupt:
            if record.execution is None:
                self._close(record, "interrupted", f"interrupted before anything was started; {GO_ON}")
                raise Interrupted(record.message) from None
            raise Interrupted(_detached(record)) from None
        except FourscoreError as error:
            if record.status == "running" and record.execution:  # AWS cannot be reached, which stops nothing there
                raise type(error)(f"{error}\n  {_detached(record)}") from None
            if record.status == "running":
                self._close(record, "error", str(error))
            raise

    def attach(self, record: RunRecord, reporter: Reporter) -> RunRecord:
        if record.status in records.FINAL:
            return record
        try:
            self._state(record)
            return _outcome(record, self._follow(record, reporter))
        except KeyboardInterrupt:
            raise Interrupted(_detached(record)) from None

    def stop(self, record: RunRecord) -> None:
        state = self._state(record)
        if state.over:
            raise InputError(f"run {record.run}: its execution is {state.status}; there is nothing to stop")
        self.service.stop(state.arn)

    def retry(self, record: RunRecord, reporter: Reporter) -> RunRecord:
        state = self._state(record)
        if not state.over or state.status == "Succeeded":
            raise InputError(f"run {record.run}: its execution is {state.status}; there is nothing to retry")
        record.stages, record.status, record.finished, record.message = reset_stages(record), "running", None, ""
        # Saved first: whatever happens now, an execution that is active can be watched and stopped.
        records.save(self.store.workspace, record)
        try:
            self.service.retry(state.arn, uuid.uuid4().hex)
        except KeyboardInterrupt:
            raise Interrupted(_detached(record)) from None
        return self.attach(record, reporter)

    def refresh(self, record: RunRecord) -> bool:
        try:
            state = self._state(record)
        except ResourceNotFound:
            return record.status in records.FINAL
        if state.over:
            following = Following(self.service, self.store, record, lambda *_: None)
            following.note(state)
            following.close(state)
        return state.over

    def _state(self, record: RunRecord) -> ExecutionState:
        """Return the state of a run's execution; one that was deleted closes an active record of the local cloud."""
        try:
            return self.service.execution(str(record.execution))
        except ResourceNotFound:
            message = (
                f"run {record.run}: its execution does not exist any more; run the same command again, which continues "
                "from the last published stage and checkpoint"
            )
            if self.stack.endpoint and record.status not in records.FINAL:
                self._close(record, "error", message)
            raise ResourceNotFound(message) from None

    def _run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        work = compiled(plan, record.problem_name, self.config, self.stack, self.store)
        self._note_cached(plan, record, reporter)
        if work.definition is None or (not work.jobs and self._has_package(plan, record)):
            return self._conclude_cached(record, work.decision)
        if self.stack.endpoint is None:
            cost.require_prices(work.estimate)
        upload(self.store, plan, work.jobs, reporter)
        self._start(work.definition, record)
        reporter("", {"kind": "note", "level": "info", "text": f"execution {record.execution}"})
        return _outcome(record, self._follow(record, reporter))

    def _follow(self, record: RunRecord, reporter: Reporter) -> ExecutionState:
        following = Following(self.service, self.store, record, reporter)
        return following.until_over(POLL_LOCAL if self.stack.endpoint else POLL_AWS)

    def _note_cached(self, plan: Plan, record: RunRecord, reporter: Reporter) -> None:
        """Note the cached stages before the first that runs, since that one may refuse and end the run."""
        for planned in plan.steps:
            manifest = self.store.find(planned.key) if planned.cached else None
            if manifest is None:
                break
            stage = record.stage(planned.step.name)
            stage.status, stage.seconds = "refused" if manifest.verdict == "refused" else "cached", 0.0
            stage.journal = str((self.store.directory(planned.key) / JOURNAL).relative_to(self.store.workspace))
            reporter(stage.name, {"kind": "stage", "status": stage.status, "seconds": 0.0})
        records.save(self.store.workspace, record)

    def _conclude_cached(self, record: RunRecord, decision: Decision | None) -> RunRecord:
        passed = decision is None or decision.verdict == "pass" or record.smoke
        if decision and not passed:
            record.message = "\n".join(decision.reasons)
        self._close(record, "pass" if passed else "rejected", record.message)
        return record

    def _has_package(self, plan: Plan, record: RunRecord) -> bool:
        """Return whether this very result has a model package already, which the record then names."""
        planned = plan.producer("registration")
        if planned is None:
            return True
        content = (planned.inputs["evaluation"], " ".join(missing_answers(plan)))
        for package in self.service.packages(package_group(self.stack, model_name(planned))):
            properties = package.get("CustomerMetadataProperties", {})
            if (properties.get("evaluate_key"), properties.get(TO_BE_WRITTEN, "")) == content:
                record.package = package["ModelPackageArn"]
                return True
        return False

    def _start(self, definition: Definition, record: RunRecord) -> None:
        def note(arn: str) -> None:
            record.execution = arn
            records.save(self.store.workspace, record)

        packages = [step for step in all_steps(definition["Steps"]) if step["Type"] == "RegisterModel"]
        work = Work(
            pipeline=pipeline_name(f"{self.stack.name}-{record.problem_name}"),
            definition=definition,
            role=self.stack.roles["pipeline"],
            tags=tags(record.problem_name, None, self.stack),
            run=record.run,
            mlflow_run=await_parent(self.store.workspace, record.run) if packages else None,
        )
        for package in packages:
            self.service.create_group(package["Arguments"]["ModelPackageGroupName"], work.tags)
        start(self.service, work, note)

    def _close(self, record: RunRecord, status: str, message: str) -> None:
        records.close(record, status, message)
        records.save(self.store.workspace, record)


def _detached(record: RunRecord) -> str:
    """Return what to tell somebody who stops watching."""
    return (
        f"no longer watching; the execution continues, and costs. 'fourscore attach {record.run}' watches it again, "
        f"'fourscore stop {record.run}' stops it"
    )


def _outcome(record: RunRecord, state: ExecutionState) -> RunRecord:
    """Return the record of a run that passed or was rejected; raise what a run that was stopped or failed ends with."""
    if record.status == "interrupted":
        raise Interrupted(record.message)
    if record.status == "error":
        raise (InputError if exit_code(state) == InputError.exit_code else FourscoreError)(record.message)
    return record
