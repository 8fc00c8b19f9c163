"""The client of an MLflow server: where the server is, and its errors as ours.

The default is ``sqlite:///<workspace>/mlflow.db`` with artifacts in ``<workspace>/mlartifacts``; any other URI that
MLflow knows will do. MLflow is imported inside functions only: the import alone costs 1.6 CPU seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from infra.files import locked, make_workspace
from infra.secrets import redacted
from infra.tracking import database
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
"""MLflow prints hints, migrations and warnings about git, and sends telemetry; a pipeline's output needs none of it."""
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""By default MLflow retries seven times for two minutes; ours gives up in seconds, since a run can be projected later."""
AWAY = re.compile(
    r"Connection|connect to|timed out|Timeout|Max retries|Name or service|too many 5\d\d|error code 5\d\d"
    r"|unable to open|database is locked"
)
URI_FORMS = "use sqlite:///FILE, http(s)://HOST:PORT or a database URI"


class ServerAway(FourscoreError):
    """The tracking server does not answer. Nothing is lost: the journals hold everything."""


def default_uri(workspace: Path) -> str:
    """Return the URI of the workspace's own sqlite file."""
    # SQLAlchemy decodes percent signs in the path and ends it at a question mark.
    path = str(workspace.absolute() / "mlflow.db")
    return SQLITE + path.replace("%", "%25").replace("?", "%3F")


def without_credentials(uri: str) -> str:
    """Return the URI without user name, password and tokens, as it may be stored and shown."""
    return without_secrets(uri, uri)


def without_secrets(text: str, uri: str) -> str:
    """Return a message of MLflow without the user name and password of the URI, and without other credentials.

    Raises:
        InputError: the URI cannot be parsed.
    """
    try:
        credentials = urlsplit(uri).netloc.rpartition("@")[0]
    except ValueError as error:
        bare_uri, reason = re.sub(r"(?<=://).*@", "", uri), re.sub(r"(?<=').*@", "", str(error))
        raise InputError(f"tracking URI {bare_uri!r}: {reason}; {URI_FORMS}") from None
    return redacted(text.replace(f"{credentials}@", "") if credentials else text)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a sqlite URI; None for every other kind."""
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])) if uri.startswith(SQLITE) else None


def artifact_root(workspace: Path, uri: str) -> str | None:
    """Return where a new experiment stores its artifacts; None if the server decides."""
    if uri.startswith(("http://", "https://", "databricks", "arn:", "uc:")):
        return None
    path = sqlite_path(uri)
    return ((path.absolute().parent if path else workspace.absolute()) / "mlartifacts").as_uri()


def lock_projection(workspace: Path, uri: str) -> AbstractContextManager[bool]:
    """Return the lock of the one process that writes from this workspace to this server."""
    return locked(workspace / "locks" / f"tracking-{hashlib.sha256(uri.encode()).hexdigest()[:16]}")


def connect(workspace: Path, uri: str) -> MlflowClient:
    """Return a client of the server. On a new sqlite file the first client makes the tables, which takes seconds.

    Raises:
        InputError: the URI cannot be parsed, or MLflow no longer writes to its kind.
        ServerAway: the server does not answer.
    """
    without_credentials(uri)
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith(("databricks", "arn:", "uc:"))):
        raise InputError(f"tracking URI {uri!r}: MLflow no longer writes to a plain folder; {URI_FORMS}")
    if uri.startswith("arn:") and find_spec("sagemaker_mlflow") is None:
        raise InputError(f"tracking URI {uri!r}: MLflow on SageMaker needs its plugin: pip install sagemaker-mlflow")
    make_workspace(workspace)
    os.environ.update(QUIET)
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow", "git", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with translate_mlflow_errors(uri):
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        path = sqlite_path(uri)
        with locked(path.absolute().with_name(f".{path.name}.lock")) if path else contextlib.nullcontext():
            if path and uri == default_uri(workspace):
                database.prepare(path)
            client = mlflow.MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    return client


@contextlib.contextmanager
def translate_mlflow_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors about an unreachable server into ServerAway and hide its deprecation warnings."""
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
    """Return the last cause of urllib3's chain, which a person can act on, or else the beginning of the message."""
    number = re.search(r"\[Errno -?\d+\] [\w ]+", text)
    return number.group() if number else text.partition("\n")[0][:200]
