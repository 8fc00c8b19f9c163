"""The MLflow server that ``fourscore ui`` shows, on loopback only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.signals import raise_keyboard_interrupt
from infra.tracking.mlflow_client import QUIET, SQLITE, artifact_root, connect, sqlite_path, without_credentials
from steps.errors import FourscoreError, InputError


@dataclass(frozen=True)
class Ui:
    """How to start the server that shows the tracking of a workspace."""

    argv: list[str]
    """Command of the server; empty where one runs already."""
    environment: dict[str, str]
    directory: Path
    """Directory to start it in: a relative sqlite path avoids the quirks of percent signs."""
    link: str


def ui(workspace: Path, uri: str, port: int) -> Ui:
    """Return how to start the MLflow server for this machine only: loopback, one worker, no foreign Host headers."""
    if uri.startswith(("http://", "https://")):
        return Ui([], {}, workspace, f"{without_credentials(uri).rstrip('/')}/?workflowType=machine_learning")
    connect(workspace, uri)
    argv = [sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--workers", "1", "--allowed-hosts", f"localhost:{port},127.0.0.1:{port}", "--no-serve-artifacts"]
    # A database URI may hold a password, which a command line would show to everyone on the machine.
    path = sqlite_path(uri)
    directory = path.absolute().parent if path else workspace.absolute()
    environment = os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment["MLFLOW_BACKEND_STORE_URI"] = SQLITE + path.name if path else uri
    environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifact_root(workspace, uri) or ""
    return Ui(argv, environment, directory, f"http://127.0.0.1:{port}/?workflowType=machine_learning")


def serve(workspace: Path, uri: str, port: int, show_link: Callable[[str], None]) -> None:
    """Show the UI until Ctrl-C or SIGTERM.

    Raises:
        InputError: another program listens on the port, and the link would lead to it.
        FourscoreError: the server stopped by itself.
    """
    server_ui = ui(workspace, uri, port)
    if server_ui.argv and is_port_in_use(port):
        raise InputError(f"port {port} of 127.0.0.1 is in use; choose another one: --port {port % 65535 + 1}")
    show_link(server_ui.link)
    if not server_ui.argv:
        return
    with contextlib.suppress(KeyboardInterrupt), raise_keyboard_interrupt():
        # In a group of its own, so that its workers can be ended with it: MLflow leaves them behind on SIGTERM.
        server = subprocess.Popen(
            server_ui.argv,
            env=server_ui.environment,
            cwd=server_ui.directory,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = server.wait()
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left of the group
                os.killpg(server.pid, signal.SIGKILL)  # safe at any moment: the database is transactional
            server.wait()
        reason = f"exit code {code}" if code >= 0 else f"signal {-code}"
        raise FourscoreError(f"the MLflow server stopped ({reason}); its output above may say why")


def is_port_in_use(port: int) -> bool:
    """Return whether a program listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
