"""Columns as trees take them: numbers as they are, instants with their calendar, categories as statistics of the target.

A category becomes the mean of the target over its training rows, drawn towards the mean of all rows as if ``PRIOR``
further rows had that (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes"), and the
share of the rows that are its own. In a column with many values a training row never sees its own target: trees learn from means over
the other folds of the rows. In a column with few values one row weighs so little that all folds are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.preprocessing import calendar, codes, entry, keep

Array = np.ndarray[Any, Any]

PRIOR = 10.0
FOLDS = 5
FEW = 32
"""As many values of a column are few."""
MOST_CLASSES = 10
"""Of more classes, only the most frequent have a statistic of their own."""


class Columns(nn.Module):
    """values float64[b, c] of encoded rows; NaN is missing, in columns that had missing values in training."""

    instants: Tensor
    complete: Tensor
    usual: Tensor
    table: Tensor
    start: Tensor
    last: Tensor

    def __init__(self, numeric: Array, category: Array, target: Array, schema: Mapping[str, Any]) -> None:
        super().__init__()
        kinds = {column["name"]: column["kind"] for column in schema["inputs"]}
        finite = np.isfinite(numeric)
        usual = [
            np.median(values[rows]) if rows.any() else 0.0 for values, rows in zip(numeric.T, finite.T, strict=True)
        ]
        sizes = [1 + len(entry(schema, name)["vocabulary"]) for name in schema["category"]]
        self.sizes, self.classes = sizes, len(schema["classes"])
        keep(
            self,
            "instants",
            np.array([i for i, name in enumerate(schema["numeric"]) if kinds[name] == "datetime"], np.int64),
        )
        keep(self, "complete", np.asarray(finite.all(axis=0)))
        keep(self, "usual", np.array(usual, np.float64))
        keep(self, "table", _statistics(category, self._targets(target), sizes))
        keep(self, "start", np.cumsum([0, *sizes])[:-1].astype(np.int64))
        keep(self, "last", np.array(sizes, np.int64) - 1)

    def forward(self, numeric: Tensor, category: Tensor) -> tuple[Tensor]:
        return (self._join(numeric, self._look_up(self.table, category)),)

    def out_of_fold(self, numeric: Array, category: Array, target: Array, seed: int) -> Array:
        """Return the values of the training rows, the statistics of columns with many values from the other folds."""
        targets, every = self._targets(target), torch.from_numpy(category)
        fold = np.random.default_rng(seed).permutation(len(category)) % FOLDS
        statistics = self._look_up(self.table, every)
        many = torch.tensor(self.sizes).repeat_interleave(targets.shape[1] + 1) > FEW
        for number in range(FOLDS if many.any() else 0):
            rows, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
            table = torch.from_numpy(_statistics(category[rest], targets[rest], self.sizes))
            statistics[rows] = torch.where(many, self._look_up(table, every[rows]), statistics[rows])
        joined: Array = self._join(torch.from_numpy(numeric), statistics).numpy()
        return joined

    def _targets(self, target: Array) -> Array:
        """Return the target as numbers float64[n, t]: itself, or whether it is each of the most frequent classes."""
        if self.classes <= 2:
            return target.astype(np.float64)[:, None]
        frequent = np.argsort(-np.bincount(target, minlength=self.classes), kind="stable")[:MOST_CLASSES]
        return np.equal(target[:, None], np.sort(frequent)).astype(np.float64)

    def _look_up(self, table: Tensor, category: Tensor) -> Tensor:
        if not category.shape[1]:
            return category.to(torch.float64)
        return table[codes(category, self.last) + self.start].flatten(1)

    def _join(self, numeric: Tensor, statistics: Tensor) -> Tensor:
        parts = [statistics]
        if numeric.shape[1]:
            filled = torch.where(self.complete, self.usual, torch.nan)
            parts.append(torch.where(torch.isfinite(numeric), numeric, filled))
        if self.instants.numel():
            parts.append(calendar(numeric.index_select(1, self.instants)))
        return torch.cat(parts, dim=1)


def _statistics(category: Array, targets: Array, sizes: Sequence[int]) -> Array:
    """Return float64[slots, targets + 1]: shrunk means and the share of the rows, the columns one after another."""
    mean, parts = targets.mean(axis=0), [np.zeros((0, targets.shape[1] + 1))]
    for positions, size in zip(category.T + 1, sizes, strict=True):
        count = np.bincount(positions, minlength=size)[:, None].astype(np.float64)
        sums = np.stack([np.bincount(positions, values, minlength=size) for values in targets.T], axis=1)
        parts.append(np.hstack([(sums + PRIOR * mean) / (count + PRIOR), count / len(targets)]))
    return np.concatenate(parts)
