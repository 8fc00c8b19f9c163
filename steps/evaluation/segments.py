"""A search for weak segments: values of one column or of two where the model does worse than on all rows, beyond chance.

Every row gets a loss in terms of the headline metric: by how much the model is worse than it says itself. A segment's lag is
its mean loss less that of all rows, divided by its standard error. How large the largest lag of all segments is by chance
alone is simulated: what each block of rows adds to the lags is multiplied by a random number of mean 0 (Mammen's, which keeps
skewed losses skewed), the same for all segments, so that segments that share rows vary together; rows that are resampled
together are in one block. A segment is weak if its lag is larger than the largest one in nineteen of twenty draws.

Sources: Chung et al., "Slice Finder: automated data slicing for model validation", 2019 (losses by one column or two);
Westfall & Young, "Resampling-based multiple testing", 1993 (the largest of all); Mammen, "Bootstrap and wild bootstrap for
high dimensional linear models", 1993; Cameron, Gelbach & Miller, "Bootstrap-based improvements for inference with clustered
errors", 2008 (one number for each cluster).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np

from model_code import metrics
from model_code.tasks import Task
from steps.evaluation.document import MODEL, SegmentSearch, WeakSegment
from steps.evaluation.intervals import LEVEL
from steps.evaluation.slices import Part
from steps.evaluation.statistics import Measure, Resampling, Sampled
from steps.evaluation.verdict import Key

Array = np.ndarray[Any, Any]

LEAST_ROWS, LEAST_SHARE = 50, 0.01
"""A segment has so many of the rows and so large a share of them; smaller ones are not looked at."""
MOST = 5
"""Segments that are named."""
MOST_ROWS = 50_000
"""More rows are thinned evenly: so many show a weak segment of 1 % as well."""
_BLOCKS, _FEWEST_BLOCKS = 128, 20
_DRAWS = 500
_PAIRED_CELLS = 2**22
"""Rows times pairs of columns that are looked at; where the columns are more, the first ones are paired."""
_REVIEWED, _TINY = 50, 1e-12
_GOLDEN = (1 + math.sqrt(5)) / 2


@dataclass(frozen=True)
class Loss:
    """What each row lacks, float64[n], and the metric that shows it."""

    metric: str
    values: Array


@dataclass(frozen=True)
class Segment:
    """The rows that share a value of one column, or of two."""

    parts: tuple[Part, ...]
    rows: Array


@dataclass(frozen=True)
class Search:
    """What was looked at, and the weak segments, the most certain first."""

    metric: str
    columns: int
    paired: int
    tried: int
    least_rows: int
    weak: tuple[Segment, ...] = ()


def loss_of(task: Task, truth: Array, prediction: Array, threshold: float | None = None) -> Loss | None:
    """Return what each row lacks in the headline metric; None where that is not defined.

    Of classes it is how much worse a row is decided, or ranked among those of the other class, than its own probability lets
    expect: rows that are hard, and that the model calls so, lack nothing. Of numbers it is the absolute error.
    """
    if not np.isfinite(prediction).all():
        return None
    if task.headline == "r2":
        return Loss("mae", np.abs(truth - prediction))
    if task.headline == "accuracy":
        decided = metrics.decided(prediction, threshold)
        return Loss("accuracy", prediction[np.arange(len(truth)), decided] - (decided == truth))
    if task.headline != "roc_auc" or not 0 < truth.sum() < len(truth):
        return None
    chance = prediction[:, 1]
    negatives_above, positives_below = 1 - _share_below(chance, truth == 0), _share_below(chance, truth == 1)
    return Loss("roc_auc", (truth - chance) * (negatives_above - positives_below))


def _share_below(values: Array, chosen: Array) -> Array:
    """Return the share of the chosen values below each one; equal ones count half."""
    ordered = np.sort(values[chosen])
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def search(loss: Loss | None, by_column: Mapping[str, Sequence[Part]], resampling: Resampling) -> Search | None:
    """Return the weak segments; None where what is resampled is too little to tell chance.

    Args:
        by_column: the parts of the rows by the values of each column; every row is in one of them.
    """
    if loss is None:
        return None
    rows, random = len(loss.values), np.random.default_rng(resampling.seed)
    if resampling.count < _FEWEST_BLOCKS or rows < 2 * LEAST_ROWS:
        return None
    thinned = np.arange(0, rows, math.ceil(rows / MOST_ROWS))
    lags = _Lags(loss.values[thinned], _blocks(resampling, random)[thinned])
    columns = {name: _codes(parts, rows)[thinned] for name, parts in by_column.items() if len(parts) > 1}
    paired = list(columns)[: int(math.sqrt(2 * _PAIRED_CELLS / len(thinned))) + 1]
    factors = random.choice((1 - _GOLDEN, _GOLDEN), (_DRAWS, lags.blocks), p=(_GOLDEN / 5**0.5, 1 - _GOLDEN / 5**0.5))
    largest, tried, lagging = np.full(_DRAWS, -np.inf), 0, list[tuple[float, tuple[Part, ...]]]()
    for names in [*((name,) for name in columns), *combinations(paired, 2)]:
        listed = [by_column[name] for name in names]
        codes, shape = columns[names[0]], [len(parts) for parts in listed]
        for name in names[1:]:
            codes = codes * len(by_column[name]) + columns[name]
        cells, shares = lags.of(codes, math.prod(shape))
        if not len(cells):
            continue
        drawn = factors @ shares.T / np.sqrt(np.square(factors) @ np.square(shares).T)
        np.maximum(largest, drawn.max(axis=1), out=largest)
        tried += len(cells)
        for lag, *values in zip(_standardised(shares), *np.unravel_index(cells, shape), strict=True):
            lagging.append((lag, tuple(parts[value] for parts, value in zip(listed, values, strict=True))))
    bound = float(np.quantile(largest, LEVEL)) if tried else math.inf
    weak = sorted((entry for entry in lagging if entry[0] > bound), key=lambda entry: -entry[0])[:_REVIEWED]
    return Search(
        metric=loss.metric,
        columns=len(columns),
        paired=len(paired),
        tried=tried,
        least_rows=least_rows(rows),
        weak=tuple(_apart([_segment(parts) for _, parts in weak], lags, thinned, rows, bound))[:MOST],
    )


def least_rows(rows: int) -> int:
    """Return how many of so many rows a segment has at least."""
    return max(LEAST_ROWS, math.ceil(LEAST_SHARE * rows))


def measures(
    searched: Search | None, task: Task, truth: Array, prediction: Array, threshold: float | None
) -> dict[Key, Measure]:
    """Return the metric of the search on each weak segment, by the keys of measures."""
    if searched is None:
        return {}
    bind = task.metrics[searched.metric].bind
    return {
        _key(searched.metric, segment): Measure(
            bind(truth[segment.rows], prediction[segment.rows], threshold), segment.rows
        )
        for segment in searched.weak
    }


def document(searched: Search | None, task: Task, sampled: Mapping[Key, Sampled]) -> SegmentSearch | None:
    """Return the search for the document, with the weak segments whose interval excludes the value on all rows."""
    if searched is None:
        return None
    metric, overall = task.metrics[searched.metric], sampled[MODEL, searched.metric, None].value
    sign, clear = 1 if metric.higher_is_better else -1, list[tuple[float, WeakSegment]]()
    for segment in searched.weak:
        own = sampled[_key(metric.name, segment)].estimate()
        best = own.high if metric.higher_is_better else own.low
        if own.value is not None and best is not None and sign * (best - overall) < 0:
            where = {part.column: part.value for part in segment.parts}
            lack = len(segment.rows) * sign * (own.value - overall)
            clear.append((lack, WeakSegment(where=where, rows=len(segment.rows), estimate=own)))
    return SegmentSearch(
        metric=searched.metric,
        columns=searched.columns,
        paired=searched.paired,
        tried=searched.tried,
        least_rows=searched.least_rows,
        weak=tuple(segment for _, segment in sorted(clear, key=lambda entry: entry[0])),
    )


def _key(metric: str, segment: Segment) -> Key:
    """Return a key that no declared slice has."""
    return MODEL, metric, json.dumps({part.column: part.value for part in segment.parts})


class _Lags:
    """The mean loss of a segment less that of all rows, as the sum of what each block of rows adds to it."""

    def __init__(self, loss: Array, block: Array) -> None:
        self.blocks = int(block.max()) + 1
        self._block = block
        self._least = least_rows(len(loss))
        self._excess = loss - loss.mean()
        self._whole = np.bincount(block, self._excess) / len(loss)  # which adds up to nothing

    def of(self, codes: Array, cells: int) -> tuple[Array, Array]:
        """Return which segments have enough rows, and what each block adds to their lags, float64[segments, blocks].

        Args:
            codes: the segment of each row, int64[n], from 0 to ``cells`` - 1.
        """
        rows = np.bincount(codes, minlength=cells)
        sums = np.bincount(codes * self.blocks + self._block, self._excess, cells * self.blocks)
        shares = sums.reshape(cells, self.blocks) / np.maximum(rows, 1)[:, None] - self._whole
        chosen = np.flatnonzero((rows >= self._least) & (np.abs(shares) > _TINY).any(axis=1))
        return chosen, shares[chosen]


def _standardised(shares: Array) -> Array:
    lags: Array = shares.sum(axis=1) / np.sqrt(np.square(shares).sum(axis=1))
    return lags


def _apart(segments: Sequence[Segment], lags: _Lags, thinned: Array, rows: int, bound: float) -> Iterator[Segment]:
    """Yield the segments that are weak without the rows of those before, too."""
    outside = np.zeros(rows, np.int64)
    for segment in segments:
        codes = np.ones(rows, np.int64)
        codes[segment.rows] = outside[segment.rows]
        chosen, shares = lags.of(codes[thinned], 2)
        if len(chosen) and chosen[0] == 0 and _standardised(shares)[0] > bound:
            outside[segment.rows] = 1
            yield segment


def _segment(parts: tuple[Part, ...]) -> Segment:
    rows = reduce(lambda rows, part: np.intersect1d(rows, part.rows, assume_unique=True), parts[1:], parts[0].rows)
    return Segment(parts, rows)


def _blocks(resampling: Resampling, random: np.random.Generator) -> Array:
    """int64[rows]: the block of each row; clusters, or what is drawn at random of them where they are many."""
    clusters = np.arange(resampling.rows) if resampling.clusters is None else resampling.clusters
    if resampling.count <= _BLOCKS:
        return clusters
    return random.integers(0, _BLOCKS, resampling.count)[clusters]


def _codes(parts: Sequence[Part], rows: int) -> Array:
    codes = np.zeros(rows, np.int64)
    for index, part in enumerate(parts):
        codes[part.rows] = index
    return codes
