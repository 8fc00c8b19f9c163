"""A linear model on scaled columns, missing flags and one-hot categories: the cheapest candidate, and a yardstick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code.tabular.preprocessing import Layout, Preprocessor
from model_code.training import Recipe

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LinearConfig:
    """How the linear model is trained."""

    learning_rate: float = 0.02
    weight_decay: float = 1e-4
    batch_size: int = 256
    """For medium data; large data takes batches up to ``largest_batch``, small data down to ``smallest_batch``."""
    smallest_batch: int = 8
    largest_batch: int = 4096
    steps: int = 2000
    """About how many steps the whole training takes, within ``epochs``. Each moves a weight by ``learning_rate`` at most,
    so that far fewer would not reach the weights that fit."""
    epochs: tuple[int, int] = (8, 100)
    patience: int = 10


class Linear:
    """The architecture ``linear``."""

    def __init__(self, rows: int, config: LinearConfig | None = None) -> None:
        self.config, self.rows = config or LinearConfig(), rows

    def recipe(self) -> Recipe:
        config, rows = self.config, self.rows
        fewest, most = config.epochs
        small = max(min(config.batch_size, rows * most // config.steps), config.smallest_batch)
        batch = min(max(small, rows // 64), config.largest_batch)
        return Recipe(
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch_size=batch,
            epochs=min(max(config.steps * batch // rows, fewest), most),
            patience=config.patience,
        )

    def preprocessor(self, inputs: Sequence[Array], schema: Mapping[str, Any]) -> Preprocessor:
        numeric, category = inputs
        return Preprocessor(numeric, category, schema, "standard")

    def network(self, preprocessor: Preprocessor, prepared: tuple[Tensor, ...], width: int) -> LinearNetwork:
        return LinearNetwork(preprocessor.layout, width)

    def describe(self) -> dict[str, Any]:
        return {**asdict(self.config), **asdict(self.recipe())}


class LinearNetwork(nn.Module):
    """Raw outputs [b, 1, width]: weights for each value and one for each slot of each category."""

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.numeric = nn.Linear(layout.continuous + layout.plain, width)
        nn.init.zeros_(self.numeric.weight)
        nn.init.zeros_(self.numeric.bias)
        self.category = SlotEmbedding(layout.slots, width) if layout.slots else None

    def forward(self, values: Tensor, slots: Tensor) -> Tensor:
        raw = self.numeric(values)
        if self.category is not None:
            raw = raw + self.category(slots).sum(dim=1)
        members: Tensor = raw.unsqueeze(1)
        return members


class SlotEmbedding(nn.Module):
    """slots int64[b, m] -> [b, m, size]: one vector for each slot of each category, in one table; all start at zero."""

    starts: Tensor

    def __init__(self, slots: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(slots), size)
        nn.init.zeros_(self.table.weight)
        self.register_buffer("starts", torch.from_numpy(np.concatenate([[0], np.cumsum(slots)[:-1]]).astype(np.int64)))

    def forward(self, slots: Tensor) -> Tensor:
        embedded: Tensor = self.table(slots + self.starts)
        return embedded
