"""Which test rows are resampled together, so that intervals are not too narrow: days, groups, or equal rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from steps.evaluation import statistics
from steps.evaluation.statistics import Resampling
from steps.splitting.rowhash import row_hashes
from steps.tables.schema import TableSchema


def of_test_rows(
    clusters: str | None, schema: TableSchema, train_set: Path, test_set: Path, *, resamples: int, seed: int
) -> Resampling:
    """Return how the test rows are resampled.

    Args:
        clusters: the column of a split by group or time; None for a split by row.
    """
    if clusters is None:
        return _by_unit(schema, train_set, test_set, resamples, seed)
    values = pl.read_parquet(test_set / "data.parquet", columns=[clusters], glob=False)[clusters]
    draw = statistics.by_time if _is_time(values, schema, train_set) else statistics.by_group
    return draw(values, resamples, seed)


def _by_unit(schema: TableSchema, train_set: Path, test_set: Path, resamples: int, seed: int) -> Resampling:
    """Return a resampling of what a split by row kept together: rows with equal features, or with an equal key.

    The rows show which of them it was: a unit of the split has no row in the training part.
    """
    keys = [column.name for column in schema.of_role("key")]
    units = [(name, [name]) for name in keys]
    units += [(", ".join(keys), keys), ("features", [column.name for column in schema.features()])]
    coarsest = statistics.by_row(schema.rows, resamples, seed)
    for what, columns in units:
        if not columns:
            continue
        hashes = row_hashes(test_set / "data.parquet", columns)
        drawing = statistics.by_unit(hashes, what, resamples, seed)
        if drawing.count >= coarsest.count:
            continue
        if not np.isin(hashes, row_hashes(train_set / "data.parquet", columns)).any():
            coarsest = drawing
    return coarsest


def _is_time(values: pl.Series, schema: TableSchema, train_set: Path) -> bool:
    """Return whether a column is a time: by role or type, or because every test row comes after the training rows."""
    column = next(column for column in schema.columns if column.name == values.name)
    if column.role == "time" or column.type in ("date", "datetime"):
        return True
    train = pl.scan_parquet(train_set / "data.parquet", glob=False).select(pl.col(values.name).max())
    last, first = train.collect().item(), values.min()
    return column.role != "group" and last is not None and first is not None and bool(last <= first)
