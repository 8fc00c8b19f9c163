"""Predictions of an exported ensemble (the architecture mlp): numpy beside torch, and ``fourscore predict`` of ten rows.

Aims: numpy takes at most twice as long as torch for many rows; ten rows take at most one second of CPU.
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

from model_code import archive, families, runtime, serving
from model_code.export import export
from model_code.fitting import Model
from model_code.tasks import heads

ROWS = 30_000
NUMBERS, WORDS = 20, 5


def write_model(directory: Path) -> dict:
    """Write an untrained ensemble of 20 numbers and 5 categories; what it weighs does not depend on its weights."""
    chance = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "grey"])
    table = {f"n{i}": chance.normal(size=2000) for i in range(NUMBERS)}
    table |= {f"w{i}": words[chance.integers(0, 4, 2000)] for i in range(WORDS)}
    frame = pl.DataFrame(table)
    family = families.get("tabular")
    columns = [{"name": name, "type": "float" if name[0] == "n" else "category"} for name in table]
    schema = serving.model_schema(
        "tabular", family.describe(frame, columns), task="binary-classification", target="y", classes=["no", "yes"],
        architecture="mlp",
    )  # fmt: skip
    inputs = family.encode(frame, schema)
    kind = families.architecture(family, "mlp", len(frame))
    preprocessor = kind.preprocessor(inputs, schema)
    head = heads.create("binary-classification", np.array([0, 1]), ["no", "yes"])
    network = kind.network(preprocessor, preprocessor(*map(torch.from_numpy, inputs)), head.width)
    export(Model(preprocessor, network, head), directory, partial(family.random_inputs, schema))
    (directory / "schema.json").write_text(json.dumps(schema))
    frame.head(10).write_csv(directory / "ten.csv")
    return schema


def timed(graph, inputs) -> tuple[float, float]:
    """Return the CPU seconds and the seconds of all rows."""
    started = time.process_time(), time.perf_counter()
    for start in range(0, ROWS, serving.CHUNK):
        graph(*(array[start : start + serving.CHUNK] for array in inputs))
    return time.process_time() - started[0], time.perf_counter() - started[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        schema = write_model(directory)
        content = archive.rebuild((directory / archive.MODEL).read_bytes())
        module = torch.export.load(io.BytesIO(content)).module()

        @torch.inference_mode()
        def in_torch(*arrays):
            return module(*map(torch.from_numpy, arrays))

        inputs = families.get("tabular").random_inputs(schema, ROWS)
        graph = runtime.load(directory / archive.MODEL)
        by_numpy, by_torch = in_turn(3, partial(timed, graph, inputs), partial(timed, in_torch, inputs))
        for place, unit in enumerate(("CPU s", "s")):
            measured, reference = ([seconds[place] for seconds in figures] for figures in (by_numpy, by_torch))
            show(f"{ROWS:,} rows, numpy", measured, unit)
            show(f"{ROWS:,} rows, torch", reference, unit)
            show_ratio(f"numpy / torch ({unit})", measured, reference, "<= 2")
        ten = [sys.executable, "-m", "pipelines", "predict", folder, f"{folder}/ten.csv", f"{folder}/answers.csv"]
        command = partial(cpu_seconds, [*ten, "--workspace", f"{folder}/none", "--trust", "made by this benchmark"])
        bare = partial(cpu_seconds, [sys.executable, "-c", "import polars, pydantic, numpy, click"])
        measured, reference = in_turn(5, command, bare)
        show("fourscore predict of ten rows (aim <= 1)", measured)
        show("python -c 'import polars, pydantic, ...'", reference)
        show_ratio("predict / imports", measured, reference, "none; the aim is in seconds")
