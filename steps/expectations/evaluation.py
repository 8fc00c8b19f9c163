"""Expectations that Polars evaluates, out of core and in as few passes over the table as their figures need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from steps.expectations import column_checks as column
from steps.expectations import row_checks as row
from steps.expectations import table_checks as table
from steps.expectations import type_checks
from steps.expectations.checks import Check
from steps.expectations.conditions import row_condition
from steps.expectations.outcomes import LISTED, Result
from steps.expectations.questions import Question, Uncovered
from steps.expectations.requests import Request
from steps.tables.names import ROW
from steps.tables.schema import TableSchema

_OF_SCHEMA: Mapping[str, Callable[[Question], Check]] = {
    "expect_column_to_exist": table.column_exists,
    "expect_table_column_count_to_be_between": table.column_count_between,
    "expect_table_column_count_to_equal": table.column_count_equal,
    "expect_table_columns_to_match_ordered_list": table.columns_in_order,
    "expect_table_columns_to_match_set": table.columns_of_set,
}
_OF_ROWS: Mapping[str, Callable[[Question], Check]] = {
    "expect_table_row_count_to_be_between": table.row_count_between,
    "expect_table_row_count_to_equal": table.row_count_equal,
    "expect_column_values_to_not_be_null": row.not_null,
    "expect_column_values_to_be_null": row.null,
    "expect_column_values_to_be_between": row.between,
    "expect_column_values_to_be_in_set": row.in_set,
    "expect_column_values_to_not_be_in_set": row.not_in_set,
    "expect_column_values_to_be_unique": row.unique,
    "expect_column_values_to_be_increasing": row.increasing,
    "expect_column_values_to_be_decreasing": row.decreasing,
    "expect_column_values_to_be_of_type": type_checks.of_type,
    "expect_column_values_to_be_in_type_list": type_checks.in_type_list,
    "expect_column_values_to_match_regex": row.match_regex,
    "expect_column_values_to_not_match_regex": row.not_match_regex,
    "expect_column_values_to_match_regex_list": row.match_regex_list,
    "expect_column_values_to_not_match_regex_list": row.not_match_regex_list,
    "expect_column_value_lengths_to_be_between": row.lengths_between,
    "expect_column_value_lengths_to_equal": row.lengths_equal,
    "expect_column_value_z_scores_to_be_less_than": row.z_scores,
    "expect_column_pair_values_to_be_equal": row.pair_equal,
    "expect_column_pair_values_a_to_be_greater_than_b": row.pair_greater,
    "expect_column_pair_values_to_be_in_set": row.pair_in_set,
    "expect_compound_columns_to_be_unique": row.compound_unique,
    "expect_select_column_values_to_be_unique_within_record": row.unique_within_record,
    "expect_multicolumn_sum_to_equal": row.multicolumn_sum,
    "expect_multicolumn_values_to_be_equal": row.multicolumn_equal,
    "expect_column_min_to_be_between": column.minimum,
    "expect_column_max_to_be_between": column.maximum,
    "expect_column_mean_to_be_between": column.mean,
    "expect_column_median_to_be_between": column.median,
    "expect_column_sum_to_be_between": column.total,
    "expect_column_stdev_to_be_between": column.deviation,
    "expect_column_quantile_values_to_be_between": column.quantiles,
    "expect_column_unique_value_count_to_be_between": column.unique_count,
    "expect_column_proportion_of_unique_values_to_be_between": column.unique_share,
    "expect_column_proportion_of_non_null_values_to_be_between": column.present_share,
    "expect_column_most_common_value_to_be_in_set": column.most_common,
    "expect_column_distinct_values_to_be_in_set": column.distinct_in_set,
    "expect_column_distinct_values_to_contain_set": column.distinct_contain_set,
    "expect_column_distinct_values_to_equal_set": column.distinct_equal_set,
}
COVERED = frozenset({*_OF_SCHEMA, *_OF_ROWS})
"""The types that Polars evaluates, where their arguments are ordinary."""
_BATCH = 100
"""Checks whose figures are computed at once: the engine holds buffers for each column."""


def check(request: Request, schema: TableSchema, types: Mapping[str, pl.DataType]) -> Check | None:
    """Return how Polars answers an expectation; None if Great Expectations must.

    Args:
        types: the types of the columns in the file of the table.

    Raises:
        InputError: a text beside a column of dates is not a date.
    """
    kind, kwargs = request
    question = Question(kwargs, schema, types)
    try:
        if kind in _OF_SCHEMA:
            result, condition = _OF_SCHEMA[kind](question), None
        elif kind in _OF_ROWS:
            condition = row_condition(question)
            result = _OF_ROWS[kind](question)
        else:
            return None
    except Uncovered:
        return None
    return replace(result, condition=condition) if question.all_read() else None


def evaluate(data: pl.LazyFrame, checks: Mapping[int, Check]) -> dict[int, Result]:
    """Return the results of checks of a table by position."""
    results: dict[int, Result] = {}
    for frame, group in _by_condition(data, checks):
        answers: dict[int, dict[str, Any]] = {position: {} for position in group}
        for start in range(0, len(group), _BATCH):
            _add_figures(frame, dict([*group.items()][start : start + _BATCH]), answers)
        for position, one in group.items():
            for name, query in one.queries.items():
                answers[position][name] = query(frame).collect(engine="streaming")
            results[position] = _with_rows(frame, one, one.judge(answers[position]))
    return results


def _by_condition(data: pl.LazyFrame, checks: Mapping[int, Check]) -> list[tuple[pl.LazyFrame, dict[int, Check]]]:
    """Return the rows that checks are about, with these checks."""
    groups: list[tuple[pl.Expr, dict[int, Check]]] = []
    for position, one in checks.items():
        condition = pl.lit(True) if one.condition is None else one.condition
        group = next((group for other, group in groups if other.meta.eq(condition)), None)
        if group is None:
            group = {}
            groups.append((condition, group))
        group[position] = one
    return [(data.filter(condition), group) for condition, group in groups]


def _add_figures(frame: pl.LazyFrame, group: Mapping[int, Check], answers: Mapping[int, dict[str, Any]]) -> None:
    """Compute the figures of checks in one pass."""
    places = [(position, name) for position, one in group.items() for name in one.figures]
    if places:
        figures = (group[position].figures[name].alias(str(i)) for i, (position, name) in enumerate(places))
        row_of_figures = frame.select(*figures).collect(engine="streaming").row(0)
        for (position, name), figure in zip(places, row_of_figures, strict=True):
            answers[position][name] = figure


def _with_rows(frame: pl.LazyFrame, one: Check, result: Result) -> Result:
    """Return the result with the first rows that fail."""
    if one.failing is None or not result.result["unexpected_count"]:
        return result
    names = [f"\0{position}" for position in range(len(one.columns))]
    listed = [values.expr.alias(name) for values, name in zip(one.columns, names, strict=True)]
    rows = one.failing(frame).select(ROW, *listed).head(LISTED).collect(engine="streaming")
    values: list[Any] = [*rows.select(names).iter_rows()]
    if len(names) == 1:
        values = [value for (value,) in values]
    elif one.are_records:
        columns = [column.name for column in one.columns]
        values = [dict(zip(columns, value, strict=True)) for value in values]
    lists = {"partial_unexpected_list": values, "partial_unexpected_index_list": rows[ROW].to_list()}
    return replace(result, result={**result.result, **lists})
