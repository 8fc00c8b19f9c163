"""Three classes or more, exactly one of them true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_code.tasks import Metric, table

if TYPE_CHECKING:
    import torch

    from model_code.tasks import Array


class MulticlassClassification:
    name = "multiclass-classification"
    headline = "accuracy"
    is_classification = True
    metrics = table(
        Metric("accuracy", True, 0, 1),
        Metric("balanced_accuracy", True, 0, 1),
        Metric("f1_macro", True, 0, 1),
        Metric("log_loss", False, 0, None),
    )

    def width(self, classes: Sequence[str]) -> int:
        return len(classes)

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import cross_entropy

        members = truth.view(-1, *[1] * (raw.dim() - 2)).expand(raw.shape[:-1])
        return cross_entropy(raw.flatten(0, -2), members.flatten())

    def prediction_loss(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import nll_loss

        return nll_loss(prediction.clamp(min=1e-7).log(), truth)

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.softmax(raw, dim=-1)

    def constant(self, truth: Array, classes: Sequence[str]) -> Array:
        import numpy as np

        return np.bincount(truth, minlength=len(classes)) / len(truth)
