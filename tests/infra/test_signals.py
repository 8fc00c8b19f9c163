"""Signals that end a process, handled like Ctrl-C or passed on."""

import os
import signal
import subprocess
import sys

import pytest

from infra.signals import pass_on, raise_keyboard_interrupt


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
