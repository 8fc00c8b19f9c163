"""Whether more rows would help: a cheap candidate on a fourth, a half and all of some training rows, on held-out ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model_code import families
from model_code.families import Solver
from model_code.fitting import Dataset, predict, train_on
from model_code.tasks import Task, heads, labels
from model_code.training import Options, choose_device
from steps import documents
from steps.evaluation import statistics
from steps.evaluation.document import LearningCurve, LearningPoint, rounded
from steps.evaluation.resampling import resampling
from steps.evaluation.statistics import Measure
from steps.evaluation.thresholds import Goal
from steps.splitting.folds import folds
from steps.tables.schema import TableSchema

SHARES = (4, 2, 1)
"""One row in so many is learned from."""
MOST_ROWS = 30_000
"""Of a larger training part nothing is measured: fits on a few of its rows say little about twice all of them."""
ROUNDS, RESAMPLES = 60, 200
NAMES = ("trees", "linear")


def curve(schema: Mapping[str, Any], task: Task, goal: Goal, train_set: Path, seed: int) -> LearningCurve | None:
    """Return how the headline metric grows with the rows; None where that is not measured.

    Args:
        schema: of the model, which says how rows are encoded.
    """
    family, table = families.of_model(schema), documents.read(TableSchema, train_set)
    names = [name for name in NAMES if name in family.architectures]
    if not names or table.rows > MOST_ROWS or table.target is None:
        return None
    frame = pl.read_parquet(train_set / "data.parquet", glob=False)
    truth = labels.get(task.name).truth(frame[table.target.name], schema["classes"]).to_numpy()
    solver = families.architecture(family, names[0], frame.height)
    if not isinstance(solver, Solver):
        return None
    unit = list(goal.key) or [column.name for column in table.features()]
    classes = truth if schema["classes"] else None
    training, validation = folds(frame, unit, classes, by=goal.by, column=goal.column, count=1, seed=seed)[-1]
    training = np.random.default_rng(seed).permutation(training)
    dataset = Dataset(family.encode(frame, schema), truth, schema, heads.create(task.name, truth, schema["classes"]))
    options = Options(seed=seed, device=choose_device("cpu"), stop_after=ROUNDS)
    metric, measures = task.metrics[task.headline], dict[int, Measure]()
    for share in SHARES:
        rows = np.sort(training[: len(training) // share])
        fitted = train_on(dataset, solver, rows, validation, options)
        measures[len(rows)] = Measure(metric.bind(truth[validation], predict(dataset, fitted, validation)))
    drawing = resampling(frame[validation], goal, table, RESAMPLES, seed)
    sampled = statistics.bootstrap(measures, drawing)
    *_, half, whole = sampled
    return LearningCurve(
        name=names[0],
        points=tuple(LearningPoint(rows=rows, value=rounded(one.value)) for rows, one in sampled.items()),
        gain=statistics.compare(sampled[whole], sampled[half]),
    )
