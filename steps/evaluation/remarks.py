"""The sentences about parts of the rows: weak segments that a search names, and gaps between groups."""

from __future__ import annotations

from collections.abc import Iterator

from steps.evaluation.document import Evaluation, SegmentSearch, WeakSegment
from steps.evaluation.sentences import metric_in_sentence, with_interval
from steps.wording import count, isolate, listed, number


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
