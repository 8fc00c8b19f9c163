"""What Polars says of expectations: the same as Great Expectations on the same table, and nothing where it is not sure."""

import datetime as dt
import math

import polars as pl
import pytest
from random_suites import MAKERS, random_suite, random_table
from tables import write_table

from steps import documents
from steps.expectations import fallback
from steps.expectations.evaluation import COVERED, check, evaluate
from steps.expectations.outcomes import outcome
from steps.tables.schema import TableSchema

NOT_NULL, BETWEEN, IN_SET, UNIQUE, INCREASING, REGEX = (
    f"expect_column_values_to_{what}"
    for what in ("not_be_null", "be_between", "be_in_set", "be_unique", "be_increasing", "match_regex")
)
NOT_COMPARED = {"details", "partial_unexpected_counts"}


def opened(directory, frame):
    """A table with its schema, its rows and their types."""
    table = write_table(directory, frame)
    data = pl.scan_parquet(table / "data.parquet")
    return table, documents.read(TableSchema, table), data, data.collect_schema()


def by_polars(directory, frame, *suite):
    """The results of a suite that Polars covers."""
    _, schema, data, types = opened(directory, frame)
    checks = {position: check(request, schema, types) for position, request in enumerate(suite)}
    return [*evaluate(data, checks).values()]


def is_same(actual, reference):
    """True if two observations are equal; floats nearly, and a missing value is one however it is written."""
    reference = reference.item() if hasattr(reference, "item") else reference
    missing = [value is None or repr(value) in ("nan", "NaT") for value in (actual, reference)]
    if any(missing):
        return all(missing)
    if isinstance(actual, dict):
        return actual.keys() == reference.keys() and all(is_same(actual[key], reference[key]) for key in actual)
    if isinstance(actual, list | tuple):
        return len(actual) == len(reference) and all(map(is_same, actual, reference))
    if isinstance(actual, int | float) and not isinstance(actual, bool):
        return math.isclose(actual, reference, rel_tol=1e-9, abs_tol=1e-12)
    return actual == reference


def differences(request, actual, reference, rows):
    """The parts of two results that differ."""
    results = [
        {key: value for key, value in one.result.items() if key not in NOT_COMPARED and value is not None}
        for one in (actual, reference)
    ]
    for result in results:
        if "partial_missing_list" in result:  # from a set, in the order of chance
            result["partial_missing_list"] = sorted(result["partial_missing_list"])
        if request[0] == "expect_table_columns_to_match_set":  # in the order of neutral names
            result["observed_value"] = sorted(result["observed_value"])
    parts = [key for key, value in results[1].items() if not is_same(results[0].get(key), value)]
    a, b = (outcome(request, result, rows) for result in (actual, reference))
    return [*parts, *(name for name in ("success", "error", "failing", "rows") if getattr(a, name) != getattr(b, name))]


def compare(directory, seed, rows, size):
    """Compare a random suite on a random table; the number of pairs, and the differences."""
    frame = random_table(seed, rows)
    suite = random_suite(seed, frame, size)
    table, schema, data, types = opened(directory, frame)
    checks = {position: check(request, schema, types) for position, request in enumerate(suite)}
    covered = {position: one for position, one in checks.items() if one is not None}
    built, faults = fallback.build({position: suite[position] for position in covered}, schema)
    assert faults == {}
    actual = evaluate(data, covered)
    reference = fallback.run(table, {position: suite[position] for position in built}, built, schema)
    pairs = {
        position: differences(suite[position], actual[position], reference[position], rows) for position in covered
    }
    return len(pairs), [(rows, suite[p], parts, actual[p], reference[p]) for p, parts in pairs.items() if parts]


def test_the_random_suites_have_every_type_that_polars_evaluates():
    assert MAKERS.keys() == COVERED
    assert len(COVERED) == 45


