"""Three classes or more, exactly one of them true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from model_code.tasks import Metric, Unfit, table
from model_code.tasks.classification import Classification, listed

if TYPE_CHECKING:
    import polars as pl
    import torch


class MulticlassClassification(Classification):
    name = "multiclass-classification"
    headline = "accuracy"
    has_positive = False
    metrics = table(
        Metric("accuracy", True, 0, 1),
        Metric("balanced_accuracy", True, 0, 1),
        Metric("f1_macro", True, 0, 1),
        Metric("log_loss", False, 0, None),
    )

    def check(self, labels: pl.Series, raw: pl.Series) -> None:
        super().check(labels, raw)
        counts = self.count(labels)
        if len(counts) < 3:
            raise Unfit(f"has {len(counts)} classes ({listed(counts)})", "use task: binary-classification")

    def clear_win(self, counts: Mapping[str, int]) -> float:
        majority = max(counts.values()) / sum(counts.values())
        return round(majority + 0.1 * (1 - majority), 3)

    def width(self, classes: Sequence[str]) -> int:
        return len(classes)

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        members = truth.view(-1, *[1] * (raw.dim() - 2)).expand(raw.shape[:-1])
        return cross_entropy(raw.flatten(0, -2), members.flatten())

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.softmax(raw, dim=-1)
