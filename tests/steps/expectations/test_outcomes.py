"""What results come to: a verdict and an observation without values of the table."""

import pytest

from steps.expectations.outcomes import Result, outcome

IN_SET = "expect_column_distinct_values_to_be_in_set"


@pytest.mark.parametrize(
    ("kind", "result", "observed"),
    [
        (IN_SET, {"unexpected_count": 1, "partial_unexpected_list": ["secret"]}, "1 distinct value outside"),
        (IN_SET.replace("be_in", "contain"), {"missing_count": 2}, "2 values of the set absent"),
        (
            IN_SET.replace("be_in", "equal"),
            {"unexpected_count": 0, "missing_count": 1},
            "0 distinct values outside, 1 value of the set absent",
        ),
        ("expect_column_most_common_value_to_be_in_set", {"observed_value": ["a", "b"]}, "2 values (not shown)"),
        ("expect_column_mean_to_be_between", {"observed_value": 3.0}, 3),
    ],
)
def test_an_observation_counts_and_shows_no_values(kind, result, observed):
    assert outcome((kind, {}), Result(False, result), 10).observed == observed


def test_a_message_of_an_exception_is_shown_without_what_it_quotes():
    assert (
        outcome(("expect_column_to_exist", {}), Result(error="no 'secret' here\nand more"), 1).error
        == "no (not shown) here"
    )


def test_rows_are_listed_only_for_what_fails():
    result = {"element_count": 9, "unexpected_count": 1, "partial_unexpected_index_list": [7]}
    rows = [
        outcome(("expect_column_values_to_be_null", {}), Result(success, result), 9).rows for success in (True, False)
    ]
    assert rows == [(), (7,)]
