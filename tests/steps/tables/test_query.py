"""Typed values as other types, an even sample, and what a query may give."""

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from steps.errors import InputError
from steps.tables.parsing import Parse
from steps.tables.query import as_type, canonical_text, join, refuse_unfit, sample


@pytest.mark.parametrize(
    ("values", "wanted", "said"),
    [
        (
            [1.0, 2.5, None, 1e20],
            "integer",
            "2 values are not a whole number .*, such as 2\\.5, 1e\\+20\\. .*type: float",
        ),
        ([20130101], "date", "1 value is not a date.*, such as 20130101. .*type: integer"),
        ([1356998400], "datetime", "1 value is not a date with a time.*such as 1356998400"),
        ([0, 1, 2], "boolean", "1 value is not one of .*, such as 2"),
        ([date(2024, 1, 1)], "integer", "1 value is not a whole number.*such as 2024-01-01. .*type: date"),
        ([datetime(2024, 1, 1)], "float", "1 value is not a number"),  # noqa: DTZ001
    ],
)
def test_typed_values_that_do_not_fit_are_refused_and_not_taken_for_missing(values, wanted, said):
    frame = pl.LazyFrame({"age": values})
    with pytest.raises(InputError, match=f"p.parquet, column 'age': {said}"):
        refuse_unfit(frame, {"age": Parse(wanted, declared=True)}, "p.parquet")


@pytest.mark.parametrize(
    ("values", "wanted", "become"),
    [
        ([1.0, None, float("nan"), 3.0], "integer", [1, None, None, 3]),
        ([0.0, 1.0], "boolean", [False, True]),
        ([1.0, 2.5, -0.5, 1e20], "category", ["1", "2.5", "-0.5", "1e+20"]),
        ([True, None], "integer", [1, None]),
    ],
)
def test_typed_values_that_fit_become_what_a_csv_file_would_give(values, wanted, become):
    frame, parse = pl.LazyFrame({"a": values}), Parse(wanted, declared=True)
    refuse_unfit(frame, {"a": parse}, "p.parquet")
    assert frame.select(as_type(pl.col("a"), frame.collect_schema()["a"], parse)).collect()["a"].to_list() == become


def test_whole_numbers_are_written_without_a_point():
    values = pl.Series([1.0, -0.0, 2.0**53, 1.5, None])
    said = values.to_frame("a").select(canonical_text(pl.col("a"), pl.Float64()))["a"].to_list()
    assert said[0] == "1"
    assert said[3:] == ["1.5", None]


def test_a_query_whose_values_do_not_fit_the_declared_type_is_refused(tmp_path):
    pl.DataFrame({"_row": [1, 2], "a": [1.0, 2.5]}).write_parquet(tmp_path / "t.parquet")
    declared = {"half": Parse("integer", declared=True)}
    query = "SELECT a / 2 AS half FROM t"
    with pytest.raises(InputError, match=r"data\.query, column 'half': 2 values are not a whole number"):
        join({"t": tmp_path / "t.parquet"}, query, declared, tmp_path, tmp_path / "out.parquet")


def test_a_query_may_not_give_a_column_of_a_reserved_name(tmp_path):
    pl.DataFrame({"_row": [1], "a": [1.0]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="gives a column '_label_source', which is reserved"):
        join({"t": tmp_path / "t.parquet"}, "SELECT a AS _label_source FROM t", {}, tmp_path, tmp_path / "out.parquet")


def test_a_sample_is_taken_of_any_table_whatever_its_columns_are_called(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"_row": range(1, 1001), "_position": ["x"] * 1000}).write_parquet(path)
    sample(path, 0.5)
    kept = pl.read_parquet(path)
    assert kept.columns == ["_row", "_position"]
    assert 480 <= len(kept) <= 520


def test_long_keys_that_arrive_as_decimals_stay_apart(tmp_path):
    from steps.tables.opened import Opened, whole_text
    from steps.tables.readers import Source, parts

    (tmp_path / "raw").mkdir()
    keys = [Decimal(9007199254740992), Decimal(9007199254740993)]
    frame = pl.DataFrame({"key": pl.Series(keys, dtype=pl.Decimal(38, 0))})
    frame.write_parquet(tmp_path / "raw/p.parquet")
    source = Source(path="p.parquet")
    opened = Opened.of("data", source, parts(tmp_path / "raw", "data", source, tmp_path), {})
    assert whole_text(opened).collect()["key"].to_list() == ["9007199254740992", "9007199254740993"]
