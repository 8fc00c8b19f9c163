"""Processes that train one model on several GPUs or hosts: torchrun starts them, one of them publishes."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.container.contract import Container
from infra.processes import pass_on

PORT = 29500
"""The port on the leading host where the processes meet."""
RANK = "RANK"
"""The variable that torchrun sets in each process that it starts."""
CODE = "FOURSCORE_EXIT_CODE"
"""The variable that names the file for the exit code of the first process that fails."""


def process_count(container: Container) -> int:
    """Return how many processes to start; 1 in a process that torchrun started."""
    if not container.trains or RANK in os.environ:
        return 1
    return len(container.hosts) * gpu_count()


def gpu_count() -> int:
    """Return the number of GPUs, or 1 without any."""
    import torch

    return max(1, torch.cuda.device_count())


def leads(container: Container) -> bool:
    """Return whether this process publishes, and reports for all."""
    return int(os.environ.get(RANK, "0")) == 0 and container.leads


def command(container: Container, job: str, per_host: int) -> list[str]:
    """Return the command that starts the processes of this host."""
    hosts = sorted(container.hosts)
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(len(hosts)), "--node-rank", str(hosts.index(container.host))),
        *("--nproc-per-node", str(per_host), "--master-addr", hosts[0], "--master-port", str(PORT)),
        *("--module", "infra.container", job),
    ]


def launch(container: Container, job: str) -> int:
    """Start this host's processes, pass SIGTERM on to them and return their exit code.

    Torchrun's own code says only that one of them failed; the process that failed writes its code to a file.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "code"
        process = subprocess.Popen(command(container, job, gpu_count()), env=os.environ | {CODE: str(file)})
        with pass_on(process):
            code = process.wait()
        if code and file.exists():
            return int(file.read_text())
        return code if code >= 0 else 1


def note_code(code: int) -> None:
    """Write the exit code for the launcher, if there is one; the first process that fails is the cause."""
    if place := os.environ.get(CODE):
        with contextlib.suppress(FileExistsError), Path(place).open("x", encoding="utf-8") as file:
            file.write(str(code))


def leave(code: int) -> None:
    """End a process that torchrun started and that does not lead, at once.

    While the interpreter shuts down, torch's threads may abort (observed with torch 2.13 and gloo on a busy machine), and
    torchrun then stops the leading process in the middle of its work.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
