"""The local cloud of a workspace: a folder in place of SageMaker and S3, and a process for each execution that runs.

<workspace>/cloud/s3/                          the objects
                  logs/                        what the jobs print
                  interrupt                    made by a person: takes the next spot instance away (infra/emulator/jobs.py)
                  pipelines/, packages/        a JSON file for each pipeline and each group of model packages
                  executions/<id>/             state.json, log, ``alive`` (locked while its process lives), ``stop`` to stop it
"""

import time
from pathlib import Path

from infra.files import is_locked, locked
from infra.processes import spawn_module

REGION, ACCOUNT = "us-east-1", "123456789012"
"""An account that belongs to nobody."""


def home(workspace: Path) -> Path:
    return workspace.absolute() / "cloud"


def stop(workspace: Path) -> bool:
    """Ask every execution that runs to stop, and wait until they have ended; return whether there was one."""
    place = home(workspace)

    def running() -> list[Path]:
        with locked(place / "lock"):
            return [execution for execution in place.glob("executions/*") if is_locked(execution / "alive")]

    executions = running() if place.exists() else []
    for execution in executions:
        (execution / "stop").touch()
    while executions and set(running()) & set(executions):
        time.sleep(0.05)
    return bool(executions)


def begin(execution: Path) -> None:
    """Start the process of an execution and wait until it lives, or is over; it outlives this process."""
    process = spawn_module("infra.emulator", str(execution), directory=Path("/"), log=execution / "log")
    while process.poll() is None and not is_locked(execution / "alive"):
        time.sleep(0.02)
    process.returncode = process.returncode or 0  # it goes on without us; Popen need not complain
