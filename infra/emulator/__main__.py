"""The process of a workspace's local cloud: ``python -m infra.emulator --workspace W --idle-minutes N``."""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path

from infra.emulator import local_cloud
from infra.emulator.server import Server
from infra.files import locked, write_json
from infra.secrets import redact_output


def serve(workspace: Path, idle_minutes: float) -> None:
    """Be the local cloud of a workspace until SIGTERM, or until nothing has happened for a while."""
    place = local_cloud.home(workspace)
    os.umask(0o077)  # whoever reads the key may start jobs
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with locked(place / "alive"):  # `running` looks for a moment whether it is free
        server = Server(place)
        write_json(place / "server.json", asdict(server.address))
        _log(f"listens on {server.address.endpoint}")
        while not ended.wait(min(1.0, idle_minutes * 6)):
            if local_cloud.read_address(place) != server.address:
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
    parser = argparse.ArgumentParser(prog="python -m infra.emulator")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--idle-minutes", type=float, required=True)
    arguments = parser.parse_args()
    serve(arguments.workspace, arguments.idle_minutes)
    os._exit(0)  # without waiting for threads
