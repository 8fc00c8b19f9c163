"""One execution of a pipeline: its steps one after another, in a thread of its own.

Definitions of infra/sagemaker/definition.py have their steps in a row, so they are run in the order in which they stand.
Retry policies have no effect: nothing that they are for happens on this machine.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.emulator.definition import Scope, parameter_values, read, resolve
from infra.emulator.jobs import Job, JobFailed, Machine
from infra.s3.folder import FolderObjects
from infra.sagemaker.definition import Definition, all_steps
from steps.errors import FourscoreError

STEP_FAILURE = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of an execution with a failed step; the list of steps says why."""


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
        self.machine, self.register = machine, register
        self.steps: list[Definition] = read(definition)["Steps"]
        arguments = {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}
        self.scope = Scope(parameter_values(read(definition), arguments), self._property_file)
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
        waiting, status = [*self.steps], "Succeeded"
        while waiting and status == "Succeeded" and not self.stopping.is_set():
            step = waiting.pop(0)
            if step["Name"] not in self.states:
                self._note(step, StepName=step["Name"], StepStatus="Executing", StartTime=time.time(), Metadata={})
                try:
                    status, reason = self._run_step(step), {}
                except Exception as error:  # noqa: BLE001 -- whatever broke is the reason that a follower reads
                    status, reason = "Failed", {"FailureReason": _reason(error)}
                self._note(step, EndTime=time.time(), StepStatus=status, **reason)
            if step["Type"] == "Condition" and status == "Succeeded":
                passed = self.states[step["Name"]]["Metadata"]["Condition"]["Outcome"] == "True"
                waiting = step["Arguments"]["IfSteps" if passed else "ElseSteps"] + waiting
        self.outcome = "Stopped" if self.stopping.is_set() and status != "Failed" else status

    def _run_step(self, step: Definition) -> str:
        """Run a step to its end and return its status.

        Raises:
            Exception: it failed.
        """
        if step["Type"] == "Condition":
            outcome = all(resolve(step["Arguments"]["Conditions"], self.scope))
            self._note(step, Metadata={"Condition": {"Outcome": str(outcome)}})
            return "Succeeded"
        request = resolve(step["Arguments"], self.scope)
        if step["Type"] == "Fail":
            raise FourscoreError(request["ErrorMessage"])
        if step["Type"] == "RegisterModel":
            self._note(step, Metadata={"RegisterModel": {"Arn": self.register(request)}})
            return "Succeeded"
        name = f"pipelines-{self.arn[-12:]}-{step['Name']}-{secrets.token_hex(5)}"
        fault = self.machine.take_fault(step["Name"])
        job = self.jobs[step["Name"]] = Job(step["Type"], name, request, self.machine, self.stopping, fault)
        self._note(step, Metadata={f"{step['Type']}Job": {"Arn": job.arn}})
        return "Stopped" if job.run() == "stop" else "Succeeded"

    def _property_file(self, step: str, name: str) -> Any:
        """Return the JSON of a property file that a step's job wrote to one of its outputs."""
        listed = next(other for other in all_steps(self.steps) if other["Name"] == step)["PropertyFiles"]
        file = next(file for file in listed if file["PropertyFileName"] == name)
        outputs = self.jobs[step].request["ProcessingOutputConfig"]["Outputs"]
        uri = next(output["S3Output"]["S3Uri"] for output in outputs if output["OutputName"] == file["OutputName"])
        return json.loads(FolderObjects(uri, self.machine.folder).path(file["FilePath"]).read_bytes())

    def _note(self, step: Definition, **fields: Any) -> None:
        self.states = {**self.states, step["Name"]: {**self.states.get(step["Name"], {}), **fields}}


def _reason(error: Exception) -> str:
    if isinstance(error, JobFailed):
        return f"ClientError: {error}"
    return str(error) if isinstance(error, FourscoreError) else f"{type(error).__name__}: {error}"
