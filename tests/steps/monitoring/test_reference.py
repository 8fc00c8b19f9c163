"""References of columns say how values are distributed, and no value of a single row."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from steps.monitoring.reference import MISSING, NEW, bins, reference_of, width_of


def test_numbers_have_bins_of_equally_many_rows():
    values = pl.Series("x", np.random.default_rng(0).normal(1000, 123.456789, 5000))
    reference = reference_of(values)
    assert width_of(reference) == len(reference.counts) == 10
    assert max(reference.counts) - min(reference.counts) < 30
    assert all(float(f"{edge:.4g}") == edge for edge in reference.edges)


@pytest.mark.parametrize("values", [[3, 3, 3], [0, 1] * 10, [1, 2, 3, 4] * 5, [None, 7]])
def test_numbers_with_few_values_have_a_bin_for_each(values):
    reference = reference_of(pl.Series("x", values))
    present = [value for value in values if value is not None]
    assert sum(reference.counts) == len(present)
    assert len(reference.counts) == len(set(present))
    assert reference.missing == len(values) - len(present)


def test_a_column_without_values_has_a_reference_without_rows_in_bins():
    reference = reference_of(pl.Series("x", [None, None], dtype=pl.Float64))
    assert (reference.rows, reference.missing, reference.counts) == (2, 2, (0,))


def test_rare_categories_are_not_named_and_values_of_one_row_tell_how_often_new_ones_come():
    values = pl.Series("x", ["a"] * 90 + ["b"] * 60 + ["c"] * 4 + ["d", "e", None])
    reference = reference_of(values)
    assert reference.names == ("a", "b")
    assert reference.counts == (90, 60, 6)
    assert (reference.new, reference.missing) == (2, 1)


def test_later_values_are_frequent_rare_new_or_missing():
    reference = reference_of(pl.Series("x", ["a"] * 90 + ["b"] * 60 + ["c"] * 4))
    later = pl.Series("x", ["b", "c", "zebra", None, "a"])
    assert bins(later, reference, ["a", "b", "c"]).tolist() == [1, 2, NEW, MISSING, 0]
    assert bins(later, reference).tolist() == [1, 2, 2, MISSING, 0]


def test_moments_are_only_there_or_missing():
    values = pl.Series("x", [date(2026, 1, 1), None])
    reference = reference_of(values)
    assert (reference.kind, reference.counts) == ("moment", ())
    assert bins(values, reference).tolist() == [0, MISSING]


def test_truth_values_are_categories():
    reference = reference_of(pl.Series("x", [True] * 30 + [False] * 20))
    assert reference.names == ("true", "false")
