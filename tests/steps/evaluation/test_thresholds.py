"""A promise says the number that was written into it."""

from __future__ import annotations

import pytest

from steps.evaluation.document import Estimate
from steps.evaluation.thresholds import Threshold


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0.65, "0.65"),
        (1, "1"),
        (1234567, "1234567"),
        (1250000.5, "1250000.5"),
        (0.00001, "0.00001"),
        (-0.5, "-0.5"),
        (0.1234567891, "0.1234567891"),
        (1e300, "1e+300"),
        (1e-12, "1e-12"),
    ],
)
def test_a_bound_is_written_with_all_its_digits_and_no_more(bound, text):
    assert Threshold(metric="rmse", at_most=bound).requirement == f"rmse <= {text} (95 % bound)"
    where = Threshold(metric="r2", at_least=bound, on="value", slice="a=b")
    assert where.requirement == f"r2 >= {text} (value) on a=b"
    assert float(text) == bound


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_no_number_that_could_meet_a_bound(value):
    assert Estimate(value=value, low=value, high=value) == Estimate()
