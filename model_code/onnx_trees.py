"""Walks through the tables of a tree network as one operator of ONNX, which takes a quarter of the time or less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import numpy_helper

from model_code.onnx_nodes import Nodes, Value
from model_code.runtime import Program

Array = np.ndarray[Any, Any]

DOMAIN, VERSION = "ai.onnx.ml", 5
"""The standard operators that have trees, and the first version with trees of float64."""
_TABLES = {"roots": "b", "feature": "b", "below": "b", "outputs": "b", "threshold": "p", "value": "p"}
"""The tensors of a ``TreeNetwork``: buffers and parameters."""
_FIRST, _LAST = "torch.ops.aten.index_select.default", "torch.ops.aten.matmul.default"
"""The operators at the ends of a walk: values at the roots, and sums of leaves."""
_LEFT_IF_AT_MOST, _SUM, _AS_IT_IS = 0, 1, 0
"""Numbers of ``nodes_modes``, ``aggregate_function`` and ``post_transform``."""


@dataclass(frozen=True)
class Walk:
    """The steps of a ``TreeNetwork`` between two values of a program."""

    source: str
    """The name of values float64[b, c] without NaN, which are compared with the thresholds."""
    result: str
    """The name of the sums of leaves float64[b, width]."""
    tables: Mapping[str, Array]

    def translate(self, nodes: Nodes, source: Value) -> str:
        """Add the trees to the nodes and return the name of their output."""
        roots, children = self.tables["roots"], self.tables["below"].reshape(-1, 2)
        numbers = np.arange(len(children))
        is_leaf = (children == numbers[:, None]).all(axis=1)
        is_inner = ~is_leaf
        is_inner[roots] = True  # a root that is a leaf stands above itself
        inner, leaves = np.flatnonzero(is_inner), np.flatnonzero(is_leaf)
        inner_place, leaf_place = np.cumsum(is_inner) - 1, np.cumsum(is_leaf) - 1
        sides: dict[str, Any] = {}
        for side, below in zip(("true", "false"), children[inner].T, strict=True):
            sides[f"nodes_{side}nodeids"] = np.where(is_leaf, leaf_place, inner_place)[below].tolist()
            sides[f"nodes_{side}leafs"] = is_leaf[below].astype(int).tolist()
        tree = np.searchsorted(roots, leaves, side="right") - 1
        return nodes.add(
            "TreeEnsemble",
            source,
            domain=DOMAIN,
            aggregate_function=_SUM,
            post_transform=_AS_IT_IS,
            n_targets=self.tables["outputs"].shape[1],
            tree_roots=inner_place[roots].tolist(),
            nodes_featureids=self.tables["feature"][inner].tolist(),
            nodes_splits=numpy_helper.from_array(self.tables["threshold"][inner]),
            nodes_modes=numpy_helper.from_array(np.full(len(inner), _LEFT_IF_AT_MOST, np.uint8)),
            leaf_targetids=self.tables["outputs"].argmax(axis=1)[tree].tolist(),
            leaf_weights=numpy_helper.from_array(self.tables["value"][leaves]),
            **sides,
        )


def walks(program: Program) -> Iterator[Walk]:
    """Yield the walks of a program, which the names of their tables give away."""
    places = {step.output: step.arguments for step in program.steps}
    for step in program.steps:
        if step.target != _LAST or not str(step.arguments[1]).endswith("outputs"):
            continue
        prefix = step.arguments[1].removeprefix("b_").removesuffix("outputs")
        names = {table: f"{kind}_{prefix}{table}" for table, kind in _TABLES.items()}
        at_the_roots = (names["feature"], [names["roots"]])
        sources = [
            first.arguments[0]
            for first in program.steps
            if first.target == _FIRST and places.get(first.arguments[2]) == at_the_roots
        ]
        if len(sources) == 1 and program.weights.keys() >= set(names.values()):
            yield Walk(sources[0], str(step.output), {table: program.weights[name] for table, name in names.items()})
