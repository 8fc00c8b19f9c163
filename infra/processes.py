"""Modules run as processes of their own, beside this process or after it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


def spawn_module(
    module: str,
    *arguments: str,
    directory: Path,
    log: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    piped: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a module in a session of its own, which Ctrl-C and a closed terminal do not reach.

    Args:
        directory: the working directory; the process finds our packages where this one did, wherever it starts.
        log: the file to which its output is appended; None: its output is that of this process.
        environment: variables beside those of this process.
        piped: whether its standard input is a pipe from this process, which ends when this process ends.
    """
    path = [str(Path(__file__).absolute().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") if log else contextlib.nullcontext() as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path)},
            cwd=directory,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,
        )


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that :func:`spawn_module` started and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left of the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
