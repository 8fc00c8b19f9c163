"""Labels of a supervised table: a column as class names or numbers, and these as truth.

Reached by the label stage, so polars is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import polars as pl

LISTED = 20
"""How many classes a message names."""
MOST = 1000
"""The largest number of classes."""
_FEW = 20
"""As many different values may be classes, however few the rows."""


class Unfit(ValueError):
    """A column cannot be the target of a task; ``problem`` and ``advice`` continue a sentence that names it."""

    def __init__(self, problem: str, advice: str, rows: pl.Series | None = None) -> None:
        super().__init__(f"{problem}; {advice}")
        self.problem, self.advice = problem, advice
        self.rows = rows
        """Boolean [n]: the rows with the problem; all rows when None."""


class Labels(Protocol):
    """How a task reads the column of its target."""

    def read(self, raw: pl.Series) -> pl.Series:
        """Return the column as labels: String class names or Float64 numbers; null where a row has none.

        Raises:
            Unfit: a value cannot be a label of the task.
        """

    def count(self, labels: pl.Series, raw: pl.Series) -> dict[str, int]:
        """Return the rows of each class, in the order of the classes' indices; empty where labels are numbers.

        Raises:
            Unfit: labels, read from ``raw``, have too few or too many different values for the task.
        """

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        """Return labels as Int64 class indices or finite Float64 numbers; null where a value is neither."""


@dataclass(frozen=True)
class ClassLabels:
    """Labels that are class names, at least ``fewest`` and at most ``most`` different ones."""

    fewest: int
    most: int
    other_task: str
    """The task for a target with another number of classes, as advice."""

    def read(self, raw: pl.Series) -> pl.Series:
        return class_names(raw)

    def count(self, labels: pl.Series, raw: pl.Series) -> dict[str, int]:
        present = labels.drop_nulls()
        distinct = present.n_unique()
        many = distinct > MOST or (distinct > _FEW and distinct > len(present) / 2)
        fractions = raw.dtype.is_float() and distinct > _FEW and bool((raw.drop_nulls() % 1 != 0).any())
        if many or fractions:
            raise Unfit(
                f"has {distinct:,} different values in {len(present):,} rows, too many for classes",
                "it is a number, so use task: regression"
                if raw.dtype.is_numeric()
                else "it looks like an identifier or free text; choose another target",
            )
        rows = dict(present.value_counts().iter_rows())
        counts = {name: rows[name] for name in ordered_classes(list(rows))}
        if not self.fewest <= distinct <= self.most:
            requirement = f", and the task needs {self.most}" if self.fewest == self.most else ""
            raise Unfit(f"has {distinct} classes ({_listed(counts)}){requirement}", f"use {self.other_task}")
        return counts

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        import polars as pl

        return values.cast(pl.String).replace_strict(
            list(classes), list(range(len(classes))), default=None, return_dtype=pl.Int64
        )


class NumberLabels:
    """Labels that are numbers, any number of different ones."""

    def read(self, raw: pl.Series) -> pl.Series:
        import polars as pl

        if raw.dtype == pl.Boolean:
            raise Unfit("is true or false, and a regression predicts a number", "use task: binary-classification")
        if raw.dtype.is_temporal():
            raise Unfit(
                "holds dates, and a regression predicts a number",
                "make one with label.rule, such as the days between two dates",
            )
        if raw.dtype.is_numeric() or raw.dtype == pl.Null:
            values = raw.cast(pl.Float64)
        else:
            text = raw.cast(pl.String).str.strip_chars()
            values = text.cast(pl.Float64, strict=False)
            wrong = values.is_null() & text.is_not_null() & (text != "")
            if wrong.any():
                raise Unfit(
                    "is not a number",
                    "a regression predicts a number: correct them, declare their marker as missing, or use a "
                    "classification task",
                    wrong,
                )
        values = values.fill_nan(None)
        huge = (values.abs() > 3.4e38).fill_null(value=False)
        if huge.any():
            raise Unfit(
                "is huge or infinite", "wanted numbers between -3.4e38 and 3.4e38, which float32 can hold", huge
            )
        return values

    def count(self, labels: pl.Series, raw: pl.Series) -> dict[str, int]:
        return {}

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        import polars as pl

        numbers = values.cast(pl.Float64)
        return numbers.set(~numbers.is_finite(), None)


_LABELS: dict[str, Labels] = {
    "binary-classification": ClassLabels(2, 2, "task: multiclass-classification, or make two of them with label.rule"),
    "multiclass-classification": ClassLabels(3, MOST, "task: binary-classification"),
    "regression": NumberLabels(),
}


def get(task: str) -> Labels:
    """Return how the task of that name reads its target."""
    return _LABELS[task]


def class_names(values: pl.Series) -> pl.Series:
    """Return values as class names: true and false, integers without a point, stripped text; null where empty."""
    import polars as pl

    if values.dtype == pl.Boolean:
        return values.replace_strict([True, False], ["true", "false"], return_dtype=pl.String)
    if values.dtype.is_float():
        values = values.fill_nan(None)
        present = values.drop_nulls()
        if present.is_finite().all() and (present == present.floor()).all() and (present.abs() < 2.0**53).all():
            values = values.cast(pl.Int64)
    if values.dtype == pl.Null or values.dtype.is_numeric() or values.dtype.is_temporal():
        return values.cast(pl.String)
    text = values.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def number(name: str) -> float | None:
    """Return the number that a class name is, also in quotes; None where it is not one."""
    try:
        value = float(name.strip("'\""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def ordered_classes(names: Sequence[str]) -> list[str]:
    """Return class names in the order of their indices: by number where all are numbers, else by name."""
    numbers = {name: number(name) for name in names}
    if all(value is not None for value in numbers.values()):
        return sorted(names, key=lambda name: (numbers[name] or 0.0, name))
    return sorted(names)


def _listed(counts: dict[str, int]) -> str:
    listed = ", ".join(f"{name!r} {count:,}" for name, count in list(counts.items())[:LISTED])
    return listed + (" ..." if len(counts) > LISTED else "")
