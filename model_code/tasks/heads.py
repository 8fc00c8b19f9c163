"""Heads: the network's side of a task, from raw outputs to a loss and to predictions.

Shapes: b rows, m members of an ensemble (1 for a plain network), w raw outputs of each, k classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss

Array = np.ndarray[Any, Any]


class Head(nn.Module):
    """The last module of every model: raw outputs [b, m, w] to float64 probabilities [b, k] or values [b]."""

    scale: str | None = None
    """The scale on which a number is learned, where it is another than its own."""
    width = 1
    """The number of raw outputs that the network gives for each row and member."""

    def activate(self, raw: Tensor) -> Tensor:
        """Return probabilities [..., k] or values [...] of raw outputs [..., w]."""
        raise NotImplementedError

    def target(self, truth: Array) -> Tensor:
        """Return the truth as the losses take it: int64[n] class indices or standardised float32[n]."""
        raise NotImplementedError

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of each member's raw outputs [b, m, w] against the target [b]."""
        raise NotImplementedError

    def validation_loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of the averaged prediction against the target [b]."""
        raise NotImplementedError

    def average(self, raw: Tensor) -> Tensor:
        """Return the mean of the members' predictions, float64."""
        return self.activate(raw.to(torch.float64)).mean(dim=1)

    def forward(self, raw: Tensor) -> Tensor:
        return self.average(raw)


class _Classes(Head):
    """Probabilities of classes."""

    def target(self, truth: Array) -> Tensor:
        return torch.from_numpy(truth)

    def validation_loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return nll_loss(self.average(raw).clamp(min=1e-7).log(), target)


class Binary(_Classes):
    """Two classes: one logit, that of the second."""

    def __init__(self, truth: Array, classes: Sequence[str]) -> None:
        super().__init__()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        logits = raw[..., 0]
        return binary_cross_entropy_with_logits(logits, _for_members(target.to(logits.dtype), logits))

    def activate(self, raw: Tensor) -> Tensor:
        positive = torch.sigmoid(raw[..., 0])
        return torch.stack([1 - positive, positive], dim=-1)


class Multiclass(_Classes):
    """Several classes: a logit for each."""

    def __init__(self, truth: Array, classes: Sequence[str]) -> None:
        super().__init__()
        self.width = len(classes)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(raw.flatten(0, -2), _for_members(target, raw[..., 0]).flatten())

    def activate(self, raw: Tensor) -> Tensor:
        return torch.softmax(raw, dim=-1)


class Value(Head):
    """A number: the network learns it standardised, and the prediction is in its own units again."""

    centre: Tensor
    spread: Tensor

    def __init__(self, truth: Array, classes: Sequence[str]) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(float(truth.mean()), dtype=torch.float64))
        self.register_buffer("spread", torch.tensor(float(truth.std()), dtype=torch.float64))

    def target(self, truth: Array) -> Tensor:
        return torch.from_numpy(((truth - self.centre.numpy()) / self.spread.numpy()).astype(np.float32))

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        values = raw[..., 0]
        return mse_loss(values, _for_members(target.to(values.dtype), values))

    def validation_loss(self, raw: Tensor, target: Tensor) -> Tensor:
        prediction = self.average(raw)
        return mse_loss(prediction, target.to(prediction.dtype))

    def activate(self, raw: Tensor) -> Tensor:
        return raw[..., 0]

    def forward(self, raw: Tensor) -> Tensor:
        return self.average(raw) * self.spread + self.centre


class LogValue(Value):
    """A number that is never negative and spread over orders of magnitude: the network learns its logarithm.

    The mean of logarithms is not the logarithm of the mean, so the prediction is multiplied by a factor, as in Duan 1983,
    "Smearing Estimate: A Nonparametric Retransformation Method". It stays within what training had, by a standard deviation.
    """

    def __init__(self, truth: Array, factor: float = 1.0) -> None:
        has_zeros = bool(truth.min() == 0)
        offset = float(has_zeros)
        super().__init__(np.log(truth + offset), ())
        self.scale, self.offset, self.factor = "log1p" if has_zeros else "log", offset, factor
        logs = self._logs(truth)
        self.low, self.high = float(logs.min()), float(logs.max() + logs.std())

    def _logs(self, truth: Array) -> Array:
        logs: Array = np.log(truth + self.offset)
        return logs

    def target(self, truth: Array) -> Tensor:
        return super().target(self._logs(truth))

    def forward(self, raw: Tensor) -> Tensor:
        return super().forward(raw).clamp(self.low, self.high).exp() * self.factor - self.offset

    def rescaled(self, truth: Array, prediction: Array) -> float:
        """Return the factor by which the mean of predictions with this head is that of the truth."""
        return float(self.factor * (truth + self.offset).sum() / (prediction + self.offset).sum())


def log_may_help(truth: Array) -> bool:
    """Return whether a target is positive and skewed to the right, and less so on a logarithmic scale."""
    if truth.min() < 0:
        return False
    skewed = _skewness(truth)
    return skewed > 1 and abs(_skewness(np.log(truth + (truth.min() == 0)))) < skewed


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    return float((centred**3).mean() / max((centred**2).mean() ** 1.5, np.finfo(float).tiny))


_HEADS: dict[str, type[Binary | Multiclass | Value]] = {
    "binary-classification": Binary,
    "multiclass-classification": Multiclass,
    "regression": Value,
}


def create(task: str, truth: Array, classes: Sequence[str]) -> Head:
    """Return the head for a task; a number is standardised by ``truth``, the target of all training rows."""
    return _HEADS[task](truth, classes)


def _for_members(target: Tensor, like: Tensor) -> Tensor:
    """Repeat the target [b] for each member: [b, m]."""
    return target.view(-1, *[1] * (like.dim() - 1)).expand_as(like)
