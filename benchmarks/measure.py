"""Shared by the benchmarks: processes run in turn, CPU seconds from the operating system, medians and a ratio."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence


def cpu_seconds(command: Sequence[str], env: dict[str, str] | None = None, accept: Sequence[int] = (0,)) -> float:
    """User and system seconds of a command and of everything that it started and waited for."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})}
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in accept:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.decode()}")
    return usage.ru_utime + usage.ru_stime


def in_turn(runs: int, *calls) -> list[list[float]]:
    """Each call ``runs`` times, A B A B ..., so that a machine that drifts drifts for all; one round before, uncounted."""
    for call in calls:
        call()
    rounds = [[call() for call in calls] for _ in range(runs)]
    return [list(figures) for figures in zip(*rounds, strict=True)]


def show(name: str, figures: Sequence[float], unit: str = "CPU s") -> float:
    """Print one row and return the median."""
    middle = statistics.median(figures)
    print(f"{name:<44} median {middle:8.3f}  min {min(figures):8.3f}  max {max(figures):8.3f}  {unit}")
    return middle


def show_ratio(name: str, values: Sequence[float], reference: Sequence[float], aim: str) -> None:
    """The ratio pair by pair, its median last on the line and the line last in the output."""
    ratios = [a / b for a, b in zip(values, reference, strict=True)]
    print(f"ratio {name} (aim {aim}): {statistics.median(ratios):.3f}")
