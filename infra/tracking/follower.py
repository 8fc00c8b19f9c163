"""The process that projects a run to MLflow while it goes on, and the same projection of finished runs.

follow(...)            starts the process; a server that is slow or away costs the run nothing
project(...), sync()   project one run, or all that are missing, exactly once

Stores are opened by the caller (``open_store``); infra/track.py is the entry of the process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.processes import spawn_module
from infra.runs import records
from infra.runs.records import RunRecord
from infra.tracking.mlflow_client import (
    connect,
    default_uri,
    lock_projection,
    translate_mlflow_errors,
    without_credentials,
)
from infra.tracking.projection import Projection
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
from steps.errors import FourscoreError

POLL = 1.0
"""Seconds between two looks at the journals."""
_aside: list[subprocess.Popen[bytes]] = []
"""Processes that nobody waits for: Python warns of one that it forgets while it runs."""
PATIENCE = 45.0
"""Seconds that a finished run waits for its projection; after that the process finishes alone."""
URI = "FOURSCORE_TRACKING_URI"
"""Environment variable with the URI of the process: a URI may hold a password, and command lines are public."""


def follow(workspace: Path, run: str, uri: str | None) -> subprocess.Popen[bytes]:
    """Start projecting a run. The process reads a pipe, whose end tells it that the run's process has finished or died."""
    uri = uri or default_uri(workspace)
    model = registered_model(workspace, run, uri)
    write_state(workspace, records.load(workspace, run), uri, TrackingStatus.RUNNING, model=model)
    return _start(workspace, run, uri, piped=True)


def finish(process: subprocess.Popen[bytes], patience: float = PATIENCE) -> None:
    """Tell a following process that the run and its report are finished, and wait for it for a while."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)


def parent_of(workspace: Path, run: str, patience: float = PATIENCE) -> str | None:
    """Wait for the MLflow run of a run that is being followed and return its id; None if the server is away."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        state = read_state(workspace, run)
        if parent := state.get("parent"):
            return parent
        if state.get("status", TrackingStatus.RUNNING) != TrackingStatus.RUNNING:
            return None
        time.sleep(0.1)
    return None


def project_aside(workspace: Path, record: RunRecord) -> None:
    """Start projecting the end of a run whose follower died with it, where it was tracked; do not wait."""
    if uri := place_of(workspace, record):
        _aside.append(_start(workspace, record.run, uri, piped=False))


def place_of(workspace: Path, record: RunRecord, *alternatives: str | None) -> str | None:
    """Return the URI where a run is tracked, with its password if a known URI has one; None if it is not tracked."""
    stored = read_state(workspace, record.run).get("uri")
    if stored == OWN:
        return default_uri(workspace)
    candidates = (_uri_of(workspace, record, None), default_uri(workspace), *filter(None, alternatives))
    return next((uri for uri in candidates if without_credentials(uri) == stored), stored)


def _start(workspace: Path, run: str, uri: str, *, piped: bool) -> subprocess.Popen[bytes]:
    log = workspace / "runs" / f"{run}.tracking.log"
    log.unlink(missing_ok=True)
    arguments = ["--follow", str(records.path_of(workspace, run).absolute()), *(["--piped"] if piped else [])]
    return spawn_module("infra.track", *arguments, directory=workspace, log=log, environment={URI: uri}, piped=piped)


def project(run_file: Path, tracking_uri: str, open_store: OpenStore, *, live: bool = False) -> TrackingState:
    """Project one run as it is now: a finished one as a whole, a live one as far as it has come."""
    workspace, run = run_file.parent.parent, run_file.stem
    return Projection(workspace, run, tracking_uri, open_store).advance(final=not live)


def sync(workspace: Path, uri: str | None, open_store: OpenStore) -> dict[str, str]:
    """Project every run that is missing or partial, the oldest first.

    Returns:
        run -> status, of the runs that were not complete before.
    """
    statuses: dict[str, str] = {}
    away: set[str] = set()
    for record in sorted(records.every(workspace), key=lambda record: record.started):
        place = _uri_of(workspace, record, uri)
        if record.status == "running" or place in away or is_complete(workspace, record, place):
            continue
        state = project(records.path_of(workspace, record.run), place, open_store)
        statuses[record.run] = state["status"] + (f" ({state['message']})" if state["message"] else "")
        if state["status"] == TrackingStatus.AWAY:
            away.add(place)
    return statuses


