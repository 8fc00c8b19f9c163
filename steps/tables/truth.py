"""The values of a target, and any ordered column, as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steps.tables.schema import TableSchema, Target

Array = NDArray[Any]


def read_truth(data: Path, schema: TableSchema) -> Array:
    """Return the target of a labelled table: class index int64 [rows], or the number float64 [rows]."""
    assert schema.target is not None, "the label stage sets the target"
    name = schema.target.name
    return truth_array(pl.scan_parquet(data, glob=False).select(name).collect(engine="streaming")[name], schema.target)


def truth_array(values: pl.Series, target: Target) -> Array:
    """Return class index int64 [rows], or the number float64 [rows]."""
    if target.classes:
        return values.cast(pl.Enum(target.classes)).to_physical().to_numpy().astype(np.int64)
    return values.to_numpy().astype(np.float64)


INFINITE = 1e100
"""Numbers are clipped here, so that their squares do not overflow."""


def number_array(values: pl.Series) -> Array:
    """Return any ordered column as float64 [rows], missing as NaN; numbers whose squares might overflow are clipped."""
    numbers = values if values.dtype.is_numeric() else values.to_physical()  # which costs as much as a thousand numbers
    return np.asarray(np.clip(numbers.cast(pl.Float64).to_numpy(), -INFINITE, INFINITE))
