"""Columns that hold the target of a later row: values that nobody knows yet when the prediction is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from steps.tables.names import ROW
from steps.tables.schema import Column
from steps.tables.truth import number_array

_ROWS = 50_000
"""The first rows, in which a shift would show."""
_FEWEST, _ALMOST = 50, 0.99
_USUAL = 0.9
"""Where neighbours have equal targets this often, a column that equals them says little."""
_FARTHEST = 3
"""The number of rows by which the target may be shifted."""


def later_targets(parts: Sequence[Path], columns: Sequence[Column], target: str) -> Iterator[tuple[str, int, float]]:
    """Yield the columns that equal the target of a later row, how many rows later, and the share of rows.

    The target of an earlier row is known, so it is no leak; where neighbours have equal targets anyway, nothing is said.

    Args:
        parts: the training and the test part, whose rows together are in the order of the files.
    """
    rows = pl.concat(
        [
            pl.scan_parquet(part / "data.parquet", glob=False).select(ROW, target, *(column.name for column in columns))
            for part in parts
        ]
    )
    frame = rows.filter(pl.col(ROW) <= _ROWS).sort(ROW).collect(engine="streaming")
    text = frame[target].cast(pl.String)
    numbers = text.cast(pl.Float64, strict=False).to_numpy()
    for column in columns:
        values = frame[column.name]
        if values.dtype.is_numeric():
            truth, candidates = numbers, number_array(values)
        else:
            codes = pl.concat([text, values.cast(pl.String).alias(target)]).rank("dense").cast(pl.Float64).to_numpy()
            truth, candidates = codes[: len(values)], codes[len(values) :]
        for distance in range(1, _FARTHEST + 1):
            later = truth[distance:]
            present = ~(np.isnan(later) | np.isnan(candidates[:-distance]))
            if present.sum() < max(_FEWEST, len(values) / 2):
                break
            share = float((later == candidates[:-distance])[present].mean())
            if share >= _ALMOST and (later == truth[:-distance])[present].mean() < _USUAL:
                yield column.name, distance, share
                break
