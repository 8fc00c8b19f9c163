"""The local cloud of a workspace: a background process that runs our compiled pipelines on this machine.

``<workspace>/cloud/`` holds what outlives it: ``s3/`` (the objects), ``logs/`` (of the jobs), ``server.json`` (where it
listens, and its key), ``server.log``. Jobs end with the process, and their executions are forgotten.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.files import locked
from infra.processes import spawn_module
from steps.errors import FourscoreError, InputError, install

REGION, ACCOUNT = "us-east-1", "123456789012"
"""An account that belongs to nobody."""
ATTEMPTS = 3
"""How often a client sends a request: a local cloud that does not answer has ended."""
START_SECONDS = 60.0
"""How long the process may take until it listens; it takes a fraction of a second."""
IDLE_MINUTES = 30.0
"""The process ends when for so long there was no request and no job; until then an execution that failed can be retried."""


@dataclass(frozen=True)
class Address:
    """Where the local cloud of a workspace listens, and the key that it takes."""

    endpoint: str
    access_key: str
    secret_key: str
    pid: int

    def client(self, service: str) -> Any:
        """Return a client that talks to this cloud, whatever the environment or the user's profile say.

        Raises:
            InputError: boto3 is not installed.
        """
        try:
            import botocore.session  # boto3 itself brings its transfers along, a fifth of a plan's time
            from botocore.config import Config
        except ImportError:
            raise InputError(f"the local cloud needs boto3; {install('aws')}") from None
        profile = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
        return botocore.session.Session(profile).create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}),
        )


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def running(workspace: Path) -> Address | None:
    """Return the address of the workspace's local cloud, if its process lives."""
    place = home(workspace)
    if not (place / "alive").exists():
        return None
    with locked(place / "alive", blocking=False) as free:
        return None if free else read_address(place)


def read_address(place: Path) -> Address | None:
    try:
        return Address(**json.loads((place / "server.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def start(workspace: Path, *, idle_minutes: float = IDLE_MINUTES) -> Address:
    """Return the address of the workspace's local cloud; start it if it does not run. It outlives this process.

    Raises:
        FourscoreError: the process does not start; the message has the end of its log.
    """
    place = home(workspace)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(place / "starting"):
        if address := running(workspace):
            return address
        (place / "server.json").unlink(missing_ok=True)  # of a process that was killed
        log = place / "server.log"
        arguments = ["--workspace", str(workspace.absolute()), "--idle-minutes", str(idle_minutes)]
        process = spawn_module("infra.emulator", *arguments, directory=Path("/"), log=log)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            if address := running(workspace):
                process.returncode = 0  # it goes on without us; Popen need not complain
                return address
            time.sleep(0.02)
    end = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise FourscoreError(f"the local cloud did not start; {log} ends:\n  " + "\n  ".join(end))


def stop(workspace: Path) -> bool:
    """End the process, and the jobs with it; return whether there was one."""
    address = running(workspace)
    if address is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(address.pid, signal.SIGTERM)
    with locked(home(workspace) / "alive"):
        return True
