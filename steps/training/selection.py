"""Scores of candidates on validation folds, with bootstrap intervals, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import polars as pl

from model_code.metrics import Kind, Poolable, kind_of
from model_code.tasks import Metric
from steps.evaluation import decisions, slices, statistics
from steps.evaluation.statistics import Measure, Resampling, Sampled
from steps.evaluation.thresholds import Goal
from steps.evaluation.verdict import judge

Array = np.ndarray[Any, Any]

RESAMPLES = 400


@dataclass(frozen=True)
class Validated:
    """The rows of all folds together: their truth, the fold of each, and how they are resampled."""

    truth: Array
    folds: Array
    """int64[n]: the number of the fold in which the row was validated."""
    resampling: Resampling

    def measure(
        self, metric: Metric, prediction: Array, rows: Array | None = None, threshold: float | None = None
    ) -> Callable[[Array], Any]:
        """Return the metric as a function of row weights; a ranking metric is the mean of the folds, weighted by rows.

        The models of two folds need not agree on what a high prediction is: by time, where the share of positives differs
        between the folds, pooled rows make a good ranking of each fold look bad.
        """
        truth, folds = self.truth, self.folds
        if rows is not None:
            truth, folds, prediction = truth[rows], folds[rows], prediction[rows]
        parts = [np.flatnonzero(folds == number) for number in np.unique(folds)]
        if not metric.ranks or len(parts) < 2 or not np.isfinite(prediction).all():
            return metric.bind(truth, prediction, threshold)  # which is undefined where a prediction is not finite
        return _MeanOfParts(parts, cast(list[Poolable], [metric.bind(truth[part], prediction[part]) for part in parts]))


@dataclass(frozen=True)
class _MeanOfParts:
    """The mean of a metric of parts of the rows, weighted by their rows."""

    parts: list[Array]
    functions: list[Poolable]

    @property
    def kind(self) -> Kind:
        """What the metric of each part is."""
        kinds = [kind_of(function) for function in self.functions]
        return replace(kinds[0], cases=min(kind.cases or 0 for kind in kinds) * len(kinds))

    def __call__(self, weights: Array) -> Any:
        local = [weights.take(part, axis=-1) for part in self.parts]
        values = [function(share) for share, function in zip(local, self.functions, strict=True)]
        return _mean(np.stack(values), np.stack([share.sum(axis=-1) for share in local]))

    def pool(self, clusters: Array, count: int) -> Callable[[Array], Any]:
        functions = [
            function.pool(clusters[part], count) for part, function in zip(self.parts, self.functions, strict=True)
        ]
        rows = [np.bincount(clusters[part], minlength=count).astype(np.float64) for part in self.parts]

        def evaluate(weights: Array) -> Any:
            values = np.stack([function(weights) for function in functions])
            return _mean(values, np.stack([weights @ counts for counts in rows]))

        return evaluate


def _mean(values: Array, rows: Array) -> Any:
    """[parts, ...] -> [...]: the mean over the parts where the value is defined, weighted by rows."""
    masses = rows * np.isfinite(values)
    total = masses.sum(axis=0)
    mean = np.where(total > 0, np.nansum(values * masses, axis=0) / np.maximum(total, 1), np.nan)
    return mean if mean.ndim else float(mean)


def score(
    metric: Metric,
    validated: Validated,
    prediction: Array,
    rows: Array | None = None,
    threshold: float | None = None,
) -> Sampled:
    """Return the metric on the validated rows; the same resamples for every candidate pair differences.

    Args:
        rows: positions of those on which it is measured; all when None.
        threshold: the probability from which a row of two classes counts as positive; one half when None.
    """
    measure = Measure(validated.measure(metric, prediction, rows, threshold), rows)
    return statistics.bootstrap({metric.name: measure}, validated.resampling)[metric.name]


def unmet(
    goal: Goal,
    validated: Validated,
    prediction: Array,
    frame: pl.DataFrame,
    reference: pl.DataFrame | None = None,
    scored: Mapping[str, Sampled] | None = None,
) -> list[str]:
    """Return the thresholds that predictions of validation rows do not meet, in words; empty when all are met.

    Decisions are those by the probability that would be chosen for these predictions.

    Args:
        frame: the validated rows, for thresholds on a slice.
        reference: all rows of the training part, which say where the evaluation cuts numbers into quarters; the
            validated ones when None.
        scored: the metrics of all validated rows that are known already.
    """
    reasons, metrics = [], goal.metrics()
    acting = decisions.choose(goal, validated.truth, prediction)
    cut = acting.threshold if acting else None
    for threshold in goal.success:
        part = slices.of_threshold(threshold.slice, frame, frame if reference is None else reference, "validation")
        sampled = None
        if not isinstance(part, str):
            rows = part.rows if part else None
            sampled = scored.get(threshold.metric) if scored and rows is None and cut is None else None
            sampled = sampled or score(metrics[threshold.metric], validated, prediction, rows, cut)
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
