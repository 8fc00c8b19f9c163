"""Tests of a minimum effect: is the difference between two samples larger than a margin that does not matter?

With ten thousand rows a day everything is significant against a difference of zero, so zero is not the hypothesis. Each test
here gives the p-value of "the difference is at most the margin" (Murphy & Myors, "Testing the hypothesis that treatments have
negligible effects: minimum-effect tests in the general linear model", Journal of Applied Psychology 84 (2), 1999). Both samples
have errors, so a small training table makes no alarm of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

Array = np.ndarray[Any, Any]

LEAST_EXPECTED = 5
"""Bins with fewer expected rows are joined, in either sample (Cochran, "Some methods for strengthening the common chi-square
tests", Biometrics 10 (4), 1954)."""
_REGION = 1e-7
"""The chance that the share of training lies outside of the region over which the exact test is the worst case."""


@dataclass(frozen=True)
class Tested:
    """An effect with the p-values of two hypotheses: that it is at most the margin, and at most half of it."""

    effect: float
    beyond: float
    half: float


def of_distributions(sample: Array, size: float, reference: Array, margin: float) -> Tested | None:
    """Return how far a sample's distribution over bins is from that of training.

    The statistic is Pearson's for two samples. For an effect of Cohen's w between the two distributions it is nearly
    noncentral chi-square with noncentrality w² nN / (n + N), so the largest w that the margin allows gives the p-value.
    w is near the shift of a mean in standard deviations, and w² near the population stability index.

    Args:
        sample: rows by bin, or weights of rows.
        size: how many rows they are worth: their number, or for weights (sum w)² / sum w² (Kish, "Survey Sampling", 1965).
        reference: rows of training by bin.
        margin: the largest w that does not matter.

    Returns:
        None where the rows are too few to fill two bins.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed. 1988, chapter 7.
    """
    total, training = float(sample.sum()), float(reference.sum())
    if not total or not training:
        return None
    shares, expected = sample / total, reference / training
    both = (size * shares + training * expected) / (size + training)
    groups = _groups(both, LEAST_EXPECTED / min(size, training))
    if groups is None:
        return None
    shares, expected, both = (np.add.reduceat(part, groups) for part in (shares, expected, both))
    worth, freedom = size * training / (size + training), len(groups) - 1
    statistic = worth * float(((shares - expected) ** 2 / both).sum())
    effect = math.sqrt(max(0.0, statistic - freedom) / worth)
    beyond, half = (_larger(statistic, freedom, worth * part**2) for part in (margin, margin / 2))
    return Tested(effect, beyond, half)


def _groups(shares: Array, least: float) -> Array | None:
    """Return where groups of neighbouring bins begin, each with at least so large a share; None for fewer than two."""
    starts, filled = [0], 0.0
    for position, share in enumerate(shares):
        if filled >= least:
            starts.append(position)
            filled = 0.0
        filled += share
    if filled < least and len(starts) > 1:
        starts.pop()
    return np.asarray(starts) if len(starts) > 1 else None


def _larger(statistic: float, freedom: int, noncentrality: float) -> float:
    """Return the chance that a noncentral chi-square variable is larger."""
    return float(max(0.0, 1 - special.chndtr(statistic, freedom, noncentrality)))


def of_shares(hits: float, size: float, reference: int, training: int, margin: float) -> Tested | None:
    """Return how far a share of rows is from that in training, by exact binomial tests.

    The share of training is not known but counted. Its exact region (Clopper & Pearson, Biometrika 26 (4), 1934) leaves
    out ``_REGION``; the p-value is the largest over this region, plus that (Berger & Boos, "P values maximized over a
    confidence set for the nuisance parameter", JASA 89 (427), 1994). Twice the smaller of both directions counts.

    Args:
        hits: rows that have the property; weights of rows work, too, with ``size`` their worth.
        margin: the largest difference of shares that does not matter.
    """
    if size <= 0 or not training:
        return None
    low = float(special.betaincinv(reference, training - reference + 1, _REGION / 2)) if reference else 0.0
    high = (
        float(special.betaincinv(reference + 1, training - reference, 1 - _REGION / 2)) if reference < training else 1.0
    )
    beyond, half = (
        min(1.0, 2 * min(at_least(hits, size, high + part), _at_most(hits, size, low - part)) + _REGION)
        for part in (margin, margin / 2)
    )
    return Tested(hits / size - reference / training, beyond, half)


def of_budget(hits: int, size: int, budget: float) -> Tested | None:
    """Return how far a share is above a budget, by the exact binomial test; half of the budget is worth watching."""
    if size <= 0:
        return None
    return Tested(hits / size, at_least(hits, size, budget), at_least(hits, size, budget / 2))


def at_least(hits: float, size: float, share: float) -> float:
    """Return the chance of so many hits or more among ``size`` rows; both may be fractions."""
    if hits <= 0 or share >= 1:
        return 1.0
    return float(special.betainc(hits, size - hits + 1, share))


def _at_most(hits: float, size: float, share: float) -> float:
    if hits >= size or share <= 0:
        return 1.0
    return float(special.betaincc(hits + 1, size - hits, share))


def rejected(p_values: Array, level: float) -> Array:
    """Return which hypotheses are rejected so that the chance of any false rejection is at most the level.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (2), 1979.
    """
    order = np.argsort(p_values, kind="stable")
    small = p_values[order] <= level / np.arange(len(p_values), 0, -1)
    first = len(small) if small.all() else int(np.argmin(small))
    answer = np.zeros(len(p_values), bool)
    answer[order[:first]] = True
    return answer
