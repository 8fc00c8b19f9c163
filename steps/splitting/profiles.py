"""The columns in numbers: how each is distributed in the training and in the test part, and how far the two are apart.

Drift is the total variation distance of the two histograms, missing values among the bins: the share of the rows of one
part that would have to lie elsewhere for both parts to look alike. It reads alike for numbers, dates and categories.

Its noise comes from resampling. Units that stay together (rows, groups, moments) are gathered into blocks in their
order, and blocks are dealt out at random to two parts of the same sizes: under this, drift is chance alone, and rows of
one group or of neighbouring moments stay together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from steps.splitting.division import Division
from steps.splitting.document import ColumnProfile, ColumnProfiles, Period
from steps.tables.names import LABEL_SOURCE, ROW
from steps.tables.schema import Column, TableSchema
from steps.tables.truth import INFINITE, Array, number_array

MOST_COLUMNS, MOST_ROWS = 200, 500_000
"""What is read at most; of more rows, every second one, every third one, ..."""
BINS, CATEGORIES = 20, 12
_BLOCKS, _FEWEST_BLOCKS, _RESAMPLES = 200, 20, 200
_LEVEL = 0.95
"""How often no column at all exceeds its noise where nothing but chance divides the rows."""
_PLACES = 6
_SPREAD = (0.01, 0.5, 0.99)


def profile(data: Path, schema: TableSchema, divided: Division, sample_values: int = 0) -> ColumnProfiles:
    """Return the profiles of the target, the features and then the other columns of a labelled table.

    Args:
        sample_values: how many values of the target and each feature may be shown.
    """
    target = schema.target.name if schema.target else None
    features = {column.name for column in schema.features()}
    every_column = [column for column in schema.columns if column.name not in (ROW, LABEL_SOURCE)]
    columns = sorted(every_column, key=lambda column: (column.name != target, column.name not in features))[
        :MOST_COLUMNS
    ]
    every = max(1, -(-len(divided.in_test) // MOST_ROWS))
    chance = _Chance.of(divided, every)
    drawn = {column.name for column in columns if column.type != "text" and column.role in ("feature", "time")}
    apart = () if divided.by_chance else divided.columns[:1]  # a split by time divides this column itself
    deviations = NormalDist().inv_cdf(1 - (1 - _LEVEL) / max(1, len(drawn)))
    profiles = []
    for column in columns:
        values = _read(data, column.name, every)
        described = _described(values, column.name, chance)
        if sample_values and (column.name == target or column.name in features):
            present = values.filter(~chance.in_test).drop_nulls().unique(maintain_order=True)
            described = described.model_copy(update={"samples": tuple(map(str, present.head(sample_values)))})
        if column.name in drawn and values.null_count() < len(values):
            distribution = _distribution(values, column, chance, None if column.name in apart else deviations)
            described = described.model_copy(update=distribution)
        profiles.append(described)
    time = _time_column(schema, divided)
    return ColumnProfiles(
        rows=(int((~chance.in_test).sum()), int(chance.in_test.sum())),
        every=every,
        columns=tuple(profiles),
        more=len(every_column) - len(columns),
        time=time,
        periods=_periods(data, time, divided.in_test) if time else {},
    )


def _read(data: Path, column: str, every: int) -> pl.Series:
    return pl.scan_parquet(data, glob=False).select(column).gather_every(every).collect()[column]


class _Chance:
    """Blocks of rows that stay together, and random ways to deal them out to two parts."""

    def __init__(self, in_test: Array, block_of: Array, deals: Array | None) -> None:
        self.in_test, self._block_of, self._deals = in_test, block_of, deals

    @classmethod
    def of(cls, divided: Division, every: int) -> _Chance:
        in_test, unit_of = divided.in_test[::every], divided.unit_of[::every]
        blocks = min(_BLOCKS, divided.units)
        block_of = unit_of * blocks // max(1, divided.units)
        if blocks < _FEWEST_BLOCKS:
            return cls(in_test, block_of, None)
        size = min(blocks - 1, max(1, round(blocks * in_test.mean())))
        order = np.random.default_rng(0).permuted(np.tile(np.arange(blocks), (_RESAMPLES, 1)), axis=1)
        return cls(in_test, block_of, (order < size).astype(float))

    def counts(self, bins: Array, width: int) -> tuple[Array, Array]:
        """Return the rows by bin in the training and the test part."""
        train, test = (np.bincount(bins[part], minlength=width) for part in (~self.in_test, self.in_test))
        return train, test

    def noise(self, bins: Array, width: int, deviations: float) -> float | None:
        """Return the drift that chance alone rarely exceeds; None for too few blocks."""
        if self._deals is None:
            return None
        blocks = self._deals.shape[1]
        rows = np.bincount(self._block_of * width + bins, minlength=blocks * width).reshape(blocks, width)
        test = self._deals @ rows
        squares = _distance(rows.sum(axis=0) - test, test) ** 2
        return round(_upper_root(float(squares.mean()), float(squares.var()), deviations), _PLACES)


def _distance(train: Array, test: Array) -> Array:
    """Return the total variation distance of histograms, along the last axis."""
    shares = [part / np.maximum(1, part.sum(axis=-1, keepdims=True)) for part in (train, test)]
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=-1) / 2)


def _upper_root(mean: float, variance: float, deviations: float) -> float:
    """Return the root of a quantile of a gamma variable, which a squared distance nearly is.

    Args:
        deviations: the quantile, in standard deviations of a normal variable.

    Source: Wilson & Hilferty, "The distribution of chi-square", PNAS 17 (12), 1931.
    """
    if not variance:
        return math.sqrt(mean)
    ninth = variance / (9 * mean**2)
    return math.sqrt(mean * max(0.0, 1 - ninth + deviations * math.sqrt(ninth)) ** 3)


def _described(values: pl.Series, name: str, chance: _Chance) -> ColumnProfile:
    train, test = chance.counts(values.is_null().cast(pl.Int64).to_numpy(), 2)
    distinct = values.n_unique() - bool(values.null_count())
    return ColumnProfile(name=name, distinct=distinct, missing=(int(train[1]), int(test[1])))


def _distribution(values: pl.Series, column: Column, chance: _Chance, deviations: float | None) -> dict[str, Any]:
    """Return the histograms of a column and, of numbers and dates, where their values lie; drift where it is asked for."""
    ordered = column.type in ("integer", "float", "date", "datetime")
    spread: Array = np.empty(0)
    if ordered:
        bins, width, spread = _number_bins(values)
    else:
        bins, width = _category_bins(values)
    train, test = chance.counts(bins, width + 1)
    distribution: dict[str, Any] = {"train": tuple(map(int, train[:width])), "test": tuple(map(int, test[:width]))}
    if ordered:
        distribution |= dict(zip(("low", "median", "high"), _readable(spread, values, column), strict=True))
    if deviations is not None:
        noise = chance.noise(bins, width + 1, deviations)
        distribution |= {"drift": round(float(_distance(train, test)), _PLACES), "noise": noise}
    return distribution


def _number_bins(values: pl.Series) -> tuple[Array, int, Array]:
    """Return the bin of each row, the number of bins, and the ends of the middle 98 % of the finite values with their median.

    Missing values are in a bin behind the last.
    """
    numbers = number_array(values)
    present = np.isfinite(numbers)
    distinct, counts = np.unique(numbers[present], return_counts=True)
    spread = _quantiles(*(part[np.abs(distinct) < INFINITE] for part in (distinct, counts)))
    if len(distinct) <= BINS:
        bins, width = np.searchsorted(distinct, numbers), len(distinct)
    elif len(spread) and spread[0] < spread[-1]:
        with np.errstate(invalid="ignore"):
            bins = np.clip((numbers - spread[0]) / (spread[-1] - spread[0]) * BINS, 0, BINS - 1)
        width = BINS
    else:
        bins, width = np.sign(numbers - spread[0]) + 1, 3
    return np.where(present, np.nan_to_num(bins), width).astype(np.int64), width, spread


def _quantiles(distinct: Array, counts: Array) -> Array:
    """Return the values at ``_SPREAD``; none of no values."""
    places = np.rint(np.multiply(_SPREAD, counts.sum() - 1))
    return distinct[np.searchsorted(counts.cumsum(), places, side="right")] if len(distinct) else distinct


def _category_bins(values: pl.Series) -> tuple[Array, int]:
    """Return the bin of each row, the most frequent category first, rare ones together."""
    text = values.cast(pl.String)
    counts = text.drop_nulls().value_counts(name="rows").sort(["rows", text.name], descending=[True, False])
    names = counts[text.name].to_list()[: CATEGORIES if len(counts) <= CATEGORIES else CATEGORIES - 1]
    width = min(len(counts), CATEGORIES)
    codes = text.replace_strict(names, list(range(len(names))), default=width - 1, return_dtype=pl.Int64)
    return codes.set(text.is_null(), width).to_numpy(), width


def _readable(spread: Array, values: pl.Series, column: Column) -> Sequence[float | str | None]:
    """Return the three numbers as they are shown: dates by the day, so that no row shows."""
    if not len(spread):
        return [None] * len(_SPREAD)
    if column.type in ("date", "datetime"):
        return [str(moment)[:10] for moment in pl.Series(spread).cast(pl.Int64).cast(values.dtype)]
    return [float(f"{value:.4g}") for value in spread]


def _time_column(schema: TableSchema, divided: Division) -> str | None:
    """Return the column that says when a row arose: the one that divides, else the only one of role time."""
    kinds = {column.name: column.type for column in schema.columns}
    if len(divided.columns) == 1 and not divided.by_chance and kinds[divided.columns[0]] in ("date", "datetime"):
        return divided.columns[0]
    times = [column.name for column in schema.of_role("time") if column.type in ("date", "datetime")]
    return times[0] if len(times) == 1 else None


def _periods(data: Path, column: str, in_test: Array) -> dict[str, Period]:
    values = _read(data, column, 1)
    parts: Sequence[tuple[str, pl.Series]] = [
        ("train", values.filter(pl.Series(~in_test))),
        ("test", values.filter(pl.Series(in_test))),
    ]
    return {
        name: Period(first=str(part.min())[:10], last=str(part.max())[:10])
        for name, part in parts
        if part.null_count() < len(part)
    }
