"""The first half of the report as plain rows: promises, the model beside others, segments; templates lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.pages.report.markup import Scale
from steps.evaluation import sentences
from steps.evaluation.document import Estimate, Evaluation, SliceResult, ThresholdResult
from steps.evaluation.sentences import metric_meaning, metric_name, predictor_name
from steps.evaluation.wording import count, decimals_for, interval, isolate, number, percent, signed

WORST = 10


@dataclass(frozen=True)
class Bar:
    """An estimate with its interval as positions on a line, in per cent of its width."""

    dot: str | None
    reach: tuple[str, str] | None
    """Start and width of the interval."""
    mark: str | None
    """A promise, or another value to compare with."""


@dataclass(frozen=True)
class EstimateRow:
    """An estimate in words and as a bar."""

    name: str
    value: str
    interval: str
    bar: Bar


@dataclass(frozen=True)
class Promise:
    """A threshold and the model's result."""

    metric: str
    meaning: str
    slice: str | None
    required: str
    judged_on: str
    reason: str | None
    """Why it was not kept."""
    result: EstimateRow
    met: bool


def promises(evaluation: Evaluation) -> list[Promise]:
    """Return every promise with its result."""
    return [_promise(threshold) for threshold in evaluation.thresholds]


def _promise(threshold: ThresholdResult) -> Promise:
    bound = sentences.bound(threshold)
    return Promise(
        metric=metric_name(threshold.metric),
        meaning=metric_meaning(threshold.metric),
        slice=threshold.slice,
        required=sentences.requirement(threshold),
        judged_on=sentences.judged_on(threshold),
        reason=threshold.reason,
        result=estimate_row("", threshold, Scale([threshold], bound), decimals_for(threshold), bound),
        met=threshold.met,
    )


def estimate_row(name: str, estimate: Estimate, scale: Scale, places: int, mark: float | None = None) -> EstimateRow:
    """Return an estimate with its bar on a scale."""
    bar = Bar(scale.at(estimate.value), scale.reach(estimate), scale.at(mark))
    return EstimateRow(name, number(estimate.value, places), interval(estimate, places), bar)


def predictors(evaluation: Evaluation) -> dict[str, dict[str, Estimate]]:
    """Return the metrics of everyone who predicted the test rows; the model first, then champion and yardsticks."""
    metrics = {"model": evaluation.metrics, **evaluation.rivals()}
    return {name: metrics[name] for name in sentences.in_order(metrics)}


@dataclass(frozen=True)
class Headline:
    """The headline metric for everyone, on one scale."""

    metric: str
    meaning: str
    direction: str
    rows: Sequence[EstimateRow]
    ends: tuple[str, str]


def headline(evaluation: Evaluation) -> Headline:
    """Return how everyone scores in the headline metric."""
    name = evaluation.headline
    estimates = {who: metrics[name] for who, metrics in predictors(evaluation).items() if name in metrics}
    places = decimals_for(*estimates.values())
    scale = Scale(estimates.values())
    model = evaluation.metrics[name].value
    return Headline(
        metric=metric_name(name),
        meaning=metric_meaning(name),
        direction=f"further {'right' if evaluation.higher_is_better(name) else 'left'} is better",
        rows=[
            estimate_row(predictor_name(who), estimate, scale, places, model if who != "model" else None)
            for who, estimate in estimates.items()
        ],
        ends=(number(scale.low, places), number(scale.high, places)),
    )


@dataclass(frozen=True)
class MetricRow:
    """One metric for everyone."""

    name: str
    meaning: str
    cells: Sequence[tuple[str, str, bool]]
    """(value, interval, whether it is the best) per predictor."""


def metric_table(evaluation: Evaluation) -> tuple[list[str], list[MetricRow]]:
    """Return the predictors' titles and, for every metric, what each of them scores."""
    everyone = predictors(evaluation)
    rows = []
    for metric in evaluation.metrics:
        estimates = [metrics.get(metric, Estimate()) for metrics in everyone.values()]
        places = decimals_for(*estimates)
        values = [estimate.value for estimate in estimates if estimate.value is not None]
        best = (max if evaluation.higher_is_better(metric) else min)(values) if len(set(values)) > 1 else None
        cells = [
            (number(e.value, places), interval(e, places), best is not None and e.value == best) for e in estimates
        ]
        rows.append(MetricRow(metric_name(metric), metric_meaning(metric), cells))
    return [predictor_name(name) for name in everyone], rows


@dataclass(frozen=True)
class Segment:
    """The test rows that share a value of a column."""

    column: str
    value: str
    rows: int
    share: str
    result: EstimateRow


@dataclass(frozen=True)
class Segments:
    """Segments by the headline metric, the weakest first; small ones apart, since chance puts them at both ends."""

    metric: str
    overall: str
    worst: Sequence[Segment]
    small: Sequence[Segment]
    hidden: int


def segments(evaluation: Evaluation) -> Segments | None:
    """Return where the model is weakest; None where no segment was defined."""
    name = evaluation.headline
    overall = evaluation.metrics[name]
    judged = sentences.weakest(evaluation)
    scale = Scale([overall, *(estimate for _, _, estimate in judged)])
    places = decimals_for(overall, most=3)

    def segment(column: str, part: SliceResult) -> Segment:
        row = estimate_row("", part.metrics[name], scale, places, overall.value)
        return Segment(column, part.value, part.rows, percent(part.rows, evaluation.rows), row)

    large = [segment(column, part) for column, part, _ in judged]
    small = [
        segment(column, part)
        for column, parts in evaluation.slices.items()
        for part in parts
        if part.small or part.metrics[name].value is None
    ]
    if not large and not small:
        return None
    hidden = max(0, len(large) - WORST) + max(0, len(small) - WORST)
    return Segments(metric_name(name), number(overall.value, places), large[:WORST], small[:WORST], hidden)


@dataclass(frozen=True)
class Card:
    """One number that is read at a glance."""

    big: str
    label: str
    small: str


_OUTCOMES = {
    "model": "better than",
    "neither": "no clear difference from",
    "undefined": "cannot be compared with",
    "no interval": "without an interval, compared with",
}
_RIVALS = {
    "constant": "a constant prediction",
    "hist_gradient_boosting": "gradient boosting",
    "champion": "the current champion",
}


def glance(evaluation: Evaluation) -> list[Card]:
    """Return what a hurried reader takes away: the headline metric, how it compares, the weakest segment."""
    estimate = evaluation.metrics[evaluation.headline]
    ends = interval(estimate) or "not defined"
    value = number(estimate.value, decimals_for(estimate))
    cards = [Card(value, metric_name(evaluation.headline), f"95 % interval {ends}")]
    for other, label in _RIVALS.items():
        if comparison := evaluation.comparisons.get(other):
            difference = comparison.difference
            places = decimals_for(difference)
            ends = interval(difference, places, sign=True) or "not defined"
            says = _OUTCOMES.get(sentences.outcome(comparison), "worse than")
            small = f"{metric_name(comparison.metric)}, 95 % interval {ends}"
            cards.append(Card(signed(difference.value, places), f"{says} {label}", small))
    if (parts := segments(evaluation)) and parts.worst:
        worst = parts.worst[0]
        label = f"weakest segment: {isolate(worst.column)} = {isolate(worst.value)}"
        cards.append(Card(worst.result.value, label, count(worst.rows, "row")))
    return cards
