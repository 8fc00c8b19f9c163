"""Scores of candidates on validation folds, with bootstrap intervals, and the choice between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.thresholds import Threshold

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.tasks import Metric, Task

    Array = np.ndarray[Any, Any]

RESAMPLES = 400
_BATCH_CELLS = 4_000_000
"""Weights held at a time: rows times resamples."""


@dataclass(frozen=True)
class Score:
    """A metric on the rows of all validation folds together, each predicted by a model that was not trained on it."""

    value: float
    low: float
    high: float
    draws: Array
    """The metric on each bootstrap resample; the same resamples for every candidate, so differences are paired."""


def score(metric: Metric, truth: Array, prediction: Array, seed: int) -> Score:
    """The metric with its 95 % percentile interval; nan where it is undefined on these rows."""
    import numpy as np

    evaluate = metric.bind(truth, prediction)
    rows = len(truth)
    generator = np.random.default_rng(seed)
    batch = max(_BATCH_CELLS // max(rows, 1), 1)
    draws = []
    for start in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - start)
        picked = generator.integers(0, rows, size=(size, rows))
        weights = np.stack([np.bincount(row, minlength=rows) for row in picked]).astype(np.float64)
        draws.append(np.atleast_1d(evaluate(weights)))
    found = np.concatenate(draws)
    usable = found[np.isfinite(found)]
    low, high = np.quantile(usable, [0.025, 0.975]) if len(usable) else (np.nan, np.nan)
    return Score(float(evaluate(np.ones(rows))), float(low), float(high), found)


def unmet(
    success: Sequence[Threshold], task: Task, truth: Array, prediction: Array, frame: pl.DataFrame, seed: int
) -> list[str]:
    """The thresholds that predictions of validation rows do not reach, in words; empty when all are reached.

    Args:
        frame: the validated rows, for thresholds on a slice.
    """
    import math

    import numpy as np
    import polars as pl

    reasons = []
    for threshold in success:
        where = np.ones(len(truth), dtype=bool)
        if threshold.slice:
            column, _, value = threshold.slice.partition("=")
            if column in frame.columns:
                where = (frame[column].cast(pl.String) == value).fill_null(False).to_numpy()
        metric = task.metrics.get(threshold.metric)
        if metric is None or not where.any():
            reasons.append(f"{threshold.wanted}: can not be measured on the validation folds")
            continue
        found = score(metric, truth[where], prediction[where], seed)
        if not math.isfinite(found.value) or not threshold.met(found.value, found.low, found.high):
            reasons.append(
                f"{threshold.wanted}: found {found.value:.4g} "
                f"[{found.low:.4g}, {found.high:.4g}] on the validation folds"
            )
    return reasons


def better_by(metric: Metric, challenger: Score, holder: Score) -> tuple[float, float]:
    """By how much the challenger is better, and the standard error of that difference (paired resamples)."""
    import numpy as np

    sign = 1 if metric.higher_is_better else -1
    differences = sign * (challenger.draws - holder.draws)
    usable = differences[np.isfinite(differences)]
    error = float(usable.std()) if len(usable) else float("nan")
    return sign * (challenger.value - holder.value), error
