"""One container of a job as a process: its /opt/ml, its environment, its log, and how it is stopped.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information" and "Build Your Own
Processing Container". ``/opt/ml`` is a private directory. Every ``/opt/ml`` in arguments, variables and configuration
files is rewritten to it; our jobs find their files below FOURSCORE_BASE.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = "/opt/ml"
BELOW_BASE = re.compile(r"/opt/ml(?![\w-])")
INHERITED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables of this machine that a job gets too: they say how many others share the processors."""
DIE_WITH_PARENT = "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""Becomes the command that follows, after it has asked the kernel for SIGKILL when the local cloud ends."""


class Container:
    """One host of a job; every attempt gets a new one."""

    def __init__(self, directory: Path, log: Path) -> None:
        self.directory, self.log = directory, log
        self.base, self.temporary = directory / "ml", directory / "tmp"
        self.base.mkdir(parents=True)
        self.temporary.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def path(self, inside: str) -> Path:
        """Return where a path below /opt/ml lies on this machine."""
        return self.base / inside.removeprefix(BASE).lstrip("/")

    def translate(self, value: Any) -> Any:
        """Return the value with every mention of /opt/ml replaced by the private directory."""
        if isinstance(value, str):
            return BELOW_BASE.sub(lambda _: str(self.base), value)
        if isinstance(value, Mapping):
            return {name: self.translate(item) for name, item in value.items()}
        return [self.translate(item) for item in value] if isinstance(value, list | tuple) else value

    def write_json(self, inside: str, value: Any) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.translate(value), indent=1), encoding="utf-8")

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the entrypoint; ``python`` in it is the Python that runs Fourscore."""
        words = [sys.executable if command[0] in ("python", "python3") else command[0], *command[1:]]
        program = shutil.which(words[0]) or words[0]
        base = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
        }
        base |= {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, program, *self.translate(words[1:])],
                env=base | self.translate(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Return the exit code as a container has it (128 + signal), or None while the process runs."""
        code = self.process.poll() if self.process else None
        return None if code is None else code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """Send SIGTERM to the first process, as a container runtime does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill every process of the container."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def remove(self) -> None:
        """Kill every process and delete the files."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def text(self, inside: str) -> str:
        """Return what the job wrote to a file, or nothing where it wrote no such file."""
        try:
            return self.path(inside).read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""


def kill_leftovers(directory: Path) -> None:
    """Kill processes that a killed local cloud left behind (Linux); their TMPDIR lies below ``directory``."""
    mark = b"TMPDIR=" + os.fsencode(directory) + b"/"
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(variable.startswith(mark) for variable in path.read_bytes().split(b"\0")):
                os.kill(int(path.parent.name), signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)
