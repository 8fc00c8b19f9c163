"""A number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_code.tasks import Metric, table

if TYPE_CHECKING:
    import torch

    from model_code.tasks import Array


class Regression:
    name = "regression"
    headline = "r2"
    is_classification = False
    metrics = table(
        Metric("r2", True, None, 1),
        Metric("rmse", False, 0, None),
        Metric("mae", False, 0, None),
        Metric("mape", False, 0, None),
    )

    def width(self, classes: Sequence[str]) -> int:
        return 1

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import mse_loss

        values = raw[..., 0]
        return mse_loss(values, truth.to(values.dtype).view(-1, *[1] * (values.dim() - 1)).expand_as(values))

    def prediction_loss(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import mse_loss

        return mse_loss(prediction, truth.to(prediction.dtype))

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        return raw[..., 0]

    def constant(self, truth: Array, classes: Sequence[str]) -> Array:
        import numpy as np

        return np.asarray(truth.mean())
