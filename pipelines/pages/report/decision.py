"""The first half of the report: who scores what, the weakest segments, the numbers that are read at a glance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.pages.report.markup import Scale
from steps.evaluation import remarks, sentences
from steps.evaluation.document import CHAMPION, MODEL, Estimate, Evaluation, SliceResult
from steps.evaluation.sentences import decimals_for, interval, metric_name, predictor_in_sentence
from steps.wording import count, isolate, number, percent, signed

WORST, FOLDED = 10, 60
"""Segments that are seen at once, and that unfold."""
_GLANCED_RIVALS = ("constant", "trees", "hist_gradient_boosting", CHAMPION)
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
    """Segments by the headline metric; small ones apart, since chance puts them at both ends."""

    worst: Sequence[tuple[str, SliceResult]]
    further: Sequence[tuple[str, SliceResult]]
    small: Sequence[tuple[str, SliceResult]]
    hidden: int
    """How many are not shown at all."""
    clear: int
    """How many are weaker beyond chance; they come first."""
    scale: Scale


def segments(evaluation: Evaluation) -> Segments | None:
    """Return where the model is weakest; None where no segment was defined."""
    name = evaluation.headline
    judged = sentences.weakest(evaluation)
    estimates = [estimate for _, _, estimate in judged]
    scale = Scale([evaluation.metrics[name], *estimates], within=evaluation.ends(name))
    clear = sum(sentences.is_clearly_weaker(evaluation, part) for _, part, _ in judged[:WORST])
    large = [(column, part) for column, part, _ in judged]
    every = [(column, part) for column, parts in evaluation.slices.items() for part in parts]
    small = [(column, part) for column, part in every if part.small or part.metrics[name].value is None]
    if not every:
        return None
    further, small = large[WORST:FOLDED], small[:FOLDED]
    hidden = len(every) - len(large[:FOLDED]) - len(small)
    return Segments(large[:WORST], further, small, hidden, clear, scale)


def comparison_scale(estimates: Mapping[str, Estimate], ends: tuple[float | None, float | None]) -> Scale:
    """Return a scale for the model and its rivals; a constant prediction is far off and would squeeze the others."""
    drawn = [estimate for name, estimate in estimates.items() if name != "constant"]
    return Scale(drawn, within=ends)


def sliced_features(evaluation: Evaluation, features: Collection[str]) -> list[str]:
    """Return the columns of the segments that the model uses."""
    return [column for column in evaluation.slices if column in features]


def glance(evaluation: Evaluation, features: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield what a hurried reader takes away: headline metric, comparisons, weakest segment, as (label, number, note).

    A segment is named only where it is weaker beyond chance.
    """
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
    declared = [
        entry for entry in sentences.weakest(evaluation)[:1] if sentences.is_clearly_weaker(evaluation, entry[1])
    ]
    for column, part, worst in declared:
        label = f"weakest segment: {isolate(column)} = {isolate(part.value)}"
        feature = f"; {isolate(column)} is a feature of the model" if column in features else ""
        value, note = _segment(evaluation, part.rows, worst, decimals_for(estimate, most=3))
        yield label, value, note + feature
    if evaluation.search and not declared:
        for segment in evaluation.search.weak[:1]:
            value, note = _segment(evaluation, segment.rows, segment.estimate, decimals_for(segment.estimate))
            label = f"weak segment: {remarks.segment_name(segment)}"
            yield label, value, f"{metric_name(evaluation.search.metric)}, {note}"


def _segment(evaluation: Evaluation, rows: int, estimate: Estimate, places: int) -> tuple[str, str]:
    """Return a segment's metric, and its size with the interval."""
    size = f"{count(rows, 'row')} ({percent(rows, evaluation.rows)})"
    return number(estimate.value, places), f"{size}, 95 % interval {interval(estimate, places)}"
