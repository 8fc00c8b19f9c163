"""Processes of our own modules that go on beside this process, or after it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


def spawn_module(
    module: str,
    *arguments: str,
    directory: Path,
    log: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    piped: bool = False,
) -> subprocess.Popen[bytes]:
    """Start one of our modules in a session of its own, which Ctrl-C and a closed terminal do not reach.

    Args:
        directory: the working directory; the process finds our packages where this one did, wherever it starts.
        log: the file to which its output is appended.
        environment: variables beside those of this process.
        piped: whether its standard input is a pipe from this process, which ends when this process ends.
    """
    path = [str(Path(__file__).absolute().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path)},
            cwd=directory,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
