"""Prediction intervals: split-conformal, from residuals of rows that the model had not seen.

The residuals are those of the validation folds, and the intervals those of a model that is then fitted on all rows, as in
CV+ without its sets of models (Barber, Candes, Ramdas and Tibshirani 2021, "Predictive inference with the jackknife+").
The quantiles have the correction for a finite number of rows (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018,
"Distribution-free predictive inference for regression"), one at each side, so that an interval need not be symmetric.
They are taken among rows with similar predictions (Mondrian conformal prediction: Vovk, Gammerman and Shafer 2005,
"Algorithmic Learning in a Random World"), so that the width follows the spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LEVEL = 0.95
LEVELS = (0.5, 0.8, 0.9, LEVEL, 0.99)
"""The levels that a model has intervals of."""
SMALLEST_GROUP, MOST_GROUPS = 200, 20


def fit(truth: Array, prediction: Array) -> dict[str, Any]:
    """Return intervals as plain values for schema.json, from rows that had no part in the fit.

    There is no interval of a level that the rows are too few for: a share of 95 % needs 39 rows.
    """
    groups = min(max(len(truth) // SMALLEST_GROUP, 1), MOST_GROUPS)
    edges = np.unique(np.quantile(prediction, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, prediction, side="right")
    residuals = [np.sort(truth[group == number] - prediction[group == number]) for number in range(len(edges) + 1)]
    residuals = [np.sort(truth - prediction) if len(part) < SMALLEST_GROUP // 2 else part for part in residuals]
    fewest = min(map(len, residuals))
    levels = {}
    for level in LEVELS:
        if fewest >= rows_for(level):
            places = [_place(level, len(part)) for part in residuals]
            levels[f"{level:g}"] = {
                "low": [float(part[-place]) for part, place in zip(residuals, places, strict=True)],
                "high": [float(part[place - 1]) for part, place in zip(residuals, places, strict=True)],
            }
    return {"rows": len(truth), "edges": edges.tolist(), "levels": levels}


def rows_for(level: float) -> int:
    """Return the fewest rows that give an interval of this level."""
    return math.ceil(round(2 / (1 - level), 9)) - 1


def _place(level: float, rows: int) -> int:
    """Return which of the sorted residuals, counted from 1, is the upper end."""
    return math.ceil(round((rows + 1) * (1 + level) / 2, 9))


def ends(schema: Mapping[str, Any], prediction: Array, level: float) -> tuple[Array, Array]:
    """Return the lower and the upper ends [n] for predictions [n] of the model with this schema.json.

    Raises:
        ValueError: the model has no intervals of this level.
    """
    if schema["classes"]:
        raise ValueError("intervals are for predicted numbers; this model predicts classes, with their probabilities")
    fitted = schema.get("intervals")
    if not fitted:
        raise ValueError("this model has no prediction intervals; it was trained before there were any, so train again")
    offsets = fitted["levels"].get(f"{level:g}")
    if offsets is None:
        listed = ", ".join(fitted["levels"]) or f"none, since {fitted['rows']} validation rows are too few"
        raise ValueError(f"this model has no intervals of level {level:g}; it has: {listed}")
    group = np.searchsorted(np.asarray(fitted["edges"], np.float64), prediction, side="right")
    return prediction + np.asarray(offsets["low"])[group], prediction + np.asarray(offsets["high"])[group]
