"""The cloud of --on sagemaker-local: one background process for a workspace, S3 and SageMaker's API on loopback.

It is moto's server with the emulator (infra/emulator/api.py) before it, and it lives on when the command that started it
ends. ``<workspace>/cloud/`` holds what it keeps: ``journal.jsonl`` and ``bodies/`` (everything that was done to S3, IAM,
the registry, ...), ``executions/`` and ``jobs/`` (with the logs), ``server.json`` (where it listens, and the key that it
takes), ``server.log``. Killed at any moment, it loses nothing that it answered; jobs end with it, and what ran then is
found as failed and can be retried.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from infra.emulator.disturbances import Disturbance
from infra.emulator.jobs import Options
from infra.emulator.server import ACCOUNT, REGION, Address, Server, address
from infra.files import locked
from steps.errors import FourscoreError, InputError, install

PATIENCE = 300.0
"""Seconds to wait for the process to answer; it takes half of one, and 2 ms for each request that it replays."""
IDLE_MINUTES = 60.0


@dataclass(frozen=True)
class Cloud:
    """How to reach the local cloud of a workspace."""

    address: Address
    region: str = REGION
    account: str = ACCOUNT

    @property
    def endpoint(self) -> str:
        return self.address.endpoint

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make any AWS SDK talk to this cloud."""
        return self.address.clients.environment()

    def client(self, service: str) -> Any:
        """A boto3 client that talks to this cloud, whatever the environment or the user's profile say."""
        return self.address.clients.new_client(service)

    def disturb(self, kind: str, **when: Any) -> None:
        """Have a misfortune happen: a :class:`infra.emulator.disturbances.Disturbance`.

        Raises:
            FourscoreError: there is none of this kind, or the cloud is gone.
        """
        body = json.dumps(asdict(Disturbance.of({"kind": kind, **when})))
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={self.address.access_key}/"}
        if _ask(self.endpoint, "POST", "/fourscore/disturb", body, headers) is None:
            raise FourscoreError(f"the local cloud at {self.endpoint} does not answer")


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def running(workspace: Path) -> Cloud | None:
    """The local cloud of the workspace if its process lives; what a killed one left is not taken for it."""
    place = home(workspace)
    if not (place / "alive").exists():
        return None
    with locked(place / "alive", blocking=False) as free:
        if free:
            return None
    found = address(place)
    if found is None or _ask(found.endpoint, "GET", "/fourscore/health") != {"pid": found.pid}:
        return None
    return Cloud(found)


def start(workspace: Path, *, idle_minutes: float = IDLE_MINUTES, options: Options | None = None) -> Cloud:
    """The local cloud of the workspace, started if it does not run; the process outlives this one.

    Raises:
        InputError: moto is not installed.
        FourscoreError: the process does not come up; its log says why.
    """
    _wants_moto()
    place = home(workspace)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(place / "starting"):
        if found := running(workspace):
            return found
        log = place / "server.log"
        argv = [sys.executable, "-m", "infra.emulator.local_cloud", "--workspace", str(workspace.absolute())]
        argv += ["--idle-minutes", str(idle_minutes), "--options", json.dumps(asdict(options or Options()))]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=os.environ | {"PYTHONPATH": path},
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and process.poll() is None:
            if found := running(workspace):
                process.returncode = 0  # it goes on without us; Popen need not complain
                return found
            time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise FourscoreError(f"the local cloud did not start; {log} ends:\n  " + "\n  ".join(said))


def stop(workspace: Path) -> bool:
    """End the process if there is one; what runs is found as failed by the next. Returns whether there was one."""
    found = running(workspace)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.address.pid, signal.SIGTERM)
    with locked(home(workspace) / "alive"):
        return True


def delete(workspace: Path) -> None:
    """Everything that a local cloud holds; runs that were made in it lose their results.

    Raises:
        InputError: it goes on.
    """
    with locked(home(workspace) / "alive", blocking=False) as free:
        if not free:
            raise InputError(f"the local cloud of {workspace} goes on; end it before its data is deleted")
        shutil.rmtree(home(workspace))


def _ask(endpoint: str, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> Any:
    """What the local cloud answers to a call of its own, None where it does not."""
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _wants_moto() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("boto3", "moto", "flask") if find_spec(name) is None]:
        raise InputError(f"the local cloud needs {', '.join(missing)}; {install('aws')}")


def serve(workspace: Path, idle_minutes: float, options: Options) -> None:
    """Be the local cloud of a workspace until told to stop, or until nobody asked anything for a while."""
    place = home(workspace)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _ in range(50):  # whoever looks whether we live holds the lock for a moment
        with locked(place / "alive", blocking=False) as mine:
            if mine:
                _serve(place, idle_minutes, options)
                return
        time.sleep(0.1)


def _serve(place: Path, idle_minutes: float, options: Options) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = Server(place, options)
    _say(f"listens on {server.address.endpoint}; {server.replayed} requests replayed in {server.seconds:.2f} s")
    for each in server.lost:
        _say(f"could not be replayed: {each}")
    for each in json.loads(os.environ.get("FOURSCORE_DISTURB", "[]")):
        server.emulator.disturb(Disturbance.of(each))
    while not ended.wait(min(1.0, idle_minutes * 6)):
        if address(place) != server.address:
            _say("the workspace was taken away")
            break
        if server.idle > 60 * idle_minutes:
            _say(f"nobody asked anything for {idle_minutes:g} minutes")
            break
    server.close()
    _say("ends")


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)  # noqa: T201 -- the process's own log


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.emulator.local_cloud", description="the local cloud of a workspace"
    )
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--idle-minutes", type=float, default=IDLE_MINUTES)
    parser.add_argument("--options", type=lambda text: Options(**json.loads(text)), default=Options())
    given = parser.parse_args()
    serve(given.workspace, given.idle_minutes, given.options)
    os._exit(0)  # whatever a thread still waits for, nobody will ask for it


if __name__ == "__main__":
    main()
