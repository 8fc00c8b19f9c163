"""The journal is the truth, MLflow a projection of it, made by a process of its own beside the run.

follow(...)            starts that process; a server that is slow or away costs the run nothing
project(...), sync()   the same projection later, of one run or of all that are missing, exactly once
<workspace>/runs/<run>.tracking.json   what came of it, replaced atomically:

    uri, status (running | complete | away | error | trashed), message, experiment, parent, children, events,
    model ({name, version, alias} or null), report (whether it is there), attempt (which attempt of the run this is)

python -m infra.tracking.follower --follow RUN_FILE --uri URI
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.files import write_json
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.local import CorruptExecution
from infra.tracking.mlflow_server import (
    ServerAway,
    connect,
    default_uri,
    projecting,
    said_plainly,
    serve,
    without_credentials,
    without_secrets,
)
from steps.errors import FourscoreError

POLL = 1.0
"""Seconds between two looks at the journals."""
PATIENCE = 45.0
"""Seconds that a finished run waits for its projection before it leaves it to finish alone."""
URI = "FOURSCORE_TRACKING_URI"
"""How the URI reaches the process: it may hold a password, and everyone on the machine can read a command line."""

State = dict[str, Any]


def state_path(workspace: Path, run: str) -> Path:
    return workspace / "runs" / f"{run}.tracking.json"


def read_state(workspace: Path, run: str) -> State:
    """What tracking made of a run so far; empty when nothing, or when the file holds something else."""
    try:
        state = json.loads(state_path(workspace, run).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


@dataclass
class Follower:
    """The process that projects a run while it goes on."""

    process: subprocess.Popen[bytes]

    def finish(self, patience: float = PATIENCE) -> None:
        """Say that the run and its report are done, and give the projection a while; it goes on alone after that."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return


def follow(workspace: Path, run: str, uri: str | None) -> Follower:
    """Start projecting a run; the end of the pipe to the process tells it that the run's process is done, or dead."""
    uri = uri or default_uri(workspace)
    before = read_state(workspace, run)
    model = before.get("model") if before.get("uri") == without_credentials(uri) else None
    _write_state(workspace, records.load(workspace, run), uri, "running", model=model)
    return Follower(_start(workspace, run, uri, piped=True))


def parent_of(workspace: Path, run: str, patience: float = PATIENCE) -> str | None:
    """The MLflow run that a run which is being followed becomes, waited for a while; None where the server is away."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        state = read_state(workspace, run)
        if state.get("parent") or state.get("status") not in ("running", None):
            return str(state["parent"]) if state.get("parent") else None
        time.sleep(0.1)
    return None


def project_aside(workspace: Path, record: RunRecord) -> None:
    """Bring a run that was followed, and whose follower died with it, to its end where it was tracked; do not wait."""
    if uri := place_of(workspace, record):
        _start(workspace, record.run, uri, piped=False)


def place_of(workspace: Path, record: RunRecord, *others: str | None) -> str | None:
    """Where a run is tracked already, with the password if one of the known places has one; None where it is not."""
    told = read_state(workspace, record.run).get("uri")
    known = (_uri_of(workspace, record, None), default_uri(workspace), *filter(None, others))
    return next((uri for uri in known if without_credentials(uri) == told), told)


def _start(workspace: Path, run: str, uri: str, *, piped: bool) -> subprocess.Popen[bytes]:
    environment = os.environ | {URI: uri, "PYTHONPATH": os.pathsep.join(map(str, _import_path()))}
    log = (workspace / "runs" / f"{run}.tracking.log").open("wb")
    with log:
        return subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "infra.tracking.follower",
                "--follow",
                str(records.path_of(workspace, run).absolute()),
                *(["--piped"] if piped else []),
            ],
            env=environment,
            cwd=workspace,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C stops the run, not the story of how it ended
        )


def _import_path() -> list[str]:
    """Where this process found our packages, so that the other finds the same whatever folder it starts in."""
    here = str(Path(__file__).absolute().parents[2])
    return [here, *filter(None, [os.environ.get("PYTHONPATH")])]


def project(run_file: Path, tracking_uri: str, *, live: bool = False) -> State:
    """Project one run as it is now; on a finished run that is all there is, on a live one what there is so far."""
    workspace, run = run_file.parent.parent, run_file.stem
    return _Projector(workspace, run, tracking_uri).once(final=not live)


def sync(workspace: Path, uri: str | None) -> dict[str, str]:
    """Project every run that is missing or partial there, the oldest first.

    Returns:
        run -> status, of those that were not complete before.
    """
    done: dict[str, str] = {}
    away: set[str] = set()
    for record in sorted(records.every(workspace), key=lambda each: each.started):
        where = _uri_of(workspace, record, uri)
        if record.status == "running" or where in away or is_complete(workspace, record, where):
            continue
        state = project(records.path_of(workspace, record.run), where)
        done[record.run] = str(state["status"]) + (f" ({state['message']})" if state["message"] else "")
        if state["status"] == "away":
            away.add(where)
    return done


def _uri_of(workspace: Path, record: RunRecord, uri: str | None) -> str:
    """What was asked for, else what the problem says, else the workspace's own."""
    return uri or record.problem.get("tracking_uri") or default_uri(workspace)


def promote(workspace: Path, run: str, uri: str | None) -> str | None:
    """Move the registry's alias ``champion`` to the version that the run registered; returns the version.

    Raises:
        FourscoreError: the server is away or has no such version; nothing was changed.
    """
    from infra.tracking import registry

    record = records.load(workspace, run)
    uri = uri or place_of(workspace, record) or _uri_of(workspace, record, None)
    if not is_complete(workspace, record, uri):
        state = project(records.path_of(workspace, run), uri)
        if state["status"] != "complete":
            raise FourscoreError(f"run {run} cannot be promoted now, nothing was changed: {state['message']}")
    model = read_state(workspace, run).get("model")
    if not model:
        raise FourscoreError(f"run {run} registered no model version; nothing was changed")
    with said_plainly(uri), projecting(workspace, uri):
        registry.promote(connect(workspace, uri), model["name"], model["version"])
    return str(model["version"])


