"""A number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from model_code.tasks import Metric, Unfit, table

if TYPE_CHECKING:
    import polars as pl
    import torch

    from model_code.tasks import Array, Prediction


class Regression:
    name = "regression"
    headline = "r2"
    has_positive = False
    shapes = ("residuals",)
    metrics = table(
        Metric("r2", True, None, 1),
        Metric("rmse", False, 0, None),
        Metric("mae", False, 0, None),
        Metric("mape", False, 0, None),
    )

    def labels(self, raw: pl.Series) -> pl.Series:
        import polars as pl

        if raw.dtype == pl.Boolean:
            raise Unfit("is true or false, and a regression predicts a number", "use task: binary-classification")
        if raw.dtype.is_temporal():
            raise Unfit(
                "holds dates, and a regression predicts a number",
                "make one with label.rule, such as the days between two dates",
            )
        if raw.dtype.is_numeric() or raw.dtype == pl.Null:
            values = raw.cast(pl.Float64)
        else:
            text = raw.cast(pl.String).str.strip_chars()
            values = text.cast(pl.Float64, strict=False)
            wrong = values.is_null() & text.is_not_null() & (text != "")
            if wrong.any():
                raise Unfit(
                    "is not a number",
                    "a regression predicts a number: correct them, declare their marker as missing, or use a "
                    "classification task",
                    wrong,
                )
        values = values.fill_nan(None)
        huge = (values.abs() > 3.4e38).fill_null(value=False)
        if huge.any():
            raise Unfit(
                "is huge or infinite", "wanted numbers between -3.4e38 and 3.4e38, which float32 can hold", huge
            )
        return values

    def count(self, labels: pl.Series) -> dict[str, int]:
        return {}

    def check(self, labels: pl.Series, raw: pl.Series) -> None:
        """Any numbers will do."""

    def clear_win(self, counts: Mapping[str, int]) -> float:
        return 0.05

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        import polars as pl

        found = values.cast(pl.Float64)
        return found.set(~found.is_finite(), None)

    def wanted(self, classes: Sequence[str]) -> str:
        return "a finite number"

    def scale(self, truth: Array) -> tuple[float, float]:
        return float(truth.mean()), float(truth.std())

    def scaled(self, truth: Array, centre: float, spread: float) -> Array:
        import numpy as np

        return ((truth - centre) / spread).astype(np.float32)

    def unscaled(self, prediction: Prediction, centre: Any, spread: Any) -> Prediction:
        found: Prediction = prediction * spread + centre
        return found

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
