"""The validate stage: every expectation is accounted for, and only critical failures stop the run."""

import datetime as dt
import logging

import polars as pl
import pytest
from tables import metrics, read_json, run_stage, write_table

from steps.errors import GateRefused, InputError
from steps.expectations.wording import expected_in_words
from steps.validate import Expectation, ValidateConfig, validate

BETWEEN = "expect_column_values_to_be_between"
NOT_NULL = "expect_column_values_to_not_be_null"

FRAME = pl.DataFrame(
    {
        "whole": [None, *range(1, 30)],
        "large": [None, *([2**60 + 1] * 29)],
        "real": [0.5] * 30,
        "text": ["x", "y", "secret <b>"] * 10,
        "yes": [None, True, False] * 10,
        "day": [dt.date(2013, 1, 1) + dt.timedelta(i) for i in range(30)],
        "at": [dt.datetime(2013, 1, 1, tzinfo=dt.UTC) + dt.timedelta(i) for i in range(30)],
        "empty": [None] * 30,
        "a 0 'ü%": [7] * 30,
    },
    schema_overrides={"empty": pl.Float64},
)


@pytest.fixture
def checked(workspace):
    """Run a suite given as (type, kwargs[, severity]); returns results by type, the refusal if any, and the metrics."""
    count = iter(range(100))

    def check(*suite, frame=FRAME, show_values=False):
        place = workspace / str(next(count))
        table = write_table(place / "table", frame)
        expectations = tuple(
            Expectation(type=kind, kwargs=kwargs, severity=(rest or ["critical"])[0]) for kind, kwargs, *rest in suite
        )
        refusal = None
        try:
            run_stage(validate, place, ValidateConfig(suite=expectations, show_values=show_values), table=table)
        except GateRefused as error:
            refusal = error
        document = read_json(place / "validation" / "results.json")
        assert document["passed"] == (refusal is None)
        return document["results"], refusal, metrics(place / "journal.jsonl")

    return check


def test_met_expectations_of_every_column_type_pass(checked):
    results, refusal, logged = checked(
        (BETWEEN, {"column": "whole", "min_value": 1, "max_value": 29}),
        (BETWEEN, {"column": "day", "min_value": "2013-01-01", "max_value": "2014-01-01"}),
        (BETWEEN, {"column": "at", "min_value": "2013-01-01T00:00:00Z"}),
        ("expect_column_min_to_be_between", {"column": "day", "min_value": "2013-01-01"}),
        ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["x", "y", "secret <b>"]}),
        ("expect_column_values_to_be_in_set", {"column": "yes", "value_set": [True, False]}),
        ("expect_column_values_to_be_in_set", {"column": "large", "value_set": [2**60 + 1]}),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "whole", "column_B": "real", "ignore_row_if": "either_value_is_missing"},
        ),
        ("expect_table_columns_to_match_set", {"column_set": FRAME.columns}),
        ("expect_table_column_count_to_equal", {"value": len(FRAME.columns)}),
        ("expect_column_values_to_be_null", {"column": "empty"}),
        ("expect_column_to_exist", {"column": "a 0 'ü%"}),
        (NOT_NULL, {"column": "yes", "mostly": 0.6}),
        ("expect_column_values_to_match_regex", {"column": "text", "regex": "^[xys]"}),
        ("expect_column_mean_to_be_between", {"column": "whole", "min_value": 14, "max_value": 16}),
    )
    assert [result["type"] for result in results if not result["success"]] == []
    assert refusal is None
    assert logged["data/expectations"] == 16, "the row count is always expected"
    assert logged["data/expectations_failed"] == 0


def test_a_failure_names_column_wanted_observed_and_rows(checked):
    _, refusal, logged = checked((BETWEEN, {"column": "whole", "min_value": 3}), (NOT_NULL, {"column": "whole"}))
    assert refusal.reasons == (
        "column 'whole': expected: values 3 or more; observed: 2 of 30 rows fail (6.7 %), 1 missing; rows 2, 3 [expect_column_values_to_be_between]",
        "column 'whole': expected: no missing values; observed: 1 of 30 rows fail (3.3 %); rows 1 [expect_column_values_to_not_be_null]",
    )
    assert logged["data/expectations_failed_critical"] == 2


