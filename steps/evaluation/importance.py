"""Which columns the model relies on: how much worse it is on test rows that have the values of other rows there.

Columns of which one nearly determines the other are exchanged together: alone, each would look worthless, since the model has the
other one. Work is bounded by rows that are predicted, so that the same model and rows give the same document on any machine; a
limit of CPU time stops what is slower than anything that was measured.

Sources: Breiman, "Random forests", 2001; Fisher, Rudin & Dominici, "All models are wrong, but many are useful", 2019 (any model, held-out
rows); Strobl et al., "Conditional variable importance for random forests", 2008 (correlated columns); Bergsma, "A bias-correction for
Cramer's V", 2013.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from model_code.serving import Predictor
from model_code.tasks import Task
from steps.evaluation import statistics
from steps.evaluation.document import ColumnImportance, Importance
from steps.evaluation.statistics import Measure, Resampling, Sampled

Array = np.ndarray[Any, Any]

PREDICTED = 2**16
"""Rows that are predicted at most, all columns together."""
ROWS, FEWEST, REPEATS = 4_096, 512, 8
"""Test rows that are looked at: at most, and at least where there are so many; how often a few rows are exchanged anew."""
MOST = 128
"""Columns that are exchanged: those that predictions go along with most."""
RESAMPLES = 200
SECONDS = 20.0
"""Of CPU time, after which the remaining columns are left out."""
TOGETHER = 0.9
"""The association (correlation of ranks, or Cramer's V) from which columns are exchanged together."""
_AT_ONCE = 2**14  # rows that are encoded at once: many columns take long for few rows
_VALUES = 20  # of a category that are looked at one by one


def importance(
    predictor: Predictor, task: Task, table: pl.DataFrame, truth: Array, resampling: Resampling
) -> Importance | None:
    """Return how much of the headline metric each column, or columns that go together, are worth; None without inputs.

    Args:
        resampling: of all rows of the table; intervals draw the sample's rows as it does.
    """
    names = [entry["name"] for entry in predictor.schema["inputs"] if entry["name"] in table.columns]
    if not names or not table.height:
        return None
    table = table.select(names)
    begun, random = time.process_time(), np.random.default_rng(resampling.seed)
    rows, donors = _sample(task, truth, min(ROWS, table.height), random)
    prediction = predictor.predict(table[rows])
    if not np.isfinite(prediction).all():
        return None
    names, left_out = _foremost(table[rows], names, prediction)
    groups = together(table[rows], names)
    size = int(min(len(rows), max(FEWEST, PREDICTED // len(groups))))
    if size < len(rows):
        chosen = np.sort(random.choice(len(rows), size, replace=False))
        rows, donors, prediction = rows[chosen], donors[chosen], prediction[chosen]
    repeats = int(np.clip(min(PREDICTED // (size * len(groups)), ROWS // size), 1, REPEATS))
    repeated = np.tile(np.arange(size), repeats)
    bind = task.metrics[task.headline].bind
    measures: dict[tuple[str, ...], Measure] = {(): Measure(bind(truth[rows], prediction))}
    drawn = np.concatenate([random.permutation(donors) for _ in range(repeats)])
    at_once = max(1, _AT_ONCE // len(drawn))
    for start in range(0, len(groups), at_once):
        batch = groups[start : start + at_once]
        if time.process_time() - begun > SECONDS:
            left_out += [name for group in batch for name in group]
            continue
        answers = np.split(predictor.predict(_exchanged(table, batch, rows[repeated], drawn)), len(batch))
        for group, answer in zip(batch, answers, strict=True):
            measures[tuple(group)] = Measure(bind(truth[rows][repeated], answer), repeated)
    return Importance(
        metric=task.headline,
        rows=size,
        repeats=repeats,
        columns=tuple(_falls(task, measures, _of_rows(resampling, rows))),
        left_out=tuple(left_out),
    )


def _exchanged(table: pl.DataFrame, groups: Sequence[Sequence[str]], rows: Array, donors: Array) -> pl.DataFrame:
    """Return the rows once for each group, in which its columns have the values of the donors."""
    places = np.tile(rows, len(groups))
    columns = []
    for position, group in enumerate(groups):
        other = places.copy()
        other[position * len(rows) : (position + 1) * len(rows)] = donors
        columns += table.select(group)[other].get_columns()
    return table[places].with_columns(columns)


def together(table: pl.DataFrame, names: Sequence[str]) -> list[list[str]]:
    """Return columns in groups within which each nearly determines the others, in the order of their first names."""
    associations = _associations([features(table[name]) for name in names], table.height)
    groups = {index: [index] for index in range(len(names))}
    group_of = list(range(len(names)))
    pairs = np.argwhere(np.triu(associations >= TOGETHER, 1))
    for a, b in pairs[np.argsort(-associations[tuple(pairs.T)], kind="stable")]:
        first, second = sorted((group_of[a], group_of[b]))
        if first != second and (associations[np.ix_(groups[first], groups[second])] >= TOGETHER).all():
            groups[first] += groups.pop(second)
            for index in groups[first]:
                group_of[index] = first
    return [[names[index] for index in sorted(group)] for group in groups.values()]


def features(values: pl.Series) -> Array:
    """Return [n, w] numbers of mean 0: the rank of a number, one for each frequent value of a category; w is 0 for a constant."""
    if values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.Boolean:
        ranks = values.cast(pl.Int8 if values.dtype == pl.Boolean else values.dtype).rank().cast(pl.Float64)
        centred = (ranks - ranks.mean()).fill_null(0).to_numpy()
        size = np.sqrt((centred**2).mean())
        return (centred / size)[:, None] if size else np.empty((len(values), 0))
    codes = np.unique(values.cast(pl.String).rank("dense").fill_null(0).to_numpy(), return_inverse=True)[1]
    counts = np.bincount(codes)
    frequent = np.argsort(-counts, kind="stable")[:_VALUES]
    shares = counts[frequent] / len(codes)
    if len(counts) < 2:
        return np.empty((len(codes), 0))
    indicators: Array = ((codes[:, None] == frequent) - shares) / np.sqrt(shares)
    return indicators


def _associations(columns: Sequence[Array], rows: int) -> Array:
    """Return [c, c] associations between 0 and 1, chance taken off: |correlation| of numbers, Cramer's V of categories.

    Chi-squared by n is the sum of squared products of ``features``, for numbers r squared. Of a category with k values so
    many as there are rows nothing can be said.
    """
    freedom = np.array([max(1, column.shape[1] - 1) if column.shape[1] else 0 for column in columns], dtype=np.float64)
    starts = np.concatenate([[0], np.cumsum([max(1, column.shape[1]) for column in columns])[:-1]]).astype(int)
    stacked = np.concatenate([column if column.shape[1] else np.zeros((rows, 1)) for column in columns], axis=1)
    squares = np.add.reduceat(np.add.reduceat((stacked.T @ stacked / rows) ** 2, starts, axis=0), starts, axis=1)
    chance = np.outer(freedom, freedom) / max(1, rows - 1)
    corrected = freedom - freedom**2 / max(1, rows - 1)
    least = np.minimum.outer(corrected, corrected)
    values = np.divide(squares - chance, least, out=np.zeros_like(squares), where=least > 0.5)
    associations: Array = np.sqrt(values.clip(0, 1))
    return associations


def _sample(task: Task, truth: Array, size: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Return rows to look at, and rows that give their values; of a rare positive class more than its share.

    The headline metric of two classes compares rows of one with rows of the other, so their shares do not change it.
    """
    everyone = np.arange(len(truth))
    if size == len(truth):
        return everyone, everyone
    donors = random.choice(everyone, size, replace=False)
    if not task.has_positive:
        return np.sort(random.choice(everyone, size, replace=False)), donors
    classes = [np.flatnonzero(truth == index) for index in (1, 0)]
    share = min(len(classes[0]), max(size // 4, round(size * len(classes[0]) / len(truth))))
    sizes = [max(share, size - len(classes[1])), min(size - share, len(classes[1]))]
    parts = [random.choice(rows, count, replace=False) for rows, count in zip(classes, sizes, strict=True)]
    return np.sort(np.concatenate(parts)), donors


def _foremost(table: pl.DataFrame, names: list[str], prediction: Array) -> tuple[list[str], list[str]]:
    """Return the columns that predictions go along with most, in the order of the table, and the others."""
    if len(names) <= MOST:
        return names, []
    outputs = prediction[:, None] if prediction.ndim == 1 else prediction
    ranks = np.concatenate([features(pl.Series(output)) for output in outputs.T[:_VALUES]], axis=1)
    strength = [float((((features(table[name]).T @ ranks) / table.height) ** 2).sum()) for name in names]
    foremost = set(np.argsort(-np.array(strength), kind="stable")[:MOST].tolist())
    return (
        [name for index, name in enumerate(names) if index in foremost],
        [name for index, name in enumerate(names) if index not in foremost],
    )


def _of_rows(resampling: Resampling, rows: Array) -> Resampling:
    """Return how the sample is drawn again: as all rows are."""
    clusters = None if resampling.clusters is None else np.unique(resampling.clusters[rows], return_inverse=True)[1]
    return replace(resampling, rows=len(rows), resamples=min(resampling.resamples, RESAMPLES), clusters=clusters)


def _falls(task: Task, measures: dict[tuple[str, ...], Measure], resampling: Resampling) -> Iterator[ColumnImportance]:
    """Yield what each group of columns is worth, the most first."""
    sampled: dict[tuple[str, ...], Sampled] = statistics.bootstrap(measures, resampling)
    whole = sampled.pop(())
    better = task.metrics[task.headline].higher_is_better
    falls = [
        ColumnImportance(columns=columns, fall=statistics.compare(*((whole, other) if better else (other, whole))))
        for columns, other in sampled.items()
    ]
    yield from sorted(falls, key=lambda entry: -(entry.fall.value or 0.0))
