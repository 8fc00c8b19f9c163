"""Bootstrap resamples, of rows or of what belongs together, shared by every metric and model.

One set of resamples serves all measures of an evaluation, so that the difference of two models is taken on the same
resamples (paired) and a slice is the same resample seen through fewer rows. A resample is a row of weights: how often
each row was drawn. Weights are made in chunks, so memory does not grow with the number of resamples.

``intervals`` makes an interval of a metric's resamples.

Sources: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8 (dependent data); Field & Welsh,
"Bootstrapping clustered data", 2007 (whole clusters); Carlstein, "The use of subseries values for estimating the variance
of a general statistic from a stationary sequence", 1986 (blocks of time that do not overlap).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl

from model_code.metrics import ANY, Kind, Poolable, kind_of
from steps.evaluation.document import Estimate, IntervalMethod
from steps.evaluation.intervals import LEVEL, METHOD, ends

Array = np.ndarray[Any, Any]

Key = TypeVar("Key", bound=Hashable)

FEW_CLUSTERS = 30
"""With fewer clusters than this a bootstrap over clusters gives intervals that are too narrow."""

_CHUNK = 2**21  # weights kept at once: 16 MiB
_CACHED = 2**16  # weights that a metric is given at once: what fits the processor's cache is several times faster
_THREADS = 2  # numpy lets others work while it adds up
_AFFORDABLE = 2 * 10**8  # rows times resamples; above it fewer resamples are drawn, never fewer than _ENOUGH
_ENOUGH = 200
_FEW_TO_POOL, _POOLED = 1_000, 2**25  # clusters, and cells of rows by clusters (128 MiB), that are pooled at most
_UNDEFINED_SHARE = 0.05  # of the resamples; where more are undefined there is no interval
_FEW_DAYS = 20


@dataclass(frozen=True)
class Resampling:
    """Which rows are drawn together, how often, from which seed, and how to say so."""

    rows: int
    resamples: int
    seed: int
    resampled: str = "rows"
    clusters: Array | None = None
    """int64[rows]: the cluster of each row, numbered from 0 without gaps; None: each row for itself."""
    chunk: int = _CHUNK
    """How many weights are in memory at once."""

    @property
    def count(self) -> int:
        """How many things are drawn in each resample."""
        return self.rows if self.clusters is None else int(self.clusters.max(initial=-1)) + 1

    def method(self) -> IntervalMethod:
        """Return how intervals are computed, for the document."""
        return IntervalMethod(
            method=METHOD,
            level=LEVEL,
            resamples=self.resamples,
            seed=self.seed,
            resampled=self.resampled,
            drawn=self.count,
        )

    def draws(self) -> Iterator[Array]:
        """Chunks float64[b, count]: how often each thing is drawn; the same for the same seed, whatever the chunk."""
        random, count = np.random.default_rng(self.seed), self.count
        size = max(1, self.chunk // max(1, self.rows))
        for start in range(0, self.resamples, size):
            chunk = np.empty((min(size, self.resamples - start), count))
            for row in chunk:
                row[:] = np.bincount(random.integers(0, count, count), minlength=count)
            yield chunk

    def weights(self, draws: Array) -> Array:
        """Return the weights float64[b, rows] of the rows."""
        return draws if self.clusters is None else draws.take(self.clusters, axis=-1)


def by_row(rows: int, resamples: int, seed: int) -> Resampling:
    return Resampling(rows, affordable(rows, resamples), seed)


def by_unit(hashes: Array, what: str, resamples: int, seed: int) -> Resampling:
    """Rows with equal hashes are drawn together; each row for itself where all are different.

    Args:
        hashes: of what makes rows one unit, uint64[n].
        what: that the rows of a unit have equal, in words.
    """
    rows, units = len(hashes), np.unique(hashes, return_inverse=True)[1]
    if units.max(initial=-1) + 1 == rows:
        return by_row(rows, resamples, seed)
    return Resampling(rows, affordable(rows, resamples), seed, f"groups of rows with equal {what}", units)


def by_group(values: pl.Series, resamples: int, seed: int) -> Resampling:
    """Whole groups are drawn; rows without a group count as one group."""
    clusters = _numbered(values)
    return Resampling(len(values), affordable(len(values), resamples), seed, f"groups of {values.name}", clusters)


def by_time(values: pl.Series, resamples: int, seed: int) -> Resampling:
    """Whole blocks of time are drawn: calendar days where they are neither few nor very many, else sqrt(n) blocks.

    A block of sqrt(n) rows is longer than the n^(1/3) that suits the variance best; it errs to wide intervals.
    """
    rows, name = len(values), values.name
    if values.dtype in (pl.Date, pl.Datetime):
        days = values.dt.date()
        if _FEW_DAYS <= days.n_unique() <= math.isqrt(rows):
            return Resampling(rows, affordable(rows, resamples), seed, f"days of {name}", _numbered(days))
    clusters = _blocks(values, math.isqrt(rows))
    return Resampling(rows, affordable(rows, resamples), seed, f"blocks of time by {name}", clusters)


def affordable(rows: int, resamples: int) -> int:
    """Fewer resamples where the rows are very many: there the interval is narrow and its ends need less precision."""
    return min(resamples, max(_ENOUGH, _AFFORDABLE // max(1, rows)))


def _numbered(values: pl.Series) -> Array:
    """int64[n]: equal values get equal numbers, from 0, in the order of the values."""
    ranks = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    numbers: Array = np.unique(ranks, return_inverse=True)[1]
    return numbers


def _blocks(values: pl.Series, count: int) -> Array:
    """int64[n]: contiguous blocks of about equal size in the order of the values; equal values stay together."""
    moments = _numbered(values)
    first_position = np.concatenate([[0], np.cumsum(np.bincount(moments))[:-1]])
    size = max(1, math.ceil(len(values) / max(1, count)))
    blocks: Array = np.unique(first_position[moments] // size, return_inverse=True)[1]
    return blocks


@dataclass(frozen=True)
class Measure:
    """A prepared metric, and the rows that it was prepared on."""

    function: Callable[[Array], Any]
    """weights float64[m] -> float and float64[b, m] -> float64[b], as ``model_code.metrics`` gives them."""
    rows: Array | None = None
    """int64[m]: row numbers within the resampled table; None: all. Measures that share the object share the work."""


@dataclass(frozen=True)
class Sampled:
    """A measure's value on all rows and on each resample."""

    value: float
    samples: Array
    drawn: int
    """How many things each resample draws."""
    kind: Kind = ANY

    def estimate(self) -> Estimate:
        """The value and its interval; none where too many of the resamples are undefined."""
        defined = self.samples[np.isfinite(self.samples)]
        if (
            self.drawn < 2
            or not math.isfinite(self.value)
            or len(defined) < max(2, (1 - _UNDEFINED_SHARE) * len(self.samples))
        ):
            return Estimate(value=self.value)
        low, high = ends(self.kind, self.value, defined, self.drawn)
        return Estimate(value=self.value, low=low, high=high)


