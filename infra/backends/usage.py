"""The load of the machine while a step runs, sampled in a thread and written to the step's journal.

The names are those of MLflow's system metrics (mlflow.system_metrics) in the layer ``framework``; whoever projects the
journal moves them to where MLflow's page shows them. What cannot be read on a machine is left out.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from steps.journal import Journal

CPU, MEMORY = Path("/proc/stat"), Path("/proc/meminfo")
ENERGY = Path("/sys/class/powercap")
SAMPLES = 60
"""After as many samples the time between two of them doubles."""
Readings = dict[str, float]


class Usage:
    """Samples the load every second at first, then every two, four ..., until the block ends."""

    def __init__(self, log: Journal, read: Callable[[], Readings] | None = None, seconds: float = 1.0) -> None:
        self._log, self._read, self._seconds = log, read or Machine().read, seconds
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True, name="usage")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        count = 0
        while not self._end.wait(self._seconds * 2 ** (count // SAMPLES)):
            try:
                self._log.metrics({f"framework/{name}": value for name, value in self._read().items()}, count)
            except OSError:  # the disk is full: the step meets that itself
                return
            count += 1


class Machine:
    """The load of this machine since the last reading."""

    def __init__(self, cpu: Path = CPU, memory: Path = MEMORY, energy: Path = ENERGY) -> None:
        self._cpu, self._memory, self._energy = cpu, memory, energy
        self._ticks = self._cpu_ticks()

    def read(self) -> Readings:
        """Return what can be read: CPU, memory, energy, and those of GPUs that torch uses."""
        return {**dict(self._cpu_share()), **dict(self._memory_use()), **dict(self._joules()), **dict(_gpus())}

    def _cpu_ticks(self) -> tuple[float, float] | None:
        """Return the ticks of all cores since the start, and those of them that were idle."""
        try:
            fields = [int(field) for field in self._cpu.read_text().partition("\n")[0].split()[1:9]]
            return sum(fields), fields[3] + fields[4]
        except (OSError, ValueError, IndexError):
            return None

    def _cpu_share(self) -> Iterator[tuple[str, float]]:
        before, self._ticks = self._ticks, self._cpu_ticks()
        if before and self._ticks and self._ticks[0] > before[0]:
            idle = (self._ticks[1] - before[1]) / (self._ticks[0] - before[0])
            yield "cpu_utilization_percentage", round(100 * (1 - idle), 1)

    def _memory_use(self) -> Iterator[tuple[str, float]]:
        try:
            lines = (line.split() for line in self._memory.read_text().splitlines())
            sizes = {name.rstrip(":"): 1024 * int(size) for name, size, *_ in lines}
            total, used = sizes["MemTotal"], sizes["MemTotal"] - sizes["MemAvailable"]
        except (OSError, ValueError, KeyError):
            return
        yield "system_memory_usage_megabytes", round(used / 1e6, 1)
        yield "system_memory_usage_percentage", round(100 * used / total, 1)

    def _joules(self) -> Iterator[tuple[str, float]]:
        """Yield the energy of the processors by their own counter, which most machines let only root read."""
        try:
            packages = sorted(self._energy.glob("intel-rapl:?/energy_uj"))
            counters = [int(path.read_text()) for path in packages if os.access(path, os.R_OK)]
        except (OSError, ValueError):
            return
        if counters:
            yield "cpu_energy_joules", sum(counters) / 1e6


def _gpus() -> Iterator[tuple[str, float]]:
    """Yield the load of each GPU if this process uses any; NVIDIA's library, which knows more, may be absent."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized = getattr(cuda, "is_initialized", None)  # the step may be in the middle of importing torch
    if cuda is None or is_initialized is None or not is_initialized():
        return
    for number in range(cuda.device_count()):
        free, total = cuda.mem_get_info(number)
        yield f"gpu_{number}_memory_usage_megabytes", round((total - free) / 1e6, 1)
        yield f"gpu_{number}_memory_usage_percentage", round(100 * (1 - free / total), 1)
        try:
            yield f"gpu_{number}_utilization_percentage", float(cuda.utilization(number))
            yield f"gpu_{number}_power_usage_watts", cuda.power_draw(number) / 1000
        except (ImportError, RuntimeError):
            continue
