"""Scores of candidates on validation folds, with bootstrap intervals, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from model_code.tasks import Metric, Task
from steps.evaluation import slices, statistics
from steps.evaluation.statistics import Measure, Resampling, Sampled
from steps.evaluation.thresholds import Threshold
from steps.evaluation.verdict import judge

Array = np.ndarray[Any, Any]

RESAMPLES = 400


def score(metric: Metric, truth: Array, prediction: Array, resamples: Resampling, rows: Array | None = None) -> Sampled:
    """Return the metric on the rows of all folds together; the same resamples for every candidate pair differences.

    Args:
        rows: positions of those on which it is measured; all when None.
    """
    if rows is not None:
        truth, prediction = truth[rows], prediction[rows]
    return statistics.bootstrap({metric.name: Measure(metric.bind(truth, prediction), rows)}, resamples)[metric.name]


def unmet(
    success: Sequence[Threshold],
    task: Task,
    truth: Array,
    prediction: Array,
    frame: pl.DataFrame,
    resamples: Resampling,
    reference: pl.DataFrame | None = None,
) -> list[str]:
    """Return the thresholds that predictions of validation rows do not meet, in words; empty when all are met.

    Args:
        frame: the validated rows, for thresholds on a slice.
        reference: all rows of the training part, which say where the evaluation cuts numbers into quarters; the
            validated ones when None.
    """
    reasons = []
    for threshold in success:
        part = slices.of_threshold(threshold.slice, frame, frame if reference is None else reference, "validation")
        sampled = None
        if not isinstance(part, str):
            sampled = score(task.metrics[threshold.metric], truth, prediction, resamples, part.rows if part else None)
        result = judge(threshold, sampled, part)
        if not result.met:
            reasons.append(f"{result.wanted}: not met on the validation folds, {result.reason}")
    return reasons


def better_by(metric: Metric, challenger: Sampled, holder: Sampled) -> tuple[float, float]:
    """Return by how much the challenger is better, and the standard error of that difference (paired resamples)."""
    sign = 1 if metric.higher_is_better else -1
    differences = sign * (challenger.samples - holder.samples)
    usable = differences[np.isfinite(differences)]
    error = float(usable.std()) if len(usable) else float("nan")
    return sign * (challenger.value - holder.value), error
