"""How decisions and probabilities differ between groups of people that the problem names, and by how much beyond chance.

Of two classes: who is selected, how many of the positive rows and of the others, and whether probabilities mean the same. The
largest gap of a number is that of its two extreme groups, with an interval that holds for all pairs of groups at once (the
largest standardised distance of any pair from its value, on the resamples).

Sources: Hardt, Price & Srebro, "Equality of opportunity in supervised learning", 2016 (recall and false-positive rate);
Kleinberg, Mullainathan & Raghavan, "Inherent trade-offs in the fair determination of risk scores", 2017 (calibration by
group, which cannot in general be equal together with both); Tukey's studentised range for all pairs, resampled as in Westfall
& Young, "Resampling-based multiple testing", 1993.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from model_code import metrics
from model_code.tasks import Task
from steps.evaluation.document import MODEL, Estimate, FairnessResult, Gap, GroupResult
from steps.evaluation.intervals import LEVEL
from steps.evaluation.slices import SMALL, Part
from steps.evaluation.statistics import Measure, Sampled
from steps.evaluation.verdict import Key, key_of

Array = np.ndarray[Any, Any]

Quantities = Mapping[str, tuple[Array, Array]]
"""What is averaged, float64[n], by its name, and over which rows, bool[n]."""


def quantities(task: Task, truth: Array, prediction: Array, threshold: float | None) -> Quantities:
    """Return what is compared between groups; nothing where a prediction is not a number."""
    every = np.ones(len(truth), bool)
    if not np.isfinite(prediction).all():
        return {}
    if not task.has_classes:
        error = prediction - truth
        return {"mean_error": (error, every), "mean_absolute_error": (np.abs(error), every)}
    decided = metrics.decided(prediction, threshold)
    if not task.has_positive:
        return {"accuracy": (decided == truth, every)}
    acted = decided == 1
    return {
        "selection_rate": (acted, every),
        "recall": (acted, truth == 1),
        "false_positive_rate": (acted, truth == 0),
        "observed_minus_predicted": ((truth == 1) - prediction[:, 1], every),
    }


def measures(by_column: Mapping[str, Sequence[Part]], compared: Quantities) -> dict[Key, Measure]:
    """Return each quantity on each group, by the keys of measures."""
    return {
        _key(name, part): Measure(metrics.average(values[rows]), rows)
        for parts in by_column.values()
        for part in parts
        for name, (values, among) in compared.items()
        if len(rows := part.rows[among[part.rows]])
    }


def document(
    by_column: Mapping[str, Sequence[Part]], compared: Quantities, sampled: Mapping[Key, Sampled]
) -> dict[str, FairnessResult]:
    """Return the groups of each column with what is compared, and the largest gaps between groups with rows enough."""
    return {column: _result(parts, compared, sampled) for column, parts in by_column.items()}


def _result(parts: Sequence[Part], compared: Quantities, sampled: Mapping[Key, Sampled]) -> FairnessResult:
    estimates, gaps = dict[str, dict[str, Estimate]](), dict[str, Gap | None]()
    for name, (_, among) in compared.items():
        enough = dict[str, Sampled]()
        for part in parts:
            own = sampled.get(_key(name, part))
            estimate = own.estimate() if own else Estimate()
            if own and among[part.rows].sum() >= SMALL and estimate.low is not None:
                enough[part.value] = own
            else:
                estimate = Estimate(value=estimate.value)
            estimates.setdefault(part.value, {})[name] = estimate
        gaps[name] = _gap(enough)
    groups = (
        GroupResult(value=part.value, rows=len(part.rows), measures=estimates.get(part.value, {})) for part in parts
    )
    return FairnessResult(groups=tuple(groups), gaps=gaps)


def _gap(groups: Mapping[str, Sampled]) -> Gap | None:
    """Return the distance of the extreme groups; None for fewer than two."""
    if len(groups) < 2:
        return None
    ordered = sorted(groups, key=lambda name: groups[name].value)
    difference = groups[ordered[-1]].value - groups[ordered[0]].value
    bound = np.nanquantile(np.nanmax([*_distances(groups)], axis=0), LEVEL)
    half = bound * np.nanstd(groups[ordered[-1]].samples - groups[ordered[0]].samples)
    interval = Estimate(value=difference, low=difference - half, high=difference + half)
    return Gap(highest=ordered[-1], lowest=ordered[0], difference=interval)


def _distances(groups: Mapping[str, Sampled]) -> Iterator[Array]:
    """Yield how far each resample of the difference of two groups is from its value, in standard errors."""
    for one, other in combinations(groups.values(), 2):
        drawn = one.samples - other.samples
        error = np.nanstd(drawn)
        yield np.abs(drawn - (one.value - other.value)) / error if error else np.zeros(len(drawn))


def _key(name: str, part: Part) -> Key:
    """Return a key that no metric of a slice has."""
    return key_of(f"fairness: {name}", part, MODEL)
