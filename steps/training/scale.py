"""Whether the logarithm of the target is learned in its place: tried once, with few trees, on the folds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from model_code import families
from model_code.families import Solver
from model_code.fitting import predict, train_on
from model_code.tasks.heads import LogValue, log_may_help
from steps.training.blending import parts
from steps.training.selection import Validated, better_by, score

if TYPE_CHECKING:
    from steps.training.candidates import TrainingContext

Array = np.ndarray[Any, Any]

ROUNDS = 100
"""Of trees, or the steps of another solver: enough to compare two scales, not enough to cost much."""
MOST_ROWS = 50_000
"""The most rows that a fit learns from, and that are validated."""
ENOUGH = 1.0
"""How many standard errors the gain has at least."""


@dataclass(frozen=True)
class Trial:
    """How the logarithm does in the headline metric, on the target's own scale."""

    head: LogValue
    gain: float
    error: float

    @property
    def helps(self) -> bool:
        """True if the metric is better by more than noise."""
        return self.gain > ENOUGH * self.error


def attempt(context: TrainingContext) -> Trial | None:
    """Return what a solver of the candidates gains by the logarithm on the folds; None where it is not worth a try."""
    dataset, validated = context.dataset, context.validated
    if dataset.schema["classes"] or not log_may_help(dataset.truth):
        return None
    architectures = (
        families.architecture(context.family, name, context.frame.height, context.quality) for name in context.names
    )
    solvers = [architecture for architecture in architectures if isinstance(architecture, Solver)]
    if not solvers:
        return None
    head, every = LogValue(dataset.truth), math.ceil(len(validated.truth) / MOST_ROWS)
    validated, start, folds = _every(validated, every), 0, []
    for training, validation in context.folds:
        folds.append((training[:: math.ceil(len(training) / MOST_ROWS)], validation[-start % every :: every]))
        start += len(validation)
    options = replace(context.options, stop_after=ROUNDS)
    plain, logarithmic = (
        np.concatenate([predict(data, train_on(data, solvers[-1], *fold, options), fold[1]) for fold in folds])
        for data in (dataset, replace(dataset, head=head))
    )
    factor, rescaled = rescale(head, validated, logarithmic)
    gain, error = better_by(
        context.metric, score(context.metric, validated, rescaled), score(context.metric, validated, plain)
    )
    return Trial(LogValue(dataset.truth, factor), gain, error)


def _every(validated: Validated, step: int) -> Validated:
    """Return the first of every so many validated rows."""
    resampling = validated.resampling
    clusters = resampling.clusters
    if clusters is not None:
        clusters = np.unique(clusters[::step], return_inverse=True)[1]
    truth = validated.truth[::step]
    return Validated(truth, validated.folds[::step], replace(resampling, rows=len(truth), clusters=clusters))


def rescale(head: LogValue, validated: Validated, prediction: Array) -> tuple[float, Array]:
    """Return the factor that makes the mean of such predictions right, and the predictions, each with that of other rows."""
    truth, rescaled = validated.truth, prediction.copy()
    for rows in parts(validated.resampling):
        factor = head.rescaled(truth[~rows], prediction[~rows]) / head.factor
        rescaled[rows] = factor * (prediction[rows] + head.offset) - head.offset
    return head.rescaled(truth, prediction), rescaled
