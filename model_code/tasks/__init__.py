"""A task says what good means. Names resolve through one table of import strings; nothing is imported until it is used.

Truth and prediction are numpy arrays everywhere:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; k = 2 for binary)
    regression       truth float64[n],             prediction float64[n]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

_TASKS = {
    "binary-classification": "model_code.tasks.binary:BinaryClassification",
    "multiclass-classification": "model_code.tasks.multiclass:MulticlassClassification",
    "regression": "model_code.tasks.regression:Regression",
}


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
    is_classification: bool

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
    if name not in _TASKS:
        raise ValueError(f"unknown task {name!r}; known are: {', '.join(_TASKS)}")
    module, _, attribute = _TASKS[name].partition(":")
    task: Task = getattr(import_module(module), attribute)()
    return task
