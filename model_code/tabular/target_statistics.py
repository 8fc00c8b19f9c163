"""Columns as trees take them: numbers as they are, instants with their calendar, categories as statistics of the target.

A category becomes the mean of the target over its training rows, drawn towards the mean of all rows as if ``PRIOR``
further rows had that (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes"), and the
number of its rows. In a column with many values a training row never sees its own target: trees learn from means over
the other folds of the rows. In a column with few values one row weighs so little that all folds are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.preprocessing import calendar

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
        kinds = {entry["name"]: entry["kind"] for entry in schema["inputs"]}
        finite = np.isfinite(numeric)
        usual = [
            np.median(values[rows]) if rows.any() else 0.0 for values, rows in zip(numeric.T, finite.T, strict=True)
        ]
        self._numeric, self._category, self._targets = numeric, category, _targets(target, len(schema["classes"]))
        self._sizes = [1 + len(_entry(schema, name)["vocabulary"]) for name in schema["category"]]
        self._register(
            "instants", [i for i, name in enumerate(schema["numeric"]) if kinds[name] == "datetime"], np.int64
        )
        self._register("complete", finite.all(axis=0), np.bool_)
        self._register("usual", usual, np.float64)
        self._register("table", self._statistics(np.arange(len(category))), np.float64)
        self._register("start", np.cumsum([0, *self._sizes])[:-1], np.int64)
        self._register("last", np.array(self._sizes) - 1, np.int64)

    def _register(self, name: str, values: Any, dtype: type) -> None:
        """Register a buffer, unless it is empty: the exported graph has no use for it."""
        tensor = torch.from_numpy(np.asarray(values, dtype=dtype))
        if tensor.numel():
            self.register_buffer(name, tensor)
        else:
            setattr(self, name, tensor)

    def forward(self, numeric: Tensor, category: Tensor) -> tuple[Tensor]:
        return (self._join(numeric, self._look_up(self.table, category)),)

    def out_of_fold(self, seed: int) -> Array:
        """Return the values of the training rows, their statistics taken from the other folds; call it once."""
        numeric, category = torch.from_numpy(self._numeric), torch.from_numpy(self._category)
        fold = np.random.default_rng(seed).permutation(len(numeric)) % FOLDS
        statistics = self._look_up(self.table, category)
        many = torch.tensor(self._sizes).repeat_interleave(self._targets.shape[1] + 1) > FEW
        for number in range(FOLDS if many.any() else 0):
            rows = torch.from_numpy(np.flatnonzero(fold == number))
            table = torch.from_numpy(self._statistics(np.flatnonzero(fold != number)))
            statistics[rows] = torch.where(many, self._look_up(table, category[rows]), statistics[rows])
        joined: Array = self._join(numeric, statistics).numpy()
        del self._numeric, self._category, self._targets
        return joined

    def _statistics(self, rows: Array) -> Array:
        """Return float64[slots, targets + 1]: shrunk means and the number of rows, the columns one after another."""
        targets, parts = self._targets[rows], [np.zeros((0, self._targets.shape[1] + 1))]
        mean = targets.mean(axis=0)
        for codes, size in zip(self._category[rows].T + 1, self._sizes, strict=True):
            count = np.bincount(codes, minlength=size)[:, None].astype(np.float64)
            sums = np.stack([np.bincount(codes, values, minlength=size) for values in targets.T], axis=1)
            parts.append(np.hstack([(sums + PRIOR * mean) / (count + PRIOR), count / len(rows)]))
        return np.concatenate(parts)

    def _look_up(self, table: Tensor, category: Tensor) -> Tensor:
        if not category.shape[1]:
            return category.to(torch.float64)
        # beyond the vocabulary counts as unknown, so that a wrong index can not read another column's rows
        slots = torch.where(category < self.last, category, -1).clamp(min=-1) + 1
        return table[slots + self.start].flatten(1)

    def _join(self, numeric: Tensor, statistics: Tensor) -> Tensor:
        parts = [statistics]
        if numeric.shape[1]:
            filled = torch.where(self.complete, self.usual, torch.nan)
            parts.append(torch.where(torch.isfinite(numeric), numeric, filled))
        if self.instants.numel():
            parts.append(calendar(numeric.index_select(1, self.instants)))
        return torch.cat(parts, dim=1)


def _targets(target: Array, classes: int) -> Array:
    """Return the target as numbers float64[n, t]: itself, or whether it is each of the most frequent classes."""
    if classes <= 2:
        return target.astype(np.float64)[:, None]
    frequent = np.argsort(-np.bincount(target, minlength=classes), kind="stable")[:MOST_CLASSES]
    return np.equal(target[:, None], np.sort(frequent)).astype(np.float64)


def _entry(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = next(entry for entry in schema["inputs"] if entry["name"] == name)
    return entry
