"""What all tasks with classes share: names of classes and their order, class indices, shares as the constant answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model_code.tasks import Unfit

if TYPE_CHECKING:
    import polars as pl
    import torch

    from model_code.tasks import Array, Prediction

SHOWN = 20
"""How many classes a message names."""
MOST = 1000
"""More different values than this are no classes."""
_FEW = 20
"""So many different values may be classes, however few the rows."""


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


def listed(counts: dict[str, int]) -> str:
    """Classes with their rows, for a message."""
    named = ", ".join(f"{name!r} {count:,}" for name, count in list(counts.items())[:SHOWN])
    return named + (" ..." if len(counts) > SHOWN else "")


class Classification:
    """Part of a task: its labels are class names, its truth their indices, its predictions probabilities."""

    shapes = ("calibration", "confusion")

    def labels(self, raw: pl.Series) -> pl.Series:
        return class_names(raw)

    def count(self, labels: pl.Series) -> dict[str, int]:
        found = dict(labels.drop_nulls().value_counts().iter_rows())
        return {name: found[name] for name in ordered_classes(list(found))}

    def check(self, labels: pl.Series, raw: pl.Series) -> None:
        known = labels.drop_nulls()
        distinct = known.n_unique()
        many = distinct > MOST or (distinct > _FEW and distinct > len(known) / 2)
        fractions = raw.dtype.is_float() and distinct > _FEW and bool((raw.drop_nulls() % 1 != 0).any())
        if many or fractions:
            raise Unfit(
                f"has {distinct:,} different values in {len(known):,} rows, too many for classes",
                "it is a number, so use task: regression"
                if raw.dtype.is_numeric()
                else "it looks like an identifier or free text; choose another target",
            )

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        import polars as pl

        return values.cast(pl.String).replace_strict(
            list(classes), list(range(len(classes))), default=None, return_dtype=pl.Int64
        )

    def wanted(self, classes: Sequence[str]) -> str:
        return f"one of the classes {', '.join(classes)}"

    def scale(self, truth: Array) -> tuple[float, float]:
        return 0.0, 1.0

    def scaled(self, truth: Array, centre: float, spread: float) -> Array:
        return truth

    def unscaled(self, prediction: Prediction, centre: Any, spread: Any) -> Prediction:
        return prediction

    def prediction_loss(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import nll_loss

        return nll_loss(prediction.clamp(min=1e-7).log(), truth)

    def constant(self, truth: Array, classes: Sequence[str]) -> Array:
        import numpy as np

        return np.bincount(truth, minlength=len(classes)) / len(truth)
