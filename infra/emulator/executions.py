"""One execution of a pipeline: which step is where, what each step came to, and the loop that brings it to an end.

The record of an execution is plain JSON and is written at every change, so that whoever is killed leaves a true one.
"""

from __future__ import annotations

import contextlib
import secrets
import string
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.emulator.definition import Definition, Step, read
from infra.emulator.jobs import Job
from infra.emulator.values import Scope, parameters

FAILED_STEPS = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of an execution whose step failed; why is in the list of its steps."""
ENDED = ("Succeeded", "Failed", "Stopped")
NOT_EXECUTED = "NotExecuted"
PARALLEL = 4


@dataclass
class StepState:
    """How far a step is; what ListPipelineExecutionSteps shows of it."""

    status: str = "Starting"
    started: float | None = None
    ended: float | None = None
    reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    attempts: int = 1
    job: str | None = None
    """Name of the job that runs it, of the kind that the step's type says."""
    properties: dict[str, Any] = field(default_factory=dict)
    """What later steps may refer to: what Describe says of the job or the model package."""


@dataclass
class Execution:
    """An execution as it is kept on the disk."""

    arn: str
    pipeline: str
    definition: str
    parameters: list[dict[str, str]]
    role: str
    created: float
    token: str | None = None
    display_name: str | None = None
    description: str | None = None
    version: int | None = None
    parallel: int | None = None
    status: str = "Executing"
    reason: str | None = None
    modified: float = 0.0
    steps: dict[str, StepState] = field(default_factory=dict)
    retries: list[str] = field(default_factory=list)
    """Tokens of the RetryPipelineExecution calls that were answered, so that one that is repeated starts nothing."""

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def arn_of_pipeline(self) -> str:
        return self.arn.partition("/execution/")[0]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(raw: dict[str, Any]) -> Execution:
        return Execution(**{**raw, "steps": {name: StepState(**each) for name, each in raw["steps"].items()}})


def new_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))


class StepFailed(Exception):
    """A step ends as Failed with this reason."""


class StepStopped(Exception):
    """A step was stopped."""


Run = Callable[["Running", Step, Scope], None]
"""Runs one step to its end: fills metadata and properties of its state, or raises StepFailed or StepStopped."""