@pytest.mark.parametrize(("seed", "rows"), [(2, 0), (3, 1), (4, 13), (5, 90)])
def test_polars_and_great_expectations_say_the_same(tmp_path, seed, rows):
    pairs, differing = compare(tmp_path, seed, rows, 64)
    assert differing == []
    assert pairs > 55


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 124))
def test_polars_and_great_expectations_say_the_same_on_thousands_of_pairs(tmp_path, seed):
    pairs, differing = compare(tmp_path, seed, (2, 3, 5, 8, 20, 35, 60, 150)[seed % 8], 110)
    assert differing == []
    assert pairs > 95


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        (BETWEEN, {"column": "real", "min_value": "-9"}),
        (BETWEEN, {"column": "real", "min_value": 9, "max_value": -9}),
        (BETWEEN, {"column": "real"}),
        (BETWEEN, {"column": "real", "min_value": -9, "mostly": 2}),
        (BETWEEN, {"column": "real", "min_value": -9, "strict_min": "yes"}),
        (BETWEEN, {"column": "real", "min_value": -9, "strict": True}),
        (BETWEEN, {"column": "real", "min_value": -9, "row_condition": {"type": "comparison"}}),
        (BETWEEN, {"column": "word", "min_value": 3}),
        (BETWEEN, {"column": "at", "min_value": "2013-01-01T00:00:00Z"}),
        (IN_SET, {"column": "word", "value_set": ["x", 1]}),
        (IN_SET, {"column": "whole", "value_set": ["1"]}),
        (IN_SET, {"column": "yes", "value_set": [0, 1]}),
        (REGEX, {"column": "word", "regex": "["}),
        (REGEX, {"column": "whole", "regex": "1"}),
        (INCREASING, {"column": "word"}),
        (NOT_NULL, {"column": ["real"]}),
        (NOT_NULL, {}),
        ("expect_column_values_to_be_of_type", {"column": "whole", "type_": "Int64Dtype"}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "word", "column_B": "whole"}),
        ("expect_column_values_to_match_strftime_format", {"column": "word", "strftime_format": "%Y"}),
    ],
)
def test_anything_else_is_left_to_great_expectations(tmp_path, kind, kwargs):
    _, schema, _, types = opened(tmp_path, random_table(0, 5))
    assert check((kind, kwargs), schema, types) is None


def test_regular_expressions_are_those_of_python(tmp_path):
    frame = pl.DataFrame({"text": ["aa", "ab", "٣", "end\n", None]})
    patterns = [r"(.)\1", "a(?!a)", r"^\d$", "d$"]
    results = by_polars(tmp_path, frame, *((REGEX, {"column": "text", "regex": pattern}) for pattern in patterns))
    assert [result.result["partial_unexpected_index_list"] for result in results] == [
        [2, 3, 4],
        [3, 4],
        [1, 2, 4],
        [1, 2, 3],
    ]


def test_the_first_rows_that_repeat_are_listed_in_the_order_of_the_table(tmp_path):
    frame = pl.DataFrame({"a": [*range(100), *range(30, 90), None, None]})
    (result,) = by_polars(tmp_path, frame, (UNIQUE, {"column": "a"}))
    assert result.result["unexpected_count"] == 120
    assert result.result["missing_count"] == 2
    assert result.result["partial_unexpected_index_list"] == [*range(31, 51)]
    assert result.result["partial_unexpected_list"] == [*range(30, 50)]


def test_limits_and_values_of_large_integers_are_exact(tmp_path):
    frame = pl.DataFrame({"a": [2**60, 2**60 + 1, None]})
    suite = ((BETWEEN, {"column": "a", "max_value": 2**60}), (IN_SET, {"column": "a", "value_set": [2**60 + 1]}))
    results = by_polars(tmp_path, frame, *suite)
    assert [result.result["partial_unexpected_index_list"] for result in results] == [[2], [1]]


def test_a_date_is_compared_as_an_instant_in_the_zone_of_its_column(tmp_path):
    zone = pl.Series([dt.datetime(2013, 1, 1, 23, 30, tzinfo=dt.UTC)]).dt.convert_time_zone("Europe/Berlin")
    frame = pl.DataFrame({"day": [dt.date(2013, 1, 1)], "zone": zone})
    results = by_polars(
        tmp_path,
        frame,
        (BETWEEN, {"column": "day", "max_value": "2013-01-01"}),
        (BETWEEN, {"column": "zone", "min_value": "2013-01-02"}),
        (BETWEEN, {"column": "zone", "min_value": "2013-01-02T00:00:00Z"}),
    )
    assert [result.success for result in results] == [True, True, False]
