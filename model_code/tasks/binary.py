"""Two classes; the second is the positive one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_code.tasks import Metric, table

if TYPE_CHECKING:
    import torch

    from model_code.tasks import Array


class BinaryClassification:
    name = "binary-classification"
    headline = "roc_auc"
    is_classification = True
    metrics = table(
        Metric("roc_auc", True, 0, 1),
        Metric("average_precision", True, 0, 1),
        Metric("accuracy", True, 0, 1),
        Metric("balanced_accuracy", True, 0, 1),
        Metric("f1", True, 0, 1),
        Metric("log_loss", False, 0, None),
        Metric("brier", False, 0, 1),
    )

    def width(self, classes: Sequence[str]) -> int:
        return 1

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = raw[..., 0]
        members = truth.to(logits.dtype).view(-1, *[1] * (logits.dim() - 1)).expand_as(logits)
        return binary_cross_entropy_with_logits(logits, members)

    def prediction_loss(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import nll_loss

        return nll_loss(prediction.clamp(min=1e-7).log(), truth)

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        import torch

        positive = torch.sigmoid(raw[..., 0])
        return torch.stack([1 - positive, positive], dim=-1)

    def constant(self, truth: Array, classes: Sequence[str]) -> Array:
        import numpy as np

        return np.bincount(truth, minlength=len(classes)) / len(truth)
