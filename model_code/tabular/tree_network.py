"""A fitted LightGBM ensemble as a torch module, from the text that LightGBM itself writes of it.

All trees share flat tables of nodes. A row walks down all trees at once: as many steps as the deepest tree has levels,
each a comparison and a look-up of the next node; a leaf leads to itself. That is what is exported; before,
LightGBM itself answers, in a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.boosting import lightgbm

Array = np.ndarray[Any, Any]

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
"""Bits of ``decision_type``; bits 4 and 8 say which values are missing."""
_MISSING_IS_NAN = 8
_MISSING = 12
_LARGEST = np.finfo(np.float64).max
"""In place of infinity as a threshold, to whose left all numbers are, and to whose right only missing values can be."""

TREES_AT_ONCE = 128
"""So many trees stay in a core's cache while all rows walk through them. letter, 4,000 rows, 3,952 trees: 1.1 CPU s, not 4.4."""


@dataclass(frozen=True)
class _Tree:
    """One tree: internal nodes first, then leaves, numbered from 0."""

    feature: Array
    threshold: Array
    default_left: Array
    children: Array
    """int64[nodes, 2]: the left and the right child; of a leaf, itself."""
    value: Array
    depth: int


class TreeNetwork(nn.Module):
    """Raw outputs float64[b, 1, width] of finite values float64[b, c], where NaN is missing."""

    roots: Tensor
    feature: Tensor
    below: Tensor
    outputs: Tensor

    def __init__(self, text: str, width: int) -> None:
        """Read ``Booster.model_to_string()``.

        Raises:
            ValueError: a tree splits on a set of categories, or takes zero for a missing value.
        """
        super().__init__()
        columns = int(_fields(text.split("\nTree=", 1)[0])["max_feature_idx"]) + 1
        trees = [_tree(_fields(part)) for part in text.split("\nend of trees", 1)[0].split("\nTree=")[1:]]
        starts = np.cumsum([0, *(len(tree.value) for tree in trees)])
        self.depth = max(tree.depth for tree in trees)
        # a missing value is looked up as -inf where it goes left, and c columns further on as +inf where it goes right
        feature = [np.where(tree.default_left, tree.feature, tree.feature + columns) for tree in trees]
        children = [tree.children + start for tree, start in zip(trees, starts, strict=False)]
        self.register_buffer("roots", torch.from_numpy(starts[:-1]))
        self.register_buffer("feature", torch.from_numpy(np.concatenate(feature)))
        self.register_buffer("below", torch.from_numpy(np.concatenate(children).reshape(-1)))
        self.register_buffer("outputs", torch.eye(width, dtype=torch.float64)[torch.arange(len(trees)) % width])
        self.threshold = _constant(np.concatenate([tree.threshold for tree in trees]))
        self.value = _constant(np.concatenate([tree.value for tree in trees]))
        self.booster = lightgbm.Booster(model_str=text)

    def forward(self, values: Tensor) -> Tensor:
        if torch.compiler.is_exporting() or not len(values):
            return self.walk(values)
        rows, width = values.numpy(), self.outputs.shape[1]
        rounds, raw = max(TREES_AT_ONCE // width, 1), np.zeros((len(rows), width))
        for first in range(0, self.booster.current_iteration(), rounds):
            answer = self.booster.predict(
                rows, raw_score=True, start_iteration=first, num_iteration=rounds, num_threads=torch.get_num_threads()
            )
            raw += np.asarray(answer).reshape(raw.shape)
        return torch.from_numpy(raw).unsqueeze(1)

    def walk(self, values: Tensor) -> Tensor:
        """Return the same by the tables, up to rounding; this is traced into the exported graph."""
        missing = torch.isnan(values)
        both = torch.cat([torch.where(missing, -torch.inf, values), torch.where(missing, torch.inf, values)], dim=1)
        compared = both.index_select(1, self.feature[self.roots])
        node = self.below[2 * self.roots + (self.threshold[self.roots] < compared)]
        for _ in range(self.depth - 1):
            compared = both.gather(1, self.feature[node])
            node = self.below[2 * node + (self.threshold[node] < compared)]
        raw = torch.matmul(self.value[node], self.outputs)
        return raw.unsqueeze(1)


def _constant(values: Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values), requires_grad=False)


def _fields(part: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)


def _tree(fields: dict[str, str]) -> _Tree:
    leaves = int(fields["num_leaves"])
    inner = leaves - 1
    values = np.concatenate([np.zeros(inner), _numbers(fields["leaf_value"], float)])
    kinds = _numbers(fields.get("decision_type", ""), np.int64)
    if (kinds & _CATEGORICAL).any() or not np.isin(kinds & _MISSING, (0, _MISSING_IS_NAN)).all():
        raise ValueError("a tree splits on a set of categories, or takes zero for a missing value")
    children = np.stack([_numbers(fields.get(side, ""), np.int64) for side in ("left_child", "right_child")], axis=1)
    children = np.where(children < 0, inner + ~children, children)  # LightGBM writes leaf i as -1 - i
    itself = np.arange(inner, inner + leaves)
    return _Tree(
        feature=np.concatenate([_numbers(fields.get("split_feature", ""), np.int64), np.zeros(leaves, np.int64)]),
        threshold=np.concatenate(
            [np.minimum(_numbers(fields.get("threshold", ""), float), _LARGEST), np.zeros(leaves)]
        ),
        default_left=np.concatenate([(kinds & _DEFAULT_LEFT) > 0, np.ones(leaves, bool)]),
        children=np.concatenate([children, np.stack([itself, itself], axis=1)]),
        value=values,
        depth=_depth(children, inner),
    )


def _numbers(text: str, dtype: type) -> Array:
    return np.array(text.split(), dtype=dtype)


def _depth(children: Array, inner: int) -> int:
    """Return the number of comparisons on the longest way from the root to a leaf, at least one."""
    depths = np.ones(max(inner, 1), np.int64)
    for node in range(inner):  # a child has a larger number than its parent
        below = children[node][children[node] < inner]
        depths[below] = depths[node] + 1
    return int(depths.max())
