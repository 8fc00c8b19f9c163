"""From bootstrap samples to the verdict: metrics, slices, comparisons, thresholds and the reasons against a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from model_code.tasks import Metric, Task
from steps.evaluation import power, statistics
from steps.evaluation.document import (
    CONSTANT,
    MODEL,
    Comparison,
    Estimate,
    Outcome,
    SliceResult,
    ThresholdResult,
    published,
)
from steps.evaluation.intervals import LEVEL
from steps.evaluation.slices import Part
from steps.evaluation.statistics import Measure, Sampled
from steps.evaluation.thresholds import Threshold

Array = np.ndarray[Any, Any]

Key = tuple[str, str, str | None]
"""Who predicted, which metric, which slice (None: all rows)."""


def key_of(metric: str, part: Part | None, predictor: str = MODEL) -> Key:
    """Return the key under which a predictor's metric on a part of the rows is measured."""
    return predictor, metric, json.dumps([part.column, part.value]) if part else None


def measures_of(
    metrics: Mapping[str, Metric],
    truth: Array,
    predictions: Mapping[str, Array],
    thresholds: Mapping[str, float],
    parts: Sequence[Part],
) -> dict[Key, Measure]:
    """Return every metric of every predictor on all rows, and of the model on each part.

    Args:
        thresholds: predictor -> the probability from which it counts a row as positive, where that is not one half.
    """
    measures = {
        key_of(name, None, predictor): Measure(metric.bind(truth, prediction, thresholds.get(predictor)))
        for predictor, prediction in predictions.items()
        for name, metric in metrics.items()
    }
    for part in parts:
        own_truth, own_prediction = truth[part.rows], predictions[MODEL][part.rows]
        for name, metric in metrics.items():
            function = metric.bind(own_truth, own_prediction, thresholds.get(MODEL))
            measures[key_of(name, part)] = Measure(function, part.rows)
    return measures


def metrics_of(predictor: str, metrics: Iterable[str], sampled: Mapping[Key, Sampled]) -> dict[str, Estimate]:
    """Return each metric of a predictor on all rows."""
    return {metric: sampled[key_of(metric, None, predictor)].estimate() for metric in metrics}


def slice_of(
    part: Part, names: Iterable[str], sampled: Mapping[Key, Sampled], weak: Mapping[Key, bool], headline: str
) -> SliceResult:
    """Return the model's metrics on a part of the rows.

    Args:
        weak: of the parts that can be judged, whether the headline metric is worse than on all rows.
    """
    metrics = {metric: estimate(sampled[key_of(metric, part)], part) for metric in names}
    return SliceResult(
        value=part.value,
        rows=len(part.rows),
        small=part.small,
        weaker=weak.get(key_of(headline, part)),
        metrics=metrics,
    )


def weaker(task: Task, parts: Iterable[Part], sampled: Mapping[Key, Sampled]) -> dict[Key, bool]:
    """Return which parts are worse than all rows in the headline metric, beyond what chance does to the worst of so many.

    Each part's lag behind all rows is divided by its standard error; it has to exceed what the largest of all lags, drawn around
    their values on the same resamples, exceeds in one of twenty (Westfall & Young, "Resampling-based multiple testing", 1993).
    """
    metric = task.metrics[task.headline]
    whole, sign = sampled[key_of(metric.name, None)], -1 if metric.higher_is_better else 1
    lags, noise = dict[Key, float](), list[Array]()
    for part in parts:
        own = sampled[key_of(metric.name, part)]
        draws = sign * (own.samples - whole.samples)
        error = float(np.nanstd(draws)) if np.isfinite(draws).any() else 0.0
        if part.small or not error or not np.isfinite(own.value):
            continue
        lag = sign * (own.value - whole.value)
        lags[key_of(metric.name, part)] = lag / error
        noise.append(np.nan_to_num((draws - lag) / error))
    if not lags:
        return {}
    bound = np.quantile(np.max(noise, axis=0), LEVEL)
    return {key: bool(lag > bound) for key, lag in lags.items()}


def compare(task: Task, sampled: Mapping[Key, Sampled], name: str, rows: int, margin: float = 0.0) -> Comparison:
    """Return how much the model and another predictor differ in the headline metric, and which one is better.

    Args:
        rows: how many test rows there are.
        margin: by so much or less of the metric, a model is not worse.
    """
    metric = task.metrics[task.headline]
    model_values, other = sampled[key_of(metric.name, None)], sampled[key_of(metric.name, None, name)]
    difference = statistics.compare(model_values, other)
    better = "neither"
    if difference.low is not None and difference.high is not None and (difference.low > 0 or difference.high < 0):
        better = MODEL if (difference.low > 0) == metric.higher_is_better else name
    outcome = _outcome(difference, margin, higher_is_better=metric.higher_is_better)
    to_decide = []
    if outcome == "cannot tell":
        bounds = {0.0, -margin if metric.higher_is_better else margin}
        to_decide = [power.rows_to_decide(difference, bound, rows) for bound in bounds]
    return Comparison(
        metric=metric.name,
        difference=difference,
        better=better,
        outcome=outcome,
        margin=margin,
        rows_to_decide=min(filter(None, to_decide), default=None),
    )


