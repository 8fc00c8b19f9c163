"""Trials of the next version: what it and the stable one did, and whether it is clearly worse.

A trial raises the alarm over errors, latency or answers. Each bound is a test at a level of 1 in 10,000 *and* a difference that
matters, since with enough requests every difference is significant:

- errors: Fisher's exact test of the shares of failed requests, and two percentage points more;
- latency: the 95th percentile of the trial is beyond twice that of the stable version and 20 ms above it, from 50 requests on;
- answers: a chi-square test of the predicted classes (numbers: of the quarters of the stable version's predictions), and a total
  variation beyond what the deployment allows, from 100 rows each on.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LEVEL = 1e-4
_WINDOW = 2_000
_ENOUGH_REQUESTS, _ENOUGH_ROWS, _QUARTERS = 50, 100, 4


@dataclass
class Window:
    """What a version did: counts since it started, times and numbers of the last 2,000 requests or rows."""

    requests: int = 0
    failures: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    classes: Counter[str] = field(default_factory=Counter)
    numbers: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def answered(self, seconds: float, *, failed: bool) -> None:
        """Count a request."""
        self.requests += 1
        self.failures += failed
        self.seconds.append(seconds)

    def predicted(self, values: Sequence[Any]) -> None:
        """Count predictions: classes as text, numbers as numbers."""
        if values and isinstance(values[0], str):
            self.classes.update(values)
        else:
            self.numbers.extend(float(value) for value in values if value is not None)


def alarm(trial: Window, stable: Window, shift: float) -> str:
    """Return why a trial is to be taken back, in words; empty if nothing speaks against it.

    Args:
        shift: total variation of the answers that is allowed, between 0 and 1.
    """
    return _errors(trial, stable) or _latency(trial, stable) or _answers(trial, stable, shift)


def _errors(trial: Window, stable: Window) -> str:
    if not trial.failures:
        return ""
    shares = [window.failures / max(window.requests, 1) for window in (trial, stable)]
    p = exact_test(trial.failures, trial.requests, stable.failures, stable.requests)
    if shares[0] <= shares[1] + 0.02 or p > LEVEL:
        return ""
    return (
        f"{trial.failures:,} of {trial.requests:,} requests failed, {stable.failures:,} of {stable.requests:,} before"
    )


def exact_test(failures: int, requests: int, other_failures: int, other_requests: int) -> float:
    """Return the one-sided p-value of Fisher's exact test that the first share is no higher (hypergeometric upper tail)."""
    total, all_failures = requests + other_requests, failures + other_failures

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    whole = log_choose(total, all_failures)
    most = min(all_failures, requests)
    terms = (
        log_choose(requests, count) + log_choose(other_requests, all_failures - count) - whole
        for count in range(failures, most + 1)
        if all_failures - count <= other_requests
    )
    return min(sum(math.exp(term) for term in terms), 1.0)


def _latency(trial: Window, stable: Window) -> str:
    if min(len(trial.seconds), len(stable.seconds)) < _ENOUGH_REQUESTS:
        return ""
    slow, usual = (float(np.quantile(list(window.seconds), 0.95)) for window in (trial, stable))
    if slow <= max(2 * usual, usual + 0.02):
        return ""
    return f"the slowest twentieth of its answers takes {slow * 1e3:.0f} ms or more, {usual * 1e3:.0f} ms before"


def _answers(trial: Window, stable: Window, shift: float) -> str:
    counts = _counts(trial, stable)
    if counts is None:
        return ""
    rows, columns = counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    expected = rows * columns / counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    distance = float(np.abs(counts[0] / rows[0] - counts[1] / rows[1]).sum() / 2)
    if distance <= shift or chi_square_tail(statistic, counts.shape[1] - 1) > LEVEL:
        return ""
    return f"its answers differ from those before by {distance:.0%} of the rows; {shift:.0%} are allowed"


def _counts(trial: Window, stable: Window) -> np.ndarray[Any, Any] | None:
    """Return a table of two rows, trial and stable, with the rows of each class or quarter; None if they are too few."""
    if trial.classes or stable.classes:
        names = sorted({*trial.classes, *stable.classes})
        table = np.array([[window.classes[name] for name in names] for window in (trial, stable)], float)
    else:
        if not stable.numbers or not trial.numbers:
            return None
        bounds = np.unique(np.quantile(list(stable.numbers), np.arange(1, _QUARTERS) / _QUARTERS))
        places = [np.searchsorted(bounds, list(window.numbers)) for window in (trial, stable)]
        table = np.array([np.bincount(place, minlength=len(bounds) + 1) for place in places], float)
        table = table[:, table.sum(0) > 0]
    return table if min(table.sum(1)) >= _ENOUGH_ROWS and table.shape[1] > 1 else None


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return P(X > statistic) of a chi-square distribution, by Wilson and Hilferty's cube root (1931)."""
    if statistic <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))