class Running:
    """The execution while it runs, in a thread of its own."""

    def __init__(self, execution: Execution, scope: Scope, run: Run, save: Callable[[Execution], None]) -> None:
        self.execution, self.run_step, self._save = execution, run, save
        self.definition: Definition = read(execution.definition)
        self.scope = scope
        self.lock = threading.RLock()
        self.stop = threading.Event()
        self.killed = False
        """The whole emulator goes down: whatever happens to the jobs now is no news of the execution."""
        self.jobs: dict[str, Job] = {}
        self.thread = threading.Thread(target=self._run, name=execution.id, daemon=True)

    def save(self) -> None:
        with self.lock:
            if not self.killed:
                self.execution.modified = time.time()
                self._save(self.execution)

    def ask_to_stop(self) -> None:
        """StopPipelineExecution: running jobs are stopped as jobs are, nothing new is started."""
        with self.lock:
            if self.execution.status != "Executing":
                return
            self.execution.status = "Stopping"
            for state in self.execution.steps.values():
                if state.status in ("Starting", "Executing"):
                    state.status = "Stopping"
            self.save()
            self.stop_jobs()

    def stop_jobs(self) -> None:
        with self.lock:
            self.stop.set()
            for job in self.jobs.values():
                job.stop.set()

    def abandon(self) -> None:
        with self.lock:
            self.killed = self.thread.is_alive()
            self.stop.set()

    def _run(self) -> None:
        try:
            self._go_through()
            self._end()
        except Exception as error:  # noqa: BLE001 -- such as a full disk; nobody else would ever end the execution
            self._break_off(f"InternalServerError: {type(error).__name__}: {error}"[:1024])

    def _go_through(self) -> None:
        bound = self.execution.parallel or PARALLEL
        with ThreadPoolExecutor(min(bound, PARALLEL), thread_name_prefix=self.execution.id) as pool:
            under_way: dict[Future[None], Step] = {}
            while True:
                for step in self._startable(bound - len(under_way)):
                    under_way[pool.submit(self._step, step)] = step
                if not under_way:
                    break
                done, _ = wait_for(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    del under_way[future]
                    future.result()

    def _break_off(self, reason: str) -> None:
        """End what has not ended as Failed, in memory at least: what is on the disk may have to stay as it is."""
        with self.lock:
            for state in self.execution.steps.values():
                if state.status in ("Starting", "Executing", "Stopping"):
                    state.status, state.reason, state.ended = "Failed", reason, time.time()
            if self.execution.status not in ENDED:
                self.execution.status, self.execution.reason = "Failed", reason
            with contextlib.suppress(Exception):
                self.save()

    def _startable(self, room: int) -> list[Step]:
        """The steps to start now; none after a failure or a stop. Fail steps go first, since they end everything."""
        with self.lock:
            states = self.execution.steps
            if self.stop.is_set() or any(state.status == "Failed" for state in states.values()):
                return []
            ready = self.definition.ready({name: state.status for name, state in states.items()})
            ready.sort(key=lambda step: step.type != "Fail")
            if ready and ready[0].type == "Fail":
                ready = ready[:1]
            chosen = ready[: max(0, room)]
            for step in chosen:
                states[step.name] = StepState(started=time.time())
            self.save()
            return chosen

    def _step(self, step: Step) -> None:
        state = self.execution.steps[step.name]
        try:
            with self.lock:
                if state.status == "Starting":
                    state.status = "Executing"
                self.save()
            self.run_step(self, step, self.scope)
            state.status = "Succeeded"
        except StepFailed as error:
            state.status, state.reason = "Failed", str(error)[:1024]
        except StepStopped:
            state.status = "Stopped"
        except Exception as error:  # noqa: BLE001 -- whatever broke in here is a service fault to whoever looks from outside
            state.status, state.reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"[:1024]
        finally:
            with self.lock:
                state.ended = time.time()
                self.jobs.pop(step.name, None)
                if step.type == "Fail":
                    self.stop_jobs()
                self.save()

    def _end(self) -> None:
        with self.lock:
            states = self.execution.steps
            if any(state.status == "Failed" for state in states.values()):
                self.execution.status, self.execution.reason = "Failed", FAILED_STEPS
            elif self.stop.is_set():
                self.execution.status = "Stopped"
            else:
                self.execution.status = "Succeeded"
            self.save()


def branch_not_taken(definition: Definition, condition: str, outcome: bool) -> list[str]:
    return [step.name for step in definition.steps.values() if step.branch == (condition, not outcome)]


def scope_of(execution: Execution, json_at: Callable[[str], Any]) -> Scope:
    """What references of this execution are looked up in."""
    definition = read(execution.definition)

    def properties(step: str) -> Any:
        state = execution.steps.get(step)
        if state is None or state.status != "Succeeded":
            raise StepFailed(f"ClientError: step {step} has no properties: it did not succeed")
        return state.properties

    def property_file(step: str, name: str) -> Any:
        files = definition.steps[step].raw.get("PropertyFiles", [])
        declared = next(each for each in files if each["PropertyFileName"] == name)
        outputs = properties(step)["ProcessingOutputConfig"]["Outputs"]
        output = next((each for each in outputs if each["OutputName"] == declared["OutputName"]), None)
        if output is None:
            raise StepFailed(
                f"ClientError: property file {name} names output {declared['OutputName']!r}, which {step} has not"
            )
        return json_at(f"{output['S3Output']['S3Uri'].rstrip('/')}/{declared['FilePath']}")

    started = datetime.fromtimestamp(execution.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    variables = {
        "StartDateTime": started,
        "CurrentDateTime": started,
        "PipelineName": execution.pipeline,
        "PipelineArn": execution.arn_of_pipeline,
        "PipelineExecutionId": execution.id,
        "PipelineExecutionArn": execution.arn,
    }
    values = parameters(definition.parameters, execution.parameters)
    return Scope(values, variables, properties, property_file, json_at)


def retried(execution: Execution) -> None:
    """Make an execution that failed or was stopped ready to go on: what succeeded stays, the rest is done anew."""
    definition = read(execution.definition)
    succeeded = {name for name, state in execution.steps.items() if state.status == "Succeeded"}
    untaken = {
        name
        for name, state in execution.steps.items()
        if state.status == NOT_EXECUTED and (branch := definition.steps[name].branch) and branch[0] in succeeded
    }
    execution.steps = {name: state for name, state in execution.steps.items() if name in succeeded | untaken}
    execution.status, execution.reason = "Executing", None