def test_only_critical_failures_stop(checked):
    wrong = (BETWEEN, {"column": "whole", "min_value": 3})
    _, refusal, logged = checked((*wrong, "warning"), (*wrong, "info"))
    assert refusal is None
    assert (
        logged["data/expectations_failed"],
        logged["data/expectations_failed_warning"],
        logged["data/expectations_failed_info"],
    ) == (2, 1, 1)


def test_values_are_shown_only_where_that_is_allowed(checked, workspace):
    wrong = (
        ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["x", "y"]}, "warning"),
        ("expect_column_distinct_values_to_be_in_set", {"column": "text", "value_set": ["x", "y"]}, "warning"),
        ("expect_column_most_common_value_to_be_in_set", {"column": "text", "value_set": ["x"]}, "warning"),
    )
    checked(*wrong)
    for name in ("validation/results.json", "journal.jsonl"):
        assert "secret" not in (workspace / "0" / name).read_text()
    results, _, _ = checked(*wrong, show_values=True)
    assert results[1]["values"][0] == "secret <b>"
    assert results[1]["rows"][:3] == [3, 6, 9]


def test_rows_are_named_by_their_row_numbers_not_by_position(checked):
    frame = pl.DataFrame({"_row": [7, 9, 30], "a": [1, 5, 1]})
    results, _, _ = checked((BETWEEN, {"column": "a", "max_value": 3}), frame=frame)
    assert results[1]["rows"] == [9]


def test_a_table_without_rows_never_passes(checked):
    results, refusal, _ = checked((NOT_NULL, {"column": "whole"}), frame=FRAME.clear())
    assert "table row count 1 or more" in refusal.reasons[0]
    assert results[1]["success"], "Great Expectations is content with no rows, which is why the row count is expected"


def test_a_column_without_a_value_is_not_a_pass(checked):
    _, refusal, _ = checked((BETWEEN, {"column": "empty", "min_value": 0}))
    assert "no value to check: all 30 rows are missing" in refusal.reasons[0]


