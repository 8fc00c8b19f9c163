"""Fits that run at the same time: a thread for each, one report of progress for all, and an end for all where one fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Report = Callable[[float, float], None]
"""Called with how much of how much is done."""


class Job(Protocol[T_co]):
    """Work that calls ``report`` several times in a second; an exception from it ends the work."""

    def __call__(self, *, report: Report | None = None) -> T_co: ...


class Stop(Exception):
    """Ends a job because another one failed or the run was interrupted."""


class _Shared:
    """The progress of all jobs as one."""

    def __init__(self, jobs: int, report: Report) -> None:
        self.shares, self.whole, self.stop, self.lock = [0.0] * jobs, report, threading.Event(), threading.Lock()

    def report(self, job: int, count: float, total: float) -> None:
        if self.stop.is_set():
            raise Stop
        with self.lock:
            self.shares[job] = count / total
            self.whole(round(100 * sum(self.shares) / len(self.shares)), 100)


def run(jobs: Sequence[Job[T]], at_once: int, report: Report) -> list[T]:
    """Return the results of the jobs, of which so many run at the same time.

    One after the other, each job reports its progress itself; ``report`` takes that of all together, in percent. The first
    exception, or an interrupt of this thread, stops all jobs at their next report.
    """
    if at_once == 1 or len(jobs) == 1:
        return [job() for job in jobs]
    shared = _Shared(len(jobs), report)
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(job, report=partial(shared.report, number)) for number, job in enumerate(jobs)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failures = [future for future in futures if future.done() and future.exception()]
            return [future.result() for future in failures or futures]
        except BaseException:
            shared.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def waves(count: int, at_once: int, *, first_alone: bool) -> list[range]:
    """Return the numbers 1 to ``count`` in ranges of at most ``at_once``, the first one alone if asked or where that costs no wave."""
    alone = first_alone or -(-(count - 1) // at_once) < -(-count // at_once)
    starts = [1, *range(2, count + 1, at_once)] if alone else list(range(1, count + 1, at_once))
    return [range(start, end) for start, end in zip(starts, [*starts[1:], count + 1], strict=True)]
