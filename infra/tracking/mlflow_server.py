"""The MLflow side of the wall: where it is, how to reach it quietly and soon, and how to show it safely.

The default is ``sqlite:///<workspace>/mlflow.db`` with artifacts in ``<workspace>/mlartifacts``; any other URI that
MLflow knows will do. MLflow is imported inside functions only: the import alone costs 1.6 CPU seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from infra.files import locked
from steps.errors import FourscoreError, InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""MLflow prints hints, migrations and warnings about git, and calls home; none of it belongs in a pipeline's output."""

IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""MLflow's own patience is seven retries of two minutes; what is missed is projected later, so ours is seconds."""

AWAY = re.compile(
    r"Connection|connect to|timed out|Timeout|Max retries|Name or service|too many 5\d\d|error code 5\d\d"
    r"|unable to open|database is locked"
)

WANTED = "wanted sqlite:///FILE, http(s)://HOST:PORT or a database URI"

LAST_WORDS = 10.0
"""Seconds that a server which is asked to end has for it."""


class ServerAway(FourscoreError):
    """The tracking server does not answer; nothing is lost, since the journal is the truth."""


def default_uri(workspace: Path) -> str:
    """The workspace's own sqlite; SQLAlchemy takes the path percent-decoded and ends it at a question mark."""
    path = str(workspace.absolute() / "mlflow.db")
    return SQLITE + path.replace("%", "%25").replace("?", "%3F")


def without_credentials(uri: str) -> str:
    """The URI as it may be written down and shown."""
    return without_secrets(uri, uri)


def without_secrets(text: str, uri: str) -> str:
    """What MLflow says of a server, without the name and password that the URI holds.

    Raises:
        InputError: it is no URI.
    """
    try:
        credentials = urlsplit(uri).netloc.rpartition("@")[0]
    except ValueError as error:
        shown, why = re.sub(r"(?<=://).*@", "", uri), re.sub(r"(?<=').*@", "", str(error))
        raise InputError(f"tracking URI {shown!r}: {why}; {WANTED}") from None
    return text.replace(f"{credentials}@", "") if credentials else text


def sqlite_path(uri: str) -> Path | None:
    """The file of a sqlite URI, None for every other kind."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])) if uri.startswith(SQLITE) else None


def artifact_root(workspace: Path, uri: str) -> str | None:
    """Where a new experiment keeps its artifacts; None where the server decides."""
    if uri.startswith(("http://", "https://", "databricks", "arn:", "uc:")):
        return None
    path = sqlite_path(uri)
    return ((path.absolute().parent if path else workspace.absolute()) / "mlartifacts").as_uri()


def projecting(workspace: Path, uri: str) -> AbstractContextManager[bool]:
    """Held by the one process that writes from this workspace to this server."""
    return locked(workspace / "locks" / f"tracking-{hashlib.sha256(uri.encode()).hexdigest()[:16]}")


def connect(workspace: Path, uri: str) -> MlflowClient:
    """A client; the first on a new sqlite file makes its tables, which takes seconds and must not happen twice at once.

    Raises:
        InputError: it is no URI, or of a kind that MLflow no longer writes.
        ServerAway: nobody answers there.
    """
    without_credentials(uri)
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith(("databricks", "arn:", "uc:"))):
        raise InputError(f"tracking URI {uri!r}: MLflow writes to no plain folder any more; {WANTED}")
    if uri.startswith("arn:") and find_spec("sagemaker_mlflow") is None:
        raise InputError(f"tracking URI {uri!r}: MLflow on SageMaker needs its plugin: pip install sagemaker-mlflow")
    os.environ.update(QUIET)
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow", "git", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with said_plainly(uri):
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        path = sqlite_path(uri)
        with locked(path.absolute().with_name(f".{path.name}.lock")) if path else contextlib.nullcontext():
            client = mlflow.MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        _remove_stray_directory(uri)
    return client


def _remove_stray_directory(uri: str) -> None:
    """MLflow makes the parent directory of a sqlite file from the URI as written, percent signs and all."""
    path = sqlite_path(uri)
    written = Path(uri.removeprefix(SQLITE))
    if path and path != written:
        for directory in (written.parent, *written.parent.parents):
            try:
                directory.rmdir()
            except OSError:  # not empty: it is somebody's
                return


@contextlib.contextmanager
def said_plainly(uri: str) -> Iterator[None]:
    """MLflow's many ways of not reaching its server, as one; its own use of what is deprecated is no news to a user."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FourscoreError:
        raise
    except Exception as error:
        text = without_secrets(str(error), uri)
        if isinstance(error, ConnectionError | TimeoutError) or AWAY.search(text):
            raise ServerAway(
                f"the tracking server {without_credentials(uri)} does not answer ({_cause(text)}); "
                "nothing is lost: 'fourscore runs --sync' projects it later"
            ) from error
        raise


