"""Two classes; the second is the positive one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from model_code.tasks import Metric, Unfit, table
from model_code.tasks.classification import Classification, listed

if TYPE_CHECKING:
    import polars as pl
    import torch


class BinaryClassification(Classification):
    name = "binary-classification"
    headline = "roc_auc"
    has_positive = True
    metrics = table(
        Metric("roc_auc", True, 0, 1),
        Metric("average_precision", True, 0, 1),
        Metric("accuracy", True, 0, 1),
        Metric("balanced_accuracy", True, 0, 1),
        Metric("f1", True, 0, 1),
        Metric("log_loss", False, 0, None),
        Metric("brier", False, 0, 1),
    )

    def check(self, labels: pl.Series, raw: pl.Series) -> None:
        super().check(labels, raw)
        counts = self.count(labels)
        if len(counts) != 2:
            raise Unfit(
                f"has {len(counts)} classes ({listed(counts)}), and {self.name} wants two",
                "use task: multiclass-classification, or make two of them with label.rule",
            )

    def clear_win(self, counts: Mapping[str, int]) -> float:
        return 0.55

    def width(self, classes: Sequence[str]) -> int:
        return 1

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = raw[..., 0]
        members = truth.to(logits.dtype).view(-1, *[1] * (logits.dim() - 1)).expand_as(logits)
        return binary_cross_entropy_with_logits(logits, members)

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        import torch

        positive = torch.sigmoid(raw[..., 0])
        return torch.stack([1 - positive, positive], dim=-1)
