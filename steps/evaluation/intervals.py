"""The 95 % interval of an estimate from its resamples: one form for shares, one for means and ratios, one for differences.

A resample tells how far an estimate strays; quantiles of resamples alone make intervals of few rows too narrow, and too low for
what has a long tail. So the form follows what is estimated (``benchmarks/coverage.py`` has how often each holds the truth):

- a share, and every metric between 0 and 1 that is one of right answers (recall, F1, ROC AUC): Jeffreys' interval of as many rows
  as have the variance of the resamples (Brown, Cai & DasGupta, "Interval estimation for a binomial proportion", 2001; Korn &
  Graubard, "Confidence intervals for proportions with small expected number of positive counts", 1998)
- a mean or a ratio, such as a loss or R squared: the normal interval after the transformation that takes the skewness away (Hall,
  "On the removal of skewness by transformation", 1992); of RMSE, on the mean square
- a difference of two models: the estimate and so many standard errors of the paired resamples

All use quantiles of Student's t and a variance that are right for the number of things drawn, so that few groups give wide
intervals. At the end of a range nothing varies; there the interval is that of the rule of three.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from model_code.metrics import Kind
from steps.evaluation.power import without_errors

Array = np.ndarray[Any, Any]

LEVEL = 0.95
METHOD = (
    "bootstrap: Jeffreys' intervals of shares (Korn & Graubard 1998), of means without skewness (Hall 1992); "
    "differences are paired"
)

_TAIL = (1 - LEVEL) / 2
_FLAT = 1e-9
_MOST_SKEWED = 0.3
"""Of resamples: with more, the transformation bends so sharply that chance in the resamples makes ends that are far off."""


def ends(kind: Kind, value: float, samples: Array, drawn: int) -> tuple[float, float]:
    """Return the lower and the upper end of the interval of a metric.

    Args:
        samples: float64[b], finite: the metric on the resamples.
        drawn: how many things each resample draws, at least 2.
    """
    cases = None if kind.cases is None else min(kind.cases, drawn)
    error = float(samples.std()) * math.sqrt(drawn / (drawn - 1))
    if cases and value in (kind.low, kind.high):
        lack = (kind.high - kind.low) * (1 - without_errors(cases))
        return (value, value + lack) if value == kind.low else (value - lack, value)
    if kind.scale == "share" and 0 < value < 1:
        rows = value * (1 - value) / (error * widening(drawn)) ** 2 if error > _FLAT else cases or drawn
        low, high = of_share(value, rows)
    elif kind.scale == "root":
        low, high = (math.sqrt(max(0.0, end)) for end in _of_mean(value**2, samples**2, drawn))
    elif kind.scale == "difference":
        low, high = value - quantile(drawn) * error, value + quantile(drawn) * error
    else:
        low, high = _of_mean(value, samples, drawn)
    return max(kind.low, min(low, value)), min(kind.high, max(high, value))


def of_share(value: float, rows: float) -> tuple[float, float]:
    """Return the ends of Jeffreys' interval of a share of so many rows."""
    low, high = special.betaincinv(value * rows + 0.5, (1 - value) * rows + 0.5, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def quantile(drawn: int) -> float:
    """Return by how many standard errors an interval goes to each side of a mean of so many things."""
    return float(special.stdtrit(drawn - 1, 1 - _TAIL))


def widening(drawn: int) -> float:
    """Return how many times wider an interval is than that of infinitely many things of the same standard error."""
    return quantile(drawn) / float(special.ndtri(1 - _TAIL))


def _of_mean(value: float, samples: Array, drawn: int) -> tuple[float, float]:
    """Return the ends where the estimate is a mean, or nearly one, whose distribution is skewed as that of its resamples."""
    spread = float(samples.std())
    if not spread > 0:
        return value, value
    skewness = float(np.clip((((samples - samples.mean()) / spread) ** 3).mean(), -_MOST_SKEWED, _MOST_SKEWED))
    error, reach = spread * math.sqrt(drawn / (drawn - 1)), quantile(drawn)

    def back(errors: float) -> float:
        """Return how many standard errors are as many of the transformed estimate."""
        if abs(skewness) < 1e-4:
            return errors
        return 3 / skewness * (float(np.cbrt(1 + skewness * (errors - skewness / 6))) - 1)

    return value - error * back(reach), value - error * back(-reach)
