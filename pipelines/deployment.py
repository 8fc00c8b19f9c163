"""Deployments on this machine: an approved model answers requests; the next one is tried beside it; the way back is short."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from infra.approvals import standing
from infra.approvals.statement import Decision
from infra.deployments import state
from infra.deployments.state import Desired, Status, Version
from infra.files import is_locked
from infra.places import open_store, store_of
from infra.processes import spawn_module
from infra.runs import records
from pipelines.approval import standing_of
from pipelines.training import TRAINING
from steps.errors import FourscoreError, GateRefused, InputError

PATIENCE = 60.0
"""Seconds that a server may take to come to what is wanted, beside the trial."""


def deploy(
    workspace: Path,
    run: str,
    name: str | None,
    *,
    host: str,
    port: int,
    share: float,
    seconds: float,
    shift: float,
    capture: bool = False,
    approvers: Path | None = None,
    show: Callable[[str], None] = lambda _: None,
    wait: bool = True,
) -> dict[str, Any]:
    """Let the approved model of a run answer requests; where another one does, after a trial beside it.

    Args:
        name: of the deployment; the name that the model is registered under when left out.
        share: of the requests that go to the new model while the trial lasts, by their ids.
        seconds: how long the trial lasts.
        shift: total variation by which its answers may differ.
        show: is told what happens.
        capture: keep requests and answers below the deployment's directory; decided when its server starts.
        wait: for the end of the trial.

    Raises:
        InputError: the run has no candidate, or the name cannot be one.
        GateRefused: the model is not approved, or the trial was taken back.
        FourscoreError: the server does not come to it.
    """
    record = records.load(workspace, run)
    store = store_of(workspace, record)
    subject, current = standing_of(store, record, approvers)
    standing.refuse(run, current)
    version = Version(run, subject.training, [entry.approver.name for entry in current.approvals], records.now())
    name = name or subject.request.name.lower()
    directory = state.directory_of(workspace, name)

    def update(before: Desired | None) -> Desired | None:
        if before is None or before.stable is None or not _is_up(directory):
            first = Desired(
                name, 0, host, port, store.uri, version, share=share, seconds=seconds, shift=shift, capture=capture
            )
            return replace(first, previous=before.stable if before else None)
        if before.stable.training == version.training:
            raise InputError(f"{name}: the model of run {before.stable.run} answers already, and it is the same one")
        return replace(before, trial=version, share=share, seconds=seconds, shift=shift, store=store.uri)

    target = state.change(directory, "deploy", update, statements=[entry.digest for entry in current.approvals])
    assert target is not None
    _start(directory, workspace)
    if not wait and target.trial:
        return _document(target, state.status(directory))
    return _await(directory, target, show)


def roll_back(workspace: Path, name: str, show: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Let the version before answer again at once, if its approval stands; a trial that goes on ends instead.

    Raises:
        InputError: there is no such deployment, or no version before.
        GateRefused: the approval of the version before does not stand.
    """
    directory, _ = _existing(workspace, name)

    def update(before: Desired | None) -> Desired | None:
        assert before is not None
        if before.trial:
            return replace(before, trial=None)
        if before.previous is None or before.stable is None:
            raise InputError(f"{name} has had one version only: there is nothing to go back to")
        standing.of_training(open_store(workspace, before.store), before.previous.training, list(TRAINING.sources))
        return replace(before, stable=replace(before.previous, since=records.now()), previous=before.stable)

    target = state.change(directory, "rollback", update)
    assert target is not None
    _start(directory, workspace)
    return _await(directory, target, show)


def destroy(workspace: Path, name: str) -> dict[str, Any]:
    """End a deployment: its server and its state; history and log stay.

    Raises:
        InputError: there is no such deployment.
    """
    directory, _ = _existing(workspace, name)
    state.change(directory, "destroy", lambda before: replace(before, stable=None, trial=None) if before else None)
    _stop(directory)
    for file in ("desired.json", "status.json", "supervisor.pid"):
        (directory / file).unlink(missing_ok=True)
    stays = sorted(path.name for path in directory.iterdir() if not path.name.endswith((".lock", "lock")))
    return {"name": name, "stays": [str(directory / file) for file in stays]}


def every(workspace: Path) -> Iterator[dict[str, Any]]:
    """Yield what runs where, since when and by whose approval."""
    for name in state.names(workspace):
        directory, target = _existing(workspace, name)
        yield _document(target, state.status(directory)) | {"up": _is_up(directory)}


def _document(target: Desired, current: Status | None) -> dict[str, Any]:
    return {
        "name": target.name,
        "number": target.number,
        "stable": asdict(target.stable) if target.stable else None,
        "trial": asdict(target.trial) if target.trial else None,
        "previous": asdict(target.previous) if target.previous else None,
        "state": current.state if current else "starting",
        "address": current.address if current else None,
        "reason": current.reason if current else "",
        "last_request": current.last_request if current else None,
    }


