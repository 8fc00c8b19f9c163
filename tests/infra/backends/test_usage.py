"""The load of the machine while a step runs, in its journal."""

import sys
import time
import types

from infra.backends.usage import SAMPLES, Machine, Usage
from steps.journal import Journal, read_events


def test_a_long_step_is_sampled_and_a_short_one_is_not(tmp_path):
    for seconds, name in ((60.0, "short"), (0.001, "long")):
        with Journal(tmp_path / name) as log, Usage(log, lambda: {"cpu_utilization_percentage": 7.0}, seconds):
            time.sleep(0.05 if name == "long" else 0)
    assert list(read_events(tmp_path / "short")) == []
    first, second, *_ = read_events(tmp_path / "long")
    assert (first["name"], first["value"], first["step"]) == ("framework/cpu_utilization_percentage", 7.0, 0)
    assert second["step"] == 1


def test_samples_become_rarer_the_longer_a_step_runs(tmp_path):
    times = []
    with Journal(tmp_path / "journal") as log, Usage(log, lambda: times.append(time.monotonic()) or {}, 0.001):
        while len(times) <= 3 * SAMPLES:
            time.sleep(0.01)
    assert times[3 * SAMPLES] - times[2 * SAMPLES] > 2 * SAMPLES * 0.002, "at least four thousandths apart"


def test_a_disk_that_is_full_ends_the_sampling_and_not_the_step(tmp_path):
    def read():
        raise OSError

    with Journal(tmp_path / "journal") as log, Usage(log, read, 0.001) as usage:
        usage._thread.join(5)
        assert not usage._thread.is_alive()


def test_cpu_memory_and_energy_are_read_from_the_kernel(tmp_path):
    cpu, memory, energy = tmp_path / "stat", tmp_path / "meminfo", tmp_path / "intel-rapl:0/energy_uj"
    cpu.write_text("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 ...\n")
    memory.write_text("MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\nHugePages_Total:  0\n")
    energy.parent.mkdir()
    energy.write_text("2500000\n")
    machine = Machine(cpu, memory, tmp_path)
    cpu.write_text("cpu  150 0 100 850 0 0 0 0 0 0\n")
    assert machine.read() == {
        "cpu_utilization_percentage": 50.0,
        "system_memory_usage_megabytes": 0.8,
        "system_memory_usage_percentage": 75.0,
        "cpu_energy_joules": 2.5,
    }


def test_what_a_machine_does_not_say_is_left_out(tmp_path):
    assert Machine(tmp_path / "a", tmp_path / "b", tmp_path / "c").read() == {}


def test_gpus_are_read_while_torch_is_imported_and_where_its_library_for_them_is_absent(tmp_path, monkeypatch):
    machine = Machine(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert machine.read() == {}

    def utilization(number):
        raise ModuleNotFoundError("pynvml")

    sys.modules["torch"].cuda = types.SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 1,
        mem_get_info=lambda number: (30_000_000, 40_000_000),
        utilization=utilization,
    )
    assert machine.read() == {"gpu_0_memory_usage_megabytes": 10.0, "gpu_0_memory_usage_percentage": 25.0}