def test_what_could_not_be_evaluated_is_critical_whatever_its_severity(checked):
    results, refusal, _ = checked((BETWEEN, {"column": "text", "min_value": 3}, "info"))
    assert not results[1]["evaluated"]
    assert "column 'text': expected: values 3 or more; could not be evaluated" in refusal.reasons[0]


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        (
            "expect_column_value_to_be_between",
            {"column": "whole"},
            "no such expectation; did you mean 'expect_column_values_to_be_between'",
        ),
        (
            BETWEEN,
            {"column": "Whole", "min_value": 1},
            "no column 'Whole'; did you mean 'whole'.*columns are: whole, large",
        ),
        (BETWEEN, {"column": "whole", "min_valu": 1}, "min_valu: extra fields not permitted"),
        (BETWEEN, {"min_value": 1}, "column: field required"),
        (BETWEEN, {"column": "day", "min_value": "soon"}, "'soon' is not a date.*2013-01-31"),
        ("expect_column_pair_values_to_be_equal", {"column_A": "whole", "column_B": "wohle"}, "no column 'wohle'"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["whole", "x"]}, "no column 'x'"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT 1"}, "no such expectation"),
    ],
)
def test_a_suite_that_great_expectations_would_drop_is_refused(checked, kind, kwargs, message):
    with pytest.raises(InputError, match=message):
        checked((NOT_NULL, {"column": "real"}), (kind, kwargs))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"row_condition": "@pd.io.common.os.system('touch CANARY') == 0", "condition_parser": "pandas"},
            "expectation 1 .*not_be_null.*condition_parser: a parsed condition could run any code.*WHERE in data.query",
        ),
        ({"row_condition": "@pd.io.common.os.system('touch CANARY') == 0"}, "row_condition: text would run as code"),
        ({"row_condition": 'col("whole") > 3'}, 'write the condition as data: {"type": "comparison"'),
        (
            {
                "row_condition": {
                    "type": "pass_through",
                    "pass_through_filter": "@pd.io.common.os.system('touch CANARY')",
                }
            },
            "row_condition: text would run as code",
        ),
        (
            {
                "row_condition": {
                    "type": "and",
                    "conditions": [{"pass_through_filter": "@pd.io.common.os.system('touch CANARY') == 0"}] * 2,
                }
            },
            "row_condition: text would run as code",
        ),
        (
            {"row_condition": {"type": "nullity", "column": {"name": "a` or @pd or `b"}, "is_null": False}},
            "holds a backtick",
        ),
        (
            {"row_condition": {"type": "nullity", "column": {"name": "wohle"}, "is_null": False}},
            "no column 'wohle'; did you mean 'whole'",
        ),
        ({"mostly": {"$PARAMETER": "9^9^9"}}, r"\$PARAMETER: expressions are not evaluated; write the value itself"),
        ({"result_format": "COMPLETE"}, "result_format: a suite does not configure its own evaluation"),
        ({"catch_exceptions": False}, "catch_exceptions: a suite"),
    ],
)
def test_arguments_that_would_be_run_as_code_are_refused_and_not_run(checked, tmp_path, monkeypatch, kwargs, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        checked((NOT_NULL, {"column": "whole", **kwargs}))
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize("reference", ["file:///etc/passwd", "https://example.org/schema.json", "other.json"])
def test_a_json_schema_that_points_elsewhere_is_refused_rather_than_fetched(checked, reference):
    kind = "expect_column_values_to_match_json_schema"
    with pytest.raises(InputError, match=r"json_schema: \$ref .* would be fetched; copy it into \$defs"):
        checked((kind, {"column": "text", "json_schema": {"items": [{"$ref": reference}]}}))
    inside = {"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}
    frame = pl.DataFrame({"text": ["1", "2.5"]})
    assert checked((kind, {"column": "text", "json_schema": inside}), frame=frame)[1] is None


def test_a_row_condition_that_is_data_chooses_the_rows(checked):
    over = {"type": "comparison", "column": {"name": "a 0 'ü%"}, "operator": ">", "parameter": 3}
    quoted = {"type": "comparison", "column": {"name": "text"}, "operator": "==", "parameter": "x' or @pd.x or '"}
    frame = pl.DataFrame({"text": ["x", "y", "y"], "a 0 'ü%": [None, 5, 9]})
    between = (BETWEEN, {"column": "a 0 'ü%", "max_value": 6})
    results, _, _ = checked(
        (BETWEEN, {**between[1], "row_condition": over}),
        (NOT_NULL, {"column": "text", "row_condition": quoted}),
        frame=frame,
    )
    assert results[1]["observed"] == "1 of 2 rows fail (50.0 %)"
    assert results[2]["observed"] == "no row to check: none meets the row_condition"
    assert not results[2]["success"]


def test_an_empty_suite_is_refused(checked):
    with pytest.raises(InputError, match="empty"):
        checked()


def test_a_missing_column_that_is_expected_to_exist_is_a_failure(checked):
    _, refusal, _ = checked(("expect_column_to_exist", {"column": "nope"}))
    assert "column 'nope': expected: column must exist; observed: no such column" in refusal.reasons[0]


TWINS = pl.DataFrame(
    {
        "amount": [0.25, 0.5, 0.75],
        "AMOUNT": [1067.0, 5000.0, 89335.0],
        "straße": [1, 2, 3],
        "STRASSE": [10, 20, 30],
        "\u212a": ["kelvin", "sign", "here"],  # casefolds to k
        "k": ["x", "y", "z"],
        "e\u0301": [41] * 3,  # the same letter twice: as two characters, and as one
        "\u00e9": [42] * 3,
        " ": ["blank"] * 3,
        "c0": [100, 200, 300],
    }
)


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        *[("amount", 0, 1), ("AMOUNT", 1000, 90000), ("straße", 1, 3), ("STRASSE", 10, 30)],
        *[("e\u0301", 41, 41), ("\u00e9", 42, 42), ("c0", 100, 300)],
    ],
)
def test_a_range_is_checked_on_the_column_of_exactly_that_name(checked, column, low, high):
    numbers = [name for name, dtype in TWINS.schema.items() if dtype.is_numeric()]
    suite = [(BETWEEN, {"column": name, "min_value": low, "max_value": high}, "warning") for name in numbers]
    results, _, _ = checked(*suite, frame=TWINS)
    assert [result["kwargs"] for result in results[1:]] == [kwargs for _, kwargs, _ in suite]
    assert [result["column"] for result in results[1:] if result["success"]] == [column]


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_be_in_set", {"column": "\u212a", "value_set": ["kelvin", "sign", "here"]}),
        ("expect_column_values_to_be_in_set", {"column": "k", "value_set": ["x", "y", "z"]}),
        ("expect_column_values_to_be_in_set", {"column": " ", "value_set": ["blank"]}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "AMOUNT", "column_B": "amount"}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["AMOUNT", "amount"]}),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["e\u0301", "\u00e9"], "sum_total": 83}),
        ("expect_column_mean_to_be_between", {"column": "STRASSE", "min_value": 20, "max_value": 20}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": TWINS.columns}),
        ("expect_table_columns_to_match_set", {"column_set": TWINS.columns[::-1]}),
        ("expect_column_to_exist", {"column": "c0", "column_index": 9}),
        (
            BETWEEN,
            {
                "column": "amount",
                "max_value": 0.5,
                "row_condition": {
                    "type": "comparison",
                    "column": {"name": "AMOUNT"},
                    "operator": "<",
                    "parameter": 6000,
                },
            },
        ),
    ],
)
def test_an_expectation_of_any_kind_sees_columns_by_their_exact_names(checked, kind, kwargs):
    _, refusal, _ = checked((kind, kwargs), frame=TWINS)
    assert refusal is None