def compare(a: Sampled, b: Sampled) -> Estimate:
    """The difference a - b with its interval, on the same resamples.

    Where neither varies, as of a model without an error and a constant, each may be anywhere in its own interval.
    """
    with np.errstate(invalid="ignore"):
        difference = Sampled(a.value - b.value, a.samples - b.samples, a.drawn, Kind("difference")).estimate()
    if difference.value and difference.low == difference.high is not None:
        one, other = a.estimate(), b.estimate()
        if one.low is not None and one.high is not None and other.low is not None and other.high is not None:
            return Estimate(value=difference.value, low=one.low - other.high, high=one.high - other.low)
    return difference


def bootstrap(
    measures: Mapping[Key, Measure],
    resampling: Resampling,
    progress: Callable[[int, int], None] | None = None,
    cached: int = _CACHED,
) -> dict[Key, Sampled]:
    """Every measure on all rows and on every resample.

    With fewer than two things to draw nothing varies, so the samples are nan: there is no interval.

    Args:
        progress: told how many resamples of how many are done.
    """
    samples = {key: np.full(resampling.resamples, np.nan) for key in measures}
    values = {key: _value(measure, resampling.rows) for key, measure in measures.items()}
    if resampling.count > 1:
        defined = {key: measure for key, measure in measures.items() if math.isfinite(values[key])}
        pooled = [key for key, measure in defined.items() if _is_pooled(measure, resampling)]
        views = _views({key: measure for key, measure in defined.items() if key not in pooled})

        def fill(draws: Array, offset: int) -> None:
            weights = resampling.weights(draws)
            for rows, keys in views:
                local = weights if rows is None else weights.take(rows, axis=-1)
                step = max(1, cached // max(1, local.shape[-1]))
                for start in range(0, len(local), step):
                    part = local[start : start + step]
                    for key in keys:
                        samples[key][offset + start : offset + start + len(part)] = measures[key].function(part)

        chunks = list(resampling.draws()) if pooled else resampling.draws()
        offset = 0
        with ThreadPoolExecutor(_THREADS) as pool:  # few measures at once: each has a table of its rows by the clusters
            samples |= zip(pooled, pool.map(lambda key: _pool(defined[key], resampling, chunks), pooled), strict=True)
            for draws in chunks if views else ():
                shares = np.array_split(np.arange(len(draws)), _THREADS)
                busy = [pool.submit(fill, draws[share], offset + share[0]) for share in shares if len(share)]
                for future in busy:
                    future.result()
                offset += len(draws)
                if progress:
                    progress(offset, resampling.resamples)
    return {
        key: Sampled(values[key], samples[key], _drawn(measure, resampling), kind_of(measure.function))
        for key, measure in measures.items()
    }


def _drawn(measure: Measure, resampling: Resampling) -> int:
    """Return how many rows or clusters a measure rests on."""
    if measure.rows is None:
        return resampling.count
    if resampling.clusters is None:
        return min(len(measure.rows), resampling.count)
    return int(np.count_nonzero(np.bincount(resampling.clusters[measure.rows], minlength=1)))


def _is_pooled(measure: Measure, resampling: Resampling) -> bool:
    """Return whether a measure is taken on draws of clusters, where these are few, rather than on weights of rows."""
    if resampling.clusters is None or not isinstance(measure.function, Poolable):
        return False
    rows = resampling.rows if measure.rows is None else len(measure.rows)
    return resampling.count <= _FEW_TO_POOL and rows * resampling.count <= _POOLED


def _pool(measure: Measure, resampling: Resampling, chunks: Iterable[Array]) -> Array:
    """Return the values of a measure for chunks of draws of clusters."""
    assert resampling.clusters is not None
    assert isinstance(measure.function, Poolable)
    clusters = resampling.clusters if measure.rows is None else resampling.clusters[measure.rows]
    function = measure.function.pool(clusters, resampling.count)
    return np.concatenate([function(draws) for draws in chunks])


def _value(measure: Measure, rows: int) -> float:
    return float(measure.function(np.ones(rows if measure.rows is None else len(measure.rows))))


def _views(measures: Mapping[Key, Measure]) -> list[tuple[Array | None, list[Key]]]:
    """The measures by the rows that they look at."""
    views: dict[int, tuple[Array | None, list[Key]]] = {}
    for key, measure in measures.items():
        views.setdefault(id(measure.rows), (measure.rows, []))[1].append(key)
    return list(views.values())
