"""A task says what good means. Names resolve through one table of import strings; nothing is imported until it is used.

Truth and prediction are numpy arrays everywhere:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; k = 2 for binary)
    regression       truth float64[n],             prediction float64[n]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from model_code.named import made

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import torch

    Array = np.ndarray[Any, Any]
    Prediction = TypeVar("Prediction", np.ndarray[Any, Any], torch.Tensor)

_TASKS = {
    "binary-classification": "model_code.tasks.binary:BinaryClassification",
    "regression": "model_code.tasks.regression:Regression",
    "multiclass-classification": "model_code.tasks.multiclass:MulticlassClassification",
}
"""In the order in which they are tried on a target whose task nobody named."""


class Unfit(ValueError):
    """A column can not be the target of a task; ``what`` and ``advice`` go on where its name stands."""

    def __init__(self, what: str, advice: str, rows: pl.Series | None = None) -> None:
        super().__init__(f"{what}; {advice}")
        self.what, self.advice = what, advice
        self.rows = rows
        """Boolean [n]: the rows that are to blame; None: all."""


@dataclass(frozen=True)
class Metric:
    """A metric's name, direction and range; the implementation is in ``model_code.metrics``, imported when bound."""

    name: str
    higher_is_better: bool
    low: float | None
    high: float | None

    def bind(self, truth: Array, prediction: Array) -> Callable[[Array], float]:
        """Prepare the metric once (sorting and the like) and return it as a function of row weights float64[n]."""
        return getattr(import_module("model_code.metrics"), self.name)(truth, prediction)  # type: ignore[no-any-return]


def table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


class Task(Protocol):
    """One small object per task; nothing else in the code asks which task it is."""

    name: str
    headline: str
    """The metric that selection and summaries use; proposed thresholds too."""
    metrics: Mapping[str, Metric]
    has_positive: bool
    """Whether one of its classes, the last, is the one that metrics speak of."""
    shapes: tuple[str, ...]
    """What shows where its predictions go wrong: calibration and confusion, or residuals."""

    def labels(self, raw: pl.Series) -> pl.Series:
        """A column as labels, String class names or Float64 numbers; null where there is none.

        Raises:
            Unfit: its values can not be that.
        """

    def count(self, labels: pl.Series) -> dict[str, int]:
        """How many rows each class has, in the order of the classes' indices; empty where labels are numbers."""

    def check(self, labels: pl.Series, raw: pl.Series) -> None:
        """See whether labels, made of ``raw``, are as many different ones as the task can have.

        Raises:
            Unfit: they are not.
        """

    def clear_win(self, counts: Mapping[str, int]) -> float:
        """A value of the headline that is clearly better than a constant's, on rows of such classes."""

    def truth(self, values: pl.Series, classes: Sequence[str]) -> pl.Series:
        """Labels as truth: Int64 class indices or finite Float64; null where a value is neither."""

    def wanted(self, classes: Sequence[str]) -> str:
        """What a row's target must be, in words."""

    def scale(self, truth: Array) -> tuple[float, float]:
        """Centre and spread that a network's target is freed of."""

    def scaled(self, truth: Array, centre: float, spread: float) -> Array:
        """The truth as a network learns it: int64[n] class indices or standardised float32[n]."""

    def unscaled(self, prediction: Prediction, centre: Any, spread: Any) -> Prediction:
        """Predictions of a network in the truth's own units; traced into the export."""

    def width(self, classes: Sequence[str]) -> int:
        """How many raw outputs a network needs."""

    def loss(self, raw: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Mean loss of each raw output of [b, ..., width] against truth [b] (int64 classes or standardised float32)."""

    def prediction_loss(self, prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Mean loss of predictions (probabilities [b, k] or standardised values [b]) against truth [b]."""

    def activate(self, raw: torch.Tensor) -> torch.Tensor:
        """From raw outputs [..., width] to probabilities [..., k] or values [...]; traced into the export."""

    def constant(self, truth: Array, classes: Sequence[str]) -> Array:
        """What the constant yardstick says for any row, from the training truth: class shares [k] or the mean []."""


def names() -> tuple[str, ...]:
    return tuple(_TASKS)


def get(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    task: Task = made("task", name, _TASKS)
    return task
