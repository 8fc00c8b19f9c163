"""The state of tracking: a small file beside the run that says what MLflow holds of it.

``<workspace>/runs/<run>.tracking.json``, replaced atomically.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypedDict, cast

from infra.files import write_json
from infra.runs.records import RunRecord
from infra.store.store import Store
from infra.tracking import database
from infra.tracking.mlflow_client import default_uri, sqlite_path, without_credentials


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
OpenStore = Callable[[Path, RunRecord], Store]
"""Opens the store that holds a run's results, given the workspace and the run's record."""
OWN = "the workspace's own"
"""The stored URI of the workspace's own database, wherever the workspace is moved or copied to."""


class TrackingState(TypedDict, total=False):
    """What MLflow holds of a run."""

    uri: str
    """The tracking URI, without credentials, or ``OWN``."""
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
    return workspace / "runs" / f"{run}.tracking.json"


def read_state(workspace: Path, run: str) -> TrackingState:
    """Return the tracking state of a run; empty if there is none or the file holds something else."""
    try:
        state = json.loads(state_path(workspace, run).read_bytes())
        path = sqlite_path(state.get("uri") or "")
    except (FileNotFoundError, ValueError, AttributeError):
        return {}
    # earlier states have the place of the database, which a workspace that was moved or copied must not follow
    if path and path.name == "mlflow.db" and (not path.parent.exists() or state_path(path.parent, run).exists()):
        state["uri"] = OWN
    return cast(TrackingState, state)


def await_parent(workspace: Path, run: str, patience: float = 45.0) -> str | None:
    """Wait until a run that is being followed has its run in MLflow; return that one's id.

    Args:
        patience: seconds after which a server counts as away.

    Returns:
        None if the run is not tracked, or the server is away.
    """
    until = time.monotonic() + patience
    while True:
        state = read_state(workspace, run)
        parent, is_coming = state.get("parent"), state.get("status") == TrackingStatus.RUNNING
        if parent or not is_coming or time.monotonic() >= until:
            return parent
        time.sleep(0.1)


def stored_uri(workspace: Path, uri: str | None) -> str:
    """Return a tracking URI, the workspace's own if it is None, as the state stores it."""
    return OWN if uri in (None, default_uri(workspace)) else without_credentials(str(uri))


def write_state(
    workspace: Path, record: RunRecord, uri: str, status: TrackingStatus, message: str = "", **changes: Any
) -> TrackingState:
    """Write the tracking state of a run and return it."""
    state = {
        "uri": stored_uri(workspace, uri),
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
    return state.get("model") if state.get("uri") == stored_uri(workspace, uri) else None


def attempt_of(record: RunRecord) -> str:
    """Return an identifier of this attempt of the run."""
    return f"{record.started} {record.finished or ''}"


def identity_of(workspace: Path) -> str:
    """Return a digest of this machine and workspace, which tells workspaces on a shared server apart."""
    return hashlib.sha256(f"{platform.node()}\0{workspace.absolute()}".encode()).hexdigest()[:12]


def has_report(workspace: Path, run: str) -> bool:
    return (workspace / "reports" / f"{run}.html").is_file()


def is_complete(workspace: Path, record: RunRecord, uri: str | None) -> bool:
    """Return whether MLflow holds the whole run, report included; reads small files and asks no server."""
    state = read_state(workspace, record.run)
    path, parent = sqlite_path(uri or default_uri(workspace)), state.get("parent")
    if path and parent and not database.holds(path, parent):
        return False
    return (
        state.get("status") in SETTLED
        and state.get("uri") == stored_uri(workspace, uri)
        and state.get("attempt") == attempt_of(record)
        and (state.get("report", False) or not has_report(workspace, record.run))
    )
