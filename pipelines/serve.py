"""The server of a model: which model it is, whether it may be used, and the process that answers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import infra
from model_code.digest import directory_digest
from pipelines.predict import ENOUGH_WORDS, model_directory
from steps.errors import InputError


def server_command(
    model: str, workspace: Path, tracking_uri: str | None, *, rejected: bool = False, trust: str | None = None
) -> list[str]:
    """Return the command that serves the model of a run, a directory or a registered name.

    The server is a process of its own program, which takes a second to start and a tenth of this one's memory. It gets the
    digest of the directory that was verified here, and loads no other.

    Raises:
        GateRefused: the model was rejected, and nobody said ``rejected``.
        InputError: there is no such model, or nothing shows that it may be trusted.
    """
    if trust is not None and len(trust.split()) < ENOUGH_WORDS:
        raise InputError(f"--trust {trust!r}: wanted a sentence that says why, such as 'our own export of 3 May'")
    directory = model_directory(model, workspace, tracking_uri, rejected=rejected, trust=trust)
    digest = [] if trust is not None else ["--digest", directory_digest(directory)]
    return [sys.executable, "-P", "-m", "infra.serving", str(directory), *digest]


def become(command: list[str]) -> None:
    """Replace this process by the server, which finds our packages where this process did."""
    path = [str(Path(infra.__file__).absolute().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": os.pathsep.join(path)})  # noqa: S606 - no shell
