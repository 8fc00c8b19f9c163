"""A model whose answers are known is judged on rows whose truth is known."""

import hashlib
import json

import numpy as np
import polars as pl
import pytest
import torch

from model_code import export, yardsticks
from steps.core import execute, step
from steps.errors import InputError
from steps.evaluate import EvaluateConfig, evaluate
from steps.journal import Journal, read_events
from steps.schema import ROW, Column, TableSchema, Target, write_schema
from steps.thresholds import Threshold

EVALUATE = step(evaluate)
TASKS = {"binary-classification": ("no", "yes"), "multiclass-classification": ("a", "b", "c"), "regression": ()}


class Scale(torch.nn.Module):
    """Answers with the first number times a factor, as the task wants it."""

    def __init__(self, classes, factor):
        super().__init__()
        self.classes, self.factor = classes, factor

    def forward(self, numeric, category):
        x = torch.nan_to_num(numeric[:, 0]) * self.factor + 0.0 * category.sum(dim=1)
        if not self.classes:
            return x
        if self.classes == 2:
            return torch.stack([1 - torch.sigmoid(x), torch.sigmoid(x)], dim=-1)
        return torch.softmax(torch.stack([-x, torch.zeros_like(x), x], dim=-1), dim=-1)


def write_model(directory, task, factor=1.0, *, name="x", classes=None):
    directory.mkdir(parents=True, exist_ok=True)
    classes = TASKS[task] if classes is None else classes
    example = (torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4, 0, dtype=torch.int64))
    batch = torch.export.Dim("batch")
    program = torch.export.export(Scale(len(classes), factor), example, dynamic_shapes=({0: batch}, {0: batch}))
    program.example_inputs = None
    torch.export.save(program, directory / "model.pt2")
    export._canonical(directory / "model.pt2")
    schema = {
        "format": 1,
        "task": task,
        "target": "goal",
        "classes": list(classes),
        "architecture": "linear",
        "inputs": [{"name": name, "type": "float", "kind": "numeric"}],
        "numeric": [name],
        "category": [],
    }
    (directory / "schema.json").write_text(json.dumps(schema))


def rows_of(task, count, seed):
    """x decides the target, with noise; region, day and age are there to slice by."""
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    noisy = x + random.logistic(size=count)
    goal = {
        "binary-classification": np.where(noisy > 0, "yes", "no"),
        "multiclass-classification": np.where(noisy < -1, "a", np.where(noisy < 1, "b", "c")),
        "regression": noisy,
    }[task]
    days = pl.Series(np.arange(count) * 30 // count * 86_400_000_000).cast(pl.Datetime("us"))
    region = np.where(random.random(count) < 0.03, "tiny", random.choice(["north", "so/uth=1"], count))
    return pl.DataFrame(
        {
            ROW: np.arange(1, count + 1),
            "x": x,
            "region": region,
            "age": random.integers(18, 90, count),
            "vip": random.random(count) < 0.5,
            "day": days,
            "goal": goal,
        }
    )


def write_table(directory, table, task):
    directory.mkdir(parents=True, exist_ok=True)
    table.write_parquet(directory / "data.parquet")
    types = {"x": "float", "region": "category", "age": "integer", "vip": "boolean", "day": "datetime", "goal": "category", ROW: "integer"}
    columns = tuple(Column(name=name, type=types[name]) for name in table.columns)
    target = Target(name="goal", task=task, classes=TASKS[task])
    write_schema(directory, TableSchema(rows=table.height, digest="d" * 64, columns=columns, target=target))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One good model per task, exported once."""
    made = {task: tmp_path_factory.mktemp("models") / task for task in TASKS}
    for task, directory in made.items():
        write_model(directory, task)
    return made


@pytest.fixture
def place(tmp_path, models):
    """Everything that evaluate reads, for one task; returns a function that runs it and gives back what it wrote."""

    def prepare(task="binary-classification", rows=800, table=None):
        directories = {name: tmp_path / name for name in (*EVALUATE.inputs, *EVALUATE.outputs)}
        for name in ("champion", "evaluation", "yardsticks"):
            directories[name].mkdir(exist_ok=True)
        directories["model"] = models[task]
        write_table(directories["train_set"], rows_of(task, 400, 1), task)
        write_table(directories["test_set"], rows_of(task, rows, 2) if table is None else table, task)
        constant = np.full(len(TASKS[task]), 1 / len(TASKS[task])) if TASKS[task] else np.asarray(0.0)
        yardsticks.write_constant(directories["yardsticks"], constant)
        return directories

    return prepare


def run(directories, task="binary-classification", **fields):
    fields = {"success": (Threshold(metric={"regression": "r2"}.get(task, "accuracy"), at_least=0.1),), "resamples": 200, **fields}
    for file in directories["evaluation"].iterdir():
        file.unlink()
    journal = directories["evaluation"].parent / "journal.jsonl"
    journal.unlink(missing_ok=True)
    with Journal(journal) as log:
        execute(EVALUATE, directories, EvaluateConfig(task=task, **fields), log)
    return json.loads((directories["evaluation"] / "evaluation.json").read_text()), list(read_events(journal))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_judged_with_intervals_yardsticks_and_a_verdict(place, task):
    found, events = run(place(task), task, slices=("region", "age"))
    assert found["verdict"] == "pass"
    assert found["reasons"] == []
    for estimate in found["metrics"].values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert set(found["yardsticks"]) == {"constant"}
    assert found["comparisons"]["constant"]["better"] == "model"
    assert found["champion"] is None
    assert (found["residuals"] is None) == (task != "regression")
    assert (found["calibration"] is None) == (found["confusion"] is None) == (task == "regression")
    metrics = {event["name"] for event in events if event["kind"] == "metric"}
    headline = found["headline"]
    assert {f"model/{headline}", f"model/{headline}_low", f"model/{headline}_high", "application/predict_p50_ms"} <= metrics
    assert {"application/predict_p99_ms", "application/predict_rows_per_second", "application/model_mb"} <= metrics
    assert [event["verdict"] for event in events if event["kind"] == "verdict"] == ["pass"]
