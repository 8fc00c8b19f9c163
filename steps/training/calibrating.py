"""Whether the chosen candidate's probabilities are calibrated: judged on rows that had no part in the fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_code import calibration
from model_code.calibration import Calibration
from model_code.tasks import Task
from steps.training.blending import parts
from steps.training.selection import Validated, better_by, score

Array = np.ndarray[Any, Any]

ENOUGH = 2.0
"""How many standard errors of the log loss the gain has at least: probabilities that are right stay as they are."""


@dataclass(frozen=True)
class Trial:
    """A calibration and what it does for the log loss of other rows than those that it was fitted on."""

    calibration: Calibration
    prediction: Array
    """The calibrated probabilities of the validated rows, each by a fit on other rows."""
    gain: float
    error: float
    """The standard error of the gain."""

    @property
    def helps(self) -> bool:
        """True if the log loss is better by more than noise."""
        return self.gain > ENOUGH * self.error


def attempt(task: Task, validated: Validated, prediction: Array) -> Trial | None:
    """Return a calibration of the predictions of validated rows; None of numbers, and where rows cannot be divided."""
    metric, masks = task.metrics.get("log_loss"), parts(validated.resampling)
    if metric is None or not masks:
        return None
    truth, calibrated = validated.truth, np.empty_like(prediction)
    for rows in masks:
        calibrated[rows] = calibration.fit(truth[~rows], prediction[~rows]).apply(prediction[rows])
    gain, error = better_by(metric, score(metric, validated, calibrated), score(metric, validated, prediction))
    return Trial(calibration.fit(truth, prediction), calibrated, gain, error)
