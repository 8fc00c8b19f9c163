"""What a number of test rows can show: the errors that a promise has room for, and how many rows would decide.

The intervals are those of ``intervals``, of rows that do not depend on each other. Without any error the lower end is the
smallest share of which n right rows are no surprise (Hanley & Lippman-Hand, "If nothing goes wrong, is everything all right?",
1983: about 1 - 3 / n).
Widths shrink with the square root of the number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from steps.evaluation.document import Estimate
from steps.evaluation.thresholds import Threshold

_SURPRISE = 0.05
_LARGEST = 100_000_000
"""More rows than this are not a number that helps anybody."""
_PERFECT = 0.995
CLOSE = 0.02
"""How far above its bound a ROC AUC may have to be without a remark."""
NOTED = 10
"""Errors; a promise with room for more needs no remark."""


@dataclass(frozen=True)
class Rows:
    """How many rows a promise is judged on."""

    rows: int
    positives: int = 0
    estimated: bool = False
    """True where the test rows were not divided yet."""

    @property
    def about(self) -> str:
        return "about " if self.estimated else ""

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
    from steps.evaluation import intervals

    most = math.floor(rows * (1 - bound) + 1e-9)
    if most >= rows:
        return rows
    effective = rows / intervals.widening(max(rows, 2)) ** 2
    allowed, refused = 0, most + 1
    while refused - allowed > 1:
        errors = (allowed + refused) // 2
        if intervals.of_share(1 - errors / rows, effective)[0] >= bound:
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
        if promise.slice is not None or promise.on == "value":
            continue
        if (space := room(promise, rows)) and (space.errors or 0) <= NOTED:
            yield f"{promise.requirement}: {rows.about}{sentence(promise, space)}"
        if promise.metric == "roc_auc" and (least := least_auc(promise.bound, rows)) - promise.bound > min(
            CLOSE, (1 - promise.bound) / 2
        ):
            counts = f"{rows.positives:,} positive of {rows.rows:,} test rows"
            reach = f"from about {least:.2f} on" if least < _PERFECT else "only by a nearly perfect ranking"
            yield f"{promise.requirement}: {rows.about}{counts} reach it {reach}"


def uncounted(promises: tuple[Threshold, ...], why: str) -> Iterator[str]:
    """Yield for each promise on a share how many test rows it wants at least, where nobody knows yet how many there are."""
    for promise in promises:
        case = Rows(1, 1).cases(promise.metric)
        if case and promise.slice is None and promise.on == "interval" and 0 < _least(promise) < 1:
            yield f"{promise.requirement}: wants {_fewest(promise):,} {_blank(case[1])}test rows or more; {why}"


def least_auc(bound: float, rows: Rows) -> float:
    """Return about the smallest ROC AUC whose interval ends at the bound or above; 1 where none does.

    The standard error is that of Hanley and McNeil (1982), for rows that do not depend on each other.
    """
    positives, negatives = rows.positives, rows.rows - rows.positives
    if min(positives, negatives) < 1:
        return bound
    for step in range(100):
        auc = bound + (1 - bound) * step / 100
        squares = (positives - 1) * (auc / (2 - auc) - auc**2) + (negatives - 1) * (2 * auc**2 / (1 + auc) - auc**2)
        if auc - 1.96 * math.sqrt((auc * (1 - auc) + squares) / (positives * negatives)) >= bound:
            return auc
    return 1.0


def sentence(promise: Threshold, space: Room) -> str:
    """Return how many errors a promise allows, or how many rows without one it wants."""
    kind, least = _blank(space.kind), _least(promise)
    if space.errors:
        errors = "1 error" if space.errors == 1 else f"{space.errors} errors"
        return f"{space.cases:,} {kind}test rows reach it with at most {errors}"
    if space.errors == 0:
        return f"{space.cases:,} {kind}test rows reach it only without an error"
    text = f"{space.cases:,} {kind}test rows cannot reach it, not even without an error"
    return text if least >= 1 else f"{text}; {_fewest(promise):,} without one would"


def _blank(kind: str) -> str:
    return f"{kind} " if kind else ""


def _fewest(promise: Threshold) -> int:
    """Return how many rows without an error a promise on a share wants."""
    return math.ceil(math.log(_SURPRISE) / math.log(_least(promise)))


def _least(promise: Threshold) -> float:
    """Return the share of right rows that a promise asks for."""
    return promise.bound if promise.at_least is not None else 1 - promise.bound
