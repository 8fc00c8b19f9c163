"""One execution of a pipeline, in its folder: its request, how far it has come, and its steps run one after another.

Definitions of infra/sagemaker/definition.py have their steps in a row, so they are run in the order in which they stand.
Retry policies have no effect: nothing that they are for happens on this machine.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.emulator.definition import Scope, parameter_values, resolve
from infra.emulator.jobs import Job, JobFailed, Machine
from infra.files import write_json
from infra.s3.folder import FolderObjects
from infra.sagemaker.definition import Definition, all_steps
from steps.errors import FourscoreError

STEP_FAILURE = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of an execution with a failed step; the list of steps says why."""
KILLED = "the process of this execution on this machine was ended"


class Execution:
    """One execution as it is now; :meth:`run` goes on with it.

    Args:
        folder: has what :meth:`create` wrote.
        alive: whether the execution's process lives, as it was before this call.
    """

    def __init__(self, folder: Path, *, alive: bool) -> None:
        state = json.loads((folder / "state.json").read_bytes())
        self.folder, self.alive = folder, alive
        self.arn: str = state["arn"]
        self.definition: str = state["definition"]
        self.request: Mapping[str, Any] = state["request"]
        self.outcome: str = state["outcome"]
        """Succeeded | Failed | Stopped; empty while it runs."""
        self.states: dict[str, dict[str, Any]] = state["states"]
        """The steps that were started as ListPipelineExecutionSteps has them."""
        self.jobs: dict[str, Mapping[str, Any]] = state["jobs"]
        """Step -> its last job as DescribeProcessingJob or DescribeTrainingJob has it."""
        if not alive and not self.outcome:
            self.outcome = "Failed"
            for step in self.states.values():
                if step["StepStatus"] == "Executing":
                    step |= {"StepStatus": "Failed", "FailureReason": KILLED}

    @staticmethod
    def create(folder: Path, arn: str, definition: str, request: Mapping[str, Any]) -> None:
        """Write a new execution.

        Raises:
            InputError: the request's parameters are not those of the definition.
        """
        parameter_values(json.loads(definition), _arguments(request))
        folder.mkdir(parents=True)
        content = {"arn": arn, "definition": definition, "request": request, "outcome": "", "states": {}, "jobs": {}}
        write_json(folder / "state.json", content)

    @property
    def status(self) -> str:
        return self.outcome or ("Stopping" if self.stopping() else "Executing")

    @property
    def failure(self) -> str:
        """What DescribePipelineExecution says of its failure."""
        return "" if self.outcome != "Failed" else STEP_FAILURE if self.states else f"{KILLED}: {self.folder / 'log'}"

    @property
    def parameters(self) -> dict[str, Any]:
        return parameter_values(json.loads(self.definition), _arguments(self.request))

    def stopping(self) -> bool:
        return (self.folder / "stop").exists()

    def reset(self) -> None:
        """Make the execution ready to go on from the steps that did not succeed."""
        (self.folder / "stop").unlink(missing_ok=True)
        self.states = {name: state for name, state in self.states.items() if state["StepStatus"] == "Succeeded"}
        self.outcome = ""
        self._save()

    def run(self, machine: Machine, register: Callable[[Mapping[str, Any]], str]) -> None:
        """Run the steps that have not succeeded yet.

        Args:
            register: adds a model package and returns its ARN.
        """
        steps: list[Definition] = json.loads(self.definition)["Steps"]
        waiting, status = [*steps], "Succeeded"
        while waiting and status == "Succeeded" and not self.stopping():
            step = waiting.pop(0)
            if step["Name"] not in self.states:
                self._note(step, StepName=step["Name"], StepStatus="Executing", StartTime=time.time(), Metadata={})
                try:
                    status, reason = self._run_step(step, machine, register), {}
                except Exception as error:  # noqa: BLE001 -- whatever broke is the reason that a follower reads
                    status, reason = "Failed", {"FailureReason": _reason(error)}
                self._note(step, EndTime=time.time(), StepStatus=status, **reason)
            if step["Type"] == "Condition" and status == "Succeeded":
                passed = self.states[step["Name"]]["Metadata"]["Condition"]["Outcome"] == "True"
                waiting = step["Arguments"]["IfSteps" if passed else "ElseSteps"] + waiting
        self.outcome = "Stopped" if self.stopping() and status != "Failed" else status
        self._save()

    def _run_step(self, step: Definition, machine: Machine, register: Callable[[Mapping[str, Any]], str]) -> str:
        """Run a step to its end and return its status; raise whatever made it fail."""
        scope = Scope(self.parameters, lambda source, name: self._property_file(machine, source, name))
        if step["Type"] == "Condition":
            outcome = all(resolve(step["Arguments"]["Conditions"], scope))
            self._note(step, Metadata={"Condition": {"Outcome": str(outcome)}})
            return "Succeeded"
        request = resolve(step["Arguments"], scope)
        if step["Type"] == "Fail":
            raise FourscoreError(request["ErrorMessage"])
        if step["Type"] == "RegisterModel":
            self._note(step, Metadata={"RegisterModel": {"Arn": register(request)}})
            return "Succeeded"
        name = f"pipelines-{self.arn[-12:]}-{step['Name']}-{secrets.token_hex(5)}"

        def note(record: Mapping[str, Any]) -> None:
            self.jobs[step["Name"]] = record
            self._save()

        job = Job(step["Type"], name, request, machine, self.stopping, note)
        self._note(step, Metadata={f"{step['Type']}Job": {"Arn": job.arn}})
        return "Stopped" if job.run() == "stop" else "Succeeded"

    def _property_file(self, machine: Machine, step: str, name: str) -> Any:
        """Return the JSON of a property file that a step's job wrote to one of its outputs."""
        steps = all_steps(json.loads(self.definition)["Steps"])
        listed = next(other for other in steps if other["Name"] == step)["PropertyFiles"]
        file = next(file for file in listed if file["PropertyFileName"] == name)
        outputs = self.jobs[step]["ProcessingOutputConfig"]["Outputs"]
        uri = next(output["S3Output"]["S3Uri"] for output in outputs if output["OutputName"] == file["OutputName"])
        return json.loads(FolderObjects(uri, machine.folder).path(file["FilePath"]).read_bytes())

    def _note(self, step: Definition, **fields: Any) -> None:
        self.states.setdefault(step["Name"], {}).update(fields)
        self._save()

    def _save(self) -> None:
        names = ("arn", "definition", "request", "outcome", "states", "jobs")
        write_json(self.folder / "state.json", {name: getattr(self, name) for name in names})


def _arguments(request: Mapping[str, Any]) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in request.get("PipelineParameters", [])}


def _reason(error: Exception) -> str:
    if isinstance(error, JobFailed):
        return f"ClientError: {error}"
    return str(error) if isinstance(error, FourscoreError) else f"{type(error).__name__}: {error}"
