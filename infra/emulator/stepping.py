"""What each type of step does when its turn has come: jobs, conditions, the registry, the end with a reason."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulator import processing, training
from infra.emulator.cloud import Cloud, DataFailure
from infra.emulator.definition import Step
from infra.emulator.disturbances import ERRORS, Disturbances
from infra.emulator.executions import NOT_EXECUTED, Running, StepFailed, StepState, StepStopped, branch_not_taken
from infra.emulator.jobs import Job
from infra.emulator.requests import Refused, check_model_package, check_processing, check_training
from infra.emulator.roles import faults_of_passing
from infra.emulator.values import Scope, Unresolvable, holds, resolve

RETRIED = {
    "Step.SERVICE_FAULT": ("ServiceFault",),
    "Step.THROTTLING": ("ThrottlingException",),
    "SageMaker.JOB_INTERNAL_ERROR": ("InternalServerError",),
    "SageMaker.CAPACITY_ERROR": ("CapacityError",),
    "SageMaker.RESOURCE_LIMIT": ("ResourceLimitExceeded",),
}
"""Exception type of a retry policy -> how the failures begin that it is for."""

NewJob = Callable[[str, str, Mapping[str, Any]], Job]
"""Kind, name, request -> a job that has not started."""


class Stepping:
    """Runs single steps against one cloud."""

    def __init__(self, cloud: Cloud, disturbances: Disturbances, new_job: NewJob, haste: float = 1.0) -> None:
        self.cloud, self.disturbances, self.new_job, self.haste = cloud, disturbances, new_job, haste

    def __call__(self, running: Running, step: Step, scope: Scope) -> None:
        """Run one step to its end.

        Raises:
            StepFailed, StepStopped: how it ended, where not well.
        """
        state = running.execution.steps[step.name]
        try:
            if step.type == "Condition":
                self._condition(running, step, scope, state)
            elif step.type == "Fail":
                message = resolve(step.arguments.get("ErrorMessage", ""), scope)
                if not isinstance(message, str):
                    raise StepFailed(
                        f"ClientError: ErrorMessage is text, found {message!r}; {{'Std:Join': ...}} makes it one"
                    )
                state.metadata = {"Fail": {"ErrorMessage": message[:3072]}}
                raise StepFailed(message)
            else:
                self._with_retries(running, step, scope, state)
        except (Unresolvable, Refused, DataFailure) as error:
            raise StepFailed(f"ClientError: {error}") from None

    def _condition(self, running: Running, step: Step, scope: Scope, state: StepState) -> None:
        outcome = all(holds(each, scope) for each in step.arguments["Conditions"])
        state.metadata = {"Condition": {"Outcome": str(outcome)}}
        with running.lock:
            for name in branch_not_taken(running.definition, step.name, outcome):
                running.execution.steps[name] = StepState(status=NOT_EXECUTED)

    def _with_retries(self, running: Running, step: Step, scope: Scope, state: StepState) -> None:
        """Once, and again for as long as a retry policy of the step is for what went wrong."""
        used: dict[int, int] = {}
        began = time.monotonic()
        while True:
            try:
                self._once(running, step, scope, state)
                return
            except StepFailed as error:
                policies = step.raw.get("RetryPolicies", [])
                index = next((i for i, each in enumerate(policies) if _is_for(each, str(error))), None)
                if index is None:
                    raise
                policy, before = policies[index], used.get(index, 0)
                expires = 60 * policy.get("ExpireAfterMin", float("inf"))
                if before >= policy.get("MaxAttempts", 5) or (time.monotonic() - began) * self.haste > expires:
                    raise
                used[index] = before + 1
                pause = policy.get("IntervalSeconds", 1) * policy.get("BackoffRate", 2.0) ** before
                if running.stop.wait(pause / self.haste):
                    raise StepStopped from None
                state.attempts += 1
                running.save()

    def _once(self, running: Running, step: Step, scope: Scope, state: StepState) -> None:
        if said := self.disturbances.take(step.name, "throttling", "limit"):
            raise StepFailed(f"ClientError: {ERRORS[said.kind]}")
        if step.type == "RegisterModel":
            self._register(step, scope, state)
            return
        request = resolve(step.arguments, scope)
        for name in ("ProcessingJobName", "TrainingJobName"):
            if name in request:
                raise StepFailed(f"ClientError: {name}: the pipeline names its jobs")
        job = self._job(running, step, request)
        state.job = job.name
        state.metadata = {f"{step.type}Job": {"Arn": job.arn}}
        running.save()
        if said := self.disturbances.take(step.name, "internal", "capacity"):
            job.failed(ERRORS[said.kind])
        elif step.type == "Processing":
            processing.run(job)
        else:
            training.run(job, step.name)
        state.properties = job.record
        if job.status == "Failed":
            raise StepFailed(f"ClientError: {job.record['FailureReason']}")
        if job.status == "Stopped" and not running.stop.is_set():
            why = job.record.get("FailureReason") or job.record.get("SecondaryStatus", "Stopped")
            raise StepFailed(f"ClientError: {step.type} job {job.name} was stopped: {why}")
        if job.status == "Stopped":
            raise StepStopped

    def _job(self, running: Running, step: Step, request: dict[str, Any]) -> Job:
        name = job_name(running.execution.id, step.name)
        full = {**request, f"{step.type}JobName": name}
        (check_processing if step.type == "Processing" else check_training)(full, self.cloud)
        if faults := list(faults_of_passing(running.execution.role, full["RoleArn"], self.cloud)):
            raise StepFailed(f"ClientError: {'; '.join(faults)}")
        with running.lock:
            if running.stop.is_set():
                raise StepStopped
            job = self.new_job(step.type, name, full)
            running.jobs[step.name] = job
            return job

    def _register(self, step: Step, scope: Scope, state: StepState) -> None:
        """A version in the model package group, which is made where it is missing, as pipelines do."""
        from botocore.exceptions import ClientError

        request = resolve(step.arguments, scope)
        check_model_package(request)
        client = self.cloud.client("sagemaker")
        group = request.get("ModelPackageGroupName")
        try:
            if group and not _group_exists(client, group):
                client.create_model_package_group(ModelPackageGroupName=group)
            arn = client.create_model_package(**request)["ModelPackageArn"]
        except ClientError as error:
            raise StepFailed(
                f"ClientError: {error.response['Error']['Code']}: {error.response['Error']['Message']}"
            ) from None
        state.metadata = {"RegisterModel": {"Arn": arn}}
        state.properties = {**request, "ModelPackageArn": arn}


def _group_exists(client: Any, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        client.describe_model_package_group(ModelPackageGroupName=name.rpartition("/")[2])
    except ClientError:
        return False
    return True


def _is_for(policy: Mapping[str, Any], reason: str) -> bool:
    begins = [each for kind in policy.get("ExceptionType", []) for each in RETRIED.get(kind, ())]
    return any(reason.removeprefix("ClientError: ").startswith(each) for each in begins)


def job_name(execution: str, step: str) -> str:
    """As pipelines name jobs: where they come from, and a tail that tells two attempts apart; at most 63 characters."""
    tail = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(10))
    return f"pipelines-{execution}-{step.replace('_', '-')[:25].strip('-')}-{tail}"
