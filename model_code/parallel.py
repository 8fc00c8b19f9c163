"""Several processes, on several GPUs or hosts, train one network: each takes its share of every batch.

The gradients of the shares are summed, so a step is the one that a single process would make, but for the order in which
numbers are added. What depends on time or on a file is decided by the process of rank 0 for all. Outside of a group of
processes (torchrun starts one) everything here is the identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from threadpoolctl import threadpool_limits
from torch import Tensor, nn


@contextmanager
def joined() -> Iterator[None]:
    """Join the group of processes that torchrun started; without one, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def limit_threads(count: int = 1) -> Iterator[None]:
    """Let torch use this many CPU threads, and the linear algebra of numpy one.

    Pools of threads that spin while others work make a busy machine many times slower.
    """
    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def cores() -> int:
    """Return how many cores this process may use: ``OMP_NUM_THREADS`` where it is set, as for the libraries beneath."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, int(limit)) if limit.isdigit() and int(limit) else available


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def share(begin: int, end: int) -> tuple[int, int]:
    """Return this process's part of the rows ``begin`` to ``end`` of a batch; with few rows it may be empty."""
    rows = end - begin
    return begin + rows * rank() // size(), begin + rows * (rank() + 1) // size()


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Make each gradient the sum over the processes, in one message."""
    if size() == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters if p.requires_grad]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for parameter, part in zip((p for p in parameters if p.requires_grad), parts, strict=True):
        parameter.grad = part.view_as(parameter)


def sum_over(values: Tensor) -> None:
    """Make the values the sum over the processes, in place."""
    if size() > 1:
        dist.all_reduce(values)


def agreed(value: float, device: torch.device) -> float:
    """Return the value of rank 0."""
    if size() == 1:
        return value
    message = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(message, 0)
    return float(message)


def agreed_bytes(content: bytes, device: torch.device) -> bytes:
    """Return the content of rank 0; that of the others is ignored."""
    if size() == 1:
        return content
    length = int(agreed(len(content), device))
    message = torch.zeros(length, dtype=torch.uint8, device=device)
    if rank() == 0 and length:
        message.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    if length:
        dist.broadcast(message, 0)
    return bytes(message.cpu().numpy().tobytes())
