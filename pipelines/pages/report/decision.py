"""The first half of the report: who scores what, the weakest segments, the numbers that are read at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.pages.report.markup import Scale
from steps.evaluation import sentences
from steps.evaluation.document import CHAMPION, MODEL, Estimate, Evaluation, SliceResult
from steps.evaluation.sentences import metric_name, predictor_in_sentence
from steps.evaluation.wording import count, decimals_for, interval, isolate, number, signed

WORST = 10
_GLANCED_RIVALS = ("constant", "hist_gradient_boosting", CHAMPION)
_OUTCOMES = {
    MODEL: "better than",
    "neither": "no clear difference from",
    "undefined": "cannot be compared with",
    "no interval": "without an interval, compared with",
}


def scores(evaluation: Evaluation, metric: str) -> dict[str, Estimate]:
    """Return what everyone who predicted the test rows scores; the model first, then champion and yardsticks."""
    metrics = {MODEL: evaluation.metrics, **evaluation.rivals()}
    return {name: metrics[name].get(metric, Estimate()) for name in sentences.in_order(metrics)}


def best(evaluation: Evaluation, metric: str) -> float | None:
    """Return the best value of a metric; None where all are equal."""
    values = {estimate.value for estimate in scores(evaluation, metric).values() if estimate.value is not None}
    return (max if evaluation.higher_is_better(metric) else min)(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Segments:
    """Segments by the headline metric, the weakest first; small ones apart, since chance puts them at both ends."""

    worst: Sequence[tuple[str, SliceResult]]
    small: Sequence[tuple[str, SliceResult]]
    hidden: int
    scale: Scale


def segments(evaluation: Evaluation) -> Segments | None:
    """Return where the model is weakest; None where no segment was defined."""
    name = evaluation.headline
    judged = sentences.weakest(evaluation)
    scale = Scale([evaluation.metrics[name], *(estimate for _, _, estimate in judged)])
    large = [(column, part) for column, part, _ in judged]
    every = [(column, part) for column, parts in evaluation.slices.items() for part in parts]
    small = [(column, part) for column, part in every if part.small or part.metrics[name].value is None]
    hidden = max(0, len(large) - WORST) + max(0, len(small) - WORST)
    return Segments(large[:WORST], small[:WORST], hidden, scale) if every else None


def glance(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Yield what a hurried reader takes away: headline metric, comparisons, weakest segment, as (label, number, note)."""
    estimate = evaluation.metrics[evaluation.headline]
    ends = interval(estimate) or "not defined"
    yield metric_name(evaluation.headline), number(estimate.value, decimals_for(estimate)), f"95 % interval {ends}"
    for name in _GLANCED_RIVALS:
        if comparison := evaluation.comparisons.get(name):
            difference, places = comparison.difference, decimals_for(comparison.difference)
            ends = interval(difference, places, sign=True) or "not defined"
            says = _OUTCOMES.get(sentences.outcome(comparison), "worse than")
            note = f"{metric_name(comparison.metric)}, 95 % interval {ends}"
            yield f"{says} {predictor_in_sentence(name)}", signed(difference.value, places), note
    for column, part, worst in sentences.weakest(evaluation)[:1]:
        places = decimals_for(estimate, most=3)
        label = f"weakest segment: {isolate(column)} = {isolate(part.value)}"
        yield label, number(worst.value, places), count(part.rows, "row")
