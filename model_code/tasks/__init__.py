"""The tasks: what good means for each, as metrics with their directions and a headline.

What a column of labels adds is in ``labels``, what a network adds (outputs, loss, activation) in ``heads``.
Truth and prediction are numpy arrays everywhere:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; k = 2 for binary)
    regression       truth float64[n],             prediction float64[n]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Metric:
    """A metric's name, direction and range; the function of that name is in ``model_code.metrics``."""

    name: str
    label: str
    """The name in sentences."""
    higher_is_better: bool
    low: float | None
    high: float | None

    def bind(self, truth: Array, prediction: Array) -> Callable[[Array], float]:
        """Prepare the metric once (sorting and the like) and return it as a function of row weights float64[n]."""
        metrics = import_module("model_code.metrics")  # numpy is imported when a metric is used, not when it is named
        return getattr(metrics, self.name)(truth, prediction)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Task:
    """What good means; nothing outside of this package asks which task it is."""

    name: str
    headline: str
    """The metric of selection, summaries and proposed thresholds."""
    clear_win: Callable[[Mapping[str, int]], float]
    """From the rows of each class to a value of the headline that is clearly better than a constant prediction's."""
    shapes: tuple[str, ...]
    """The pictures that show where predictions go wrong: calibration and confusion, or residuals."""
    metrics: Mapping[str, Metric]
    has_classes: bool = True
    """False if labels are numbers."""
    has_positive: bool = False
    """True if the last class is the one that metrics speak of."""


def _table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _beyond_majority(counts: Mapping[str, int]) -> float:
    majority = max(counts.values()) / sum(counts.values())
    return round(majority + 0.1 * (1 - majority), 3)


_TASKS = (
    Task(
        "binary-classification",
        headline="roc_auc",
        clear_win=lambda _: 0.55,
        shapes=("calibration", "confusion"),
        has_positive=True,
        metrics=_table(
            Metric("roc_auc", "ROC AUC", True, 0, 1),
            Metric("average_precision", "average precision", True, 0, 1),
            Metric("accuracy", "accuracy", True, 0, 1),
            Metric("balanced_accuracy", "balanced accuracy", True, 0, 1),
            Metric("f1", "F1", True, 0, 1),
            Metric("log_loss", "log loss", False, 0, None),
            Metric("brier", "Brier score", False, 0, 1),
        ),
    ),
    Task(
        "regression",
        headline="r2",
        clear_win=lambda _: 0.05,
        shapes=("residuals",),
        has_classes=False,
        metrics=_table(
            Metric("r2", "R\N{SUPERSCRIPT TWO}", True, None, 1),
            Metric("rmse", "RMSE", False, 0, None),
            Metric("mae", "mean absolute error", False, 0, None),
            Metric("mape", "mean absolute percentage error", False, 0, None),
        ),
    ),
    Task(
        "multiclass-classification",
        headline="accuracy",
        clear_win=_beyond_majority,
        shapes=("calibration", "confusion"),
        metrics=_table(
            Metric("accuracy", "accuracy", True, 0, 1),
            Metric("balanced_accuracy", "balanced accuracy", True, 0, 1),
            Metric("f1_macro", "mean F1 of the classes", True, 0, 1),
            Metric("log_loss", "log loss", False, 0, None),
        ),
    ),
)
"""In the order in which they are tried on a target whose task nobody named."""


def names() -> tuple[str, ...]:
    return tuple(task.name for task in _TASKS)


def get(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: no task has that name; the message lists those that exist.
    """
    for task in _TASKS:
        if task.name == name:
            return task
    raise ValueError(f"unknown task {name!r}; known are: {', '.join(names())}")
