"""Numbers in words."""

from __future__ import annotations

import pytest

from steps import wording
from steps.evaluation import sentences
from steps.evaluation.document import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-0.25, "\N{MINUS SIGN}0.250"),
        (0.0001234, "0.000123"),
        (12.3456, "12.3"),
        (0.00000012, "0.000000120"),
        (float("nan"), "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
    ],
)
def test_numbers_read_well(value, text):
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (1, 100_000, "< 0.1 %"), (99_999, 100_000, "> 99.9 %"), (1, 3, "33 %"), (1, 0, "\N{EN DASH}")],
)
def test_a_share_that_is_not_nothing_never_reads_as_nothing(part, whole, text):
    assert wording.percent(part, whole) == text


def test_an_interval_is_shown_with_as_many_digits_as_it_deserves():
    assert sentences.interval(Estimate(value=0.8731, low=0.8612, high=0.8841)) == "0.861 to 0.884"
    assert sentences.interval(Estimate(value=54.3, low=50.1, high=58.2)) == "50.1 to 58.2"
    assert sentences.interval(Estimate(value=1.0, low=None, high=None)) == ""
    assert sentences.interval(Estimate(value=0.00002, low=0.00001, high=0.00003)) == "0.000010 to 0.000030"


def test_a_number_of_a_person_keeps_its_digits():
    values = [0.65, 0.00001, 1234567.25, -1250000.0, 3, 1e-5, 0.1234567]
    texts = ["0.65", "0.00001", "1,234,567.25", "\N{MINUS SIGN}1,250,000", "3", "0.00001", "0.1234567"]
    assert [wording.exact(value) for value in values] == texts
