"""Our modules as processes that go on without this one; signals that end a process, handled like Ctrl-C or passed on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.processes import pass_on, raise_keyboard_interrupt, spawn_module


def test_a_module_starts_in_any_directory_and_its_output_is_appended_to_its_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    process = spawn_module("infra.container", directory=Path("/"), log=log)
    assert process.wait(60) == 2
    assert log.read_text() == "before\nusage: python -m infra.container prepare|train|assess\n"


def test_a_piped_module_reads_its_pipe_and_has_the_variables(tmp_path):
    log = tmp_path / "log"
    process = spawn_module(
        "timeit", "-n1", "-r1", "import os, sys; sys.stdin.read(); print(os.environ['COLOUR'])",
        directory=tmp_path, log=log, environment={"COLOUR": "blue"}, piped=True,
    )  # fmt: skip
    assert process.poll() is None
    process.communicate(timeout=60)
    assert log.read_text().startswith("blue\n")


def test_sigterm_is_like_ctrl_c_within_the_block_only():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), raise_keyboard_interrupt([signal.SIGTERM]):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_passed_on_to_a_process():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with pass_on(process):
        os.kill(os.getpid(), signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
