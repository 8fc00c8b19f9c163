"""Windows of requests beside training: the rows of each window by bin, and how far every column is from its reference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from steps.monitoring import significance
from steps.monitoring.captured import TIME
from steps.monitoring.document import Measure, Reference, Series, Window
from steps.monitoring.reference import MISSING, NEW, bins, width_of
from steps.monitoring.significance import Tested

Array = np.ndarray[Any, Any]

HALF_LIFE = 7
"""In the memory, a window weighs half as much as one that is so many windows later."""
ENOUGH = 10_000
"""Rows that need no memory: of the past, no more is kept than fills a window up to so many."""
_PLACES = 5


@dataclass(frozen=True)
class Margins:
    """What is too little to matter."""

    distribution: float = 0.2
    """Cohen's w: about a fifth of a standard deviation."""
    share: float = 0.02
    """Of missing and of new values, as a difference of shares."""


@dataclass(frozen=True)
class Budgets:
    """What a service may do wrong, as shares."""

    unreadable: float
    """Of rows."""
    errors: float
    """Of requests."""
    slow: float


@dataclass(frozen=True)
class Clock:
    """Windows of equal length that begin at midnight UTC."""

    start: int
    """Microseconds since 1970."""
    length: int
    count: int

    @classmethod
    def of(cls, times: pl.Series, hours: float) -> Clock:
        """Return the windows from the first moment to the last."""
        stamps, length = times.dt.epoch("us"), max(1, round(hours * 3_600e6))
        first, last = int(stamps.min()), int(stamps.max())  # type: ignore[arg-type]
        start = first // length * length
        return cls(start, length, (last - start) // length + 1)

    def windows(self, times: pl.Series) -> Array:
        """Return the window of each moment int64[n]."""
        return np.asarray((times.dt.epoch("us").to_numpy() - self.start) // self.length)

    def starts(self) -> Iterator[str]:
        """Yield when each window begins, in ISO 8601."""
        for position in range(self.count):
            yield datetime.fromtimestamp((self.start + position * self.length) / 1e6, UTC).isoformat(timespec="minutes")


class Likeness:
    """How alike the rows of one request are: sums over the requests of a window, and the design effect from them."""

    def __init__(self, width: int) -> None:
        self.requests, self.rows, self.squared_rows = 0, 0, 0
        self.counts, self.squares, self.products = np.zeros((3, width))

    def add(self, places: Array, requests: Array) -> None:
        """Count the bins of rows by request."""
        width = len(self.counts)
        numbers = np.unique(requests, return_inverse=True)[1]
        count = int(numbers.max(initial=-1)) + 1
        table = np.bincount(numbers * width + places, minlength=count * width).reshape(count, width)
        rows = table.sum(axis=1)
        self.requests, self.rows = self.requests + count, self.rows + len(places)
        self.squared_rows += int((rows**2).sum())
        self.counts += table.sum(axis=0)
        self.squares += (table**2).sum(axis=0)
        self.products += rows @ table

    def effect(self) -> float:
        """Return by how many times fewer independent rows the window is worth, at least 1.

        It is the first-order correction of Rao & Scott ("The analysis of categorical data from complex sample surveys", JASA
        76 (374), 1981): the mean over bins of the variance between requests, divided by that of independent rows.
        """
        if self.requests < 2 or self.requests == self.rows:
            return 1.0
        shares = self.counts / self.rows
        filled = shares[(shares > 0) & (shares < 1)]
        if len(filled) < 2:
            return 1.0
        between = self.squares - 2 * shares * self.products + shares**2 * self.squared_rows
        ratios = between[(shares > 0) & (shares < 1)] / (self.rows * filled)  # each times 1 - share already
        return max(1.0, self.requests / (self.requests - 1) * float(ratios.sum()) / (len(filled) - 1))


@dataclass
class Tally:
    """The rows of each window by bin of a column; the last two places are missing and new values."""

    reference: Reference
    vocabulary: Collection[str] | None = None
    counts: dict[int, Array] = field(default_factory=dict)
    likeness: dict[int, Likeness] = field(default_factory=dict)

    def add(self, values: pl.Series, windows: Array, requests: Array | None = None) -> None:
        """Count values.

        Args:
            windows: int64[n], the window of each.
            requests: int64[n], the request of each, all rows of one at once; None where each row is a request.
        """
        width = width_of(self.reference) or 1
        places = bins(values, self.reference, self.vocabulary)
        places = np.select([places == MISSING, places == NEW], [width, width + 1], places)
        for window in np.unique(windows):
            inside = windows == window
            own = np.bincount(places[inside], minlength=width + 2)
            self.counts[int(window)] = self.counts.get(int(window), 0) + own
            if requests is not None:
                self.likeness.setdefault(int(window), Likeness(width + 2)).add(places[inside], requests[inside])

    def table(self, windows: int) -> Array:
        """Return the counts of all windows float64[windows, bins + 2]."""
        empty = np.zeros((width_of(self.reference) or 1) + 2)
        return np.stack([self.counts.get(window, empty) for window in range(windows)]).astype(float)

    def effects(self, windows: int) -> Array:
        """Return the design effect of each window float64[windows]."""
        return np.array(
            [self.likeness[window].effect() if window in self.likeness else 1.0 for window in range(windows)]
        )


def series_of(tally: Tally, windows: int, margins: Margins) -> Iterator[Series]:
    """Yield every measure of a column over the windows: each window alone, and with those before it."""
    reference, counts = tally.reference, tally.table(windows)
    numbers, missing, new = counts[:, :-2], counts[:, -2], counts[:, -1]
    design = tally.effects(windows)
    present, training = numbers.sum(axis=1) + new, reference.rows - reference.missing
    if reference.kind != "moment":
        present_rows = numbers.copy()
        if reference.kind == "category":
            present_rows[:, -1] += new
        yield from _both("distribution", reference, design, present_rows, margins.distribution)
    share = margins.share
    yield from _both(
        "missing", reference, design, np.stack([missing, present], axis=1), share, (reference.missing, reference.rows)
    )
    if reference.kind == "category" and tally.vocabulary is not None:
        yield from _both(
            "new values", reference, design, np.stack([new, present - new], axis=1), share, (reference.new, training)
        )


def _both(
    measure: Measure,
    reference: Reference,
    design: Array,
    rows: Array,
    margin: float,
    share: tuple[int, int] | None = None,
) -> Iterator[Series]:
    """Yield the series of a measure for windows alone and for windows with their past.

    The memory adds up weights 2^(-age / HALF_LIFE) of all rows so far: the exponentially weighted moving average of
    Roberts ("Control chart tests based on geometric moving averages", Technometrics 1 (3), 1959), of counts and not of means,
    so that windows with many rows weigh more and the same test serves. A window with ``ENOUGH`` rows decides alone, so that
    what is over does not linger.

    Args:
        design: float64[windows], by how many times fewer independent rows a window is worth.
        rows: float64[windows, bins], or for a share float64[windows, 2]: rows that have the property, and the others.
        share: how many rows of training have the property, and of how many.
    """
    training = np.asarray(reference.counts, float)

    def test(row: Array, size: float) -> Tested | None:
        if share is None:
            return significance.of_distributions(row, size, training, margin)
        return significance.of_shares(size * row[0] / row.sum(), size, *share, margin)

    alone = [test(row, row.sum() / effect) if row.sum() else None for row, effect in zip(rows, design, strict=True)]
    past, squares, weighted = np.zeros(rows.shape[1]), 0.0, list[Tested | None]()
    for row, effect in zip(rows, design, strict=True):
        size = row.sum()
        fade = min(0.5 ** (1 / HALF_LIFE), max(0.0, ENOUGH - size) / max(past.sum(), 1.0))
        past, squares = past * fade + row, squares * fade**2 + size * effect
        weighted.append(test(past, past.sum() ** 2 / squares) if 0 < size < past.sum() else None)
    for memory, results in ((False, alone), (True, weighted)):
        if any(results):
            yield series(results, measure, margin, column=reference.name, role=reference.role, memory=memory)


def series(results: Sequence[Tested | None], measure: Measure, margin: float, **place: Any) -> Series:
    """Return results as a series."""
    parts: Mapping[str, tuple[float | None, ...]] = {
        part: tuple(None if result is None else short(getattr(result, attribute)) for result in results)
        for part, attribute in (("effects", "effect"), ("beyond", "beyond"), ("half", "half"))
    }
    return Series(measure=measure, margin=margin, **place, **parts)


def short(value: float) -> float:
    """Return as many digits as matter."""
    return float(f"{value:.{_PLACES}g}")


@dataclass(frozen=True)
class Requests:
    """The requests of each window in numbers, int64[windows]."""

    requests: Array
    rows: Array
    unreadable: Array
    logged: Array
    """Requests whose status is known: the log has it, and the capture has not."""
    errors: Array
    refused: Array
    timed: Array
    slow: Array
    p99: Sequence[float | None]


def requests_of(requests: pl.DataFrame, clock: Clock, slow_seconds: float) -> Requests:
    """Count the requests of each window."""
    windows, status = clock.windows(requests[TIME]), requests["status"].fill_null(0).to_numpy()
    seconds, rows = requests["seconds"].fill_null(np.nan).to_numpy(), requests["rows"].to_numpy()

    def sums(values: Array) -> Array:
        return np.bincount(windows, values, minlength=clock.count).astype(np.int64)

    timed = np.isfinite(seconds)
    in_window = [seconds[timed & (windows == window)] for window in range(clock.count)]
    return Requests(
        sums(np.ones(len(windows))),
        sums(rows),
        sums(requests["unreadable"].to_numpy()),
        sums(status > 0),
        sums(status >= 500),
        sums((status >= 400) & (status < 500)),
        sums(timed),
        sums(np.nan_to_num(seconds) > slow_seconds),
        [short(float(np.quantile(part, 0.99))) if len(part) else None for part in in_window],
    )


def budgets_of(numbers: Requests, budgets: Budgets) -> Iterator[Series]:
    """Yield what the service does wrong, beside what it may."""
    measures: Sequence[tuple[Measure, Array, Array, float]] = [
        ("unreadable", numbers.unreadable, numbers.rows, budgets.unreadable),
        ("errors", numbers.errors, numbers.logged, budgets.errors),
        ("slow", numbers.slow, numbers.timed, budgets.slow),
    ]
    for measure, hits, sizes, budget in measures:
        results = [significance.of_budget(int(hit), int(size), budget) for hit, size in zip(hits, sizes, strict=True)]
        if any(results):
            yield series(results, measure, budget)


def windows_of(numbers: Requests, clock: Clock, rows: Array) -> Iterator[Window]:
    """Yield the windows with their numbers."""
    for position, start in enumerate(clock.starts()):
        yield Window(
            start=start,
            rows=int(rows[position]),
            requests=int(numbers.requests[position]),
            seconds=numbers.p99[position],
            errors=int(numbers.errors[position]),
            refused=int(numbers.refused[position]),
        )
