"""The MLflow server that ``fourscore ui`` shows, on loopback only."""

import contextlib
import secrets
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from infra.processes import kill_session, raise_keyboard_interrupt, spawn_module
from infra.tracking.mlflow_client import QUIET, SQLITE, artifact_root, connect, sqlite_path, without_credentials
from steps.errors import FourscoreError, InputError

PAGE = "#/experiments?workflowType=machine_learning"
"""Without it MLflow opens its pages for prompts and agents."""


def serve(workspace: Path, uri: str, port: int, show_link: Callable[[str], None], *, write: bool = False) -> None:
    """Show the UI until Ctrl-C or SIGTERM; of a server that runs already, show the link.

    Raises:
        InputError: another program listens on the port, and the link would lead to it.
        FourscoreError: the server stopped by itself.
    """
    if uri.startswith(("http://", "https://")):
        show_link(f"{without_credentials(uri).rstrip('/')}/{PAGE}")
        return
    connect(workspace, uri)
    if is_port_in_use(port):
        raise InputError(f"port {port} of 127.0.0.1 is in use; choose another one: --port {port % 65535 + 1}")
    token = secrets.token_urlsafe(24)
    show_link(f"http://127.0.0.1:{port}/?token={token}{PAGE}")
    with contextlib.suppress(KeyboardInterrupt), raise_keyboard_interrupt():
        server = start(workspace, uri, port, token, write=write)
        try:
            code = server.wait()
        finally:
            kill_session(server)  # the database is transactional
        reason = f"exit code {code}" if code >= 0 else f"signal {-code}"
        raise FourscoreError(f"the MLflow server stopped ({reason}); its output above may say why")


def start(
    workspace: Path, uri: str, port: int, token: str, *, write: bool = False, log: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start MLflow on loopback, for those who have the token: see ``ui_app``."""
    path = sqlite_path(uri)
    # A database URI may hold a password, which a command line would show to everyone on the machine.
    environment = QUIET | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port}",
        "MLFLOW_BACKEND_STORE_URI": SQLITE + path.name if path else uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifact_root(workspace, uri) or "",
        "FOURSCORE_UI_TOKEN": token,
        "FOURSCORE_UI_ORIGIN": f"http://127.0.0.1:{port}",
        "FOURSCORE_UI_WRITE": "1" if write else "0",
        "PYTHONWARNINGS": "ignore",
    }
    arguments = ["--factory", "infra.tracking.ui_app:create", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--log-level", "warning", "--no-access-log"]
    # Where the database is, its path is relative, which avoids the quirks of percent signs.
    directory = path.absolute().parent if path else workspace.absolute()
    return spawn_module("uvicorn", *arguments, directory=directory, log=log, environment=environment)


def is_port_in_use(port: int) -> bool:
    """Return whether a program listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
