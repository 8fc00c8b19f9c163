"""How many processes train one model, on how many GPUs of how many hosts; torchrun starts them, one of them publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from infra.container import Container

PORT = 29500
"""Where the processes meet, on the host that leads."""
RANK = "RANK"
"""Set by torchrun in each process that it starts."""


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
        *("--module", "steps", job),
    ]


def launch(container: Container, job: str) -> int:
    """Start this host's processes and wait for them; SIGTERM is passed on. Returns the exit code."""
    process = subprocess.Popen(command(container, job, per_host()))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 1
