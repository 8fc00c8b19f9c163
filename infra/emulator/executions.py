"""One execution of a pipeline: the state of each step, and the loop that runs the steps until the execution ends.

The record of an execution is JSON and is written at every change, so a local cloud that is killed leaves a true one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.emulator.definition import Step, read
from infra.files import write_json

if TYPE_CHECKING:
    from infra.emulator.jobs import Job

STEP_FAILURE = "Step failure: One or multiple steps failed."
"""What DescribePipelineExecution says of an execution with a failed step; the list of steps says why."""
CLOUD_ENDED = "The local cloud ended while the execution ran; run the same command again, or retry"
ENDED = ("Succeeded", "Failed", "Stopped")
ACTIVE = ("Starting", "Executing", "Stopping")
NOT_EXECUTED = "NotExecuted"
PARALLEL = 4


@dataclass
class StepState:
    """The state of one step."""

    status: str = "Starting"
    started: float | None = None
    ended: float | None = None
    reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    attempts: int = 1
    record: dict[str, Any] = field(default_factory=dict)
    """What Describe answers of the step's job or model package."""


@dataclass
class Execution:
    """The state of one execution."""

    arn: str
    pipeline: str
    definition: str
    parameters: list[dict[str, str]]
    created: float
    token: str | None = None
    display_name: str | None = None
    description: str | None = None
    status: str = "Executing"
    reason: str | None = None
    modified: float = 0.0
    steps: dict[str, StepState] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    def save(self, directory: Path) -> None:
        write_json(directory / f"{self.id}.json", asdict(self))

    def end_failed(self, reason: str) -> None:
        """End the execution and whatever runs in it as failed."""
        for state in self.steps.values():
            if state.status in ACTIVE:
                state.status, state.reason, state.ended = "Failed", reason, time.time()
                state.record = {
                    name: "Failed" if name.endswith("JobStatus") else state.record[name] for name in state.record
                }
        if self.status not in ENDED:
            self.status, self.reason = "Failed", reason

    def prepare_retry(self) -> None:
        """Forget the steps that did not succeed, so that they run again."""
        succeeded = {name for name, state in self.steps.items() if state.status == "Succeeded"}
        steps = read(self.definition).steps
        skipped = {name for name, state in self.steps.items() if state.status == NOT_EXECUTED}
        skipped = {name for name in skipped if (branch := steps[name].branch) and branch[0] in succeeded}
        self.steps = {name: state for name, state in self.steps.items() if name in succeeded | skipped}
        self.status, self.reason = "Executing", None


def load_executions(directory: Path) -> dict[str, Execution]:
    """Return the executions of earlier processes by their ARN; what ran when its process ended has failed."""
    directory.mkdir(parents=True, exist_ok=True)
    executions = {}
    for path in sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime):
        try:
            raw = json.loads(path.read_bytes())
            steps = {name: StepState(**state) for name, state in raw["steps"].items()}
            execution = Execution(**{**raw, "steps": steps})
        except (ValueError, TypeError, KeyError):
            continue  # a file of another version
        execution.end_failed(CLOUD_ENDED)
        executions[execution.arn] = execution
    return executions


class StepFailed(Exception):
    """A step ends as Failed with this reason."""


class StepStopped(Exception):
    """A step was stopped."""


class Running:
    """An execution while it runs, in a thread of its own.

    Args:
        run_step: runs a step to its end and fills its state; raises StepFailed or StepStopped.
        save: writes the execution down.
    """

    def __init__(
        self, execution: Execution, run_step: Callable[[Running, Step], None], save: Callable[[Execution], None]
    ) -> None:
        self.execution, self.run_step, self._save = execution, run_step, save
        self.definition = read(execution.definition)
        self.lock = threading.RLock()
        self.stop = threading.Event()
        self.abandoned = False
        """The local cloud ends: what becomes of the jobs now is not recorded."""
        self.jobs: dict[str, Job] = {}
        self.thread = threading.Thread(target=self._run, name=execution.id, daemon=True)

    def save(self) -> None:
        with self.lock:
            if not self.abandoned:
                self.execution.modified = time.time()
                self._save(self.execution)

    def ask_to_stop(self) -> None:
        """StopPipelineExecution: stop the running jobs, start nothing new."""
        with self.lock:
            if self.execution.status == "Executing":
                self.execution.status = "Stopping"
                for state in self.execution.steps.values():
                    if state.status in ACTIVE:
                        state.status = "Stopping"
                self.save()
                self._stop_jobs()

    def _stop_jobs(self) -> None:
        self.stop.set()
        for job in self.jobs.values():
            job.stop.set()

    def abandon(self) -> None:
        """Kill the jobs because the local cloud ends."""
        with self.lock:
            self.abandoned = True
            self.stop.set()
            for job in self.jobs.values():
                job.abandon()

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(PARALLEL, thread_name_prefix=self.execution.id) as pool:
                running: set[Future[None]] = set()
                while (steps := self._start_ready()) or running:
                    running |= {pool.submit(self._run_step, step) for step in steps}
                    ended, running = wait_for(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        future.result()
            self._end()
        except Exception as error:  # noqa: BLE001 -- such as a full disk; nothing else would end the execution
            with self.lock, contextlib.suppress(Exception):
                self.execution.end_failed(f"InternalServerError: {type(error).__name__}: {error}"[:1024])
                self.save()

    def _start_ready(self) -> list[Step]:
        """Mark the steps that start now; none after a failure or a stop, and nothing beside a Fail step."""
        with self.lock:
            states = self.execution.steps
            if self.stop.is_set() or any(state.status == "Failed" for state in states.values()):
                return []
            ready = self.definition.ready({name: state.status for name, state in states.items()})
            if ready and ready[0].type == "Fail":
                ready = ready[:1]
            for step in ready:
                states[step.name] = StepState("Executing", started=time.time())
            self.save()
            return ready

    def _run_step(self, step: Step) -> None:
        state = self.execution.steps[step.name]
        try:
            self.run_step(self, step)
            state.status = "Succeeded"
        except StepFailed as error:
            state.status, state.reason = "Failed", str(error)[:1024]
        except StepStopped:
            state.status = "Stopped"
        except Exception as error:  # noqa: BLE001 -- seen from outside, whatever broke in here is a fault of the service
            state.status, state.reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"[:1024]
        finally:
            with self.lock:
                state.ended = time.time()
                self.jobs.pop(step.name, None)
                if step.type == "Fail":
                    self._stop_jobs()
                self.save()

    def _end(self) -> None:
        with self.lock:
            if any(state.status == "Failed" for state in self.execution.steps.values()):
                self.execution.status, self.execution.reason = "Failed", STEP_FAILURE
            else:
                self.execution.status = "Stopped" if self.stop.is_set() else "Succeeded"
            self.save()
