"""What each type of step does: run a job, decide a condition, register a model, end with a reason."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulator import processing, training
from infra.emulator.definition import Step
from infra.emulator.executions import NOT_EXECUTED, Running, StepFailed, StepState, StepStopped
from infra.emulator.fault_injection import take
from infra.emulator.jobs import Job, Machine
from infra.emulator.values import Scope, Unresolvable, holds, resolve

RETRIED = {
    "Step.SERVICE_FAULT": "ServiceFault",
    "Step.THROTTLING": "ThrottlingException",
    "SageMaker.JOB_INTERNAL_ERROR": "InternalServerError",
    "SageMaker.CAPACITY_ERROR": "CapacityError",
    "SageMaker.RESOURCE_LIMIT": "ResourceLimitExceeded",
}
"""Exception type of a retry policy -> how the failure reasons begin that it is for."""
CONTRACTS = {"Processing": (processing.run, processing.close), "Training": (training.run, training.close)}


class StepHandlers:
    """Runs single steps.

    Args:
        register: adds a model package and returns its record.
    """

    def __init__(self, machine: Machine, register: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        self.machine, self.register = machine, register

    def run(self, running: Running, step: Step, scope: Scope) -> None:
        """Run a step to its end.

        Raises:
            StepFailed: it failed, with the reason.
            StepStopped: it was stopped.
        """
        state = running.execution.steps[step.name]
        try:
            if step.type == "Condition":
                self._decide(running, step, scope, state)
            elif step.type == "Fail":
                message = str(resolve(step.arguments["ErrorMessage"], scope))
                state.metadata = {"Fail": {"ErrorMessage": message[:3072]}}
                raise StepFailed(message)
            else:
                self._try(running, step, scope, state)
        except Unresolvable as error:
            raise StepFailed(f"ClientError: {error}") from None

    def _decide(self, running: Running, step: Step, scope: Scope, state: StepState) -> None:
        outcome = all(holds(condition, scope) for condition in step.arguments["Conditions"])
        state.metadata = {"Condition": {"Outcome": str(outcome)}}
        with running.lock:
            for name, other in running.definition.steps.items():
                if other.branch == (step.name, not outcome):
                    running.execution.steps[name] = StepState(NOT_EXECUTED)

    def _try(self, running: Running, step: Step, scope: Scope, state: StepState) -> None:
        """Run the step, and again while one of its retry policies is for what went wrong."""
        attempts: dict[int, int] = {}
        began = time.monotonic()
        while True:
            try:
                self._run_once(running, step, resolve(step.arguments, scope), state)
                return
            except StepFailed as error:
                policies = step.raw.get("RetryPolicies", [])
                number = next((n for n, policy in enumerate(policies) if _is_for(policy, str(error))), None)
                if number is None:
                    raise
                policy, before = policies[number], attempts.get(number, 0)
                seconds = (time.monotonic() - began) * self.machine.options.haste
                if before >= policy.get("MaxAttempts", 5) or seconds > 60 * policy.get("ExpireAfterMin", float("inf")):
                    raise
                attempts[number] = before + 1
                pause = policy.get("IntervalSeconds", 1) * policy.get("BackoffRate", 2.0) ** before
                if running.stop.wait(pause / self.machine.options.haste):
                    raise StepStopped from None
                state.attempts += 1

    def _run_once(self, running: Running, step: Step, request: dict[str, Any], state: StepState) -> None:
        if step.type == "RegisterModel":
            state.record = self.register(request)
            state.metadata = {"RegisterModel": {"Arn": state.record["ModelPackageArn"]}}
            return
        tail = secrets.token_hex(5)  # tells two attempts apart; a name has 63 characters at most
        name = f"pipelines-{running.execution.id}-{step.name.replace('_', '-')[:25].strip('-')}-{tail}"

        def note(record: dict[str, Any]) -> None:
            state.record = record
            running.save()

        with running.lock:
            if running.stop.is_set():
                raise StepStopped
            job = running.jobs[step.name] = Job(step.type, name, step.name, request, self.machine, note)
            state.metadata = {f"{step.type}Job": {"Arn": job.arn}}
            running.save()
        if fault := take(self.machine.faults, step.name, interruption=False):
            job.update(**{f"{step.type}JobStatus": "Failed", "FailureReason": fault.reason})
        else:
            job.run(*CONTRACTS[step.type])
        if job.status == "Failed":
            raise StepFailed(f"ClientError: {job.record['FailureReason']}")
        if job.status == "Stopped":
            if running.stop.is_set():
                raise StepStopped
            reason = job.record.get("FailureReason") or job.record.get("SecondaryStatus")
            raise StepFailed(f"ClientError: {step.type} job {job.name} was stopped: {reason}")


def _is_for(policy: Mapping[str, Any], reason: str) -> bool:
    starts = tuple(RETRIED[kind] for kind in policy.get("ExceptionType", []) if kind in RETRIED)
    return reason.removeprefix("ClientError: ").startswith(starts) if starts else False
