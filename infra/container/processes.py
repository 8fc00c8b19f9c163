"""How many processes train one model, on how many GPUs of how many hosts; torchrun starts them, one of them publishes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from infra.container.contract import Container

PORT = 29500
"""Where the processes meet, on the host that leads."""
RANK = "RANK"
"""Set by torchrun in each process that it starts."""
CODE = "FOURSCORE_EXIT_CODE"
"""The file in which such a process says how it ended."""


def wanted(container: Container) -> int:
    """How many processes are to be started; 1 in a process that torchrun started already."""
    if container.kind != "training" or RANK in os.environ:
        return 1
    return len(container.hosts) * per_host()


def per_host() -> int:
    """One for each GPU, or one."""
    import torch

    return max(1, torch.cuda.device_count())


def leads(container: Container) -> bool:
    """Whether this process publishes, and speaks for all."""
    return int(os.environ.get(RANK, "0")) == 0 and container.leads


def command(container: Container, job: str, each: int) -> list[str]:
    """What starts the processes of this host."""
    hosts = sorted(container.hosts)
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(len(hosts)), "--node-rank", str(hosts.index(container.host))),
        *("--nproc-per-node", str(each), "--master-addr", hosts[0], "--master-port", str(PORT)),
        *("--module", "infra.container", job),
    ]


def launch(container: Container, job: str) -> int:
    """Start this host's processes and wait for them; SIGTERM is passed on. Returns the exit code.

    Torchrun's own code says only that one of them failed; the process that failed says with which code.
    """
    with tempfile.TemporaryDirectory() as place:
        said = Path(place) / "code"
        code = _launch(command(container, job, per_host()), os.environ | {CODE: str(said)})
        return int(said.read_text()) if code and said.exists() else code


def note_code(code: int) -> None:
    """Say to the launcher, if there is one, how this process ends; the first that fails is the one that knows why."""
    if place := os.environ.get(CODE):
        with contextlib.suppress(FileExistsError), Path(place).open("x", encoding="utf-8") as file:
            file.write(str(code))


def leave(code: int) -> None:
    """End a process that torchrun started and that does not lead, at once.

    Shutting the interpreter down, torch's threads may abort (seen once, on a busy machine, with torch 2.13 and gloo), and
    torchrun then stops the one that leads in the middle of its work.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _launch(command: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=environment)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 1
