"""The result of an expectation in the form of Great Expectations, and what it comes to for a person."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steps import wording
from steps.expectations.requests import Request

LISTED = 20
"""How many failing rows are listed."""
_SHOWS_NO_VALUES = (
    "expect_table_column",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
    "expect_column_quantile",
)
_NEEDS_NO_VALUES = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_to_exist",
    "expect_column_proportion_of_non_null",
)


@dataclass(frozen=True)
class Result:
    """The result of one expectation, whoever evaluated it."""

    success: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    """The ``result`` of Great Expectations' ``ExpectationValidationResult``, with the names of the table."""
    error: str | None = None
    """Why it was not evaluated."""


@dataclass(frozen=True)
class Outcome:
    """What the evaluation of one expectation came to."""

    success: bool = False
    error: str | None = None
    """Why it was not evaluated."""
    observed: Any = None
    """Numbers and counts only."""
    observed_values: Any = None
    """The same with values of the table."""
    failing: int = 0
    """How many rows fail."""
    rows: tuple[int, ...] = ()
    """The numbers of the first of them."""
    values: tuple[str, ...] = ()
    """The values in them."""


def outcome(request: Request, result: Result, rows: int) -> Outcome:
    """Return what a result comes to on a table of this many rows."""
    kind, kwargs = request
    if result.error is not None:
        return Outcome(error=_without_values(result.error))
    detail, success = result.result, result.success
    count = detail.get("unexpected_count")
    value = detail.get("observed_value")
    elements, missing = detail.get("element_count"), detail.get("missing_count")
    if success and elements == 0 and rows and kwargs.get("row_condition") is not None:
        success = False
        observed = "no row to check: none meets the row_condition"
    elif success and elements and missing == elements and not kind.startswith(_NEEDS_NO_VALUES):
        success = False
        observed = f"no value to check: all {elements:,} rows are missing"
    elif "distinct_values" in kind:
        observed, count = _distinct(count, missing), 0
    elif count is not None:
        checked = elements or rows
        observed = f"{count:,} of {checked:,} rows fail ({_percent(count, checked)})" + (
            f", {missing:,} missing" if missing else ""
        )
    elif kind == "expect_column_to_exist":
        observed = "the column exists" if success else "no such column"
    elif kind.startswith(_SHOWS_NO_VALUES):
        observed = str(value)
    else:
        observed = _plain(value)
    listed = () if success else detail.get("partial_unexpected_index_list") or ()
    return Outcome(
        success=success,
        observed=observed,
        observed_values=observed if count is not None else str(value),
        failing=int(count or 0),
        rows=tuple(sorted(set(listed))[:LISTED]),
        values=tuple(str(item) for item in (detail.get("partial_unexpected_list") or ())[:LISTED]),
    )


def _distinct(outside: int | None, absent: int | None) -> str:
    """Return how many values of a column are outside a set, and how many of the set the column does not have."""
    parts = [] if outside is None else [f"{wording.count(outside, 'distinct value')} outside"]
    if absent is not None:
        parts.append(f"{wording.count(absent, 'value')} of the set absent")
    return ", ".join(parts)


def _percent(count: int, total: int) -> str:
    share = 100 * count / total if total else 0.0
    return f"{share:.1f} %" if share >= 0.1 or not count else "under 0.1 %"


def _without_values(message: str) -> str:
    """Return the message of an exception without what it quotes, which may be a value of the table."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "(not shown)", message.splitlines()[0])[:300]


def _plain(value: Any) -> Any:
    """Return an observation without values of rows: a number stays, text and lists become their count."""
    if value is None or isinstance(value, bool | int):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    try:
        number = float(value)
    except (TypeError, ValueError):
        many = len(value) if isinstance(value, Sequence | set | Mapping) and not isinstance(value, str) else 1
        return f"{wording.count(many, 'value')} (not shown)"
    return (
        int(number) if number.is_integer() and abs(number) < 2**53 else number if math.isfinite(number) else str(number)
    )
