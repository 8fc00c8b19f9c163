"""Typed values as other types."""

# ruff: noqa: DTZ001 - naive times are among what is read

from datetime import date, datetime

import polars as pl
import pytest

from steps.errors import InputError
from steps.tables.casting import as_type, canonical_text, refuse_unfit
from steps.tables.parsing import Parse


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            [1.0, 2.5, None, 1e20],
            "integer",
            "2 values cannot be read as an integer .*: 2\\.5, 1e\\+20\\. .*type: float",
        ),
        ([20130101], "date", "1 value cannot be read as a date: 20130101. .*type: integer"),
        ([1356998400], "datetime", "1 value cannot be read as a date with a time: 1356998400"),
        ([0, 1, 2], "boolean", "1 value cannot be read as one of .*: 2"),
        ([date(2024, 1, 1)], "integer", "1 value cannot be read as an integer.*: 2024-01-01. .*type: date"),
        ([datetime(2024, 1, 1)], "float", "1 value cannot be read as a number"),
    ],
)
def test_typed_values_that_do_not_fit_are_refused_and_not_taken_for_missing(values, kind, message):
    frame = pl.LazyFrame({"age": values})
    with pytest.raises(InputError, match=f"p.parquet, column 'age': {message}"):
        refuse_unfit(frame, {"age": Parse(kind, declared=True)}, "p.parquet")


@pytest.mark.parametrize(
    ("values", "kind", "become"),
    [
        ([1.0, None, float("nan"), 3.0], "integer", [1, None, None, 3]),
        ([0.0, 1.0], "boolean", [False, True]),
        ([1.0, 2.5, -0.5, 1e20], "category", ["1", "2.5", "-0.5", "1e+20"]),
        ([True, None], "integer", [1, None]),
    ],
)
def test_typed_values_that_fit_become_what_a_csv_file_would_give(values, kind, become):
    frame, parse = pl.LazyFrame({"a": values}), Parse(kind, declared=True)
    refuse_unfit(frame, {"a": parse}, "p.parquet")
    assert frame.select(as_type(pl.col("a"), frame.collect_schema()["a"], parse)).collect()["a"].to_list() == become


def test_whole_numbers_are_written_without_a_point():
    values = pl.Series([1.0, -0.0, 2.0**53, 1.5, None])
    message = values.to_frame("a").select(canonical_text(pl.col("a"), pl.Float64()))["a"].to_list()
    assert message[0] == "1"
    assert message[3:] == ["1.5", None]
