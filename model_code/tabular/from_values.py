"""Values of Python's own types as a column: what pandas calls objects, and what JSON holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import polars as pl


def series_of(name: str, values: Sequence[Any]) -> pl.Series:
    """Return values of one type as a column of that type, and of several types as text; None is missing."""
    if len({type(value) for value in values if value is not None}) <= 1:
        try:
            return pl.Series(name, values, nan_to_null=True)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            pass  # whole numbers beyond 64 bits
    return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str:
    """Return a value as a CSV file would hold it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date) else str(value)
