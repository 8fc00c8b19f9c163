"""The MLflow server of ``fourscore ui`` asks for its token and ends with the command; a server that stops is a failure."""

import os
import shutil
import signal

import psutil
import pytest
import served

from infra.tracking import mlflow_server


@pytest.fixture
def running_ui(workspace, database):
    """``fourscore ui`` that answers, its child processes, and its port."""
    shutil.copy(database, workspace / "mlflow.db")
    with served.running_ui(workspace) as (process, children, port, _):
        yield process, children, port


def _over(processes):
    _, alive = psutil.wait_procs(processes, timeout=5)
    return alive == []


# A server starts for each; the next test ends one in another way.
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT])
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
