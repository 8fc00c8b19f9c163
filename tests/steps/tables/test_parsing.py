"""Each type has one meaning, and values come back as they were."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingested import csv_file, refused

from model_code.tabular import MISSING
from model_code.tabular.values import cleaned, converted
from steps.errors import InputError
from steps.tables.parsing import Parse


def test_instants_are_kept_whatever_their_offset(read):
    text = "t,x\n2020-06-01T12:00:00Z,1\n2020-06-01T14:00:00+02:00,2\n"
    table = read(csv_file(text))
    assert table.schema.columns[0].timezone == "UTC"
    assert table["t"] == [datetime(2020, 6, 1, 12, tzinfo=UTC)] * 2
    table = read(csv_file(text), {"t": {"timezone": "America/New_York"}})
    assert table.schema.columns[0].timezone == "America/New_York"
    assert table["t"] == [datetime(2020, 6, 1, 8, tzinfo=ZoneInfo("America/New_York"))] * 2


def test_naive_times_are_local_where_a_timezone_is_declared(read):
    table = read(
        csv_file("t,x\n2020-06-01 12:00:00,1\n2020-12-01 12:00:00,2\n"),
        {"t": {"type": "datetime", "timezone": "Europe/Berlin"}},
    )
    assert [moment.astimezone(UTC).hour for moment in table["t"]] == [10, 11]


def test_a_local_time_that_clocks_skip_is_reported(read):
    with pytest.raises(
        InputError, match=r"'t': 1 local time.*when clocks change.*rows 2.*2020-03-29 02:30:00.*clock_change: earlier"
    ):
        read(
            csv_file("t,x\n2020-06-01 12:00:00,1\n2020-03-29 02:30:00,2\n"),
            {"t": {"type": "datetime", "timezone": "Europe/Berlin"}},
        )


@pytest.mark.parametrize(("choice", "hours"), [("earlier", 0), ("later", 1), ("missing", None)])
def test_a_local_time_that_comes_twice_is_read_as_the_person_says(read, tmp_path, choice, hours):
    column = {"t": {"type": "datetime", "timezone": "Europe/Berlin", "clock_change": choice}}
    text = "t,x\n2023-10-29 02:30:00,1\n2023-10-29 05:00:00,2\n2020-03-29 02:30:00,3\n"
    path = tmp_path / "p.parquet"
    pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(path)
    for table in (read(csv_file(text), column), read({"p.parquet": path.read_bytes()}, column)):
        first, second, skipped = table.frame["t"].dt.convert_time_zone("UTC").to_list()
        assert (first and first.hour, second.hour, skipped) == (hours, 4, None)
    refused(
        read, csv_file(text), {"t": {"type": "datetime", "timezone": "Europe/Berlin"}}, match="2 local times come twice"
    )


def test_declared_types_are_kept(read):
    table = read(
        csv_file("a,b,c\n1,yes,1.0\n0,N,2\n"),
        {"a": {"type": "category"}, "b": {"type": "boolean"}, "c": {"type": "integer"}},
    )
    assert table.types == {"a": "category", "b": "boolean", "c": "integer"}
    assert table["a"] == ["1", "0"]
    assert table["b"] == [True, False]
    assert table["c"] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "007", 7),
        ("integer", "-0", 0),
        ("integer", "5.0", 5),
        ("integer", "5.5", None),
        ("integer", "9223372036854775807", 9223372036854775807),
        ("integer", "9223372036854775808", None),
        ("float", "1e-3", 0.001),
        ("float", ".5", 0.5),
        ("float", "inf", None),
        ("float", "1,5", None),
        ("boolean", "YES", True),
        ("boolean", "off", False),
        ("boolean", "2", None),
    ],
)
def test_each_type_has_one_meaning(kind, text, value):
    frame = pl.DataFrame({"a": [text]}).select(converted(cleaned(pl.col("a"), MISSING), Parse(kind)))
    assert frame.item() == value


@given(st.lists(st.floats(-3.4e38, 3.4e38), min_size=1))
def test_floats_come_back_to_the_last_bit(values):
    frame = pl.DataFrame({"a": list(map(repr, values))})
    assert frame.select(converted(pl.col("a"), Parse("float")))["a"].to_list() == values
