"""Run records: small JSON files that name the keys of a run's stages; a lock beside each shows whether its process lives.

<workspace>/runs/<run>.json            RunRecord, replaced atomically at every change
<workspace>/runs/<run>.lock            held for as long as the process of the run lives
<workspace>/runs/<run>.tracking.json   what tracking made of it (infra/tracking/follower.py)
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra import typed_json
from infra.files import is_locked, locked, write_atomically
from infra.secrets import redacted
from steps.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A run's name is the name of its file and of nothing outside the workspace."""
NOT_REQUESTED = "not asked for"
"""The reason of a stage after the last one that a run was to reach."""
FINAL = ("pass", "rejected", "error", "interrupted", "killed")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class StageRecord:
    """One stage of one run."""

    name: str
    key: str
    status: str = "pending"
    """pending | running | ran | cached | refused | failed | stopped | skipped

    'refused' is published, its gate said no; 'stopped' is what a person interrupted.
    """
    seconds: float = 0.0
    reason: str = ""
    journal: str = ""
    """Path of the journal, relative to the workspace (in the store, or in the working directory while it runs)."""
    layer: str = "application"
    """The layer of MLflow that the stage belongs to."""
    job: str = ""
    """The job into which the stage is fused where a run consists of jobs."""
    documents: list[str] = field(default_factory=list)
    """Published files that a person looks for, as ``artifact/file``."""
    outputs: list[str] = field(default_factory=list)
    """Names of the artifacts that the stage writes; empty in records of earlier versions."""
    gate: str = ""
    """What was wrong where the stage refused, in a word."""


@dataclass
class RunRecord:
    """One run of one problem."""

    run: str = ""
    problem_name: str = ""
    problem_path: str = ""
    problem: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    smoke: bool = False
    status: str = field(kw_only=True)
    """running | pass | rejected | error | interrupted | killed"""
    started: str = field(kw_only=True)
    finished: str | None = None
    stages: list[StageRecord] = field(default_factory=list)
    message: str = ""
    """Why it ended as it did, for a person."""
    versions: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    """Who made it, with what, by title; empty in records of earlier versions."""
    store: str | None = None
    """Root of the store on S3 that its results are in; None: the workspace alone."""
    on: str = "local"
    """local | sagemaker | sagemaker-local"""
    stack: str | None = None
    """The stack of a run on SageMaker."""
    execution: str | None = None
    """ARN of the pipeline execution on SageMaker."""
    package: str | None = None
    """ARN of the model package that waits for approval."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Job -> status; NotExecuted for jobs that the execution did not reach."""
    pipeline: str = "training"
    """Name of the pipeline."""
    number: int = 0
    """The place among the runs of the workspace, which no clock decides; 0 in records of earlier versions."""

    def stage(self, name: str) -> StageRecord:
        return next(stage for stage in self.stages if stage.name == name)

    def producer(self, artifact: str) -> StageRecord | None:
        """Return the stage that writes the artifact; None if no stage of the pipeline does."""
        return next((stage for stage in self.stages if artifact in stage.outputs), None)

    def fault(self) -> str:
        """Return what a run was rejected for: problem, check, label, leak or promise; empty for other runs."""
        if self.status != "rejected":
            return ""
        return next((stage.gate or stage.name for stage in self.stages if stage.status == "refused"), "promise")

    def check_outputs(self) -> None:
        """Check that the record names the outputs of its stages.

        Raises:
            InputError: a version of Fourscore recorded it that did not write them yet.
        """
        if self.stages and not any(stage.outputs for stage in self.stages):
            raise InputError(
                f"run {self.run} was recorded by an earlier version of Fourscore; "
                f"run the problem again with 'fourscore run {self.problem_path}'"
            )


def path_of(workspace: Path, run: str) -> Path:
    return workspace / "runs" / f"{run}.json"


def lock_of(workspace: Path, run: str) -> Path:
    return workspace / "runs" / f"{run}.lock"


def save(workspace: Path, record: RunRecord) -> None:
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    text = redacted(json.dumps(asdict(record), indent=1, ensure_ascii=False))
    write_atomically(path_of(workspace, record.run), text + "\n")


def close(record: RunRecord, status: str, message: str) -> None:
    """Note how a run ended: a stage that was running was cut short, and those that waited are skipped."""
    record.status, record.message, record.finished = status, message, now()
    for stage in record.stages:
        if stage.status == "running":
            stage.status = "stopped" if status == "interrupted" else "failed"
            stage.reason = message.partition("\n")[0]
        elif stage.status == "pending":
            stage.status = "skipped"


def load(workspace: Path, run: str) -> RunRecord:
    """Return the record of a run.

    Raises:
        InputError: there is no such run, and the message lists the newest ones; or its file cannot be read.
    """
    path = path_of(workspace, run)
    if NAME.fullmatch(run) and path.is_file():
        return _read(path)
    newest = ", ".join([record.run for record in every(workspace)][:5])
    hint = f"the newest are: {newest}" if newest else "there are no runs yet: start one with 'fourscore run PROBLEM'"
    raise InputError(f"no run {run!r} in {workspace}; {hint}")


def find(workspace: Path, run: str) -> RunRecord | None:
    """Return the record of a run, or None if there is no such run.

    Raises:
        InputError: its file cannot be read.
    """
    return load(workspace, run) if path_of(workspace, run).exists() else None


def _read(path: Path) -> RunRecord:
    """Return the record in a file; fields of another version are left out or get their defaults."""
    try:
        if not NAME.fullmatch(path.stem):
            raise ValueError("its name is not one that a run has")  # noqa: TRY301
        record = typed_json.parse(RunRecord, path.read_bytes())
    except (OSError, ValueError) as error:
        advice = "move it away or restore it: other runs do without it"
        raise InputError(f"run file {path} cannot be read ({error}); {advice}") from None
    record.run, record.problem_name = path.stem, record.problem_name or path.stem
    return record


def every(workspace: Path) -> Iterator[RunRecord]:
    """Yield all runs, the newest first, without those that :func:`unreadable` names."""
    runs = [entry for entry in _all(workspace) if isinstance(entry, RunRecord)]
    yield from sorted(runs, key=lambda record: (record.number, record.started, record.run), reverse=True)


def unreadable(workspace: Path) -> list[str]:
    """Return an error message for each run file that cannot be read."""
    return [str(entry) for entry in _all(workspace) if isinstance(entry, InputError)]


def _all(workspace: Path) -> Iterator[RunRecord | InputError]:
    for path in sorted((workspace / "runs").glob("*.json")):
        if not path.name.endswith(".tracking.json"):
            try:
                yield _read(path)
            except InputError as error:
                yield error


def next_number(workspace: Path) -> int:
    return next((record.number for record in every(workspace)), 0) + 1


def is_alive(workspace: Path, run: str) -> bool:
    """Return whether a process holds the run's lock."""
    return lock_of(workspace, run).exists() and is_locked(lock_of(workspace, run))


def mark_killed(workspace: Path) -> list[RunRecord]:
    """Mark the running runs whose process is gone (kill -9, power), and return those marked now."""
    marked = []
    for running in every(workspace):
        if running.status != "running" or running.execution:  # an execution needs no process on this machine
            continue
        with locked(lock_of(workspace, running.run), blocking=False) as free:
            record = load(workspace, running.run) if free else running
            if not free or record.status != "running":
                continue
            advice = "run it again and it goes on from the last published stage and checkpoint"
            close(record, "killed", f"the process was killed; {advice}")
            save(workspace, record)
            marked.append(record)
    return marked
