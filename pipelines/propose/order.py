"""Order in time: rows that follow each other resemble each other, and a split by row flatters the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from steps.splitting.moments import PARTS, is_part, parts_of_moment
from steps.tables.schema import Column
from steps.tables.truth import Array

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
        return [next(limit for _, words, limit in PARTS if is_part(name, words)) for name in self.parts]


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
    if ranks[:-1].std() == 0 or ranks[1:].std() == 0:
        return None
    result = float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])
    return result if result > max(_AUTOCORRELATED, 6 / np.sqrt(len(values))) else None
