"""Preprocessing as a torch module: fitted on training rows, kept in buffers, traced into the exported graph.

Shapes, for a batch of b rows:

    numeric      float64[b, a]   as encoded; NaN is missing
    category     int64[b, m]     as encoded; -1 is missing or unknown
    values       float32[b, c+p] c continuous columns (scaled), then p plain ones (booleans, calendar, missing flags)
    slots        int64[b, m]     0 is "unknown, missing or too rare", then one slot for each kept category (or piece)

Arithmetic on raw numbers is float64 (an instant in seconds has no place in float32) and float32 after scaling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.pieces import Block, blocks

Array = np.ndarray[Any, Any]

Scaling = Literal["quantile", "standard"]

KNOTS = 256
"""The quantiles of each column that the quantile scaling keeps."""
RARE = 3
"""A category with fewer training rows than this shares the slot of the unknown, which is how that slot gets trained."""
MOST_INSTANTS = 4
"""With more columns of dates, the time between two of them is left to the model."""
_DAY = 86_400.0
_YEAR = 365.2425
_CALENDAR = (("hour", _DAY), ("weekday", 7 * _DAY), ("day of year", _YEAR * _DAY))


@dataclass(frozen=True)
class Layout:
    """The shape of preprocessed rows.

    Attributes:
        continuous: the number of continuous values.
        plain: the number of plain ones.
        slots: the slots of each category, then of the pieces of each text.
        widths: the number of columns that each of these has: one for a category, several for pieces.
    """

    continuous: int
    plain: int
    slots: tuple[int, ...]
    widths: tuple[int, ...] = ()


class Preprocessor(nn.Module):
    """Imputation and missing flags, scaling, calendar features, time between dates, category slots.

    Columns that are constant or always missing on the training rows are left out.
    """

    continuous: Tensor
    binary: Tensor
    instants: Tensor
    pairs: Tensor
    flagged: Tensor
    centre: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor
    knots: Tensor
    scores: Tensor
    slot_of: Tensor
    slot_start: Tensor
    slot_last: Tensor

    def __init__(self, numeric: Array, category: Array, schema: Mapping[str, Any], scaling: Scaling) -> None:
        super().__init__()
        kinds = {entry["name"]: entry["kind"] for entry in schema["inputs"]}
        instants = [i for i, name in enumerate(schema["numeric"]) if kinds[name] == "datetime"]
        keep(self, "pairs", pairs_of(instants))
        numeric = with_elapsed(torch.from_numpy(numeric), self.pairs).numpy()
        present = ~np.isnan(numeric)
        distinct = [len(np.unique(numeric[present[:, i], i][:100_000])) for i in range(numeric.shape[1])]
        varied = [i for i in range(numeric.shape[1]) if _varies(numeric[present[:, i], i])]
        continuous = [i for i in varied if distinct[i] > 2]
        binary = [i for i in varied if distinct[i] <= 2]
        flagged = [i for i in range(numeric.shape[1]) if 0 < present[:, i].sum() < len(present)]
        self.scaling = scaling
        self._index("continuous", continuous)
        self._index("binary", binary)
        self._index("instants", [i for i in instants if i in varied])
        self._index("flagged", flagged)
        self._scale("centre", "spread", numeric, binary)
        if scaling == "quantile":
            self._fit_quantiles(numeric, continuous)
        else:
            self._fit_standard(numeric, continuous)
        values, pieces = blocks(schema)
        sizes = self._fit_slots(category, [*values, *pieces])
        widths = tuple(block.width for block in [*values, *pieces])
        plain = len(binary) + 2 * len(_CALENDAR) * self.instants.numel() + len(flagged)
        self.is_empty = not continuous and not plain  # one column of zeros then, so that no network is without inputs
        self.layout = Layout(continuous=len(continuous), plain=plain + self.is_empty, slots=sizes, widths=widths)

    def _index(self, name: str, positions: Sequence[int]) -> None:
        keep(self, name, np.array(positions, dtype=np.int64))

    def _scale(self, centre: str, spread: str, numeric: Array, columns: Sequence[int]) -> None:
        part = numeric[:, list(columns)]
        part = np.where(np.isfinite(part), part, np.nan)
        keep(self, centre, np.array([np.nanmean(c) for c in part.T], dtype=np.float64))
        keep(self, spread, np.array([max(_deviation(c), 1e-300) for c in part.T], dtype=np.float64))

    def _fit_standard(self, numeric: Array, columns: Sequence[int]) -> None:
        """Fit mean 0 and spread 1; values are clipped at one width of the training range beyond it."""
        self._scale("mean", "deviation", numeric, columns)
        part = np.where(np.isfinite(numeric), numeric, np.nan)[:, list(columns)]
        scaled = (part - self.mean.numpy()) / self.deviation.numpy()
        low = np.array([np.nanmin(c) for c in scaled.T], dtype=np.float64)
        high = np.array([np.nanmax(c) for c in scaled.T], dtype=np.float64)
        keep(self, "low", low - (high - low))
        keep(self, "high", high + (high - low))

    def _fit_quantiles(self, numeric: Array, columns: Sequence[int]) -> None:
        """Fit the knots of the map from a column's values to normal scores; a value's score is that of its middle rank."""
        knots = np.full((len(columns), KNOTS), np.inf)
        scores = np.zeros((len(columns), KNOTS))
        for row, column in enumerate(columns):
            ordered = np.sort(numeric[np.isfinite(numeric[:, column]), column])
            unique = spread_values(ordered, KNOTS)
            ranks = (np.searchsorted(ordered, unique, side="left") + np.searchsorted(ordered, unique, side="right")) / 2
            score = math.sqrt(2) * torch.erfinv(torch.from_numpy(2 * ranks / len(ordered) - 1)).numpy()
            knots[row, : len(unique)] = unique
            scores[row, : len(unique)] = score
            scores[row, len(unique) :] = score[-1]
        keep(self, "knots", knots)
        keep(self, "scores", scores)

    def _fit_slots(self, category: Array, parts: Sequence[Block]) -> tuple[int, ...]:
        """Fit one flat table from (vocabulary position + 1) to slot, the blocks one after another."""
        tables, sizes, starts = [], [], []
        start = 0
        for block in parts:
            counts = np.bincount(category[:, block.columns].ravel() + 1, minlength=block.size + 1)
            frequent = counts >= min(RARE, max(len(category) // 50, 1))
            frequent[0] = False
            tables.append(np.where(frequent, np.cumsum(frequent), 0))
            sizes.append(int(frequent.sum()) + 1)
            starts.append(start)
            start += block.size + 1
        widths = [block.width for block in parts]
        flat = np.concatenate(tables) if tables else np.zeros(1, dtype=np.int64)
        keep(self, "slot_of", flat.astype(np.int64))
        keep(self, "slot_start", np.repeat(np.array(starts, dtype=np.int64), widths))
        keep(self, "slot_last", np.repeat(np.array([block.size for block in parts], np.int64), widths))
        return tuple(sizes)

    def forward(self, numeric: Tensor, category: Tensor) -> tuple[Tensor, Tensor]:
        """Return (values, slots) of encoded rows."""
        numeric = with_elapsed(numeric, self.pairs)
        missing = torch.isnan(numeric)
        parts = [missing[:, :1] * 0.0] if self.is_empty and numeric.shape[1] else []
        if self.continuous.numel():
            parts.append(self._continuous(numeric, missing))
        if self.binary.numel():
            part = (numeric.index_select(1, self.binary) - self.centre) / self.spread
            parts.append(torch.where(missing.index_select(1, self.binary), 0.0, part.clamp(-10, 10)))
        if self.instants.numel():
            parts.append(calendar(numeric.index_select(1, self.instants)))
        if self.flagged.numel():
            parts.append(missing.index_select(1, self.flagged).to(numeric.dtype))
        values = torch.cat(parts, dim=1) if parts else category[:, :1] * 0
        return values.to(torch.float32), self._slots(category)

    def _slots(self, category: Tensor) -> Tensor:
        if not self.layout.slots:
            return category
        return self.slot_of[codes(category, self.slot_last) + self.slot_start]

    def _continuous(self, numeric: Tensor, missing: Tensor) -> Tensor:
        part = numeric.index_select(1, self.continuous)
        absent = missing.index_select(1, self.continuous)
        if self.scaling == "standard":
            scaled = torch.clamp((part - self.mean) / self.deviation, self.low, self.high)
            return torch.where(absent, 0.0, scaled)
        value = torch.where(absent, 0.0, part).t().contiguous()
        right = torch.searchsorted(self.knots, value, right=True).clamp(1, KNOTS - 1)
        x0, x1 = self.knots.gather(1, right - 1), self.knots.gather(1, right)
        y0, y1 = self.scores.gather(1, right - 1), self.scores.gather(1, right)
        share = ((value - x0) / (x1 - x0)).nan_to_num(1.0, 1.0, 0.0).clamp(0, 1)
        return torch.where(absent, 0.0, (y0 + (y1 - y0) * share).t())


def pairs_of(instants: Sequence[int]) -> Array:
    """Return the pairs of columns of instants between which time is measured, int64 [2, p]; none where they are many."""
    pairs = [*combinations(instants, 2)] if len(instants) <= MOST_INSTANTS else []
    return np.array(pairs, np.int64).reshape(-1, 2).T.copy()


def with_elapsed(numeric: Tensor, pairs: Tensor) -> Tensor:
    """Return numbers [b, a + p]: the time from one instant to another behind the others."""
    if not pairs.numel():
        return numeric
    return torch.cat([numeric, numeric.index_select(1, pairs[1]) - numeric.index_select(1, pairs[0])], dim=1)


def calendar(instants: Tensor) -> Tensor:
    """Return hour, weekday and day of the year of instants [b, i], each as a point on the circle: [b, 6 * i]."""
    absent = ~torch.isfinite(instants)  # an instant at infinity has no hour
    angles = [torch.remainder(instants, period) * (2 * math.pi / period) for _, period in _CALENDAR]
    waves = [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)]
    return torch.cat([torch.where(absent, 0.0, wave) for wave in waves], dim=1)


def spread_values(ordered: Array, count: int) -> Array:
    """Return at most ``count`` distinct values of sorted ones: half by rank, half by rank among the distinct.

    Ranks alone would leave a column that is mostly one value (often zero) with few knots for all its others.
    """
    distinct = np.unique(ordered)
    if len(distinct) <= count:
        return distinct
    shares = np.linspace(0, 1, count // 2)
    picked = [values[np.round(shares * (len(values) - 1)).astype(np.int64)] for values in (ordered, distinct)]
    return np.unique(np.concatenate(picked))


def bin_edges(values: Array, bins: int) -> Tensor:
    """Return edges float32[c, bins + 1 or fewer] for the piecewise-linear encoding; spare ones repeat the last."""
    distinct = [spread_values(np.sort(column), bins + 1) for column in values.T]
    edges = np.zeros((len(distinct), max((len(unique) for unique in distinct), default=1)), dtype=np.float32)
    for row, unique in enumerate(distinct):
        edges[row, : len(unique)] = unique
        edges[row, len(unique) :] = unique[-1]
    return torch.from_numpy(edges)


def _deviation(values: Array) -> float:
    """Return the standard deviation, of which the squares of huge values would be infinite."""
    largest = float(np.nanmax(np.abs(values)))
    return float(np.nanstd(values / largest) * largest) if largest > 0 else 0.0


def _varies(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) > 0 and bool(finite.min() < finite.max())


def entry(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what the schema says of a column."""
    described: Mapping[str, Any] = next(entry for entry in schema["inputs"] if entry["name"] == name)
    return described


def keep(module: nn.Module, name: str, values: Array) -> None:
    """Register a buffer, unless it is empty: the exported graph has no use for it."""
    tensor = torch.from_numpy(values)
    if tensor.numel():
        module.register_buffer(name, tensor)
    else:
        setattr(module, name, tensor)


def codes(category: Tensor, sizes: Tensor) -> Tensor:
    """Return vocabulary positions from 1 on, 0 for missing and unknown values.

    Beyond the vocabulary counts as unknown, so that a wrong index can not read another column's part of a table.
    """
    return torch.where(category < sizes, category, -1).clamp(min=-1) + 1
