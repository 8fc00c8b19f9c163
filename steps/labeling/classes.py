"""Class names: how values become them, their order, and which of two is the positive one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steps.errors import InputError, near

if TYPE_CHECKING:
    import polars as pl

POSITIVE = ("true", "yes", "y", "t", "positive", "pos", "1")
"""Names that say of themselves that they are the positive class, in lower case."""

LOGGED = 50
"""Of so many classes at most the shares are logged as metrics."""


def class_names(values: pl.Series) -> pl.Series:
    """Values as class names: true and false, whole numbers without a point, text without blanks around it;
    null where there is none.
    """
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
    """The number that a class name is, also in quotes."""
    try:
        value = float(name.strip("'\""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def ordered_classes(names: Sequence[str]) -> list[str]:
    """By number where all are numbers, else by name."""
    numbers = {name: number(name) for name in names}
    if all(value is not None for value in numbers.values()):
        return sorted(names, key=lambda name: (numbers[name] or 0.0, name))
    return sorted(names)


def choose_positive(counts: Mapping[str, int], declared: str | None, *, in_order: bool = False) -> tuple[str, str]:
    """Which of two classes is the positive one, and how that was decided.

    Args:
        counts: rows of each class, in the order of the classes.
        in_order: the order was declared, so its last class is the positive one.

    Raises:
        InputError: the declared one is not a class.
    """
    names = list(counts)
    if declared is not None:
        wanted = {name.lower(): name for name in names} | {name: name for name in names}
        found = wanted.get(declared) or wanted.get(declared.lower())
        if found is None:
            listed = ", ".join(map(repr, names))
            raise InputError(
                f"label.positive {declared!r} is not a class{near(declared, names)}; the classes are: {listed}"
            )
        return found, "declared in label.positive"
    if in_order:
        return names[-1], "the last of label.classes"
    by_name = [name for name in names if name.lower() in POSITIVE]
    numbers = [number(name) for name in names]
    if all(value is not None for value in numbers):
        return ordered_classes(names)[-1], "guessed: the larger number"
    if len(by_name) == 1:
        return by_name[0], "guessed: its name says so"
    if counts[names[0]] != counts[names[1]]:
        return min(names, key=lambda name: counts[name]), "guessed: the rarer class"
    return names[-1], "guessed: the last in alphabetical order; both are equally frequent"


def class_metrics(counts: Mapping[str, int]) -> dict[str, float]:
    """``data/class_share.<class>`` for each of not too many classes; what a tracker's metric names cannot
    hold becomes ``_``.
    """
    total = sum(counts.values())
    metrics: dict[str, float] = {}
    for name, count in list(counts.items())[:LOGGED]:
        key = base = f"data/class_share.{re.sub(r'[^A-Za-z0-9_.-]+', '_', name) or '_'}"
        repeated = 2
        while key in metrics:
            key, repeated = f"{base}-{repeated}", repeated + 1
        metrics[key] = count / total
    return metrics
