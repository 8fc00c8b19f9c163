"""Predictions of exported models: numpy and onnxruntime beside torch, and ``fourscore predict`` of ten rows.

Aims: numpy takes at most twice as long as torch for many rows of an ensemble (the architecture mlp), onnxruntime at most half
as long as numpy for trees; ten rows take at most one second of CPU.
"""

import io
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from measure import cpu_seconds, in_turn, show, show_ratio

from model_code import archive, families, onnx_runtime, runtime, serving
from model_code.export import export
from model_code.fitting import Dataset, train_on
from model_code.tasks import heads
from model_code.training import Options

ROWS = 30_000
NUMBERS, WORDS = 20, 5
STOP_AFTER = {"mlp": 1, "trees": 200}
"""Epochs, or rounds; what an ensemble weighs does not depend on its training."""


def write_model(directory: Path, architecture: str) -> dict:
    """Write a model of 20 numbers and 5 categories."""
    chance = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "grey"])
    table = {f"n{i}": chance.normal(size=6000) for i in range(NUMBERS)}
    table |= {f"w{i}": words[chance.integers(0, 4, 6000)] for i in range(WORDS)}
    frame = pl.DataFrame(table)
    family = families.get("tabular")
    columns = [{"name": name, "type": "float" if name[0] == "n" else "category"} for name in table]
    truth = (sum(np.sin(3 * table[f"n{i}"]) * table[f"n{i + 1}"] for i in range(6)) > 0).astype(np.int64)
    schema = serving.model_schema(
        "tabular", family.describe(frame, columns), task="binary-classification", target="y", classes=["no", "yes"],
        architecture=architecture,
    )  # fmt: skip
    head = heads.create("binary-classification", truth, ["no", "yes"])
    dataset = Dataset(family.encode(frame, schema), truth, schema, head)
    options = Options(seed=0, device=torch.device("cpu"), stop_after=STOP_AFTER[architecture])
    kind = families.architecture(family, architecture, len(frame))
    export(
        train_on(dataset, kind, np.arange(6000), None, options).model, directory, partial(family.random_inputs, schema)
    )
    (directory / "schema.json").write_text(json.dumps(schema))
    frame.head(10).write_csv(directory / "ten.csv")
    return schema


def timed(graph, inputs) -> tuple[float, float]:
    """Return the CPU seconds and the seconds of all rows."""
    started = time.process_time(), time.perf_counter()
    for start in range(0, ROWS, serving.CHUNK):
        graph(*(array[start : start + serving.CHUNK] for array in inputs))
    return time.process_time() - started[0], time.perf_counter() - started[1]


def compare(directory: Path, architecture: str) -> None:
    """Print what many rows take in each runtime."""
    schema = write_model(directory, architecture)
    module = torch.export.load(io.BytesIO(archive.rebuild((directory / archive.MODEL).read_bytes()))).module()

    @torch.inference_mode()
    def in_torch(*arrays):
        return module(*map(torch.from_numpy, arrays))

    inputs = families.get("tabular").random_inputs(schema, ROWS)
    graphs = {
        "numpy": runtime.load(directory / archive.MODEL),
        "onnxruntime": onnx_runtime.load(directory / onnx_runtime.MODEL),
        "torch": in_torch,
    }
    measured = dict(zip(graphs, in_turn(3, *(partial(timed, graph, inputs) for graph in graphs.values())), strict=True))
    for place, unit in enumerate(("CPU s", "s")):
        figures = {name: [seconds[place] for seconds in rounds] for name, rounds in measured.items()}
        for name, seconds in figures.items():
            show(f"{ROWS:,} rows, {architecture}, {name}", seconds, unit)
        aims = ("<= 2", "none") if architecture == "mlp" else ("none", "<= 0.5")
        show_ratio(f"{architecture}: numpy / torch ({unit})", figures["numpy"], figures["torch"], aims[0])
        show_ratio(f"{architecture}: onnxruntime / numpy ({unit})", figures["onnxruntime"], figures["numpy"], aims[1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for architecture in STOP_AFTER:
            directory = Path(folder, architecture)
            directory.mkdir()
            compare(directory, architecture)
        ten = [
            sys.executable,
            "-m",
            "pipelines",
            "predict",
            str(directory),
            f"{directory}/ten.csv",
            f"{folder}/answers.csv",
        ]
        command = partial(cpu_seconds, [*ten, "--workspace", f"{folder}/none", "--trust", "made by this benchmark"])
        bare = partial(cpu_seconds, [sys.executable, "-c", "import polars, pydantic, numpy, click"])
        more = partial(cpu_seconds, [sys.executable, "-c", "import polars, pydantic, numpy, click, onnxruntime"])
        measured, reference, with_onnx = in_turn(5, command, bare, more)
        show("fourscore predict of ten rows (aim <= 1)", measured)
        show("python -c 'import polars, pydantic, ...'", reference)
        show("the same and onnxruntime", with_onnx)
        show_ratio("predict / imports", measured, reference, "none; the aim is in seconds")