def _outcome(difference: Estimate, margin: float, *, higher_is_better: bool) -> Outcome:
    """Return what the interval of a difference says of the model: the worst and the best that it holds decide."""
    if difference.low is None or difference.high is None:
        return "cannot tell"
    worst, best = (difference.low, difference.high) if higher_is_better else (-difference.high, -difference.low)
    if worst > 0:
        return "better"
    if worst >= -margin:
        return "not worse"
    return "worse" if best < 0 else "cannot tell"


def estimate(sampled: Sampled, part: Part | None) -> Estimate:
    """Return the estimate on a part of the rows (None: on all of them); a small part has no interval."""
    return Estimate(value=sampled.value) if part and part.small else sampled.estimate()


def judge(
    threshold: Threshold, sampled: Sampled | None, part: Part | str | None, rows: int | None = None
) -> ThresholdResult:
    """Return whether a threshold is met; only a finite number can meet it.

    Args:
        sampled: the metric on the rows that the threshold is about; None where it was not measured.
        part: those rows, or in words why there are none; None: all rows.
        rows: how many all rows are, for how many would decide; None where nobody asks.
    """
    score = Estimate() if isinstance(part, str) or sampled is None else estimate(sampled, part)
    end = score.low if threshold.at_least is not None else score.high
    decisive = score.value if threshold.on == "value" else end
    met = decisive is not None and threshold.met(decisive)
    judged = len(part.rows) if isinstance(part, Part) else rows
    to_decide = None
    if rows is not None and judged is not None and threshold.on == "interval":
        to_decide = power.rows_to_decide(score, threshold.bound, judged)
    return ThresholdResult(
        **threshold.model_dump(),
        **score.model_dump(),
        wanted=threshold.requirement,
        met=met,
        reason=None if met else part if isinstance(part, str) else _shortfall(threshold, score, part, to_decide),
        rows=None if rows is None or isinstance(part, str) else judged,
        rows_to_decide=to_decide,
    )


def _shortfall(threshold: Threshold, score: Estimate, part: Part | None, to_decide: int | None) -> str:
    if score.value is None:
        causes = "one class only, a constant target, or predictions that are not numbers"
        return f"{threshold.metric} is not defined on these rows ({causes})"
    value = f"the value is {score.value:.4g}"
    if threshold.on == "value":
        return value
    if score.low is None or score.high is None:
        rows = f"{len(part.rows)} rows" if part else "these rows"
        return f"{value}, but {rows} are too few for an interval"
    text = f"{value} with a 95 % interval from {score.low:.4g} to {score.high:.4g}"
    return f"{text}; about {to_decide:,} test rows would decide, if the value stays" if to_decide else text


def reasons_against(
    must_beat: Sequence[str],
    prediction: Array,
    thresholds: Sequence[ThresholdResult],
    comparisons: Mapping[str, Comparison],
    absent: Mapping[str, str],
) -> list[str]:
    """Return why the model is not good enough; empty when it is.

    Args:
        absent: rival -> why it is not in ``comparisons``.
    """
    reasons = [f"{threshold.wanted}: not met, {threshold.reason}" for threshold in thresholds if not threshold.met]
    if not thresholds:
        reasons.append("no threshold is defined, so there is nothing that the model could pass")
    broken = int((~np.isfinite(prediction.reshape(len(prediction), -1)).all(axis=1)).sum())
    if broken:
        reasons.append(f"{broken} of {len(prediction)} predictions for the test rows are not finite numbers")
    for rival in must_beat:
        name = published(rival)
        if name not in comparisons:
            reasons.append(
                f"must_beat {rival}: {absent[name]}; it was compared with: {', '.join(comparisons) or 'none'}"
            )
        elif comparisons[name].better != MODEL:
            metric, difference = comparisons[name].metric, comparisons[name].difference
            size = (
                "too few rows for an interval of the difference"
                if difference.low is None
                else f"differs by {difference.low:+.4g} to {difference.high:+.4g} (95 % interval)"
            )
            if rival == CONSTANT:
                reasons.append(
                    f"it is not clearly better than a constant prediction: {metric}: {size}; if that is right for this "
                    "problem, give the reason under evaluate.need_not_beat_constant"
                )
            else:
                reasons.append(f"must_beat {rival}: not clearly better; {metric}: {size}")
    return reasons
