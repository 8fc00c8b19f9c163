"""The state of tracking: a small file beside the run that says what MLflow holds of it.

``<workspace>/runs/<run>.tracking.json``, replaced atomically.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, TypedDict, cast

from infra.files import write_json
from infra.runs.records import RunRecord
from infra.tracking.mlflow_client import default_uri, without_credentials


class TrackingStatus(StrEnum):
    """How far the projection of a run is."""

    RUNNING = "running"
    COMPLETE = "complete"
    AWAY = "away"
    """The server does not answer."""
    ERROR = "error"
    TRASHED = "trashed"
    """A person deleted the run in MLflow."""


SETTLED = (TrackingStatus.COMPLETE, TrackingStatus.TRASHED)


class TrackingState(TypedDict, total=False):
    """What MLflow holds of a run."""

    uri: str
    """The tracking URI, without credentials."""
    status: str
    message: str
    attempt: str
    """Which attempt of the run this is: a run that was stopped and run again keeps its name."""
    experiment: str | None
    parent: str | None
    """Id of the run in MLflow."""
    children: dict[str, str]
    """Stage -> id of its run in MLflow."""
    model: dict[str, Any] | None
    """Name, version and alias of the registered model version."""
    report: bool
    """True if the report is there."""


def state_path(workspace: Path, run: str) -> Path:
    """Return the path of a run's tracking state."""
    return workspace / "runs" / f"{run}.tracking.json"


def read_state(workspace: Path, run: str) -> TrackingState:
    """Return the tracking state of a run; empty if there is none or the file holds something else."""
    try:
        state = json.loads(state_path(workspace, run).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return cast(TrackingState, state) if isinstance(state, dict) else {}


def write_state(
    workspace: Path, record: RunRecord, uri: str, status: TrackingStatus, message: str = "", **changes: Any
) -> TrackingState:
    """Write the tracking state of a run and return it."""
    state = {
        "uri": without_credentials(uri),
        "status": str(status),
        "message": message,
        "attempt": attempt_of(record),
        "experiment": None,
        "parent": None,
        "children": {},
        "model": None,
        "report": False,
        **changes,
    }
    write_json(state_path(workspace, record.run), state)
    return cast(TrackingState, state)


def registered_model(workspace: Path, run: str, uri: str) -> dict[str, Any] | None:
    """Return the model version that the run has already registered on this server."""
    state = read_state(workspace, run)
    return state.get("model") if state.get("uri") == without_credentials(uri) else None


def attempt_of(record: RunRecord) -> str:
    """Return an identifier of this attempt of the run."""
    return f"{record.started} {record.finished or ''}"


def has_report(workspace: Path, run: str) -> bool:
    """Return whether the run has a report."""
    return (workspace / "reports" / f"{run}.html").is_file()


def is_complete(workspace: Path, record: RunRecord, uri: str | None) -> bool:
    """Return whether MLflow holds the whole run, report included; reads a small file and asks no server."""
    state = read_state(workspace, record.run)
    return (
        state.get("status") in SETTLED
        and state.get("uri") == without_credentials(uri or default_uri(workspace))
        and state.get("attempt") == attempt_of(record)
        and (state.get("report", False) or not has_report(workspace, record.run))
    )
