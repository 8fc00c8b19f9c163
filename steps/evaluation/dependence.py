"""How predictions follow a column: partial dependence (the mean of all rows) and the curves of single rows.

In some test rows the column gets one value after the other while everything else stays as it is. Values are evenly spaced between the
quantiles of 2 % and 98 %, and of a category those that ten test rows or more have, so that no value of a single row is published.

Sources: Friedman, "Greedy function approximation: a gradient boosting machine", 2001 (partial dependence); Goldstein et al.,
"Peeking inside the black box", 2015 (single rows); Apley & Zhu, "Visualizing the effects of predictor variables in black box
supervised learning models", 2020 (why to take care where columns go together).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from model_code.serving import Predictor
from steps.evaluation.document import Dependence, Importance, Line

Array = np.ndarray[Any, Any]

COLUMNS = 6
ROWS, SINGLE = 150, 15
"""Rows whose predictions are averaged, and those of them that are drawn."""
POINTS, VALUES, FEWEST = 20, 12, 10
"""Points of a number; values of a category at most, and how many test rows have to have one."""
SECONDS = 10.0
"""Of CPU time, after which the remaining columns are left out."""
_LINES = 4
_ENDS = (0.02, 0.98)


def dependence(
    predictor: Predictor, table: pl.DataFrame, importance: Importance, classes: Sequence[str], seed: int
) -> tuple[Dependence, ...]:
    """Return the dependence on the columns that are worth most; columns that do not vary are left out."""
    begun, random = time.process_time(), np.random.default_rng(seed)
    names = [entry["name"] for entry in predictor.schema["inputs"] if entry["name"] in table.columns]
    rows = table.select(names)[np.sort(random.choice(table.height, min(ROWS, table.height), replace=False))]
    drawn = np.sort(random.choice(rows.height, min(SINGLE, rows.height), replace=False))
    foremost = [name for entry in importance.columns if (entry.fall.value or 0) > 0 for name in entry.columns]
    answers = []
    for name in foremost[:COLUMNS]:
        values = _grid(table[name])
        if len(values) > 1 and time.process_time() - begun < SECONDS:
            column = values.gather(np.repeat(np.arange(len(values)), rows.height)).alias(name)
            frame = rows[np.tile(np.arange(rows.height), len(values))].with_columns(column)
            prediction = predictor.predict(frame).reshape(len(values), rows.height, -1)
            if np.isfinite(prediction).all():
                answers.append(_described(values, prediction, classes, drawn))
    return tuple(answers)


def _grid(values: pl.Series) -> pl.Series:
    """Return the values that the column gets: frequent ones in their order, or evenly spaced ones where there are more of them."""
    ordered = values.dtype.is_numeric() or values.dtype.is_temporal()
    values = values.drop_nulls()
    values = values.filter(values.is_finite()) if values.dtype.is_float() else values
    counts = values.alias("value").value_counts(name="rows").filter(pl.col("rows") >= FEWEST)
    if not ordered or (values.n_unique() <= VALUES and counts.height > 1):
        frequent = counts.sort(["rows", "value"], descending=[True, False])["value"].head(VALUES)
        return (frequent.sort() if ordered else frequent).alias(values.name)
    if not len(values):
        return values
    numbers = values.to_physical().cast(pl.Float64)
    low, high = (float(numbers.quantile(share, "linear") or 0) for share in _ENDS)
    points = pl.Series(values.name, np.unique(np.linspace(low, high, POINTS)))
    if values.dtype.is_float():
        return points.cast(values.dtype)
    return points.round().cast(pl.Int64).unique(maintain_order=True).cast(values.to_physical().dtype).cast(values.dtype)


def _described(values: pl.Series, prediction: Array, classes: Sequence[str], drawn: Array) -> Dependence:
    """Return the lines of predictions [values, rows, outputs]: of two classes for the second, of several those that move most."""
    dates = values.dtype.is_temporal()
    numeric = values.dtype.is_numeric()
    means = prediction.mean(axis=1)
    outputs = [1] if len(classes) == 2 else np.argsort(-np.ptp(means, axis=0), kind="stable")[:_LINES].tolist()
    single = prediction[:, drawn, outputs[0]].T if len(outputs) == 1 else np.empty((0, len(values)))
    return Dependence(
        column=values.name,
        is_date=dates,
        numbers=tuple(map(float, values.dt.epoch("s") if dates else values)) if dates or numeric else (),
        values=() if dates or numeric else tuple(values.cast(pl.String)),
        lines=tuple(Line(name=classes[output] if classes else "", y=_rounded(means[:, output])) for output in outputs),
        single=tuple(_rounded(line) for line in single),
        rows=prediction.shape[1],
    )


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
