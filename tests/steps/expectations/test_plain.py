"""Expectations that plainly hold: Great Expectations says the same of each, and what it would refuse is left to it."""

import datetime as dt
import sys

import polars as pl
import pytest
from tables import run_stage, write_table

from steps import documents
from steps.expectations.document import ValidationResults
from steps.expectations.plain import plainly_met
from steps.expectations.suite import run_suite
from steps.tables.schema import TableSchema
from steps.validate import Expectation, ValidateConfig, validate

NOT_NULL, BETWEEN, IN_SET = (f"expect_column_values_to_{what}" for what in ("not_be_null", "be_between", "be_in_set"))
FRAME = pl.DataFrame(
    {
        "whole": [None, *range(1, 30)],
        "large": [None, *([2**60 + 1] * 29)],
        "real": [0.5 * n - 3 for n in range(30)],
        "gaps": [None, 1.5] * 15,
        "text": ["x", "y", None] * 10,
        "yes": [None, True, False] * 10,
        "day": [dt.date(2013, 1, 1) + dt.timedelta(i) for i in range(30)],
        "empty": pl.Series([None] * 30, dtype=pl.Float64),
        "EMPTY": pl.Series([None] * 30, dtype=pl.String),
    }
)
BOUNDS = (
    {"min_value": -3},
    {"max_value": 11.5},
    {"min_value": 0, "max_value": 2**60 + 1},
    {"min_value": 1, "max_value": 29},
)
SUITE = [
    *((NOT_NULL, {"column": name, **more}) for name in FRAME.columns for more in ({}, {"mostly": 0.3})),
    *((BETWEEN, {"column": n, **bounds}) for n in ("whole", "large", "real", "gaps", "empty") for bounds in BOUNDS),
    *((IN_SET, {"column": n, "value_set": v}) for n in ("text", "EMPTY") for v in (["x", "y"], ["x"], ["x", "y", "z"])),
    *(("expect_column_to_exist", {"column": name}) for name in ("whole", "Whole", "empty")),
    *(("expect_table_row_count_to_be_between", bounds) for bounds in ({"min_value": 1}, {"max_value": 29})),
    *(("expect_table_columns_to_match_ordered_list", {"column_list": n}) for n in (FRAME.columns, ["whole"])),
    (BETWEEN, {"column": "day", "min_value": "2013-01-01"}),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table"), FRAME)


def test_great_expectations_says_the_same_of_what_plainly_holds(table):
    schema = documents.read(TableSchema, table)
    judged = run_suite(table, dict(enumerate(SUITE)), schema)
    plain = plainly_met(table, SUITE, schema)
    assert {position: judged[position] for position in plain} == plain
    met = {position for position, outcome in judged.items() if outcome.success}
    left = [SUITE[position] for position in met - plain.keys()]
    assert all("mostly" in kwargs or kwargs["column"] == "day" or "max_value" in kwargs for _, kwargs in left), left


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        (BETWEEN, {"column": "real", "min_value": -9, "strict_min": True}),
        (BETWEEN, {"column": "real", "min_value": "-9"}),
        (BETWEEN, {"column": "real", "min_value": 9, "max_value": -9}),
        (BETWEEN, {"column": "real"}),
        (BETWEEN, {"column": "real", "min_value": -9, "mostly": 2}),
        (BETWEEN, {"column": "real", "min_value": -9, "row_condition": {"type": "comparison"}}),
        (IN_SET, {"column": "text", "value_set": ["x", "y", None]}),
        (IN_SET, {"column": "whole", "value_set": [*range(30)]}),
        (NOT_NULL, {"column": "nope"}),
        (NOT_NULL, {"column": ["real"]}),
        (NOT_NULL, {}),
        ("expect_column_values_to_be_unique", {"column": "real"}),
    ],
)
def test_anything_else_is_left_to_great_expectations(table, kind, kwargs):
    assert plainly_met(table, [(kind, kwargs)], documents.read(TableSchema, table)) == {}


def test_a_table_without_rows_meets_nothing_plainly(tmp_path):
    table = write_table(tmp_path, FRAME.clear())
    assert plainly_met(table, SUITE, documents.read(TableSchema, table)) == {}


def test_thousands_of_expectations_that_hold_need_no_great_expectations(tmp_path, monkeypatch):
    columns = {f"v{n}": [0.5 * n, n + 1.25] for n in range(2000)}
    table = write_table(tmp_path / "table", pl.DataFrame(columns))
    suite = [
        expectation
        for name in columns
        for expectation in (
            Expectation(type=NOT_NULL, kwargs={"column": name}),
            Expectation(type=BETWEEN, kwargs={"column": name, "min_value": 0, "max_value": 6000}),
        )
    ]
    monkeypatch.setitem(sys.modules, "steps.expectations.suite", None)
    out = run_stage(validate, tmp_path, ValidateConfig(suite=tuple(suite)), table=table)
    assert documents.read(ValidationResults, out["validation"]).expectations == 4_001
