"""The MLflow server that ``fourscore ui`` shows, on loopback only."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from infra.processes import kill_session, spawn_module
from infra.signals import raise_keyboard_interrupt
from infra.tracking.mlflow_client import QUIET, SQLITE, artifact_root, connect, sqlite_path, without_credentials
from steps.errors import FourscoreError, InputError

PAGE = "/?workflowType=machine_learning"


def serve(workspace: Path, uri: str, port: int, show_link: Callable[[str], None]) -> None:
    """Show the UI until Ctrl-C or SIGTERM; of a server that runs already, show the link.

    Raises:
        InputError: another program listens on the port, and the link would lead to it.
        FourscoreError: the server stopped by itself.
    """
    if uri.startswith(("http://", "https://")):
        show_link(without_credentials(uri).rstrip("/") + PAGE)
        return
    connect(workspace, uri)
    if is_port_in_use(port):
        raise InputError(f"port {port} of 127.0.0.1 is in use; choose another one: --port {port % 65535 + 1}")
    show_link(f"http://127.0.0.1:{port}{PAGE}")
    with contextlib.suppress(KeyboardInterrupt), raise_keyboard_interrupt():
        server = start(workspace, uri, port)
        try:
            code = server.wait()
        finally:
            kill_session(server)  # MLflow leaves its workers behind on SIGTERM; the database is transactional
        reason = f"exit code {code}" if code >= 0 else f"signal {-code}"
        raise FourscoreError(f"the MLflow server stopped ({reason}); its output above may say why")


def start(workspace: Path, uri: str, port: int, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a server for this machine only: loopback, one worker, no foreign Host headers."""
    path = sqlite_path(uri)
    # A database URI may hold a password, which a command line would show to everyone on the machine.
    environment = QUIET | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": SQLITE + path.name if path else uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifact_root(workspace, uri) or "",
    }
    arguments = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-serve-artifacts"]
    arguments += ["--allowed-hosts", f"localhost:{port},127.0.0.1:{port}"]
    # Where the database is, its path is relative, which avoids the quirks of percent signs.
    directory = path.absolute().parent if path else workspace.absolute()
    return spawn_module("mlflow", *arguments, directory=directory, log=log, environment=environment)


def is_port_in_use(port: int) -> bool:
    """Return whether a program listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
