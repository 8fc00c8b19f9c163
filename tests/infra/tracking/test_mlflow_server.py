"""The MLflow server that ``fourscore ui`` shows: it ends with the command, as a whole, and its own end is no success."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from infra.tracking import mlflow_server

REPOSITORY = Path(mlflow_server.__file__).parents[2]


@pytest.fixture
def shown(workspace, database):
    """``fourscore ui`` that answers, the processes below it, and its port."""
    shutil.copy(database, workspace / "mlflow.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (workspace / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "ui", "--port", str(port), "--workspace", str(workspace)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            cwd=workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
    below = []
    try:
        until = time.monotonic() + 120
        while not _answers(port):
            assert process.poll() is None, (workspace / "said").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        below = psutil.Process(process.pid).children(recursive=True)
        yield process, below, port
    finally:
        for each in (*below, process):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def _answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
    except OSError:
        return False
    return True


def _over(processes):
    return all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in processes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_and_its_workers_end_with_the_command_that_shows_it(shown, number):
    process, below, port = shown
    assert len(below) > 1
    process.send_signal(number)
    assert process.wait(30) == 0
    assert _over(below)
    assert not mlflow_server._in_use(port)


def test_a_server_that_ends_by_itself_is_a_failure_and_leaves_no_worker(shown, workspace):
    process, below, port = shown
    os.kill(psutil.Process(process.pid).children()[0].pid, signal.SIGKILL)
    assert process.wait(30) == 1
    assert "the MLflow server ended by itself (signal 9)" in (workspace / "said").read_text()
    assert _over(below)
    assert not mlflow_server._in_use(port)
