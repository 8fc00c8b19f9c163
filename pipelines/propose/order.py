"""Order in time: rows that follow each other resemble each other, and a split by row flatters the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from steps.tables.schema import Column
from steps.tables.truth import Array

_PARTS: tuple[tuple[str, str, int], ...] = (
    ("year", r"(year|yr|jahr|annee|anno|ano)", 0),
    ("month", r"(month|mnth|mon|mo|monat|mois|mes)", 100),
    ("week", r"(week|wk|weekofyear|woche)", 100),
    ("day", r"(day|dayofmonth|dayofyear|dy|dom|doy|tag|jour|dia)", 1000),
    ("hour", r"(hour|hr|hh|stunde|heure|hora)", 100),
    ("minute", r"(minute|mins?)", 100),
)
"""Words for the parts of a moment, the largest first, and the number that their values stay below."""
_AUTOCORRELATED = 0.2
_ENOUGH = 200
_FIRST_ROWS = 100_000
"""The first rows, in which an order would show."""
_MOMENTS = 20
"""A column with fewer different values gives no order."""


@dataclass(frozen=True)
class Order:
    """The signs of an order in time."""

    column: str | None
    """A column by which the rows are in order."""
    parts: tuple[str, ...]
    """The columns that together give the moment of a row, such as year, month and day."""
    autocorrelation: float | None
    """How strongly the targets of consecutive rows resemble each other; None where chance explains it."""

    @property
    def moment(self) -> str:
        """The parts as one number, in SQL."""
        limits = dict(zip(self.parts, self._limits(), strict=True))
        sql, factor = [], 1
        for name in reversed(self.parts):
            sql.append(f'"{name.replace(chr(34), chr(34) * 2)}"' + (f" * {factor}" if factor > 1 else ""))
            factor *= limits[name] or 1
        return " + ".join(reversed(sql))

    def _limits(self) -> list[int]:
        return [next(limit for _, words, limit in _PARTS if _is(name, words)) for name in self.parts]


def _is(name: str, words: str) -> bool:
    """Return whether a name is one of the words, alone or as the last part: dep_hour."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
    return re.fullmatch(rf"(.*[\W_])?{words}", spaced) is not None


def parts_of_moment(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the columns of whole numbers that spread a moment, the largest part first; empty for fewer than two.

    A lone hour or month returns again and again, and a lone year may be when a car was built.
    """
    whole = [column.name for column in columns if column.type == "integer" and not column.missing]
    parts = {}
    for part, words, _ in _PARTS:
        fitting = [name for name in whole if _is(name, words)]
        if len(fitting) == 1:
            parts[part] = fitting[0]
    if "month" in parts:
        parts.pop("week", None)
    dated = [part for part in ("year", "month", "week", "day") if part in parts]
    return tuple(parts.values()) if len(parts) >= 2 and dated and dated != ["week"] else ()


def find_order(data: pl.LazyFrame, columns: Sequence[Column], truth: Array, classes: int) -> Order | None:
    """Return the signs that rows are in the order of time; None where there are none.

    Args:
        columns: the columns but the target.
        truth: class index or number of each row with a label, in the order of the file.
    """
    parts = parts_of_moment(columns)
    resemblance = autocorrelation(truth, classes)
    if resemblance is None and not parts:
        return None
    dates = [c.name for c in columns if c.type in ("date", "datetime") and not c.missing]
    ordered = [*dates, *(c.name for c in columns if c.type in ("integer", "float") and not c.missing)]
    frame = data.select(ordered).head(_FIRST_ROWS).collect(engine="streaming")
    rising = (name for name in ordered if frame[name].is_sorted() and frame[name].n_unique() >= _MOMENTS)
    return Order(next(rising, None), parts, resemblance)


def autocorrelation(truth: Array, classes: int) -> float | None:
    """Return the correlation of each target with the next; None where chance explains it, or rows are sorted by class."""
    values = truth[:_FIRST_ROWS].astype(float)
    if len(values) < _ENOUGH or values.std() == 0:
        return None
    if classes and int((np.diff(values) != 0).sum()) <= 2 * classes:
        return None
    ranks = pl.Series(values).rank().to_numpy()
    result = float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])
    return result if result > max(_AUTOCORRELATED, 6 / np.sqrt(len(values))) else None
