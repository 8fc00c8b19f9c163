"""One container of a job as a process: its /opt/ml, its environment, its log, and how it is stopped.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information" and "Build Your Own
Processing Container". Only the container's first process is sent SIGTERM; what is left when it has ended is killed,
as it is when a container ends.
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
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from infra.emulator import enclosure

BASE = "/opt/ml"
BELOW_BASE = re.compile(r"/opt/ml(?![\w-])")
OF_THE_MACHINE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that a job takes over from here, where they are set: they say how many others share the processors."""
SHORT = "fourscore-job-"
SCRIPT = [sys.executable, "-I", "-S", str(Path(enclosure.__file__))]


@cache
def mounts_allowed() -> bool:
    """Whether this machine lets us make /opt/ml in a mount namespace."""
    return _allowed()


@cache
def pids_allowed() -> bool:
    """Whether it also lets us give a job processes of its own, of which none outlives it."""
    return _allowed("--pids")


def _allowed(*options: str) -> bool:
    with tempfile.TemporaryDirectory() as root:
        tried = subprocess.run([*SCRIPT, "--root", root, *options, "--", "true"], capture_output=True, check=False)
        return tried.returncode == 0


def kill_leftovers(place: Path) -> None:
    """Kill what jobs of an earlier emulator left running where no namespace took it away (Linux).

    They are known by their TMPDIR, which lies below ``place`` and is nobody else's.
    """
    mark = b"TMPDIR=" + os.fsencode(place) + b"/"
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(each.startswith(mark) for each in environ.read_bytes().split(b"\0")):
                os.kill(int(environ.parent.name), signal.SIGKILL)
    for link in Path(tempfile.gettempdir()).glob(f"{SHORT}*/ml"):
        if link.is_symlink() and link.readlink().is_relative_to(place):
            shutil.rmtree(link.parent, ignore_errors=True)


def tmp_may_be_private() -> bool:
    """Not where Python itself or what it imports lies below /tmp."""
    paths = [sys.executable, sys.prefix, sys.base_prefix, *sys.path]
    return not any(os.path.realpath(path).startswith("/tmp/") for path in paths if path)  # noqa: S108 -- asked, not used


class Container:
    """One host of a job, ``algo-1`` and so on; made anew for every attempt."""

    def __init__(self, directory: Path, log: Path, *, mounted: bool) -> None:
        self.directory, self.log, self.mounted = directory, log, mounted
        self.root, self.tmp = directory / "ml", directory / "tmp"
        self.root.mkdir(parents=True)
        self.tmp.mkdir()
        self.link: Path | None = None
        if not mounted:  # a short name without blanks and quotes, since it will stand in shell scripts too
            self.link = Path(tempfile.mkdtemp(prefix=SHORT)) / "ml"
            self.link.symlink_to(self.root)
        self.process: subprocess.Popen[bytes] | None = None
        self.ended = False

    def path(self, inside: str) -> Path:
        """Where a path below /opt/ml lies on this machine."""
        return self.root / inside.removeprefix(BASE).lstrip("/")

    def make(self, *directories: str) -> None:
        for each in directories:
            self.path(each).mkdir(parents=True, exist_ok=True)

    def translated(self, value: Any) -> Any:
        """Where /opt/ml cannot be mounted, every mention of it becomes the private root."""
        if self.mounted:
            return value
        if isinstance(value, str):
            return BELOW_BASE.sub(lambda _: str(self.link), value)
        if isinstance(value, Mapping):
            return {name: self.translated(each) for name, each in value.items()}
        return [self.translated(each) for each in value] if isinstance(value, list | tuple) else value

    def write_json(self, inside: str, value: Any) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.translated(value), indent=1), encoding="utf-8")

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, network: bool, hosts: Path | None = None
    ) -> None:
        """Start the entrypoint; ``python`` in it is the Python that runs here."""
        words = [
            sys.executable if index == 0 and word in ("python", "python3") else word
            for index, word in enumerate(command)
        ]
        options = ["--root", str(self.root)] if self.mounted else []
        if self.mounted and pids_allowed():
            options += ["--pids"]
        private_tmp = self.mounted and tmp_may_be_private()
        if private_tmp:
            options += ["--tmp", str(self.tmp)]
        if self.mounted and hosts:
            options += ["--hosts", str(hosts)]
        if self.mounted and not network:
            options += ["--no-network"]
        own = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.tmp) if not private_tmp else "/tmp",  # noqa: S108 -- the job's own by then
            "TMPDIR": str(self.tmp) if not private_tmp else "/tmp",  # noqa: S108 -- the job's own by then
            "LANG": "C.UTF-8",
        }
        own |= {name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*SCRIPT, *options, "--", *self.translated(words)],
                env=own | self.translated(dict(environment)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit code as a container has it (128 + signal), or None while it runs."""
        assert self.process is not None
        code = self.process.poll()
        if code is not None and not self.ended:
            self.ended = True
            self.kill()
        return None if code is None else code if code >= 0 else 128 - code

    def terminate(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill whatever is left of the container."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def remove(self) -> None:
        """The instance is gone, and what was on it too."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.link:
            shutil.rmtree(self.link.parent, ignore_errors=True)

    def text(self, inside: str, most: int = 1024) -> str | None:
        """The beginning of a file that the job wrote, None where it wrote none.

        Raises:
            UnicodeDecodeError: it is no UTF-8.
        """
        try:
            content = self.path(inside).read_bytes()
        except OSError:
            return None
        return content.decode("utf-8")[:most]
