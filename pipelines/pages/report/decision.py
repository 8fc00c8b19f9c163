"""The first half of the report as plain rows: promises, the model beside others, slices; templates lay them out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.pages.report.gather import Facts
from pipelines.pages.report.numbers import (
    Estimate,
    Scale,
    cut,
    decimals_for,
    exact,
    interval,
    is_number,
    isolate,
    number,
    signed,
)
from pipelines.pages.report.words import (
    PREDICTORS,
    higher_is_better,
    metric_meaning,
    metric_name,
    outcome,
    predictor_name,
)

WORST = 10
_BOUND = re.compile(r"(>=|<=)\s*(-?[\d.]+(?:e[-+]?\d+)?)")


@dataclass(frozen=True)
class Bar:
    """An estimate with its interval as positions on a line, in per cent of its width."""

    dot: str | None
    reach: tuple[str, str] | None
    """Start and width of the interval."""
    mark: str | None
    """A promise, or another value to compare with."""


@dataclass(frozen=True)
class Got:
    """An estimate in words and as a bar."""

    name: str
    value: str
    interval: str
    bar: Bar


@dataclass(frozen=True)
class Promise:
    """A threshold: what was wanted, what came."""

    metric: str
    meaning: str
    slice: str | None
    wanted: str
    judged_on: str
    reason: str | None
    """Why it was not kept."""
    got: Got
    met: bool


def promises(facts: Facts) -> list[Promise]:
    return [_promise(threshold) for threshold in (facts.document("evaluation").get("thresholds") or ())]


def _promise(threshold: Mapping[str, Any]) -> Promise:
    sign, bound = _bound(str(threshold.get("wanted", "")))
    places = decimals_for(threshold)
    shown = exact(bound) if bound is not None else cut(threshold.get("wanted"))
    end = "upper" if sign == "<=" else "lower"
    scale = Scale.of([threshold], bound)
    return Promise(
        metric=metric_name(threshold.get("metric")),
        meaning=metric_meaning(threshold.get("metric")),
        slice=threshold.get("slice"),
        wanted=f"{'at most' if sign == '<=' else 'at least'} {shown}" if bound is not None else shown,
        judged_on=f"the {end} end of the interval" if threshold.get("on", "interval") == "interval" else "the estimate",
        reason=threshold.get("reason"),
        got=got("", threshold, scale, places, bound),
        met=bool(threshold.get("met")),
    )


def _bound(wanted: str) -> tuple[str, float | None]:
    found = _BOUND.search(wanted)
    return (found[1], float(found[2])) if found else ("", None)


def got(name: str, estimate: Estimate, scale: Scale, places: int, mark: object = None) -> Got:
    bar = Bar(
        scale.at(estimate.get("value")),
        scale.reach(estimate.get("low"), estimate.get("high")),
        scale.at(mark),
    )
    return Got(name, number(estimate.get("value"), places), interval(estimate, places), bar)


def predictors(facts: Facts) -> dict[str, Mapping[str, Estimate]]:
    """Everyone who answered on the sealed test rows -> metrics; the model first, then champion and yardsticks."""
    evaluation = facts.document("evaluation")
    found: dict[str, Mapping[str, Estimate]] = {"model": (evaluation.get("metrics") or {})}
    if champion := evaluation.get("champion"):
        found["champion"] = champion.get("metrics") or {}
    found |= evaluation.get("yardsticks") or {}
    order = [*PREDICTORS, *found]
    return {name: found[name] for name in dict.fromkeys(order) if name in found}


@dataclass(frozen=True)
class Headline:
    """The headline metric for everyone, on one scale."""

    metric: str
    meaning: str
    direction: str
    rows: Sequence[Got]
    ends: tuple[str, str]


def headline(facts: Facts) -> Headline | None:
    name = str(facts.document("evaluation").get("headline"))
    estimates = {who: metrics[name] for who, metrics in predictors(facts).items() if name in metrics}
    if not estimates:
        return None
    places = decimals_for(*estimates.values())
    scale = Scale.of(estimates.values())
    reference = (estimates.get("model") or {}).get("value")
    return Headline(
        metric=metric_name(name),
        meaning=metric_meaning(name),
        direction="further right is better" if higher_is_better(facts, name) else "further left is better",
        rows=[
            got(predictor_name(who), estimate, scale, places, reference if who != "model" else None)
            for who, estimate in estimates.items()
        ],
        ends=(number(scale.low, places), number(scale.high, places)),
    )


@dataclass(frozen=True)
class MetricRow:
    """One metric for everyone; ``best`` marks who has the best value."""

    name: str
    meaning: str
    cells: Sequence[tuple[str, str, bool]]
    """(value, interval, best) per predictor."""


def metric_table(facts: Facts) -> tuple[list[str], list[MetricRow]]:
    """Every metric x every predictor."""
    everyone = predictors(facts)
    rows = []
    for metric in everyone["model"]:
        estimates = [metrics.get(metric, {}) for metrics in everyone.values()]
        places = decimals_for(*estimates)
        values = [estimate["value"] for estimate in estimates if is_number(estimate.get("value"))]
        best = (max if higher_is_better(facts, metric) else min)(values, default=None)
        tied = len(set(values)) == 1
        cells = [
            (
                number(e.get("value"), places),
                interval(e, places),
                not tied and best is not None and e.get("value") == best,
            )
            for e in estimates
        ]
        rows.append(MetricRow(metric_name(metric), metric_meaning(metric), cells))
    return [predictor_name(name) for name in everyone], rows


@dataclass(frozen=True)
class Part:
    """One slice of the test rows."""

    column: str
    value: Any
    rows: int
    share: float
    small: bool
    got: Got


@dataclass(frozen=True)
class Slices:
    """Slices by the headline metric, the worst first; small ones apart, since chance puts them at both ends."""

    metric: str
    overall: str
    worst: Sequence[Part]
    small: Sequence[Part]
    hidden: int


def slices(facts: Facts) -> Slices | None:
    evaluation = facts.document("evaluation")
    name, found = evaluation.get("headline"), evaluation.get("slices") or {}
    parts = [(column, part) for column, listed in found.items() for part in listed]
    if not parts:
        return None
    overall = (evaluation.get("metrics") or {}).get(name, {})
    scale = Scale.of(
        [overall, *((part.get("metrics") or {}).get(name, {}) or {} for _, part in parts if not part.get("small"))]
    )
    places = decimals_for(overall, most=3)
    sign = 1 if higher_is_better(facts, name) else -1
    ordered = [
        part
        for _, part in sorted(
            _parts(parts, evaluation, name, scale, places), key=lambda pair: (pair[0] is None, sign * (pair[0] or 0))
        )
    ]
    large = [part for part in ordered if not part.small]
    small = [part for part in ordered if part.small]
    return Slices(
        metric_name(name),
        number(overall.get("value"), places),
        large[:WORST],
        small[:WORST],
        max(0, len(large) - WORST) + max(0, len(small) - WORST),
    )


def _parts(
    parts: Sequence[tuple[str, Any]], evaluation: Mapping[str, Any], metric: object, scale: Scale, places: int
) -> Iterator[tuple[float | None, Part]]:
    """Each slice with its value; where the metric is not defined (one class only) there is none: too small."""
    reference = (evaluation.get("metrics") or {}).get(metric, {}).get("value")
    for column, part in parts:
        estimate = (part.get("metrics") or {}).get(metric, {}) or {}
        value, rows = estimate.get("value"), part.get("rows") or 0
        defined = is_number(value)
        share = rows / evaluation["rows"] if evaluation.get("rows") else 0.0
        found = got("", estimate, scale, places, reference)
        yield (
            (value if defined else None),
            Part(column, part.get("value"), rows, share, bool(part.get("small")) or not defined, found),
        )


@dataclass(frozen=True)
class Card:
    """One number that is read at a glance."""

    big: str
    label: str
    small: str


def glance(facts: Facts) -> list[Card]:
    """The headline metric, how it compares, the worst slice: what a hurried reader takes away."""
    evaluation = facts.document("evaluation")
    name = evaluation.get("headline")
    if not (estimate := (evaluation.get("metrics") or {}).get(name)):
        return []
    found = [
        Card(
            number(estimate.get("value"), decimals_for(estimate)),
            metric_name(name),
            f"95 % interval {interval(estimate) or 'not defined'}",
        )
    ]
    compared = evaluation.get("comparisons") or {}
    said = {
        "model": "better than",
        "neither": "a tie with",
        "undefined": "cannot be compared with",
        "no interval": "without an interval beside",
    }
    for other, label in (
        ("constant", "a constant answer"),
        ("hist_gradient_boosting", "gradient boosting"),
        ("champion", "the current champion"),
    ):
        if comparison := compared.get(other):
            difference = comparison.get("difference") or {}
            places = decimals_for(difference)
            within = interval(difference, places, sign=True) or "not defined"
            small = f"{metric_name(comparison.get('metric'))}, 95 % interval {within}"
            found.append(
                Card(
                    signed(difference.get("value"), places),
                    f"{said.get(outcome(comparison), 'worse than')} {label}",
                    small,
                )
            )
    if (parts := slices(facts)) and parts.worst:
        worst = parts.worst[0]
        found.append(
            Card(
                worst.got.value,
                f"worst slice: {isolate(worst.column)} = {isolate(worst.value)}",
                f"{number(worst.rows)} rows",
            )
        )
    return found
