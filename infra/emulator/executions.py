"""One execution of a pipeline: its steps one after another, in a thread of its own.

Definitions of infra/sagemaker/definition.py put their jobs in a row, so nothing is lost by running one step at a time.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulator.definition import Scope, Step, holds, parameter_values, read_steps, resolve
from infra.emulator.jobs import Job, JobFailed, Machine
from steps.errors import FourscoreError

STEP_FAILURE = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of an execution with a failed step; the list of steps says why."""
RETRIED = {
    "Step.SERVICE_FAULT": "ServiceFault",
    "Step.THROTTLING": "ThrottlingException",
    "SageMaker.JOB_INTERNAL_ERROR": "InternalServerError",
    "SageMaker.CAPACITY_ERROR": "CapacityError",
    "SageMaker.RESOURCE_LIMIT": "ResourceLimitExceeded",
}
"""Exception type of a retry policy -> how the failure reasons begin that it is for."""


class Execution:
    """One execution; :meth:`start` runs it.

    Args:
        definition: the pipeline's definition.
        request: of StartPipelineExecution.
        register: adds a model package and returns its ARN.

    Raises:
        InputError: the request's parameters are not those of the definition.
    """

    def __init__(
        self,
        arn: str,
        definition: str,
        request: Mapping[str, Any],
        machine: Machine,
        register: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self.arn, self.definition, self.request = arn, definition, request
        self.machine, self.register, self.created = machine, register, time.time()
        arguments = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        self.scope = Scope(parameter_values(definition, arguments), self._property_file)
        self.steps = read_steps(definition)
        self.states: Mapping[str, Mapping[str, Any]] = {}
        """The steps that were started as ListPipelineExecutionSteps has them; replaced at every change."""
        self.jobs: dict[str, Job] = {}
        """Step -> its last job."""
        self.stopping = threading.Event()
        self.outcome = ""
        """Succeeded | Failed | Stopped; empty while it runs."""

    @property
    def status(self) -> str:
        return self.outcome or ("Stopping" if self.stopping.is_set() else "Executing")

    def start(self) -> None:
        """Run the steps that have not succeeded yet."""
        self.states = {name: state for name, state in self.states.items() if state["StepStatus"] == "Succeeded"}
        self.stopping, self.outcome = threading.Event(), ""
        threading.Thread(target=self._run, daemon=True).start()

    def kill(self) -> None:
        """End the execution and the processes of its jobs at once."""
        self.stopping.set()
        for job in self.jobs.values():
            job.kill()

    def _run(self) -> None:
        while not self.stopping.is_set() and (step := self._next_step()):
            self._note(step, StepName=step.name, StepStatus="Executing", StartTime=time.time(), Metadata={})
            try:
                ending = {"StepStatus": self._run_step(step)}
            except Exception as error:  # noqa: BLE001 -- whatever broke is the reason that a follower reads
                reason = str(error) if isinstance(error, FourscoreError) else f"{type(error).__name__}: {error}"
                reason = f"ClientError: {reason}" if isinstance(error, JobFailed) else reason
                ending = {"StepStatus": "Failed", "FailureReason": reason}
            self._note(step, EndTime=time.time(), **ending)
        failed = any(state["StepStatus"] == "Failed" for state in self.states.values())
        self.outcome = "Failed" if failed else "Stopped" if self.stopping.is_set() else "Succeeded"

    def _next_step(self) -> Step | None:
        """Return the next step that waits for nothing, steps of type Fail first; None after a failure."""
        if any(state["StepStatus"] == "Failed" for state in self.states.values()):
            return None
        waiting = [step for step in self.steps.values() if step.name not in self.states and self._is_ready(step)]
        return min(waiting, key=lambda step: step.type != "Fail", default=None)

    def _is_ready(self, step: Step) -> bool:
        if step.waits_for - self.states.keys():
            return False
        if step.branch is None:
            return True
        condition, outcome = step.branch
        return bool(self.states[condition]["Metadata"]["Condition"]["Outcome"] == str(outcome))

    def _run_step(self, step: Step) -> str:
        """Run a step to its end and return its status.

        Raises:
            Exception: it failed.
        """
        if step.type in ("Processing", "Training"):
            return self._run_job(step)
        if step.type == "Condition":
            outcome = all(holds(condition, self.scope) for condition in step.arguments["Conditions"])
            self._note(step, Metadata={"Condition": {"Outcome": str(outcome)}})
            return "Succeeded"
        request = resolve(step.arguments, self.scope)
        if step.type == "Fail":
            raise FourscoreError(request["ErrorMessage"])
        self._note(step, Metadata={"RegisterModel": {"Arn": self.register(request)}})
        return "Succeeded"

    def _run_job(self, step: Step) -> str:
        """Run the job of a step, and again while one of the step's retry policies is for what went wrong."""
        request, began, retries = resolve(step.arguments, self.scope), time.monotonic(), Counter[str]()
        while True:
            name = f"pipelines-{self.arn[-12:]}-{step.name}-{secrets.token_hex(5)}"
            fault = self.machine.take_fault(step.name)
            job = self.jobs[step.name] = Job(step.type, name, request, self.machine, self.stopping, fault)
            arn = {f"{step.type}Job": {"Arn": job.arn}}
            self._note(step, Metadata=arn, AttemptCount=retries.total() + 1)
            try:
                return "Stopped" if job.run() == "stop" else "Succeeded"
            except JobFailed as error:
                pause = self._pause(step, str(error), retries, time.monotonic() - began)
                if pause is None:
                    raise
            if self.stopping.wait(pause):
                return "Stopped"

    def _pause(self, step: Step, reason: str, retries: Counter[str], seconds: float) -> float | None:
        """Return the seconds until the next attempt, counting it; None if no retry policy allows one."""
        haste = self.machine.options.haste
        for policy in step.retry_policies:
            types = policy["ExceptionType"]
            if not reason.startswith(tuple(RETRIED[name] for name in types)):
                continue
            before = retries[types[0]]
            late = seconds * haste > 60 * policy.get("ExpireAfterMin", float("inf"))
            if late or before >= policy.get("MaxAttempts", float("inf")):
                return None
            retries[types[0]] += 1
            return float(policy["IntervalSeconds"] * policy["BackoffRate"] ** before / haste)
        return None

    def _property_file(self, step: str, name: str) -> Any:
        """Return the JSON of a property file that a step's job wrote to one of its outputs."""
        file = self.steps[step].property_files[name]
        outputs = self.jobs[step].request["ProcessingOutputConfig"]["Outputs"]
        uri = next(output["S3Output"]["S3Uri"] for output in outputs if output["OutputName"] == file["OutputName"])
        bucket, _, key = f"{uri.rstrip('/')}/{file['FilePath']}".removeprefix("s3://").partition("/")
        return json.loads(self.machine.buckets.path(bucket, key).read_bytes())

    def _note(self, step: Step, **fields: Any) -> None:
        self.states = {**self.states, step.name: {**self.states.get(step.name, {}), **fields}}