def _cause(text: str) -> str:
    """The end of urllib3's chain of causes, which is what a person can act on; else how the message begins."""
    number = re.search(r"\[Errno -?\d+\] [\w ]+", text)
    return number.group() if number else text.partition("\n")[0][:200]


@dataclass(frozen=True)
class Ui:
    """How to show the tracking of a workspace."""

    argv: list[str]
    """Empty where a server runs already."""
    environment: dict[str, str]
    directory: Path
    """To start it in; a relative sqlite path spares the server the quirks of percent signs."""
    link: str


def ui(workspace: Path, uri: str, port: int) -> Ui:
    """The MLflow server for this machine only: loopback, one worker, no jobs, no foreign Host headers."""
    if uri.startswith(("http://", "https://")):
        return Ui([], {}, workspace, f"{without_credentials(uri).rstrip('/')}/?workflowType=machine_learning")
    connect(workspace, uri)
    argv = [
        sys.executable,
        "-P",
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    argv += ["--allowed-hosts", f"localhost:{port},127.0.0.1:{port}", "--no-serve-artifacts"]
    # A database URI may hold a password, which a command line would show to everyone on the machine.
    path = sqlite_path(uri)
    directory = path.absolute().parent if path else workspace.absolute()
    environment = os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment["MLFLOW_BACKEND_STORE_URI"] = SQLITE + path.name if path else uri
    environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifact_root(workspace, uri) or ""
    return Ui(argv, environment, directory, f"http://127.0.0.1:{port}/?workflowType=machine_learning")


def serve(workspace: Path, uri: str, port: int, say: Any) -> int:
    """Show the UI until Ctrl-C or SIGTERM; returns the exit code.

    Raises:
        InputError: something else listens on the port, and the link would lead to it.
        FourscoreError: the server ended by itself, and not well.
    """
    shown = ui(workspace, uri, port)
    if shown.argv and _in_use(port):
        raise InputError(f"port {port} of 127.0.0.1 is in use; name another one: --port {port % 65535 + 1}")
    say(shown.link)
    if not shown.argv:
        return 0
    with _stopped_as_interrupted():
        server = subprocess.Popen(
            shown.argv,
            env=shown.environment,
            cwd=shown.directory,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own: the server's workers end with it
        )
        try:
            code = server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server)
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise FourscoreError(f"the MLflow server ended by itself ({how}); what it wrote above may say why")
    return 0


@contextlib.contextmanager
def _stopped_as_interrupted() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, stop us as Ctrl-C does; what is ignored (nohup) stays so.

    SIGINT is caught anew, since polars puts a handler before Python's after which the kernel goes on waiting.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # not the main thread: whoever runs us there has their own handling
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask the server and its workers to end, and kill what is left of them after a while, or when interrupted again."""
    until = time.monotonic() + LAST_WORDS
    there = True
    try:
        there = _tell(server, signal.SIGTERM)
        while there and time.monotonic() < until:
            time.sleep(0.05)
            server.poll()  # until its end is asked for, a child that is over counts as there
            there = _tell(server, 0)
    finally:
        if there:
            _tell(server, signal.SIGKILL)
        server.wait()


def _tell(server: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the server's process group; whether anybody was there."""
    try:
        os.killpg(server.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of processes that are over and not yet waited for
        return server.returncode is None
    return True


def _in_use(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0
