"""What a number of test rows can show: the errors that a promise has room for, and how many rows would decide.

The intervals are those of the percentile bootstrap: of n rows with k errors, a resample has binomial(n, k / n) errors, and the
lower end of the share of right ones is that of their 97.5 % quantile. Without any error nothing varies; then the end is the
smallest share of which n right rows are no surprise (Hanley & Lippman-Hand 1983, about 1 - 3 / n).
Widths shrink with the square root of the number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from steps.evaluation.document import Estimate
from steps.evaluation.thresholds import Threshold

_TAIL, _SURPRISE = 0.025, 0.05
_LARGEST = 100_000_000
"""More rows than this are not a number that helps anybody."""
NOTED = 10
"""Errors; a promise with room for more needs no remark."""


@dataclass(frozen=True)
class Rows:
    """How many rows a promise is judged on."""

    rows: int
    positives: int = 0

    def cases(self, metric: str) -> tuple[int, str] | None:
        """Return how many rows a metric is a share of, and their name; None where it is no share of so many rows."""
        if metric == "recall":
            return self.positives, "positive"
        if metric in ("specificity", "false_positive_rate"):
            return self.rows - self.positives, "negative"
        whole = metric == "accuracy" or metric.startswith("within_") or metric.endswith("_accuracy")
        return (self.rows, "") if whole and metric != "balanced_accuracy" else None


@dataclass(frozen=True)
class Room:
    """How many errors among how many rows a promise allows."""

    cases: int
    kind: str
    """positive, negative or nothing."""
    errors: int | None
    """None where even none is one too many."""


def room(promise: Threshold, rows: Rows) -> Room | None:
    """Return how many errors a promise allows; None where it is about no share, or about the estimate itself."""
    cases = rows.cases(promise.metric)
    if cases is None or promise.on == "value" or not cases[0]:
        return None
    return Room(*cases, errors_allowed(_least(promise), cases[0]))


def errors_allowed(bound: float, rows: int) -> int | None:
    """Return the most errors with which the lower end of a share of right rows is the bound or more; None if none is too many."""
    import numpy as np

    most = math.floor(rows * (1 - bound) + 1e-9)
    if most >= rows:
        return rows
    chosen = np.arange(1, most + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((rows - chosen + 1) / chosen))])  # log of rows choose 0, 1 ... most
    allowed, refused = 0, most + 1
    while refused - allowed > 1:
        errors = (allowed + refused) // 2
        share, drawn = errors / rows, np.arange(most + 1)
        logs = ways + drawn * math.log(share) + (rows - drawn) * math.log1p(-share)
        if np.exp(logs).sum() >= 1 - _TAIL:
            allowed = errors
        else:
            refused = errors
    return None if not allowed and without_errors(rows) < bound else allowed


def without_errors(rows: int) -> float:
    """Return the lower end of the share of right ones among so many rows without an error."""
    return float(_SURPRISE ** (1 / rows))


def rows_to_decide(estimate: Estimate, bound: float, rows: int) -> int | None:
    """Return about how many rows would bring the interval clear of a bound, if the estimate stays; two digits of it.

    None where the interval is clear of it now, or no number of rows would be enough.
    """
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None or not low <= bound <= high or value == bound:
        return None
    width = value - low if bound < value else high - value
    order = 1 if value in (low, high) else 2  # without errors, a width shrinks with the number of rows
    count = rows * abs(width / (value - bound)) ** order
    if not rows < count < _LARGEST:
        return None
    step: int = 10 ** max(math.floor(math.log10(count)) - 1, 0)
    return math.ceil(count / step) * step


def tight(promises: tuple[Threshold, ...], rows: Rows) -> Iterator[str]:
    """Yield a sentence for each promise that allows few errors or none on so many test rows; those on slices are left out."""
    for promise in promises:
        if promise.slice is None and (space := room(promise, rows)) and (space.errors or 0) <= NOTED:
            yield f"{promise.requirement}: {sentence(promise, space)}"


def sentence(promise: Threshold, space: Room) -> str:
    """Return how many errors a promise allows, or how many rows without one it wants."""
    kind, least = f"{space.kind} " if space.kind else "", _least(promise)
    if space.errors:
        errors = "1 error" if space.errors == 1 else f"{space.errors} errors"
        return f"{space.cases:,} {kind}test rows reach it with at most {errors}"
    if space.errors == 0:
        return f"{space.cases:,} {kind}test rows reach it only without an error"
    text = f"{space.cases:,} {kind}test rows cannot reach it, not even without an error"
    return text if least >= 1 else f"{text}; {math.ceil(math.log(_SURPRISE) / math.log(least)):,} without one would"


def _least(promise: Threshold) -> float:
    """Return the share of right rows that a promise asks for."""
    return promise.bound if promise.at_least is not None else 1 - promise.bound
