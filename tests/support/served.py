"""``fourscore ui`` of a workspace, as a process that answers."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from infra.tracking import mlflow_server

REPOSITORY = Path(mlflow_server.__file__).parents[2]


@contextlib.contextmanager
def running_ui(workspace):
    """Yield the process, its child processes, its port and the link that it printed."""
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
        (link,) = re.findall(rf"http://127.0.0.1:{port}/\S*token=\S*", (workspace / "output").read_text())
        yield process, children, port, link
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
