"""The supervisor of a deployment's server: python -m infra.deployments.supervisor DIRECTORY WORKSPACE SOURCE...

It starts the server, and starts it again where it ends without being asked to. A server that outlived a supervisor that was killed
is left alone until it ends. One that may not serve its model (exit codes 2 and 3) is not started again: a person must look.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.deployments import state
from infra.files import is_locked, locked, write_atomically
from infra.processes import handle, spawn_module

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_HEALTHY = 60.0
"""Seconds after which a server counts as healthy, so that the next pause is short again."""


def main(directory: Path, workspace: Path, sources: list[str]) -> int:
    """Supervise until SIGTERM; return the exit code."""
    with locked(directory / "supervisor.lock", blocking=False) as free:
        if not free:
            return 0
        write_atomically(directory / "supervisor.pid", str(os.getpid()))
        return Supervisor(directory, workspace, sources).run()


class Supervisor:
    """One server at a time."""

    def __init__(self, directory: Path, workspace: Path, sources: list[str]) -> None:
        self.directory, self.arguments = directory, (str(directory), str(workspace), *sources)
        self.server: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> int:
        """Start the server again and again until it was refused, or this process is to end."""
        pause = _FIRST_PAUSE
        with handle({signal.SIGTERM: lambda *_: self.stop(), signal.SIGINT: lambda *_: self.stop()}):
            while not self.stopping:
                if is_locked(self.directory / "server.lock"):  # of a supervisor that was killed
                    time.sleep(_FIRST_PAUSE)
                    continue
                started = time.monotonic()
                self.server = spawn_module(
                    "infra.deployments",
                    *self.arguments,
                    directory=self.directory,
                    log=self.directory / "server.log",
                )
                code = self.server.wait()
                if self.stopping or code in (0, 2, 3) or not (self.directory / "desired.json").is_file():
                    return code
                pause = _FIRST_PAUSE if time.monotonic() - started > _HEALTHY else min(2 * pause, _LONGEST_PAUSE)
                time.sleep(pause)
        return 0

    def stop(self) -> None:
        """End the server, whoever started it; what it has in progress is answered first."""
        self.stopping = True
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
        elif is_locked(self.directory / "server.lock") and (current := state.status(self.directory)):
            os.kill(current.pid, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
