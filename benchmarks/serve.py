"""``fourscore serve`` beside ``mlflow models serve``: the same registered model, the same requests, one run, loopback.

python benchmarks/serve.py [WORKSPACE NAME CSV]     a registered model and a CSV file of its inputs; default: a run of breast-cancer

Each client sends its next request when it has the answer to the last one: one row as ``dataframe_split``. Aims: at least 10 times
the requests per second, at most a tenth of the 99th percentile, at most a sixth of the memory.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
REQUESTS = {"fourscore": 1_000, "mlflow": 120}
ROUNDS = 3


def requests_of(path: Path) -> list[bytes]:
    """HTTP requests with a row each."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    bodies = (
        json.dumps({"dataframe_split": {"columns": names, "data": [[_cell(cell) for cell in row]]}}).encode()
        for row in rows[:50]
    )
    head = (
        b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    return [head % len(body) + body for body in bodies]


def _cell(text: str) -> str | float | None:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text or None


def answer(connection: socket.socket, request: bytes) -> bytes:
    """The body of the answer."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], data
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def load(port: int, requests: list[bytes], count: int, clients: int) -> tuple[float, float]:
    """Requests per second of all clients together, and the 99th percentile of milliseconds."""

    def client(number: int) -> list[float]:
        times = []
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(count // clients):
                start = time.perf_counter()
                answer(connection, requests[(i + number) % len(requests)])
                times.append(time.perf_counter() - start)
        return times

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        times = [seconds for times in threads.map(client, range(clients)) for seconds in times]
    return len(times) / (time.perf_counter() - start), statistics.quantiles(times, n=100)[98] * 1e3


@contextlib.contextmanager
def running(
    command: list[str], port: int, path: str, directory: Path, **environment: str
) -> Iterator[tuple[psutil.Process, float]]:
    """A server, and the seconds from its start to its first answer."""
    start = time.perf_counter()
    with (directory / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, stdout=log, stderr=log, env=os.environ | environment, start_new_session=True
        )
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        while True:
            assert process.poll() is None, (directory / f"{port}.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                probe.sendall(request)
                if b" 200 " in probe.recv(20):
                    break
            time.sleep(0.01)
        yield psutil.Process(process.pid), time.perf_counter() - start
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def memory(process: psutil.Process) -> float:
    """MiB of a process and all that it started."""
    return sum(part.memory_info().rss for part in (process, *process.children(recursive=True))) / 2**20


def example(directory: Path) -> tuple[Path, str, Path]:
    """A workspace with the registered model of breast-cancer, its name, and rows."""
    workspace = directory / ".fourscore"
    problem = ROOT / "examples/breast-cancer/problem.yaml"
    subprocess.run([sys.executable, "-m", "pipelines", "run", str(problem), "--workspace", str(workspace)], check=True)
    return workspace, "breast-cancer", ROOT / "tests/golden/breast-cancer-rows.csv"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        workspace, name, rows = (
            (Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3])) if sys.argv[3:] else example(directory)
        )
        requests = requests_of(rows)
        ports = free_port(), free_port()
        uri = f"sqlite:///{workspace}/mlflow.db"
        own = [sys.executable, "-m", "pipelines", "serve", name, "--workspace", str(workspace), f"--port={ports[0]}"]
        rival = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{name}/1", "--env-manager=local"]
        rival += ["--host=127.0.0.1", f"--port={ports[1]}"]
        path = os.pathsep.join(
            [str(Path(sys.executable).parent), os.environ["PATH"]]
        )  # MLflow starts uvicorn by its name
        quiet = {"PATH": path, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with (
            running(own, ports[0], "/ping", directory, **quiet) as (one, start_of_one),
            running(rival, ports[1], "/ping", directory, **quiet) as (other, start_of_other),
        ):
            for port in ports:
                load(port, requests, 40, 1)
            for clients in (1, 8):
                figures = [
                    [load(port, requests, count, clients) for port, count in zip(ports, REQUESTS.values(), strict=True)]
                    for _ in range(ROUNDS)
                ]
                rates, delays = ([[pair[i] for pair in both] for both in figures] for i in (0, 1))
                report(f"requests/s, {clients} clients", rates, "at least 10")
                report(f"p99 in ms, {clients} clients", delays, "at most 0.1")
            report("memory in MiB", [[memory(one), memory(other)]], "at most 0.167")
        report(
            "start in s", [[start_of_one, start_of_other]], "none; the first at most 1 without the command before it"
        )


def report(name: str, pairs: list[list[float]], aim: str) -> None:
    """The medians of both, and the median of the ratios."""
    own, rival = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:<24} fourscore {own:10.2f}  mlflow {rival:10.2f}  ratio {ratio:8.3f} (aim {aim})", flush=True)


if __name__ == "__main__":
    main()
