"""The local cloud of a workspace: a background process that runs our compiled pipelines on this machine.

``<workspace>/cloud/`` holds what outlives it: ``s3/`` (the objects), ``logs/`` (of the jobs), ``server.json`` (where it
listens, and its key), ``server.log``. Jobs end with the process, and their executions are forgotten.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path

from infra.emulator.server import Address, Server
from infra.files import locked, write_json
from infra.processes import spawn_module
from infra.secrets import redact_output
from steps.errors import FourscoreError

START_SECONDS = 60.0
"""How long the process may take until it listens; it takes a fraction of a second."""
IDLE_MINUTES = 30.0
"""The process ends when for so long there was no request and no job; until then an execution that failed can be retried."""


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def running(workspace: Path) -> Address | None:
    """Return the address of the workspace's local cloud, if its process lives."""
    place = home(workspace)
    if not (place / "alive").exists():
        return None
    with locked(place / "alive", blocking=False) as free:
        return None if free else _address(place)


def _address(place: Path) -> Address | None:
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
        process = spawn_module("infra.emulator.local_cloud", *arguments, directory=Path("/"), log=log)
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


def serve(workspace: Path, idle_minutes: float) -> None:
    """Be the local cloud of a workspace until SIGTERM, or until nothing has happened for a while."""
    place = home(workspace)
    os.umask(0o077)  # whoever reads the key may start jobs
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with locked(place / "alive"):  # `running` looks for a moment whether it is free
        server = Server(place)
        write_json(place / "server.json", asdict(server.address))
        _log(f"listens on {server.address.endpoint}")
        while not ended.wait(min(1.0, idle_minutes * 6)):
            if _address(place) != server.address:
                _log("the workspace was deleted")
                break
            if server.idle_seconds > 60 * idle_minutes:
                _log(f"no request and no job for {idle_minutes:g} minutes")
                break
        server.close()
        _log("ends")


def _log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)  # noqa: T201 -- the process's own log


if __name__ == "__main__":
    redact_output()
    parser = argparse.ArgumentParser(prog="python -m infra.emulator.local_cloud")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--idle-minutes", type=float, required=True)
    arguments = parser.parse_args()
    serve(arguments.workspace, arguments.idle_minutes)
    os._exit(0)  # without waiting for threads