def test_a_column_that_differs_from_another_in_case_only_does_not_exist(checked):
    results, refusal, _ = checked(("expect_column_to_exist", {"column": "Amount"}), frame=TWINS)
    assert results[1]["observed"] == "no such column"
    assert len(refusal.reasons) == 1


def test_results_name_the_columns_of_the_table(checked):
    results, _, _ = checked(
        ("expect_table_columns_to_match_ordered_list", {"column_list": ["AMOUNT", "amount"]}, "warning"),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["straße", "STRASSE"], "sum_total": 5}, "warning"),
        frame=TWINS,
        show_values=True,
    )
    assert results[1]["observed"] == str(TWINS.columns)
    assert results[2]["values"][0] == "{'straße': 1, 'STRASSE': 10}"


def test_many_failing_rows_are_counted_and_the_first_are_named(checked):
    frame = pl.DataFrame({"a": [None if i % 2 else i for i in range(120_000)]})
    results, _, _ = checked((NOT_NULL, {"column": "a"}), frame=frame)
    assert results[1]["failing"] == 60_000
    assert results[1]["rows"] == list(range(2, 42, 2))


def test_nothing_is_printed_and_logging_is_left_as_it_was(checked, capfd):
    before = logging.getLogger("great_expectations").level
    checked((BETWEEN, {"column": "whole", "min_value": 3}, "warning"))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("great_expectations").level == before


def test_the_same_table_gives_the_same_bytes(checked, workspace):
    suite = (
        (BETWEEN, {"column": "whole", "min_value": 3}, "warning"),
        ("expect_column_stdev_to_be_between", {"column": "real", "max_value": 1}),
    )
    for _ in range(2):
        checked(*suite)
    assert (workspace / "0/validation/results.json").read_bytes() == (
        workspace / "1/validation/results.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("kind", "kwargs", "words"),
    [
        (
            BETWEEN,
            {"column": "a", "min_value": 0, "max_value": 1, "mostly": 0.95},
            "values between 0 and 1 in at least 95 % of the rows",
        ),
        (BETWEEN, {"column": "a", "max_value": 1}, "values 1 or less"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": ["x", "y"]}, "values to be in set [x, y]"),
        ("expect_table_row_count_to_be_between", {"min_value": 1}, "table row count 1 or more"),
        ("expect_column_to_exist", {"column": "a"}, "column must exist"),
    ],
)
def test_what_is_wanted_is_said_in_words(kind, kwargs, words):
    assert expected_in_words(kind, kwargs) == words