def _uri_of(workspace: Path, record: RunRecord, uri: str | None) -> str:
    """Return the requested URI, else the problem's, else the workspace's own."""
    return uri or record.problem.get("tracking_uri") or default_uri(workspace)


def promote(workspace: Path, run: str, uri: str | None, open_store: OpenStore, digest: str) -> str | None:
    """Move the registry's alias ``champion`` to the version that the run registered; return the version.

    Args:
        digest: that of the model which the version must be.

    Raises:
        FourscoreError: the server is away or has no such version; nothing was changed.
    """
    from infra.tracking import registry

    record = records.load(workspace, run)
    uri = uri or place_of(workspace, record) or _uri_of(workspace, record, None)
    if not is_complete(workspace, record, uri):
        state = project(records.path_of(workspace, run), uri, open_store)
        if state["status"] != TrackingStatus.COMPLETE:
            raise FourscoreError(f"run {run} cannot be promoted now, nothing was changed: {state['message']}")
    model = read_state(workspace, run).get("model")
    if not model:
        raise FourscoreError(f"run {run} registered no model version: it has no candidate; nothing was changed")
    with translate_mlflow_errors(uri), lock_projection(workspace, uri):
        registry.promote(connect(workspace, uri), model["name"], model["version"], digest)
    return str(model["version"])


def misplaced_models(workspace: Path) -> dict[str, bool]:
    """Return the versions in the workspace's own registry whose files are not where MLflow looks; see ``registry.misplaced``."""
    from infra.tracking import registry

    uri = default_uri(workspace)
    with translate_mlflow_errors(uri):
        return registry.misplaced(connect(workspace, uri), workspace)


def load_registered(
    workspace: Path, uri: str | None, reference: str, open_store: OpenStore, *, trust: bool = False
) -> Path:
    """Return the model directory of ``name``, ``name@alias`` or ``name/version``, each with or without ``models:/``.

    Args:
        trust: take a model that no run of this workspace registered.

    Raises:
        InputError: there is no such model; the message lists the known ones. Or it is not of a run.
    """
    from infra.tracking import registry

    uri = uri or default_uri(workspace)
    client = connect(workspace, uri)
    with translate_mlflow_errors(uri):
        return registry.download(client, uri, reference, workspace, open_store, trust=trust)


def _follow(run_file: Path, uri: str, open_store: OpenStore, *, piped: bool) -> None:
    """Project until the run is over or its process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # the run's own work goes first
    workspace, run = run_file.parent.parent, run_file.stem
    projection = Projection(workspace, run, uri, open_store)
    over = False
    while not over:
        over = _is_over(workspace, run, piped=piped)
        if projection.advance(final=over)["status"] == TrackingStatus.TRASHED:
            return


def _is_over(workspace: Path, run: str, *, piped: bool) -> bool:
    """Wait a moment, then return whether nothing more will come."""
    if piped:
        ready, _, _ = select.select([sys.stdin], [], [], POLL)
        if not ready:
            return False
    else:
        time.sleep(POLL)
        if records.is_alive(workspace, run):
            return records.load(workspace, run).status in records.FINAL
    for _ in range(50):  # a dying process closes the pipe a moment before it frees the lock
        record = records.load(workspace, run)
        if record.status in records.FINAL or record.execution:  # nobody watches its execution any more
            return True
        records.mark_killed(workspace)
        time.sleep(0.1)
    return True


def main(open_store: OpenStore) -> None:
    """Follow the run whose file is named on the command line."""
    parser = argparse.ArgumentParser(description="Project a run to MLflow while it goes on.")
    parser.add_argument("--follow", type=Path, required=True, metavar="RUN_FILE")
    parser.add_argument("--uri", help=f"default: the environment's {URI}, or sqlite in the workspace")
    parser.add_argument("--piped", action="store_true", help="the run is over when standard input ends")
    arguments = parser.parse_args()
    run_file = arguments.follow.absolute()
    uri = arguments.uri or os.environ.get(URI) or default_uri(run_file.parent.parent)
    _follow(run_file, uri, open_store, piped=arguments.piped)
