"""A run is a small JSON file that names the keys of its stages; the lock beside it tells whether its process lives.

<workspace>/runs/<run>.json            RunRecord, replaced atomically at every change
<workspace>/runs/<run>.lock            held for as long as the process of the run lives
<workspace>/runs/<run>.tracking.json   what tracking made of it (infra/tracking/follower.py)
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.files import locked, write_json
from steps.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A run's name is the name of its file and of nothing outside the workspace."""
FINAL = ("pass", "rejected", "error", "interrupted", "killed")

TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "str | None": (str, type(None)),
    "bool": bool,
    "float": (int, float),
    "dict": dict,
    "list": list,
}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class StageRecord:
    """What became of one stage in one run."""

    name: str
    key: str
    status: str = "pending"
    """pending | running | ran | cached | refused | failed | skipped; 'refused' is published, its gate said no."""
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


@dataclass
class RunRecord:
    """One run of one problem."""

    run: str
    problem_name: str
    problem_path: str
    problem: dict[str, Any]
    overrides: dict[str, str]
    smoke: bool
    status: str
    """running | pass | rejected | error | interrupted | killed"""
    started: str
    finished: str | None = None
    stages: list[StageRecord] = field(default_factory=list)
    message: str = ""
    """Why it ended as it did, for a person."""
    versions: dict[str, str] = field(default_factory=dict)
    store: str | None = None
    """Root of the store on S3 that its results are in; None: the workspace alone."""
    on: str = "local"
    """local | sagemaker | sagemaker-local"""
    stack: str | None = None
    """Of a run on SageMaker: the stack that it runs in,"""
    execution: str | None = None
    """the ARN of its pipeline execution,"""
    package: str | None = None
    """that of the model package which waits for approval,"""
    mlflow_run: str | None = None
    """Of a job that tracks its own stages while it runs: the parent, which another process made and keeps;"""
    tracked_by_jobs: bool = False
    """of the run, that its jobs do so;"""
    jobs: dict[str, str] = field(default_factory=dict)
    """and step -> status, with NotExecuted for those that the execution did not come to."""

    pipeline: str = "training"
    """Name of the pipeline that the run is of."""

    def stage(self, name: str) -> StageRecord:
        return next(stage for stage in self.stages if stage.name == name)

    def producer(self, artifact: str) -> StageRecord | None:
        """Return the stage that writes the artifact; None if no stage of the pipeline does."""
        return next((stage for stage in self.stages if artifact in stage.outputs), None)


def path_of(workspace: Path, run: str) -> Path:
    return workspace / "runs" / f"{run}.json"


def lock_of(workspace: Path, run: str) -> Path:
    return workspace / "runs" / f"{run}.lock"


def save(workspace: Path, record: RunRecord) -> None:
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    write_json(path_of(workspace, record.run), asdict(record))


def load(workspace: Path, run: str) -> RunRecord:
    """The record of a run.

    Raises:
        InputError: there is no such run, and the message lists the newest ones; or its file cannot be read.
    """
    path = path_of(workspace, run)
    if not NAME.fullmatch(run) or not path.is_file():
        names = [record.run for record in every(workspace)][:5]
        hint = (
            f"the newest are: {', '.join(names)}"
            if names
            else "there are no runs yet: start one with 'fourscore run PROBLEM'"
        )
        raise InputError(f"no run {run!r} in {workspace}; {hint}")
    return _read(path)


def _read(path: Path) -> RunRecord:
    """The record in a file, which another version may have written: unknown fields are left out, missing ones filled.

    Raises:
        InputError: it is no record; the message names the file.
    """
    try:
        return _parse(path)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"run file {path} cannot be read ({error}); move it away or restore it: other runs do without it"
        ) from None


def _parse(path: Path) -> RunRecord:
    if not NAME.fullmatch(path.stem):
        raise ValueError("its name is not one that a run has")
    values = json.loads(path.read_text(encoding="utf-8"))
    absent = {"problem_name": path.stem, "problem_path": "", "problem": {}, "overrides": {}, "smoke": False}
    stages = [StageRecord(**_checked_fields(StageRecord, stage)) for stage in values.get("stages", [])]
    return RunRecord(**{**absent, **_checked_fields(RunRecord, values), "run": path.stem, "stages": stages})


def _checked_fields(kind: type[StageRecord | RunRecord], values: dict[str, Any]) -> dict[str, Any]:
    """The values of the fields that there are, each of the type that all use of it relies on."""
    types = {field_.name: str(field_.type).partition("[")[0] for field_ in fields(kind)}
    checked = {name: value for name, value in values.items() if name in types}
    for name, value in checked.items():
        if not isinstance(value, TYPES[types[name]]) or (isinstance(value, bool) and types[name] != "bool"):
            raise TypeError(f"{name} is {value!r:.40}")
    return checked


def every(workspace: Path) -> Iterator[RunRecord]:
    """All runs, the newest first; a file that cannot be read is left out, :func:`unreadable` names it."""
    records = []
    for path in _files(workspace):
        with contextlib.suppress(InputError):
            records.append(_read(path))
    yield from sorted(records, key=lambda record: (record.started, record.run), reverse=True)


def unreadable(workspace: Path) -> list[str]:
    """What is wrong with each run file that cannot be read."""
    wrong = []
    for path in _files(workspace):
        try:
            _read(path)
        except InputError as error:
            wrong.append(str(error))
    return wrong


def _files(workspace: Path) -> list[Path]:
    return sorted(path for path in (workspace / "runs").glob("*.json") if not path.name.endswith(".tracking.json"))


def is_alive(workspace: Path, run: str) -> bool:
    """Whether a process holds the run's lock."""
    if not lock_of(workspace, run).exists():
        return False
    with locked(lock_of(workspace, run), blocking=False) as free:
        return not free


def mark_killed(workspace: Path) -> list[RunRecord]:
    """Mark the runs that say they are running but whose process is gone (kill -9, power); returns those marked now."""
    marked = []
    for candidate in every(workspace):
        if (
            candidate.status != "running" or candidate.execution is not None
        ):  # an execution goes on without a process here
            continue
        with locked(lock_of(workspace, candidate.run), blocking=False) as free:
            if not free:
                continue
            record = load(workspace, candidate.run)
            if record.status != "running":
                continue
            record.status, record.finished = "killed", now()
            record.message = (
                "the process was killed; run it again and it goes on from the last published stage and checkpoint"
            )
            for stage in record.stages:
                if stage.status == "running":
                    stage.status, stage.reason = "failed", "the process was killed"
                elif stage.status == "pending":
                    stage.status = "skipped"
            save(workspace, record)
            marked.append(record)
    return marked
