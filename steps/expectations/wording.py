"""Expectations in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def expected_in_words(kind: str, kwargs: Mapping[str, Any]) -> str:
    """Return an expectation as a person would say it."""
    mostly = kwargs.get("mostly")
    share = 100.0 if mostly is None else 100 * float(mostly)
    if kind == "expect_column_values_to_not_be_null":
        return "no missing values" if share == 100 else f"at most {100 - share:g} % missing"
    if kind == "expect_column_to_exist":
        return "column must exist"
    words = kind.removeprefix("expect_").removeprefix("column_").replace("_", " ")
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None or high is not None:
        what = words.removesuffix(" to be between")
        bounds = (
            (f"{low} or more" if high is None else f"{high} or less")
            if low is None or high is None
            else f"between {low} and {high}"
        )
        words = f"{what} {bounds}"
    words += "".join(
        f" {_short(kwargs[key])}"
        for key in ("value_set", "regex", "regex_list", "value", "type_", "type_list", "strftime_format")
        if kwargs.get(key) is not None
    )
    return words if share == 100 else f"{words} in at least {share:g} % of the rows"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value[:8]))}{f', ... {len(value)} in all' if len(value) > 8 else ''}]"
    return str(value)
