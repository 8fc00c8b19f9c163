"""How probabilities and residuals behave on the test rows, summarised so that no row's value is shown.

Sources: Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015 (expected
calibration error); Nguyen & O'Connor, "Posterior calibration and exploratory analysis for natural language processing
models", 2015 (bins of equal mass).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from model_code import metrics
from model_code.tasks import Task
from steps.evaluation.document import Bin, Calibration, Histogram, Plane, Residuals, rounded

Array = np.ndarray[Any, Any]

_BINS = 10
_MOST_CLASSES = 30
_HISTOGRAM_BINS = 30
_GRID = 20
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TAIL = 0.005  # of the rows on either side; they are counted in the outermost bins


def shapes(task: Task, truth: Array, prediction: Array, threshold: float | None = None) -> dict[str, Any]:
    """Return how probabilities or residuals are distributed; nothing where a prediction is not a number.

    Args:
        threshold: the probability from which a row of two classes counts as positive; one half when None.
    """
    functions: dict[str, Callable[[Array, Array], Any]] = {
        "calibration": reliability,
        "confusion": partial(confusion, threshold=threshold),
        "residuals": residuals,
    }
    names = task.shapes if np.isfinite(prediction).all() else ()
    return {name: functions[name](truth, prediction) for name in names}


def reliability(truth: Array, prediction: Array) -> Calibration:
    """Bins of equal mass: mean predicted probability beside the observed share, and their mean absolute distance.

    Of class 1 where there are two classes; of the most probable class (how often it is right) where there are more.
    """
    if prediction.shape[1] == 2:
        chance, happened = prediction[:, 1], truth == 1
    else:
        chance, happened = prediction.max(axis=1), prediction.argmax(axis=1) == truth
    edges = np.unique(np.quantile(chance, np.arange(1, _BINS) / _BINS))
    bins = np.unique(np.searchsorted(edges, chance, side="left"), return_inverse=True)[1]
    rows = np.bincount(bins)
    mean, observed = np.bincount(bins, chance) / rows, np.bincount(bins, happened) / rows
    error = float(np.sum(rows * np.abs(mean - observed)) / len(truth))
    listed = tuple(
        Bin(
            low=rounded(chance[bins == index].min()),
            high=rounded(chance[bins == index].max()),
            mean_predicted=rounded(mean[index]),
            observed=rounded(observed[index]),
            rows=rows[index],
        )
        for index in range(len(rows))
    )
    return Calibration(bins=listed, expected_calibration_error=rounded(error))


def confusion(truth: Array, prediction: Array, threshold: float | None = None) -> list[list[int]] | None:
    """Counts [true class][class that is decided for]; None where there are too many classes to look at."""
    classes = prediction.shape[1]
    if classes > _MOST_CLASSES:
        return None
    pairs = np.bincount(truth * classes + metrics.decided(prediction, threshold), minlength=classes * classes)
    counts: list[list[int]] = pairs.reshape(classes, classes).tolist()
    return counts


def residuals(truth: Array, prediction: Array) -> Residuals:
    """Quantiles and histogram of truth - prediction, counts of the plane (prediction, truth); in the target's unit."""
    residual = truth - prediction
    edges = edges_of(residual, _HISTOGRAM_BINS)
    across, up = edges_of(prediction, _GRID), edges_of(truth, _GRID)
    plane, _, _ = np.histogram2d(inside(prediction, across), inside(truth, up), bins=(across, up))
    quantiles = np.quantile(residual, _QUANTILES)
    return Residuals(
        quantiles={f"{share:g}": rounded(value) for share, value in zip(_QUANTILES, quantiles, strict=True)},
        histogram=Histogram(edges=_rounded(edges), counts=np.histogram(inside(residual, edges), edges)[0].tolist()),
        predicted_vs_actual=Plane(
            edges_predicted=_rounded(across), edges_actual=_rounded(up), counts=plane.astype(int).tolist()
        ),
    )


def edges_of(values: Array, bins: int) -> Array:
    """Return [bins + 1] equal steps over all but the tails."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    if not high > low or (high - low) / bins < np.spacing(max(abs(low), abs(high))) * 4:
        width = max(0.5, abs(low) * 1e-6)
        low, high = low - width, high + width
    return np.linspace(low, high, bins + 1)


def inside(values: Array, edges: Array) -> Array:
    """Return the values, those of the tails at the nearest edge."""
    clipped: Array = values.clip(edges[0], edges[-1])
    return clipped


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(rounded(value) for value in values)
