"""The types of columns are inferred from all of their values."""

# ruff: noqa: DTZ001 - naive times are among what is read

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingested import csv_file

from model_code.tabular.values import converted
from steps.tables.inference import infer
from steps.tables.numerals import Marks


def test_a_type_is_inferred_from_the_whole_column_not_from_its_start(read):
    body = "\n".join(map(str, range(12_000)))
    assert read(csv_file(f"a,b\n{body.replace(chr(10), ',1' + chr(10))},1\n12.5,1\n")).types["a"] == "float"
    assert read(csv_file(f"a,b\n{body.replace(chr(10), ',1' + chr(10))},1\nseven,1\n")).types["a"] in (
        "category",
        "text",
    )


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["31.12.2020", "01.02.2020"], "date", date(2020, 12, 31)),
        (["31/12/2020", "01/02/2020"], "date", date(2020, 12, 31)),
        (["12/31/2020", "01/02/2020"], "date", date(2020, 12, 31)),
        (["2020/12/31", "2020/02/01"], "date", date(2020, 12, 31)),
        (["2020-12-31 10:30", "2020-12-31 11:30"], "datetime", datetime(2020, 12, 31, 10, 30)),
        (["2020-12-31T10:30:00.250", "2020-12-31T10:30:00"], "datetime", datetime(2020, 12, 31, 10, 30, 0, 250_000)),
        (["1839, 38-54", "1840"], "category", "1839, 38-54"),
        (["2011-13-45", "2011-01-01"], "category", "2011-13-45"),
    ],
)
def test_dates_are_recognised_in_the_ways_in_which_people_write_them(read, values, kind, first):
    table = read(csv_file("d|x\n" + "".join(f"{value}|1\n" for value in values)))
    assert table.types["d"] == kind
    assert table["d"][0] == first


def test_dates_that_may_be_day_or_month_first_stay_text_and_are_asked_about(read):
    table = read(csv_file("d,x\n01/02/2020,1\n03/04/2020,2\n"))
    assert table.types["d"] == "category"
    assert "%d/%m/%Y" in table.notes
    table = read(csv_file("d,x\n01/02/2020,1\n03/04/2020,2\n"), {"d": {"type": "date", "format": "%d/%m/%Y"}})
    assert table["d"][0] == date(2020, 2, 1)


def test_whole_numbers_beyond_64_bits_stay_exact_as_text(read):
    table = read(csv_file("a,b\n123456789012345678901234567890,1\n1,2\n"))
    assert table.types["a"] == "category"
    assert table["a"] == ["123456789012345678901234567890", "1"]
    assert "beyond 64 bits" in table.notes


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_whole_numbers_come_back_as_they_were(values):
    frame = pl.DataFrame({"a": [None if value is None else str(value) for value in values]}, schema={"a": pl.String})
    parse = infer(frame.lazy(), ["a"], Marks())["a"]
    if parse is None:
        assert set(values) == {None}
    else:
        assert parse.type == "integer"
        assert frame.select(converted(pl.col("a"), parse))["a"].to_list() == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["12 kg", "7 kg"], "numbers with a unit.*affixes: [kg]"),
        (["10:15", "23:59"], "times of day"),
        (["5 kg", "500 g"], "numbers with different units (g, kg)"),
        (["Room 12", "Room 7"], "numbers behind a word.*affixes: [Room]"),
        (["Jan-23", "Feb-24"], "may be months with years, such as 'Jan-23'.*type: date and format: \"%B-%y\""),
        (["12 May", "3 June"], "days without a year"),
        (["Spring 2023", "Fall 2024"], "what may be dates"),
        (["[1, 2]", '{"a": 1}'], "lists or objects"),
        (["2023-01-15", "2023-01-15 10:00"], "dates without a time and 5 with one.*write them alike"),
        (["12,5", "12.5"], "written in more than one way, such as '12.5' and '12,5'"),
        (["5%", "7"], "5 of 10 are percentages"),
        (["3M", "6M"], "numbers with M, such as '3M'.*affixes: [M]"),
        (["<5", "7", "8"], '10 of its 15 values are whole numbers.*missing: ["<5"]'),
        (["2023-01-15", "2023-01-16", "soon"], '10 of its 15 values are dates written as %Y-%m-%d.*missing: ["soon"]'),
        (["1879", "1879 [1878]", "1868"], "10 of its 15 values are whole numbers"),
    ],
)
def test_text_that_means_something_to_people_says_what(read, values, words):
    table = read(csv_file("a;b\n" + "".join(f"{value};{n}\n" for n, value in enumerate(values * 5))))
    assert table.types["a"] == "category"
    assert all(word in table.notes for word in words.split(".*"))


@pytest.mark.parametrize(("unit", "cells"), [("kg", ["12 kg", "7.5 kg"]), ("km/h", ["1,200km/h", "7.5km/h"])])
def test_a_unit_can_be_left_out(read, unit, cells):
    columns = {"a": {"type": "float", "affixes": [unit]}}
    table = read(csv_file("a;b\n" + "".join(f"{cell};1\n" for cell in cells)), columns)
    assert table["a"][1] == 7.5
    assert table["a"][0] in (12, 1200)


@pytest.mark.parametrize("values", [["A11", "A12"], ["12 Main Street", "7 High Street"], ["1st", "2nd"], ["a", "b"]])
def test_other_text_says_nothing(read, values):
    assert "taken as text;" not in read(csv_file("a;b\n" + "".join(f"{value};1\n" for value in values * 5))).notes


def test_a_column_of_numbers_and_many_other_words_says_how_to_use_the_numbers(read):
    cells = [str(1800 + number) for number in range(40)] + [f"{1800 + number} [{number}]" for number in range(20)]
    notes = read(csv_file("year;b\n" + "".join(f"{cell};1\n" for cell in cells))).notes
    assert "40 of its 60 values are whole numbers, and the others are not, such as '1800 [0]'" in notes
    assert 'SELECT * REPLACE (TRY_CAST("year" AS BIGINT) AS "year")' in notes


def test_columns_of_free_text_are_named_in_one_note(read):
    rows = "".join(f"text {number},other {number},{number % 3}\n" for number in range(30))
    assert (
        "columns 'a' (30 in 30 rows), 'b' (30 in 30 rows) have too many different values"
        in read(csv_file(f"a,b,c\n{rows}")).notes
    )
