"""The arguments of an expectation, read one by one with the types that Great Expectations accepts for them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from steps.errors import InputError
from steps.tables.schema import Column, TableSchema

Family = Literal["number", "text", "boolean", "instant"]
LARGEST = 2**53
"""Beyond it, an integer and the nearest float differ."""
_ISO = re.compile(r"[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?)?")
"""Dates that need no pandas to be read, which takes a third of a second to be imported."""


class Uncovered(Exception):
    """Raised where an expectation is left to Great Expectations: its arguments are unusual, or wrong, which it says best."""


@dataclass(frozen=True)
class Values:
    """A column as Great Expectations sees it: NaN is a missing value and a date is an instant."""

    column: Column
    family: Family
    expr: pl.Expr
    is_whole: bool = False

    @property
    def name(self) -> str:
        """Return the name of the column."""
        return self.column.name

    def is_in(self, listed: pl.Series) -> pl.Expr:
        """Return whether values are among those of ``literal``."""
        return self.expr.cast(listed.dtype).is_in(listed.implode())

    def limit(self, value: Any) -> pl.Expr:
        """Return a number or an instant for the comparison with the column."""
        if self.family != "instant" or not self.column.timezone:
            return pl.lit(value)
        return pl.lit(value, pl.Datetime("us", "UTC")).dt.convert_time_zone(self.column.timezone)

    def literal(self, listed: Sequence[Any]) -> pl.Series:
        """Return values of the same family.

        Raises:
            Uncovered: a value is of another family, or could not be compared without rounding.
        """
        if self.family == "text" and all(isinstance(value, str) for value in listed):
            return pl.Series(listed, dtype=pl.String)
        if self.family == "boolean" and all(isinstance(value, bool) for value in listed):
            return pl.Series(listed, dtype=pl.Boolean)
        if self.family == "instant" and all(isinstance(value, dt.datetime) for value in listed):
            if self.column.timezone:
                return pl.Series(listed, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(self.column.timezone)
            return pl.Series(listed, dtype=pl.Datetime("us"))
        if self.family == "number" and all(map(is_number, listed)):
            if self.is_whole and all(isinstance(value, int) for value in listed):
                return pl.Series(listed, dtype=pl.Int64)
            if all(abs(value) < LARGEST for value in listed):
                return pl.Series(listed, dtype=pl.Float64)
        raise Uncovered


@dataclass
class Question:
    """An expectation about a table, whose arguments are read one by one.

    Whatever reads an argument raises ``Uncovered`` where Polars would not answer, so that Great Expectations does.
    """

    kwargs: Mapping[str, Any]
    schema: TableSchema
    types: Mapping[str, pl.DataType]
    arguments: set[str] = field(default_factory=set)
    """The arguments that were read."""

    def argument(self, name: str, default: Any = None) -> Any:
        """Return an argument as it is."""
        self.arguments.add(name)
        return self.kwargs.get(name, default)

    def require(self, fact: bool) -> None:
        """Raise ``Uncovered`` unless something is true."""
        if not fact:
            raise Uncovered

    def flag(self, name: str, default: bool | None = False) -> bool:
        """Return an argument that is true or false, or null where that is the default."""
        value = self.argument(name, default)
        self.require(isinstance(value, bool) or value is default)
        return bool(value)

    def choice(self, name: str, *options: str) -> str:
        """Return an argument that is one of some words; the first is the default."""
        value = self.argument(name, options[0])
        self.require(value in options)
        return str(value)

    def mostly(self) -> float:
        """Return the share of rows that must meet the expectation."""
        value = self.argument("mostly", 1)
        self.require(is_number(value) and 0 <= value <= 1)
        return float(value)

    def words(self, name: str) -> list[str]:
        """Return an argument that is a list of strings, at least one."""
        value = self.argument(name)
        self.require(isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value))
        return list(value)

    def number(self, name: str) -> float:
        """Return an argument that is a number."""
        value = self.argument(name)
        self.require(is_number(value))
        return value  # type: ignore[no-any-return]

    def limits(self, *, whole: bool = False) -> tuple[Any, Any]:
        """Return ``min_value`` and ``max_value``, numbers or null."""
        limits = self.argument("min_value"), self.argument("max_value")
        self.require(
            all(value is None or (is_number(value) and (isinstance(value, int) or not whole)) for value in limits)
        )
        return limits

    def limits_of(self, values: Values) -> tuple[Any, Any]:
        """Return ``min_value`` and ``max_value`` for the comparison with a column: numbers or instants, or null."""
        if values.family == "number":
            return self.limits()
        self.require(values.family == "instant")
        low, high = (self._instants(self.argument(name), values.column) for name in ("min_value", "max_value"))
        return low, high

    def value_set(self, values: Values, *, ignores_null: bool = False) -> pl.Series:
        """Return ``value_set`` as values of a column."""
        listed = self.argument("value_set")
        self.require(isinstance(listed, list))
        if ignores_null:
            listed = [value for value in listed if value is not None]
        return values.literal(self._instants(listed, values.column) if values.family == "instant" else listed)

    def values(self, *families: Family, name: str = "column") -> Values:
        """Return the column that an argument names; all families if none are given."""
        return self.values_of(self.argument(name), *families)

    def values_of(self, name: Any, *families: Family) -> Values:
        """Return the column of a name; all families if none are given."""
        self.require(isinstance(name, str))
        column = next(column for column in self.schema.columns if column.name == name)
        expr, dtype = pl.col(name), self.types[name]
        if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64):
            values = Values(column, "number", expr.cast(pl.Int64), is_whole=True)
        elif dtype == pl.Float64:
            values = Values(column, "number", expr.fill_nan(None))
        elif dtype == pl.Boolean:
            values = Values(column, "boolean", expr)
        elif dtype in (pl.String, pl.Categorical, pl.Enum):
            values = Values(column, "text", expr.cast(pl.String))
        elif dtype == pl.Date:
            values = Values(column, "instant", expr.cast(pl.Datetime("us")))
        elif dtype == pl.Datetime("us", column.timezone):
            values = Values(column, "instant", expr)
        else:
            raise Uncovered
        self.require(not families or values.family in families)
        return values

    def all_read(self) -> bool:
        """Return whether every argument was read; Great Expectations says what is wrong with the others."""
        return self.kwargs.keys() <= self.arguments

    def _instants(self, value: Any, column: Column) -> Any:
        """Return dates as instants: in UTC if the column has a timezone, else without one."""
        if isinstance(value, list):
            return [self._instants(item, column) for item in value]
        if value is None:
            return None
        self.require(isinstance(value, str))
        if not column.timezone and _ISO.fullmatch(value):
            return dt.datetime.fromisoformat(value)
        moment = instant(value, column)
        self.require(not moment.nanosecond and (moment.tzinfo is not None) == bool(column.timezone))
        return (moment.tz_convert("UTC") if column.timezone else moment).to_pydatetime()


def instant(value: Any, column: Column | None) -> Any:
    """Return dates, which JSON holds as text, as instants for the comparison with a date column.

    Raises:
        InputError: a text is not a date.
    """
    if column is None or column.type not in ("date", "datetime"):
        return value
    if isinstance(value, list):
        return [instant(item, column) for item in value]
    if not isinstance(value, str):
        return value
    import pandas as pd  # reads dates the way Great Expectations does; suites without dates do without it

    try:
        moment = pd.Timestamp(value)
    except ValueError:
        raise InputError(
            f"{value!r} is not a date, and column {column.name!r} holds {column.type}s; write dates as 2013-01-31"
        ) from None
    return moment.tz_localize(column.timezone) if column.timezone and moment.tzinfo is None else moment


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a finite number, and no boolean; an integer has at most 64 bits."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)
