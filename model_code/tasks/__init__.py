"""The tasks: what good means for each, as metrics with their directions and a headline.

What a column of labels adds is in ``labels``, what a network adds (outputs, loss, activation) in ``heads``.
Truth and prediction are numpy arrays everywhere:

    classification   truth int64[n] (class index), prediction float64[n, k] (probabilities; k = 2 for binary)
    regression       truth float64[n],             prediction float64[n]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


COST = "cost_per_1000_rows"
"""The metric that needs the declared costs."""


@dataclass(frozen=True)
class Metric:
    """A metric's name, direction and range, and its function in ``model_code.metrics``."""

    name: str
    """With {} in the place of a number that is a part of the name."""
    label: str
    """The name in sentences."""
    higher_is_better: bool
    low: float | None
    high: float | None
    decides: bool = False
    """True if it judges decisions, so that those of two classes depend on a threshold."""
    ranks: bool = False
    """True if it compares rows with one another."""
    function: str = ""
    """The function's name, where it is not the metric's."""
    number: str = ""
    """The argument that the number in the name is."""
    largest: float = float("inf")
    """The number in the name is below."""
    arguments: Mapping[str, float] = field(default_factory=dict)

    def bind(self, truth: Array, prediction: Array, threshold: float | None = None) -> Callable[[Array], float]:
        """Prepare the metric once (sorting and the like) and return it as a function of row weights float64[n].

        Args:
            threshold: the probability from which a row of two classes counts as positive; one half when None.
        """
        metrics = import_module("model_code.metrics")  # numpy is imported when a metric is used, not when it is named
        arguments = {**self.arguments, **({"threshold": threshold} if self.decides and threshold is not None else {})}
        return getattr(metrics, self.function or self.name)(truth, prediction, **arguments)  # type: ignore[no-any-return]

    def read(self, name: str) -> Metric | None:
        """Return the metric of that name if it is this one, with another number or none; None if not."""
        number = r"(\d+)" if self.number == "count" else r"(\d+(?:\.\d+)?)"
        match = re.fullmatch(re.escape(self.name).replace(r"\{\}", number), name)
        if match is None:
            return None
        if not self.number:
            return self
        value = float(match[1])
        if not 0 < value < self.largest:
            return None
        return replace(self, name=name, label=self.label.format(match[1]), arguments={self.number: value})


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
    """What is measured always."""
    on_request: tuple[Metric, ...] = ()
    """What is measured where a promise names it."""
    has_classes: bool = True
    """False if labels are numbers."""
    has_positive: bool = False
    """True if the last class is the one that metrics speak of."""

    def metric(self, name: str) -> Metric | None:
        """Return the metric of that name, None where the task has none."""
        metrics = (definition.read(name) for definition in (*self.metrics.values(), *self.on_request))
        return next(filter(None, metrics), APPLICATION.get(name))

    def metric_names(self) -> tuple[str, ...]:
        """Return the names of all metrics, with N in the place of a number."""
        listed = (*self.metrics.values(), *self.on_request, *APPLICATION.values())
        return tuple(metric.name.replace("{}", "N") for metric in listed)


def _table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


def _in_top(name: str, label: str, high: float | None) -> Metric:
    """Return a metric of the rows that score highest, so many percent of all."""
    form, label = f"{name}_at_top_{{}}_percent", f"{label} the top {{}} %"
    return Metric(form, label, True, 0, high, ranks=True, function=f"{name}_at_top", number="percent", largest=100)


APPLICATION = _table(
    Metric("predict_p50_ms", "milliseconds to answer a row, every other time", False, 0, None),
    Metric("predict_p99_ms", "milliseconds to answer a row, 99 of 100 times", False, 0, None),
    Metric("predict_rows_per_second", "rows answered per second", True, 0, None),
    Metric("model_mb", "size of the model in MB", False, 0, None),
)
"""What is measured of an exported model rather than of its predictions, whatever the task."""


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
            Metric("roc_auc", "ROC AUC", True, 0, 1, ranks=True),
            Metric("average_precision", "average precision", True, 0, 1, ranks=True),
            Metric("recall", "recall", True, 0, 1, decides=True),
            Metric("precision", "precision", True, 0, 1, decides=True),
            Metric("specificity", "specificity", True, 0, 1, decides=True),
            Metric("accuracy", "accuracy", True, 0, 1, decides=True),
            Metric("balanced_accuracy", "balanced accuracy", True, 0, 1, decides=True),
            Metric("f1", "F1", True, 0, 1, decides=True),
            Metric("log_loss", "log loss", False, 0, None),
            Metric("brier", "Brier score", False, 0, 1),
        ),
        on_request=(
            Metric("false_positive_rate", "false-positive rate", False, 0, 1, decides=True),
            Metric(COST, "cost per 1,000 rows", False, 0, None, decides=True),
            _in_top("precision", "precision in", 1),
            _in_top("recall", "recall in", 1),
            _in_top("lift", "lift in", None),
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
        on_request=(
            Metric("within_{}", "share within {}", True, 0, 1, function="within", number="tolerance"),
            Metric("within_{}_percent", "share within {} %", True, 0, 1, function="within_percent", number="percent"),
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
        on_request=(
            Metric("f1_weighted", "F1 weighted by class", True, 0, 1),
            Metric("top_{}_accuracy", "accuracy of the top {}", True, 0, 1, function="top_accuracy", number="count"),
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
