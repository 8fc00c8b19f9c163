"""The cloud of --on sagemaker-local: one background process for a workspace, S3 and SageMaker's API on loopback.

It is moto's server with the emulator (infra/emulator.py) before it, and it lives on when the command that started it
ends. ``<workspace>/cloud/`` holds what it keeps: ``journal.jsonl`` and ``bodies/`` (everything that was done to S3, IAM,
the registry, ...), ``executions/`` and ``jobs/`` (with the logs), ``server.json`` (where it listens), ``server.log``.
Killed at any moment, it loses nothing that it answered but what its own machine's end loses; jobs end with it, and what
ran then is found as failed and can be retried.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import secrets
import signal
import string
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.emulation.cloud import Cloud as Clients
from infra.emulation.jobs import Options
from infra.files import locked, write_atomically
from steps.errors import FourscoreError, InputError

REGION, ACCOUNT = "us-east-1", "123456789012"
PATIENCE = 60.0
"""Seconds to wait for the process to answer; it takes about two and the time of the replay."""
IDLE_MINUTES = 60.0


@dataclass(frozen=True)
class Cloud:
    """How to reach the local cloud of a workspace."""

    endpoint: str
    region: str
    account: str
    access_key: str
    secret_key: str
    pid: int

    @property
    def clients(self) -> Clients:
        return Clients(self.endpoint, self.region, self.account, self.access_key, self.secret_key)

    def client(self, service: str) -> Any:
        """A boto3 client that talks to this cloud, whatever the environment or the user's profile say."""
        return self.clients.new_client(service)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make any AWS SDK talk to this cloud."""
        return self.clients.environment()


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def running(workspace: Path) -> Cloud | None:
    """The local cloud of the workspace if its process lives; what a killed one left is not taken for it."""
    place = home(workspace)
    if not (place / "server.json").exists():
        return None
    with locked(place / "alive", blocking=False) as free:
        if free:
            return None
    try:
        found = Cloud(**json.loads((place / "server.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if _answers(found.endpoint) else None


def start(workspace: Path, *, idle_minutes: float = IDLE_MINUTES) -> Cloud:
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
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "infra.local_cloud",
                    "--workspace",
                    str(workspace.absolute()),
                    "--idle-minutes",
                    str(idle_minutes),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(
                        [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
                    ).rstrip(os.pathsep)
                },
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if process.poll() is not None:
                break
            if found := running(workspace):
                return found
            time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise FourscoreError(f"the local cloud did not start; {log} ends:\n  " + "\n  ".join(said))


def stop(workspace: Path) -> bool:
    """End the process if there is one; executions that run are found as failed by the next. Returns whether there was."""
    found = running(workspace)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    with locked(home(workspace) / "alive"):
        return True


def _answers(endpoint: str) -> bool:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/fourscore/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _wants_moto() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("boto3", "moto", "flask") if find_spec(name) is None]:
        raise InputError(f"the local cloud needs {', '.join(missing)}; install the extra: pip install 'fourscore[aws]'")


# the process


def serve(workspace: Path, idle_minutes: float) -> None:
    """Be the local cloud of a workspace until it is told to stop or nobody asked anything for a while."""
    place = home(workspace)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _ in range(50):  # whoever looks whether we live holds the lock for a moment
        with locked(place / "alive", blocking=False) as mine:
            if mine:
                _serve(place, idle_minutes)
                return
        time.sleep(0.1)


def _serve(place: Path, idle_minutes: float) -> None:
    from moto.moto_api._internal import mock_random
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from infra.emulation.gateway import Gateway
    from infra.emulation.journal import Journal
    from infra.emulator import Emulator

    began = time.monotonic()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    before = _before(place)
    access_key = (
        before.access_key
        if before
        else "AKIA" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(16))
    )
    secret_key = before.secret_key if before else secrets.token_urlsafe(30)
    journal = Journal(place)
    moto = DomainDispatcherApplication(create_backend_app)
    replayed = journal.replay(moto, mock_random.seed, access_key)
    gateway = Gateway(moto, journal, mock_random.seed, access_key)

    class Handler(MotoRequestHandler):
        protocol_version = "HTTP/1.1"

    def listen(port: int) -> Any:
        return make_server("127.0.0.1", port, gateway, threaded=True, request_handler=Handler)

    try:
        server = listen(int(before.endpoint.rpartition(":")[2]) if before else 0)
    except (OSError, SystemExit):
        server = listen(0)
    server.daemon_threads = True
    gateway.hosts = {f"127.0.0.1:{server.port}", f"localhost:{server.port}"}
    found = Cloud(f"http://127.0.0.1:{server.port}", REGION, ACCOUNT, access_key, secret_key, os.getpid())
    gateway.emulator = emulator = Emulator(found.clients, place, Options())
    with (place / "server.json").open("a", encoding="utf-8"):
        (place / "server.json").chmod(0o600)
    write_atomically(place / "server.json", json.dumps(asdict(found), indent=1) + "\n")
    (place / "server.json").chmod(0o600)
    _say(f"listens on {found.endpoint}; {replayed} requests replayed in {time.monotonic() - began:.2f} s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while not ended.wait(min(1.0, idle_minutes * 6)):
        if emulator.busy():
            gateway.last_request = time.monotonic()
        if time.monotonic() - gateway.last_request > 60 * idle_minutes:
            _say(f"nobody asked anything for {idle_minutes:g} minutes")
            break
    emulator.shut_down()
    _say("ends")


def _before(place: Path) -> Cloud | None:
    try:
        return Cloud(**json.loads((place / "server.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)  # noqa: T201 -- the process's own log


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local_cloud", description="the local cloud of a workspace")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--idle-minutes", type=float, default=IDLE_MINUTES)
    given = parser.parse_args()
    serve(given.workspace, given.idle_minutes)


if __name__ == "__main__":
    main()