def load_registered(workspace: Path, uri: str | None, reference: str) -> Path:
    """The model directory of ``name``, ``name@alias``, ``name/version``, each with or without ``models:/``.

    Raises:
        InputError: there is no such model; the message lists what there is.
    """
    from infra.tracking import registry

    uri = uri or default_uri(workspace)
    client = connect(workspace, uri)
    with said_plainly(uri):
        return registry.download(client, uri, reference)


def ui(workspace: Path, uri: str | None, port: int, say: Callable[[str], None]) -> int:
    """Show MLflow on this machine's loopback address until Ctrl-C; ``say`` is told the link."""
    return serve(workspace, uri or default_uri(workspace), port, say)


def _attempt(record: RunRecord) -> str:
    """A run that was stopped and run again has the same name and another start."""
    return f"{record.started} {record.finished or ''}"


def _has_report(workspace: Path, run: str) -> bool:
    return (workspace / "reports" / f"{run}.html").is_file()


def is_complete(workspace: Path, record: RunRecord, uri: str | None) -> bool:
    """Whether all of the run is there already, its report too; asks a small file, not the server."""
    uri = uri or default_uri(workspace)
    state = read_state(workspace, record.run)
    return (
        state.get("status") in ("complete", "trashed")
        and state.get("uri") == without_credentials(uri)
        and state.get("attempt") == _attempt(record)
        and (state.get("report") or not _has_report(workspace, record.run))
    )


def _write_state(workspace: Path, record: RunRecord, uri: str, status: str, message: str = "", **more: Any) -> State:
    state: State = {
        "uri": without_credentials(uri),
        "status": status,
        "message": message,
        "attempt": _attempt(record),
        "experiment": None,
        "parent": None,
        "children": {},
        "events": {},
        "model": None,
        "report": False,
        **more,
    }
    write_json(state_path(workspace, record.run), state)
    return state


class _Projector:
    """Projects one run again and again; holds the lock only while it writes."""

    def __init__(self, workspace: Path, run: str, uri: str) -> None:
        from infra.tracking.projection import Projection

        self.workspace, self.run, self.uri = workspace, run, uri
        self.projection: Projection | None = None

    def once(self, *, final: bool) -> State:
        """One pass; whatever goes wrong with the server becomes the state's status and message."""
        from infra.tracking.projection import Projection, Trashed

        record = records.load(self.workspace, self.run)
        status: Literal["running", "complete", "away", "error", "trashed"] = "running"
        message, model = "", None
        try:
            with said_plainly(self.uri):
                if self.projection is None:
                    client = connect(self.workspace, self.uri)
                    self.projection = Projection(client, self.workspace, self.uri, self.run)
                with projecting(self.workspace, self.uri):
                    self.projection.advance(record)
                    if final:
                        model = self._finish(record)
                        status = "complete" if record.status in records.FINAL else "running"
        except ServerAway as away:
            status, message = "away", str(away)
        except Trashed as trashed:
            status, message = "trashed", str(trashed)
        except CorruptExecution as rot:
            status, message = "error", f"{rot}; nothing was registered: move that execution away and run again"
        except Exception as error:  # noqa: BLE001  a tracker's troubles are written down; they end no run
            status, message = "error", without_secrets(f"{type(error).__name__}: {error}", self.uri)[:2000]
        return self._write(record, status, message, model)

    def _finish(self, record: RunRecord) -> State | None:
        from infra.tracking import registry

        assert self.projection is not None
        if record.mlflow_run:  # a job's own stages: whoever leads the run does the rest
            return None
        self.projection.documents(record)
        return registry.register(self.projection, record)

    def _write(self, record: RunRecord, status: str, message: str, model: State | None) -> State:
        projection = self.projection
        made: State = {}
        if projection is not None:
            children = {name: child.run_id for name, child in projection.children.items()}
            made = {
                "experiment": projection.experiment,
                "parent": projection.parent,
                "children": children,
                "events": projection.counts(),
            }
        if model is None and status != "complete":  # what was registered before stays registered
            before = read_state(self.workspace, self.run)
            model = before.get("model") if before.get("uri") == without_credentials(self.uri) else None
        report = status == "complete" and _has_report(self.workspace, self.run)
        return _write_state(self.workspace, record, self.uri, status, message, model=model, report=report, **made)


def _follow(run_file: Path, uri: str, *, piped: bool) -> None:
    """Look, project, wait; until the run is over, or its process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # the run's own work goes first
    workspace, run = run_file.parent.parent, run_file.stem
    projector = _Projector(workspace, run, uri)
    done = False
    while not done:
        done = _is_over(workspace, run, piped=piped)
        state = projector.once(final=done)
        if state["status"] == "trashed":
            return


def _is_over(workspace: Path, run: str, *, piped: bool) -> bool:
    """Wait a moment; then whether nothing more will come."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Project a run to MLflow while it goes on.")
    parser.add_argument("--follow", type=Path, required=True, metavar="RUN_FILE")
    parser.add_argument("--uri", help=f"default: the environment's {URI}, or sqlite in the workspace")
    parser.add_argument("--piped", action="store_true", help="the run is over when standard input ends")
    arguments = parser.parse_args()
    run_file = arguments.follow.absolute()
    _follow(
        run_file, arguments.uri or os.environ.get(URI) or default_uri(run_file.parent.parent), piped=arguments.piped
    )


if __name__ == "__main__":
    main()
