"""The MLflow server of ``fourscore ui`` asks for its token and ends with the command; a server that stops is a failure."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from infra.tracking import mlflow_server

REPOSITORY = Path(mlflow_server.__file__).parents[2]


@pytest.fixture
def running_ui(workspace, database):
    """``fourscore ui`` that answers, its child processes, and its port."""
    shutil.copy(database, workspace / "mlflow.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (workspace / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "ui", "--port", str(port), "--workspace", str(workspace)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            cwd=workspace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    children = []
    try:
        until = time.monotonic() + 120
        while not _answers(port):
            assert process.poll() is None, (workspace / "output").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        yield process, children, port
    finally:
        for running in (*children, process):
            with contextlib.suppress(psutil.NoSuchProcess):
                running.kill()
        process.wait()


def _answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
    except urllib.error.HTTPError as error:
        return error.code == 401  # it wants the token of the link
    except OSError:
        return False
    return False


def _over(processes):
    _, alive = psutil.wait_procs(processes, timeout=5)
    return alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_command_that_shows_it(running_ui, number):
    process, children, port = running_ui
    process.send_signal(number)
    assert process.wait(30) == 0
    assert _over(children)
    assert not mlflow_server.is_port_in_use(port)


def test_a_server_that_stops_by_itself_is_a_failure_and_leaves_no_process(running_ui, workspace):
    process, children, port = running_ui
    os.kill(psutil.Process(process.pid).children()[0].pid, signal.SIGKILL)
    assert process.wait(30) == 1
    assert "the MLflow server stopped (signal 9)" in (workspace / "output").read_text()
    assert _over(children)
    assert not mlflow_server.is_port_in_use(port)
