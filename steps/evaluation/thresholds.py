"""What success means: thresholds on a metric's value or on the bound of its interval, and the rows that they are about."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from model_code import tasks
from model_code.tasks import APPLICATION, COST, Metric
from steps.core import Config
from steps.evaluation.document import Reason
from steps.splitting import By
from steps.wording import digits

SHARES = ("recall", "precision", "specificity", "false_positive_rate")
SHARES = ("recall", "precision", "specificity", "false_positive_rate")
"""The metrics for which a threshold of decisions is chosen."""


class Threshold(Config):
    """One promise that the model must keep on the held-out test set."""

    metric: str = Field(
        description="A metric of the task, by scikit-learn's name where it has one: roc_auc, recall, f1_macro, rmse, "
        "precision_at_top_5_percent, within_10_percent, predict_p99_ms, model_mb ... (all: docs/evaluation.md)."
    )
    at_least: float | None = Field(default=None, allow_inf_nan=False, description="The metric must be this or more.")
    at_most: float | None = Field(default=None, allow_inf_nan=False, description="The metric must be this or less.")
    on: Literal["interval", "value"] = Field(
        default="interval",
        description="'interval': the bad end of the 95 % interval must clear it; 'value': the estimate itself.",
    )
    slice: str | None = Field(default=None, description="Only on the rows of one slice, written column=value.")

    @model_validator(mode="before")
    @classmethod
    def _without_interval(cls, content: object) -> object:
        """Judge time and size by their value: they are measured once."""
        if isinstance(content, dict) and content.get("metric") in APPLICATION:
            return {**content, "on": "value"}
        return content

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"threshold on {self.metric!r}: give exactly one of at_least and at_most")
        if self.slice is not None and "=" not in self.slice:
            raise ValueError(f"threshold on {self.metric!r}: slice {self.slice!r} is not of the form column=value")
        return self

    @property
    def requirement(self) -> str:
        """The promise in words, as reports print it."""
        where = f" on {self.slice}" if self.slice else ""
        return f"{self.metric} {self.limit} ({'95 % bound' if self.on == 'interval' else 'value'}){where}"

    @property
    def bound(self) -> float:
        """The number that was promised."""
        bound = self.at_most if self.at_least is None else self.at_least
        assert bound is not None, "a threshold has exactly one bound"
        return bound

    @property
    def limit(self) -> str:
        """The bound and its direction, as ``>= 0.65``."""
        return f"{'<=' if self.at_least is None else '>='} {digits(self.bound)}"

    def met(self, value: float) -> bool:
        """Return whether a number meets the bound: the estimate, or the end of its interval that decides."""
        return value <= self.bound if self.at_least is None else value >= self.bound


class Costs(Config):
    """What each wrong decision of two classes costs, in one unit."""

    miss: float = Field(gt=0, allow_inf_nan=False, description="Not acting on a row of the positive class.")
    false_alarm: float = Field(gt=0, allow_inf_nan=False, description="Acting on a row of the other class.")


class Goal(Config):
    """What a model predicts and has to reach, and how its rows were divided: as the problem says it for several stages."""

    task: str = Field(description="The task.")
    success: tuple[Threshold, ...] = Field(default=(), description="The thresholds.")
    costs: Costs | None = Field(default=None, description="What wrong decisions cost.")
    decision_threshold: float | None = Field(
        default=None, gt=0, lt=1, description="The probability from which a row counts as positive."
    )
    by: By = Field(default="row", description="How the rows are divided: row, group or time.")
    column: str | None = Field(default=None, description="The column of the group or time.")
    key: tuple[str, ...] = Field(
        default=(), description="By row: the columns that name a row; when left out, all features together do."
    )

    @model_validator(mode="after")
    def _column_given(self) -> Self:
        if self.by != "row" and self.column is None:
            raise ValueError(f"by {self.by!r} wants the column of the {self.by}")
        return self

    @property
    def reason(self) -> Reason | None:
        """What the probability of decisions is chosen by; None where it is one half."""
        if not tasks.get(self.task).has_positive:
            return None
        if self.decision_threshold is not None:
            return "declared"
        if self.shares:
            return "promises"
        return "costs" if self.costs else None

    @property
    def shares(self) -> tuple[Threshold, ...]:
        """The promises for which the probability of decisions is chosen."""
        return tuple(promise for promise in self.success if promise.metric in SHARES and promise.slice is None)

    def on_folds(self, choose: Literal["best", "first"]) -> Goal:
        """Return the goal without what a training does not read, so that another promise asks for no other training.

        The best candidate does not depend on the promises; the first that reaches them does, by the bad ends of intervals.
        """
        goal = self
        if choose == "best":
            success = self.shares if self.reason == "promises" else ()
            costs = self.costs if self.reason in ("promises", "costs") else None
            goal = self.model_copy(update={"success": success, "costs": costs})
        success = tuple(
            promise.model_copy(update={"on": "interval"})
            for promise in goal.success
            if promise.metric not in APPLICATION
        )
        return goal.model_copy(update={"success": success})

    def metrics(self) -> dict[str, Metric]:
        """Return what is measured of predictions: the task's metrics, those of promises, and the cost where costs are declared."""
        task = tasks.get(self.task)
        names = [*task.metrics, *(threshold.metric for threshold in self.success), *([COST] if self.costs else ())]
        metrics = {name: metric for name in names if name not in APPLICATION and (metric := task.metric(name))}
        if self.costs and COST in metrics:
            metrics[COST] = replace(metrics[COST], arguments=self.costs.model_dump())
        return metrics
