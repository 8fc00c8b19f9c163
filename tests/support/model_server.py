"""The server of a model, as a process that is asked over loopback, and a model of a few lines for tests without one."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import infra
from infra.serving.model import Model
from model_code.serving import Predictor

ROOT = Path(infra.__file__).parents[1]
JSON = "application/json"
SCHEMA = {
    "format": 1,
    "task": "binary-classification",
    "target": "late",
    "classes": ["no", "yes"],
    "architecture": "sum",
    "inputs": [
        {"name": "age", "type": "integer", "kind": "numeric", "missing": 3, "range": [0.0, 100.0]},
        {"name": "price", "type": "float", "kind": "numeric", "missing": 3, "range": [-10.0, 1000.0]},
        {
            "name": "place",
            "type": "category",
            "kind": "category",
            "missing": 0,
            "vocabulary": ["north", "NA", "süd 'x'"],
            "reading": {"missing": [""]},
        },
    ],
    "numeric": ["age", "price"],
    "category": ["place"],
}
INTERVALS = {"rows": 400, "edges": [], "levels": {"0.95": {"low": [-2.0], "high": [3.0]}}}


def graph(numeric, category):
    """Probabilities by a formula; every input moves them."""
    total = np.nan_to_num(numeric, nan=-3.0) @ np.array([0.01, 0.001]) + category[:, 0] / 7
    chance = 1 / (1 + np.exp(-np.clip(total, -500, 500)))
    return np.stack([1 - chance, chance], axis=1)


def model(**changes):
    """A model of three inputs; of a number instead of two classes where ``classes`` is empty."""
    schema = SCHEMA | changes
    return Model(Predictor(schema, graph if schema["classes"] else lambda *inputs: graph(*inputs)[:, 1]), "ab" * 32)


@contextlib.contextmanager
def running(directory, *options, **environment):
    """The server of a model directory: its process, its port, and ``ask``; its log is read once it has ended."""
    log = directory.parent / f"{directory.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "infra.serving", str(directory), "--port=0", *options],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 60
        while b'"ready"' not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        ready = json.loads(log.read_text().splitlines()[0])
        port = int(ready["address"].rpartition(":")[2])

        def ask(method="POST", path="/invocations", body=b"", **headers):
            return reply(port, method, path, body, headers)

        yield SimpleNamespace(process=process, port=port, ask=ask, log=log)
    finally:
        process.kill()
        process.wait()


def reply(port, method, path, body, headers):
    """One request on a connection of its own: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body or None, headers=names)
        answer = connection.getresponse()
        return SimpleNamespace(status=answer.status, headers=answer.headers, content=answer.read())
    finally:
        connection.close()
