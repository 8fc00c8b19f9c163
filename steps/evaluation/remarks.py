"""The sentences about parts of the rows: weak segments that a search names, gaps between groups, and next steps."""

from __future__ import annotations

from collections.abc import Iterator

from steps.evaluation.document import Evaluation, FairnessResult, Gap, SegmentSearch, WeakSegment
from steps.evaluation.sentences import decimals_for, metric_in_sentence, with_interval
from steps.wording import count, isolate, listed, number

COMPARED = {
    "selection_rate": "share acted on",
    "recall": "recall",
    "false_positive_rate": "false-positive rate",
    "observed_minus_predicted": "observed share less mean probability",
    "accuracy": "accuracy",
    "mean_error": "mean of predicted less actual value",
    "mean_absolute_error": "mean absolute error",
}
"""What is compared between groups, as people write it."""
LISTED = 4


def segment_name(segment: WeakSegment) -> str:
    """Return ``carrier = UA and origin = EWR``."""
    return listed([f"{isolate(column)} = {isolate(value)}" for column, value in segment.where.items()])


def of_search(evaluation: Evaluation) -> Iterator[str]:
    """Yield what a search for weak segments looked at, and what it names."""
    search = evaluation.search
    if search is None:
        return
    columns = count(search.columns, "column")
    by = f"one or two of {columns}" if search.paired > 1 else f"one of {columns}"
    if 1 < search.paired < search.columns:
        by = f"one of {columns} or two of the first {number(search.paired)}"
    begin = f"A search of {count(search.tried, 'segment')} by {by} (each of {number(search.least_rows)} rows or more)"
    if not search.weak:
        yield f"{begin} names none that is weak beyond chance."
        return
    than = "" if search.metric == "mae" else ", and worse than the model's own probabilities let expect"
    yield f"{begin} names {count(len(search.weak), 'weak segment')}: worse than all rows beyond chance{than}."
    yield from (f"{_weak(search, segment)}." for segment in search.weak)


def _weak(search: SegmentSearch, segment: WeakSegment) -> str:
    estimate = f"{metric_in_sentence(search.metric)} {with_interval(segment.estimate)}"
    return f"{segment_name(segment)} ({count(segment.rows, 'row')}): {estimate}"


def of_gaps(evaluation: Evaluation) -> Iterator[str]:
    """Yield for each column of groups what differs between them, what does not clearly, and of whom nothing can be said."""
    for column, result in evaluation.fairness.items():
        judged = {name: gap for name, gap in result.gaps.items() if gap}
        for name, gap in judged.items():
            yield _gap(column, result, name, gap)
        if few := [COMPARED.get(name, name) for name in result.gaps if name not in judged]:
            yield f"Of {listed(few)} by {isolate(column)} nothing can be said: fewer than two groups have rows enough."
        small = [group for group in result.groups if judged and all(e.low is None for e in group.measures.values())]
        if small:
            names = listed([f"{isolate(group.value)} ({count(group.rows, 'row')})" for group in small[:LISTED]])
            more = f" and {count(len(small) - LISTED, 'more group')}" if len(small) > LISTED else ""
            yield f"Nothing can be said of {isolate(column)} = {names}{more}: the rows are too few."


def clear_gaps(evaluation: Evaluation) -> Iterator[str]:
    """Yield the gaps between groups that chance does not explain."""
    for column, result in evaluation.fairness.items():
        for name, gap in result.gaps.items():
            if gap and gap.clear:
                yield _gap(column, result, name, gap)


def _gap(column: str, result: FairnessResult, name: str, gap: Gap) -> str:
    values = {group.value: group.measures[name].value for group in result.groups if name in group.measures}
    places = max(decimals_for(gap.difference), 3)
    ends = [f"{number(values.get(value), places)} for {isolate(value)}" for value in (gap.highest, gap.lowest)]
    begin = "There is a gap" if gap.clear else "No clear gap"
    what = f"{begin} in {COMPARED.get(name, name)} by {isolate(column)}"
    return f"{what}: {listed(ends)}, a difference of {with_interval(gap.difference)}."


def next_steps(evaluation: Evaluation | None) -> list[str]:
    """Return what to do about a rejected model, each with its evidence; nothing of one that passed."""
    steps = evaluation.diagnosis.steps if evaluation and evaluation.diagnosis else ()
    return [f"{step.advice} {step.evidence}" for step in steps]
