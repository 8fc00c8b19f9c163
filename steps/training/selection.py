"""Scores of candidates on validation folds, with bootstrap intervals, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.evaluation import slices, statistics
from steps.evaluation.slices import Part
from steps.evaluation.statistics import Measure, Resampling
from steps.evaluation.thresholds import Threshold
from steps.splitting.folds import By
from steps.splitting.rowhash import hash_frame
from steps.tables.schema import LABEL_SOURCE, ROW

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.tasks import Metric, Task

    Array = np.ndarray[Any, Any]

RESAMPLES = 400
_NAMED = 5  # columns that make rows equal, in words


@dataclass(frozen=True)
class Score:
    """A metric on the rows of all validation folds together, each predicted by a model that was not trained on it."""

    value: float
    low: float
    high: float
    draws: Array
    """The metric on each bootstrap resample; the same resamples for every candidate, so differences are paired."""


def resampling(
    frame: pl.DataFrame, by: By, column: str | None, seed: int, unit: Sequence[str] | None = None
) -> Resampling:
    """How the validated rows are drawn anew: groups, blocks of time and equal rows as a whole, as none is independent.

    Args:
        frame: the rows of all validation folds.
        unit: by row, the columns that make rows equal; all columns when None.
    """
    if by == "row":
        columns = [name for name in frame.columns if name not in (ROW, LABEL_SOURCE)] if unit is None else list(unit)
        what = "values" if unit is None or len(columns) > _NAMED else ", ".join(columns)
        return statistics.by_unit(hash_frame(frame, columns), what, RESAMPLES, seed)
    draw = statistics.by_group if by == "group" else statistics.by_time
    return draw(frame[str(column)], RESAMPLES, seed)


def score(metric: Metric, truth: Array, prediction: Array, drawn: Resampling, rows: Array | None = None) -> Score:
    """The metric with its 95 % percentile interval; nan where it is undefined or nothing can be drawn.

    Args:
        rows: positions of those on which it is measured; all when None.
    """
    if rows is not None:
        truth, prediction = truth[rows], prediction[rows]
    sampled = statistics.bootstrap({metric.name: Measure(metric.bind(truth, prediction), rows)}, drawn)[metric.name]
    estimate = sampled.estimate()
    return Score(sampled.value, estimate.low, estimate.high, sampled.samples)


def unmet(
    success: Sequence[Threshold],
    task: Task,
    truth: Array,
    prediction: Array,
    frame: pl.DataFrame,
    drawn: Resampling,
    reference: pl.DataFrame | None = None,
) -> list[str]:
    """The thresholds that predictions of validation rows do not reach, in words; empty when all are reached.

    Args:
        frame: the validated rows, for thresholds on a slice.
        reference: all rows of the training part, which say where the evaluation cuts numbers into quarters; the
            validated ones when None.
    """
    import math

    reasons = []
    for threshold in success:
        part = _slice(threshold, frame, frame if reference is None else reference)
        metric = task.metrics.get(threshold.metric)
        if metric is None or isinstance(part, str):
            why = f"; {part}" if isinstance(part, str) else ""
            reasons.append(f"{threshold.wanted}: can not be measured on the validation folds{why}")
            continue
        found = score(metric, truth, prediction, drawn, part.rows if part else None)
        low, high = (math.nan, math.nan) if part and part.small else (found.low, found.high)
        if not math.isfinite(found.value) or not threshold.met(found.value, low, high):
            interval = f"[{low:.4g}, {high:.4g}] on the validation folds"
            if part and part.small:
                interval = f"on the validation folds, where {len(part.rows)} rows are too few for an interval"
            reasons.append(f"{threshold.wanted}: found {found.value:.4g} {interval}")
    return reasons


def _slice(threshold: Threshold, frame: pl.DataFrame, reference: pl.DataFrame) -> Part | str | None:
    """The rows that a threshold speaks of, read as the evaluation reads them, or why there are none; None: all."""
    if threshold.slice is None:
        return None
    asked = {column for column, _ in slices.readings(threshold.slice) if column in frame.columns}
    known = {column: slices.parts(frame[column], reference[column]) for column in asked}
    return slices.select(frame, known, threshold.slice, "validation")


def better_by(metric: Metric, challenger: Score, holder: Score) -> tuple[float, float]:
    """By how much the challenger is better, and the standard error of that difference (paired resamples)."""
    import numpy as np

    sign = 1 if metric.higher_is_better else -1
    differences = sign * (challenger.draws - holder.draws)
    usable = differences[np.isfinite(differences)]
    error = float(usable.std()) if len(usable) else float("nan")
    return sign * (challenger.value - holder.value), error
