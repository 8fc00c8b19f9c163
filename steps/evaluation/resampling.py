"""Which rows are resampled together, so that intervals are not too narrow: blocks of time, groups, or equal rows."""

from __future__ import annotations

import polars as pl

from steps.evaluation import statistics
from steps.evaluation.statistics import Resampling
from steps.evaluation.thresholds import Goal
from steps.splitting.rowhash import hash_frame
from steps.tables.schema import TableSchema


def resampling(rows: pl.DataFrame, goal: Goal, schema: TableSchema, resamples: int, seed: int) -> Resampling:
    """Return how rows are resampled: what the split kept together is drawn together.

    Args:
        schema: of the table that the rows are from; by row, those with equal features belong together, if no key is declared.
    """
    if goal.by == "row":
        unit = goal.key or [column.name for column in schema.features()]
        what = ", ".join(goal.key) or "features"
        return statistics.by_unit(hash_frame(rows, unit), what, resamples, seed)
    draw = statistics.by_group if goal.by == "group" else statistics.by_time
    return draw(rows[str(goal.column)], resamples, seed)