def _existing(workspace: Path, name: str) -> tuple[Path, Desired]:
    directory = state.directory_of(workspace, name)
    target = state.desired(directory)
    if target is None:
        choices = ", ".join(state.names(workspace)) or "none; 'fourscore deploy RUN' makes one"
        raise InputError(f"no deployment {name!r}; there are: {choices}")
    return directory, target


def _is_up(directory: Path) -> bool:
    return is_locked(directory / "server.lock") if directory.is_dir() else False


def _start(directory: Path, workspace: Path) -> None:
    """Start the supervisor unless it runs."""
    if not is_locked(directory / "supervisor.lock"):
        if not _is_up(directory):
            (directory / "status.json").unlink(missing_ok=True)
        process = spawn_module(
            "infra.deployments.supervisor",
            *_arguments(directory, workspace),
            directory=directory,
            log=directory / "server.log",
        )
        process.returncode = process.returncode or 0  # it goes on without us; Popen need not complain


def _arguments(directory: Path, workspace: Path) -> list[str]:
    return [str(directory.resolve()), str(workspace.resolve()), *TRAINING.sources]


def _stop(directory: Path) -> None:
    pid = directory / "supervisor.pid"
    if is_locked(directory / "supervisor.lock") and pid.is_file():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    elif _is_up(directory) and (current := state.status(directory)):
        os.kill(current.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while _is_up(directory) or is_locked(directory / "supervisor.lock"):
        if time.monotonic() > deadline:
            raise FourscoreError(f"{directory.name}: the server does not end; see {directory / 'server.log'}")
        time.sleep(0.05)


def _await(directory: Path, target: Desired, show: Callable[[str], None]) -> dict[str, Any]:
    """Wait until the server has come to what is wanted, and a trial has ended.

    Raises:
        GateRefused: it was refused or taken back, and why.
        FourscoreError: the server did not start, or not in time.
    """
    trial = target.trial
    if trial:
        show(
            f"{target.name}: run {trial.run} is on trial for {target.seconds:g} s with {target.share:.0%} of the requests"
        )
    deadline = time.monotonic() + PATIENCE + (target.seconds if trial else 0)
    while time.monotonic() < deadline:
        current, latest = state.status(directory), state.desired(directory)
        if current and latest and current.number >= target.number and current.state != "trial" and not latest.trial:
            if current.reason:
                raise GateRefused(f"{target.name}: run {(trial or target.stable).run} was taken back: {current.reason}")  # type: ignore[union-attr]
            return _document(latest, current)
        if current and current.state == "refused" and not _is_up(directory):
            raise GateRefused(f"{target.name} does not serve: {current.reason}")
        if (
            not is_locked(directory / "supervisor.lock")
            and not _is_up(directory)
            and time.monotonic() > deadline - PATIENCE + 5
        ):
            break
        time.sleep(0.05)
    raise FourscoreError(f"{target.name}: the server does not answer\n{_last_lines(directory / 'server.log')}")


def _last_lines(path: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
    return ""


def systemd_unit(workspace: Path, name: str) -> str:
    """Return a systemd unit that starts the deployment with the machine."""
    directory, _ = _existing(workspace, name)
    command = [sys.executable, "-P", "-m", "infra.deployments.supervisor", *_arguments(directory, workspace)]
    packages = Path(__file__).resolve().parents[1]
    return f"""\
[Unit]
Description=Fourscore deployment {name}
After=network.target

[Service]
ExecStart={" ".join(map(shlex.quote, command))}
Environment=PYTHONPATH={packages}
WorkingDirectory={directory.resolve()}
Restart=on-failure
RestartPreventExitStatus=2 3
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths={workspace.resolve()}

[Install]
WantedBy=default.target
"""


def compose_file(workspace: Path, name: str, image: str) -> str:
    """Return a compose file that serves the approved model of a deployment from an image of infra/docker/serving.Dockerfile.

    The container gets the model's files alone, read-only, and the digest that was approved; it loads no other.

    Raises:
        InputError: there is no such deployment, or no model answers in it.
        GateRefused: the approval of its model does not stand.
    """
    _, target = _existing(workspace, name)
    if target.stable is None:
        raise InputError(f"no model answers in deployment {name}")
    store = open_store(workspace, target.store)
    entry = standing.of_training(store, target.stable.training, list(TRAINING.sources))
    assert isinstance(entry.content, Decision)
    model = store.open(target.stable.training, "model").resolve()
    service = {
        "image": image,
        "command": ["serve"],
        "environment": {"FOURSCORE_MODEL_DIGEST": entry.content.model_digest},
        "volumes": [{"type": "bind", "source": str(model), "target": "/opt/ml/model", "read_only": True}],
        "ports": [f"127.0.0.1:{target.port or 8080}:8080"],
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }
    return yaml.safe_dump({"services": {name: service}}, sort_keys=False)
