"""Columns as trees take them: numbers as they are, instants with their calendar, categories as statistics of the target.

A category becomes the mean of the target over its training rows, drawn towards the mean of all rows as if ``PRIOR``
further rows had that (Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes"), and the
share of the rows that are its own. In a column with many values a training row never sees its own target: trees learn from means over
the other folds of the rows. In a column with few values one row weighs so little that all folds are taken.

A text whose words other values share becomes two more statistics: the average of such means over its pieces, and the sum of
the weights that a ridge regression of the target on the pieces gives them; both from the other folds, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.pieces import PRIOR, Block, added, blocks, weights
from model_code.tabular.preprocessing import calendar, codes, keep, pairs_of, with_elapsed

Array = np.ndarray[Any, Any]

FOLDS = 5
FEW = 32
"""As many values of a column are few."""
MOST_CLASSES = 10
"""Of more classes, only the most frequent have a statistic of their own."""


class Columns(nn.Module):
    """values float64[b, c] of encoded rows; NaN is missing, in columns that had missing values in training."""

    instants: Tensor
    pairs: Tensor
    complete: Tensor
    usual: Tensor
    table: Tensor
    start: Tensor
    last: Tensor
    piece_table: Tensor
    piece_start: Tensor
    piece_last: Tensor

    def __init__(self, numeric: Array, category: Array, target: Array, schema: Mapping[str, Any]) -> None:
        super().__init__()
        kinds = {column["name"]: column["kind"] for column in schema["inputs"]}
        instants = [i for i, name in enumerate(schema["numeric"]) if kinds[name] == "datetime"]
        keep(self, "pairs", pairs_of(instants))
        numeric = with_elapsed(torch.from_numpy(numeric), self.pairs).numpy()
        finite = np.isfinite(numeric)
        usual = [
            np.median(values[rows]) if rows.any() else 0.0 for values, rows in zip(numeric.T, finite.T, strict=True)
        ]
        values, self.texts = blocks(schema)
        self.sizes, self.classes = [1 + block.size for block in values], len(schema["classes"])
        keep(self, "instants", np.array(instants, np.int64))
        keep(self, "complete", np.asarray(finite.all(axis=0)))
        keep(self, "usual", np.array(usual, np.float64))
        targets = self._targets(target)
        keep(self, "table", _statistics(category, targets, self.sizes))
        keep(self, "start", np.cumsum([0, *self.sizes])[:-1].astype(np.int64))
        keep(self, "last", np.array(self.sizes, np.int64) - 1)
        widths, sizes = [block.width for block in self.texts], np.array([block.size for block in self.texts], np.int64)
        keep(self, "piece_table", _piece_statistics(category, targets, self.texts))
        keep(self, "piece_start", np.repeat(np.cumsum([0, *(sizes + 1)])[:-1].astype(np.int64), widths))
        keep(self, "piece_last", np.repeat(sizes, widths))

    def forward(self, numeric: Tensor, category: Tensor) -> tuple[Tensor]:
        texts = self._look_up_pieces(self.piece_table, category)
        return (self._join(numeric, self._look_up(self.table, category), texts),)

    def out_of_fold(self, numeric: Array, category: Array, target: Array, seed: int) -> Array:
        """Return the values of the training rows, the statistics of columns with many values from the other folds."""
        targets, every = self._targets(target), torch.from_numpy(category)
        fold = np.random.default_rng(seed).permutation(len(category)) % FOLDS
        statistics, texts = self._look_up(self.table, every), self._look_up_pieces(self.piece_table, every)
        many = torch.tensor(self.sizes).repeat_interleave(targets.shape[1] + 1) > FEW
        for number in range(FOLDS if many.any() or self.texts else 0):
            rows, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
            table = torch.from_numpy(_statistics(category[rest], targets[rest], self.sizes))
            statistics[rows] = torch.where(many, self._look_up(table, every[rows]), statistics[rows])
            if self.texts:
                table = torch.from_numpy(_piece_statistics(category[rest], targets[rest], self.texts))
                texts[rows] = self._look_up_pieces(table, every[rows])
        joined: Array = self._join(torch.from_numpy(numeric), statistics, texts).numpy()
        return joined

    def directions(self, schema: Mapping[str, Any], width: int) -> list[int]:
        """Return for each of ``width`` columns 1 or -1 where predictions must not fall or rise with it, and 0 elsewhere."""
        signs = {"increasing": 1, "decreasing": -1}
        declared = {entry["name"]: signs.get(entry.get("monotone"), 0) for entry in schema["inputs"]}
        before = len(self.sizes) * self.table.shape[1] + len(self.texts) * self.piece_table.shape[1]
        directions = [*[0] * before, *(declared[name] for name in schema["numeric"])]
        return directions + [0] * (width - len(directions))

    def _targets(self, target: Array) -> Array:
        """Return the target as numbers float64[n, t]: itself, or whether it is each of the most frequent classes."""
        if self.classes <= 2:
            return target.astype(np.float64)[:, None]
        frequent = np.argsort(-np.bincount(target, minlength=self.classes), kind="stable")[:MOST_CLASSES]
        return np.equal(target[:, None], np.sort(frequent)).astype(np.float64)

    def _look_up(self, table: Tensor, category: Tensor) -> Tensor:
        values = category[:, : len(self.sizes)]
        if not self.sizes:
            return values.to(torch.float64)
        return table[codes(values, self.last) + self.start].flatten(1)

    def _look_up_pieces(self, table: Tensor, category: Tensor) -> Tensor:
        """Return the statistics of each text: averages over its pieces, then sums of their weights."""
        pieces = category[:, len(self.sizes) :]
        if not self.texts:
            return pieces.to(torch.float64)
        place = codes(pieces, self.piece_last)
        rows, present = table[place + self.piece_start], place.clamp(max=1).to(torch.float64)
        parts = []
        for block in self.texts:
            start = block.start - len(self.sizes)
            end = start + block.width
            sums = rows[:, start:end].sum(dim=1)
            half = table.shape[1] // 2
            number = present[:, start:end].sum(dim=1, keepdim=True).clamp(min=1.0)
            parts += [sums[:, :half] / number, sums[:, half:]]
        return torch.cat(parts, dim=1)

    def _join(self, numeric: Tensor, statistics: Tensor, texts: Tensor) -> Tensor:
        numeric = with_elapsed(numeric, self.pairs)
        parts = [statistics, _rounded(texts)] if self.texts else [statistics]
        if numeric.shape[1]:
            filled = torch.where(self.complete, self.usual, torch.nan)
            parts.append(torch.where(torch.isfinite(numeric), numeric, filled))
        if self.instants.numel():
            parts.append(_rounded(calendar(numeric.index_select(1, self.instants))))
        return torch.cat(parts, dim=1)


def _rounded(values: Tensor) -> Tensor:
    """Return values without their last digits, at which no tree may split.

    Sums and waves differ there between runtimes, and between weekdays whose waves mirror each other.
    """
    return values.to(torch.float32).to(torch.float64)


def _statistics(category: Array, targets: Array, sizes: Sequence[int]) -> Array:
    """Return float64[slots, targets + 1]: shrunk means and the share of the rows, the columns one after another."""
    mean, parts = targets.mean(axis=0), [np.zeros((0, targets.shape[1] + 1))]
    for positions, size in zip(category.T[: len(sizes)] + 1, sizes, strict=True):
        count = np.bincount(positions, minlength=size)[:, None].astype(np.float64)
        sums = np.stack([np.bincount(positions, values, minlength=size) for values in targets.T], axis=1)
        parts.append(np.hstack([(sums + PRIOR * mean) / (count + PRIOR), count / len(targets)]))
    return np.concatenate(parts)


def _piece_statistics(category: Array, targets: Array, texts: Sequence[Block]) -> Array:
    """Return float64[pieces, 2 * targets]: shrunk deviations from the mean, then ridge weights; of unknown pieces zeros."""
    centred, parts = targets - targets.mean(axis=0), [np.zeros((0, 2 * targets.shape[1]))]
    for block in texts:
        positions = category[:, block.columns] + 1
        count = added(positions, np.ones(len(positions)), block.size)
        for_means = [added(positions, values, block.size) / (count + PRIOR) for values in centred.T]
        of_ridge = [weights(positions, values, count) for values in centred.T]
        parts.append(np.stack([*for_means, *of_ridge], axis=1))
    return np.concatenate(parts)
