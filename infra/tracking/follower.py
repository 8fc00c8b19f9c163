"""The process that projects a run to MLflow while it goes on, and the same projection of finished runs.

follow(...)            starts the process; a server that is slow or away costs the run nothing
join(...)              starts one in a job, for the job's own stages
project(...), sync()   project one run, or all that are missing, exactly once

Stores are opened by the caller (``open_store``); infra/track.py is the entry of the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.processes import spawn_module
from infra.runs import records
from infra.runs.records import RunRecord
from infra.tracking.mlflow_client import connect, default_uri, without_credentials
from infra.tracking.projection import JobProjection, Projection, place_for_jobs
from infra.tracking.state import (
    OWN,
    OpenStore,
    TrackingState,
    TrackingStatus,
    is_complete,
    read_state,
    registered_model,
    write_state,
)

if TYPE_CHECKING:
    from infra.store.s3 import S3Store

POLL = 1.0
"""Seconds between two looks at the journals."""
_aside: list[subprocess.Popen[bytes]] = []
"""Processes that nobody waits for: Python warns of one that it forgets while it runs."""
PATIENCE = 45.0
"""Seconds that a finished run waits for its projection; after that the process finishes alone."""
URI = "FOURSCORE_TRACKING_URI"
"""Environment variable with the URI of the process: a URI may hold a password, and command lines are public."""
PARENT = "FOURSCORE_MLFLOW_RUN"
"""Environment variable of a job's process with the run in MLflow that its stages belong to."""


def follow(workspace: Path, run: str, uri: str | None) -> subprocess.Popen[bytes]:
    """Start projecting a run. The process reads a pipe, whose end tells it that the run's process has finished or died."""
    uri = uri or default_uri(workspace)
    model = registered_model(workspace, run, uri)
    write_state(workspace, records.load(workspace, run), uri, TrackingStatus.RUNNING, model=model)
    return _start(workspace, run, uri)


def join(store: S3Store, run: str) -> subprocess.Popen[bytes] | None:
    """Start projecting the stages of a job; return None while nobody has said where the run is tracked."""
    place = json.loads(store.objects.get(place_for_jobs(run)) or b"{}")
    return _start(store.workspace, run, place["uri"], place["parent"]) if place else None


def finish(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """Tell a following process that the run and its report are finished, and wait for it for a while."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)


def project_aside(workspace: Path, record: RunRecord) -> None:
    """Start projecting the end of a run whose follower died with it, where it was tracked; do not wait."""
    if uri := place_of(workspace, record):
        _aside.append(_start(workspace, record.run, uri))
        finish(_aside[-1], patience=0)


def place_of(workspace: Path, record: RunRecord) -> str | None:
    """Return the URI where a run is tracked, with its password if a known URI has one; None if it is not tracked."""
    stored = read_state(workspace, record.run).get("uri")
    if stored == OWN:
        return default_uri(workspace)
    candidates = (requested_uri(workspace, record, None), default_uri(workspace))
    return next((uri for uri in candidates if without_credentials(uri) == stored), stored)


def _start(workspace: Path, run: str, uri: str, parent: str = "") -> subprocess.Popen[bytes]:
    log = workspace / "runs" / f"{run}.tracking.log"
    log.unlink(missing_ok=True)
    run_file, environment = records.path_of(workspace, run).absolute(), {URI: uri, PARENT: parent}
    return spawn_module("infra.track", str(run_file), directory=workspace, log=log, environment=environment, piped=True)


def project(run_file: Path, tracking_uri: str, open_store: OpenStore, *, live: bool = False) -> TrackingState:
    """Project one run as it is now: a finished one as a whole, a live one as far as it has come."""
    workspace, run = run_file.parent.parent, run_file.stem
    return Projection(workspace, run, tracking_uri, open_store).advance(final=not live)


def sync(workspace: Path, uri: str | None, open_store: OpenStore) -> dict[str, str]:
    """Project every run that is missing or partial, the oldest first.

    Returns:
        run -> status, of the runs that were not complete before.
    """
    if (workspace / "mlflow.db").is_file():
        connect(workspace, default_uri(workspace))  # which makes a damaged database again
    statuses: dict[str, str] = {}
    away: set[str] = set()
    for record in reversed(list(records.every(workspace))):
        place = requested_uri(workspace, record, uri)
        if record.status == "running" or place in away or is_complete(workspace, record, place):
            continue
        state = project(records.path_of(workspace, record.run), place, open_store)
        statuses[record.run] = state["status"] + (f" ({state['message']})" if state["message"] else "")
        if state["status"] == TrackingStatus.AWAY:
            away.add(place)
    return statuses


def requested_uri(workspace: Path, record: RunRecord, uri: str | None) -> str:
    """Return the requested URI, else the problem's, else the workspace's own."""
    return uri or record.problem.get("tracking_uri") or default_uri(workspace)


def main(open_store: OpenStore) -> None:
    """Project the run whose file is named on the command line until it is over or its process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # the run's own work goes first
    run_file = Path(sys.argv[1]).absolute()
    workspace, run = run_file.parent.parent, run_file.stem
    place = workspace, run, os.environ.get(URI) or default_uri(workspace), open_store
    parent = os.environ.get(PARENT)
    projection = JobProjection(*place, parent) if parent else Projection(*place)
    over = False
    while not over:
        over = _is_over(workspace, run)
        if projection.advance(final=over)["status"] == TrackingStatus.TRASHED:
            return


def _is_over(workspace: Path, run: str) -> bool:
    """Wait a moment, then return whether nothing more will come."""
    ready, _, _ = select.select([sys.stdin], [], [], POLL)
    if not ready:
        return False
    for _ in range(50):  # a dying process closes the pipe a moment before it frees the lock
        record = records.load(workspace, run)
        if record.status in records.FINAL or record.execution:  # nobody watches its execution any more
            break
        records.mark_killed(workspace)
        time.sleep(0.1)
    return True
