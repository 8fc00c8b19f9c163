"""Calibration: a scale of the log probabilities, and for two classes a shift, that make probabilities as often right as they say.

With more than two classes it is the temperature scaling of Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern
Neural Networks"; with two, the sigmoid of Platt 1999, "Probabilistic Outputs for Support Vector Machines", on the logit.
The order of the classes (of several) or of the rows (by the probability of one of two) does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray[Any, Any]

FLOOR = 1e-16
"""A probability counts as at least this; the distance of 1 from the number below it is about as large."""
SCALES = (1.0, 0.3, 0.1, 0.05)
"""Where the search starts: where a probability of nought is wrong, the loss is flat around 1. The last is the smallest scale."""
STEPS = 30


@dataclass(frozen=True)
class Calibration:
    """What log probabilities are multiplied by, and what is added to that of the second of two classes."""

    scale: float
    shift: float = 0.0

    def apply(self, probabilities: Array) -> Array:
        """Return calibrated probabilities [n, k]."""
        chances = _softmax(_logits(_logs(probabilities), np.array([self.scale, self.shift])))
        return np.ascontiguousarray(chances.T)


def fit(truth: Array, probabilities: Array) -> Calibration:
    """Return the calibration with the least log loss of the true classes int64[n], by Newton's method."""
    logs = _logs(probabilities)
    free = 2 if len(logs) == 2 else 1
    best = min((np.array([scale, 0.0]) for scale in SCALES), key=lambda start: _loss(start, logs, truth)[0])
    loss, gradient, curvature = _loss(best, logs, truth)
    for _ in range(STEPS):
        step = np.linalg.solve(curvature[:free, :free] + 1e-9 * np.eye(free), gradient[:free])
        size = 1.0
        while size > 1e-6:
            point = best - size * np.pad(step, (0, 2 - free))
            point[0] = max(point[0], SCALES[-1])
            result = _loss(point, logs, truth)
            if result[0] < loss:
                break
            size /= 2
        else:
            break
        best, gain, (loss, gradient, curvature) = point, loss - result[0], result
        if gain < 1e-12:
            break
    scale, shift = best.round(6).tolist()
    return Calibration(scale, shift)


class Calibrated(nn.Module):
    """A model whose probabilities are calibrated; part of the exported graph."""

    shift: Tensor

    def __init__(self, model: nn.Module, calibration: Calibration, classes: int) -> None:
        super().__init__()
        self.model, self.scale = model, calibration.scale
        shift = torch.zeros(classes, dtype=torch.float64)
        shift[1] = calibration.shift
        self.register_buffer("shift", shift)

    def forward(self, *inputs: Tensor) -> Tensor:
        logs = self.model(*inputs).clamp(min=FLOOR).log()
        return torch.softmax(logs * self.scale + self.shift, dim=-1)


def _logs(probabilities: Array) -> Array:
    """Return log probabilities [k, n]: sums over few classes are several times faster over the first axis than over the last."""
    logs: Array = np.log(np.maximum(np.ascontiguousarray(probabilities.T), FLOOR))
    return logs


def _logits(logs: Array, parameters: Array) -> Array:
    logits: Array = logs * parameters[0]
    logits[1] += parameters[1]
    return logits


def _softmax(logits: Array) -> Array:
    result: Array = np.exp(logits - logits.max(axis=0))
    result /= result.sum(axis=0)
    return result


def _loss(parameters: Array, logs: Array, truth: Array) -> tuple[float, Array, Array]:
    """Return the mean log loss, its gradient [2] and its second derivatives [2, 2]."""
    rows = np.arange(len(truth))
    chances = _softmax(_logits(logs, parameters))
    loss = -np.log(np.maximum(chances[truth, rows], FLOOR)).mean()
    mean, second = (chances * logs).sum(axis=0), chances[1]
    gradient = np.array([(mean - logs[truth, rows]).mean(), (second - (truth == 1)).mean()])
    mixed = (second * (logs[1] - mean)).mean()
    squares = ((chances * logs**2).sum(axis=0) - mean**2).mean()
    curvature = np.array([[squares, mixed], [mixed, (second * (1 - second)).mean()]])
    return float(loss), gradient, curvature
