"""A multilayer perceptron on embedded columns, as a parameter-efficient ensemble.

Numbers are embedded by the piecewise-linear encoding of Gorishniy, Rubachev and Babenko 2022, "On Embeddings for
Numerical Features in Tabular Deep Learning". The ensemble is that of Gorishniy, Kotelnikov and Babenko 2024,
"TabM": k members share the weight matrices, each scales their rows or columns by vectors of its own, and the mean of
their predictions is the prediction.

Shapes: b rows, k members, c continuous columns, n bins, d embedding size, h hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.families import Quality
from model_code.tabular.linear import SlotEmbedding
from model_code.tabular.preprocessing import Layout, Preprocessor, bin_edges
from model_code.training import Dropout, Recipe

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MlpConfig:
    """The sizes of the network and how it is trained."""

    members: int = 4
    layers: int = 2
    hidden: int = 192
    bins: int = 128
    numeric_size: int = 12
    category_size: int = 8
    dropout: float = 0.1
    learning_rate: float = 2e-3
    weight_decay: float = 3e-4
    batch_size: int = 256
    epochs: int = 40
    patience: int = 8


SMALL = MlpConfig()
LARGE = MlpConfig(hidden=96, bins=32, numeric_size=8, dropout=0.0, batch_size=2048, learning_rate=3e-3, patience=2)
"""For many rows: fewer weights and larger batches, so that an epoch costs little."""
MANY_ROWS = 50_000
MANY_SLOTS, SMALL_START = 50, 0.1
"""Vectors of many categories start small: those of rare ones stay near where they started, which is noise. movielens, 80/20 by
row, seed 0: R2 .305, and .234 from as large ones as of few categories; employee_salaries .950 and .948."""
SAMPLES = {"standard": 300_000, "best": 900_000}
"""About how many rows a training sees in all, by quality: that sets the epochs, from six to the config's number."""
LARGEST_RATE = 5e-3
"""Without many rows, the fewer epochs, the higher the learning rate, up to this. Validation losses of letter with 37 epochs at
.002 and 18 at .005: .117 and .109; of wine_quality, whose 40 epochs end early, .694 at .002 and .707 at .005."""


class Mlp:
    """The architecture ``mlp``."""

    tunes, side_by_side = False, True

    def __init__(self, rows: int, quality: Quality = "standard") -> None:
        config = SMALL if rows < MANY_ROWS else LARGE
        epochs = min(max(SAMPLES[quality] // rows, 6), config.epochs)
        faster = min(config.epochs / epochs, LARGEST_RATE / config.learning_rate) if config is SMALL else 1
        self.config = replace(config, epochs=epochs, learning_rate=config.learning_rate * faster)

    def recipe(self) -> Recipe:
        config = self.config
        return Recipe(
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch_size=config.batch_size,
            epochs=config.epochs,
            patience=config.patience,
        )

    def preprocessor(self, inputs: Sequence[Array], schema: Mapping[str, Any]) -> Preprocessor:
        numeric, category = inputs
        return Preprocessor(numeric, category, schema, "quantile")

    def network(self, preprocessor: Preprocessor, prepared: tuple[Tensor, ...], width: int) -> MlpNetwork:
        layout = preprocessor.layout
        edges = bin_edges(prepared[0][:, : layout.continuous].numpy(), self.config.bins)
        return MlpNetwork(self.config, layout, edges, width)

    def describe(self) -> dict[str, Any]:
        return asdict(self.config)


class PiecewiseLinear(nn.Module):
    """Embeds each continuous column: x[b, c] -> [b, c, d], a linear term plus one for each bin that x has passed.

    The encoding is clamp((x - left edge) / (right edge - left edge), 0, 1); its weights start at zero ("version B" of
    the authors' package), so that training starts from the linear term.
    """

    left: Tensor
    inverse_width: Tensor

    def __init__(self, edges: Tensor, size: int) -> None:
        super().__init__()
        width = edges[:, 1:] - edges[:, :-1]
        self.register_buffer("left", edges[:, :-1].clone())
        self.register_buffer("inverse_width", torch.where(width > 0, 1 / width.clamp(min=1e-12), 0.0))
        columns, bins = self.left.shape
        bound = 1.0
        self.weight = nn.Parameter(torch.empty(columns, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(columns, size).uniform_(-bound, bound))
        self.bin_weight = nn.Parameter(torch.zeros(columns, bins, size))

    def forward(self, x: Tensor) -> Tensor:
        passed = ((x.unsqueeze(-1) - self.left) * self.inverse_width).clamp(0, 1)
        binned = torch.bmm(passed.transpose(0, 1), self.bin_weight).transpose(0, 1)
        return x.unsqueeze(-1) * self.weight + self.bias + binned


class EnsembleLinear(nn.Module):
    """x[k, b, i] -> [k, b, o]: each member multiplies by the shared W with rows or columns scaled its own way.

    Scaling the weights instead of inputs and outputs is the same map and takes k i o multiplications for any b.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, first: bool) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        # The first layer's members start apart, each seeing the inputs its own way; after it, rectifiers are positively
        # homogeneous, so that a scale on a layer's inputs would only repeat the one on the outputs before it.
        self.scale = nn.Parameter(torch.randn(members, inputs, 1) if first else torch.ones(members, 1, outputs))
        self.bias = nn.Parameter(torch.empty(1, 1, outputs).uniform_(-bound, bound).repeat(members, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight * self.scale)


class MlpNetwork(nn.Module):
    """Raw outputs [b, k, width]."""

    def __init__(self, config: MlpConfig, layout: Layout, edges: Tensor, width: int) -> None:
        super().__init__()
        self.continuous = layout.continuous
        self.embed = PiecewiseLinear(edges, config.numeric_size) if layout.continuous else None
        self.category = SlotEmbedding(layout, config.category_size) if layout.slots else None
        if self.category is not None:
            with torch.no_grad():  # the unknown starts, and where never seen stays, at zero
                scale = torch.tensor([SMALL_START if size > MANY_SLOTS else 1.0 for size in layout.slots])
                of_slot = scale.repeat_interleave(torch.tensor(layout.slots))
                self.category.table.weight.uniform_(-1, 1).mul_(of_slot[:, None])[self.category.starts] = 0
        inputs = layout.continuous * config.numeric_size + layout.plain + len(layout.slots) * config.category_size
        sizes = [inputs, *[config.hidden] * config.layers]
        self.layers = nn.ModuleList(
            EnsembleLinear(config.members, a, b, first=i == 0) for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.drop, self.members = Dropout(config.dropout), config.members
        bound = config.hidden**-0.5
        self.head = nn.Parameter(torch.empty(config.members, config.hidden, width).uniform_(-bound, bound))
        self.head_bias = nn.Parameter(torch.empty(config.members, 1, width).uniform_(-bound, bound))

    def forward(self, values: Tensor, slots: Tensor) -> Tensor:
        parts = [values[:, self.continuous :]]
        if self.embed is not None:
            parts.append(self.embed(values[:, : self.continuous]).flatten(1))
        if self.category is not None:
            parts.append(self.category(slots).flatten(1))
        x = torch.cat(parts, dim=1).expand(self.members, -1, -1)
        for layer in self.layers:
            x = self.drop(torch.relu(layer(x)))
        return torch.baddbmm(self.head_bias, x, self.head).transpose(0, 1)
