"""The local cloud of a workspace: a folder in place of SageMaker and S3, and a process for each execution that runs.

<workspace>/cloud/s3/                          the objects
                  logs/                        what the jobs print
                  interrupt                    made by a person: takes the next spot instance away (infra/emulator/jobs.py)
                  pipelines/, packages/        a JSON file for each pipeline and each group of model packages
                  executions/<id>/             request.json, state.json, ``alive`` (locked while its process lives), log,
                                               and ``stop`` if it was asked to stop
"""

from __future__ import annotations

import time
from pathlib import Path

from infra.files import locked
from infra.processes import spawn_module

REGION, ACCOUNT = "us-east-1", "123456789012"
"""An account that belongs to nobody."""


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def is_alive(execution: Path) -> bool:
    """Return whether the process of an execution lives; two who look at once see each other, so the caller has the lock."""
    with locked(execution / "alive", blocking=False) as free:
        return not free


def stop(workspace: Path) -> bool:
    """Ask every execution that runs to stop, and wait until they have ended; return whether there was one."""
    place = home(workspace)

    def running() -> list[Path]:
        with locked(place / "lock"):
            return [execution for execution in place.glob("executions/*") if is_alive(execution)]

    executions = running() if place.exists() else []
    for execution in executions:
        (execution / "stop").touch()
    while executions and set(running()) & set(executions):
        time.sleep(0.05)
    return bool(executions)


def begin(execution: Path) -> None:
    """Start the process of an execution and wait until it lives, or is over; it outlives this process."""
    process = spawn_module("infra.emulator", str(execution), directory=Path("/"), log=execution / "log")
    while process.poll() is None and not is_alive(execution):
        time.sleep(0.02)
    process.returncode = process.returncode or 0  # it goes on without us; Popen need not complain
