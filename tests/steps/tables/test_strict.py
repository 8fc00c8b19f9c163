"""What does not parse is named by column, file and row, with advice."""

import polars as pl
import pytest
from ingested import csv_file, refused


def test_a_value_that_does_not_parse_is_named_with_column_rows_and_examples(read):
    text = "a,b\n" + "".join(f"{'many' if number in (3, 7, 9) else number},1\n" for number in range(1, 12))
    message = refused(
        read, csv_file(text), {"a": {"type": "integer"}}, match=r"column 'a': 3 values cannot be read as an integer"
    )
    assert "data.csv, rows 3, 7, 9" in message
    assert "'many'" in message
    assert 'data.columns.a: {type: integer, missing: ["many"]}' in message


@pytest.mark.parametrize(
    ("values", "kind", "advice"),
    [
        (["1,5", "2,5"], "float", "decimal: ','"),
        (["1.5", "2.5"], "integer", "type: float"),
        (["99999999999999999999", "1"], "integer", "64 bits"),
        (["soon", "2020-01-01"], "date", "format"),
        (["maybe", "yes"], "boolean", "missing"),
    ],
)
def test_the_message_says_what_would_work(read, values, kind, advice):
    refused(
        read,
        csv_file("a|b\n" + "".join(f"{value}|1\n" for value in values)),
        {"a": {"type": kind}},
        match=advice,
        decimal=".",
    )


def test_several_wrong_columns_are_told_at_once_and_long_values_are_cut(read):
    message = refused(
        read, csv_file(f"a,b\n{'x' * 5000},y\n1,2\n"), {"a": {"type": "integer"}, "b": {"type": "float"}}, match="'a'"
    )
    assert "column 'b'" in message


@pytest.mark.parametrize("huge", [float("inf"), -1e300, 3.5e38])
def test_an_infinite_or_huge_value_in_a_typed_format_is_refused(read, tmp_path, huge):
    path = tmp_path / "p.parquet"
    pl.DataFrame({"a": [3.4e38, None, huge]}).write_parquet(path)
    for declared in ({}, {"a": {"type": "float"}}):
        refused(read, {"p.parquet": path.read_bytes()}, declared, match="'a' holds infinite values, or larger ones")
    pl.DataFrame({"a": [3.4e38, float("nan"), -3.4e38]}).write_parquet(path)
    assert read({"p.parquet": path.read_bytes()})["a"] == [3.4e38, None, -3.4e38]
