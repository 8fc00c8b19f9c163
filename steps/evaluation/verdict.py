"""From bootstrap samples to sentences: metrics, comparisons, the thresholds table and the reasons against a model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steps.evaluation import statistics
from steps.evaluation.answers import MODEL, published
from steps.evaluation.slices import Part
from steps.evaluation.statistics import Estimate, Measure, Sampled
from steps.evaluation.thresholds import Threshold

if TYPE_CHECKING:
    import numpy as np

    from model_code.tasks import Task

    Array = np.ndarray[Any, Any]

Key = tuple[str, str, str | None]
"""Who predicted, which metric, which slice (None: all rows)."""


def measures_of(
    task: Task,
    truth: Array,
    predictions: Mapping[str, Array],
    parts: Mapping[str, Sequence[Part]],
    asked: Mapping[str, Part | str],
) -> dict[Key, Measure]:
    measures: dict[Key, Measure] = {
        (name, metric.name, None): Measure(metric.bind(truth, answer))
        for name, answer in predictions.items()
        for metric in task.metrics.values()
    }
    every = [part for found in parts.values() for part in found] + [
        part for part in asked.values() if isinstance(part, Part)
    ]
    for part in every:
        own_truth, own_answer = truth[part.rows], predictions[MODEL][part.rows]
        for metric in task.metrics.values():
            measures[MODEL, metric.name, _slice_key(part)] = Measure(metric.bind(own_truth, own_answer), part.rows)
    return measures


def _slice_key(part: Part) -> str:
    return json.dumps([part.column, part.value])


def metrics_of(name: str, task: Task, sampled: Mapping[Key, Sampled]) -> dict[str, Any]:
    return {metric: sampled[name, metric, None].estimate().document() for metric in task.metrics}


def slice_of(part: Part, task: Task, sampled: Mapping[Key, Sampled]) -> dict[str, Any]:
    metrics = {metric: _find(sampled, metric, part).document() for metric in task.metrics}
    return {"value": part.value, "rows": len(part.rows), "small": part.small, "metrics": metrics}


def compare(task: Task, sampled: Mapping[Key, Sampled], name: str) -> dict[str, Any]:
    difference = statistics.compare(sampled[MODEL, task.headline, None], sampled[name, task.headline, None])
    sign = 1 if task.metrics[task.headline].higher_is_better else -1
    ends = sorted((sign * difference.low, sign * difference.high))
    better = MODEL if ends[0] > 0 else name if ends[1] < 0 else "neither"
    return {"metric": task.headline, "difference": difference.document(), "better": better}


def judge(threshold: Threshold, sampled: Mapping[Key, Sampled], asked: Mapping[str, Part | str]) -> dict[str, Any]:
    """One line of the thresholds table; only a finite number can keep a promise."""
    part = asked[threshold.slice] if threshold.slice else None
    if isinstance(part, str):
        estimate, met, why = Estimate(math.nan, math.nan, math.nan), False, part
    else:
        estimate = _find(sampled, threshold.metric, part)
        end = estimate.low if threshold.at_least is not None else estimate.high
        decisive = estimate.value if threshold.on == "value" else end
        met = math.isfinite(decisive) and threshold.met(estimate.value, estimate.low, estimate.high)
        why = _why(threshold, estimate, part)
    return {
        "metric": threshold.metric,
        "wanted": threshold.wanted,
        "slice": threshold.slice,
        "on": threshold.on,
        **estimate.document(),
        "met": met,
        "reason": None if met else why,
    }


def _find(sampled: Mapping[Key, Sampled], metric: str, part: Part | None) -> Estimate:
    """The model's estimate on all rows or on a part; a small part has no interval."""
    if part is None:
        return sampled[MODEL, metric, None].estimate()
    found = sampled[MODEL, metric, _slice_key(part)]
    return Estimate(found.value, math.nan, math.nan) if part.small else found.estimate()


def _why(threshold: Threshold, estimate: Estimate, part: Part | None) -> str:
    if not math.isfinite(estimate.value):
        causes = "one class only, a constant target, or answers that are not numbers"
        return f"{threshold.metric} is not defined on these rows ({causes})"
    if threshold.on == "value":
        return f"the value is {estimate.value:.4g}"
    if not math.isfinite(estimate.low):
        rows = f"{len(part.rows)} rows are" if part else "the test rows are"
        return f"the value is {estimate.value:.4g}, but {rows} too few for an interval"
    return f"the value is {estimate.value:.4g} with a 95 % interval from {estimate.low:.4g} to {estimate.high:.4g}"


def reasons_against(
    must_beat: Sequence[str],
    answer: Array,
    thresholds: Sequence[Mapping[str, Any]],
    comparisons: Mapping[str, Any],
    absent: Mapping[str, str],
) -> list[str]:
    """Why the model is not good enough; empty when it is.

    Args:
        absent: rival -> why it is not in ``comparisons``.
    """
    import numpy as np

    reasons = [f"{line['wanted']}: not met, {line['reason']}" for line in thresholds if not line["met"]]
    if not thresholds:
        reasons.append("no threshold was declared, so there is nothing that the model could pass")
    broken = int((~np.isfinite(answer.reshape(len(answer), -1)).all(axis=1)).sum())
    if broken:
        reasons.append(f"{broken} of {len(answer)} test rows got an answer that is not a finite number")
    for asked in must_beat:
        name = published(asked)
        if name not in comparisons:
            reasons.append(f"must_beat {asked}: {absent[name]}; there are: {', '.join(comparisons) or 'none'}")
        elif comparisons[name]["better"] != MODEL:
            found = comparisons[name]["difference"]
            ends = f"{found['low']:+.4g} to {found['high']:+.4g}" if found["low"] is not None else "undefined"
            metric = comparisons[name]["metric"]
            reasons.append(f"must_beat {asked}: not clearly better; {metric} differs by {ends} (95 % interval)")
    return reasons
