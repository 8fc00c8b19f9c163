"""The yardsticks of the train stage: simpler models than the chosen one, most of them fitted already as candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from model_code.fitting import Fitted, predict
from model_code.tasks.heads import LogValue
from model_code.training import OUT_OF_TIME, Diverged
from steps.training.candidates import Candidate, TrainingContext, fit_whole

Array = np.ndarray[Any, Any]


def fit_yardsticks(
    context: TrainingContext, candidates: list[Candidate], chosen: Candidate
) -> list[tuple[Candidate, Fitted]]:
    """Fit the family's yardsticks on the whole training part, but for the chosen one and those that the budget does not allow.

    One that was no candidate is fitted on the last fold first, which says how long to fit it.
    """
    tried = {candidate.name: candidate for candidate in candidates}
    fitted = []
    for name in context.family.yardsticks:
        candidate = tried.get(name) or context.candidate(name)
        if candidate is chosen or (name in tried and not candidate.fits):
            continue
        try:
            fit = context.whole.get(name) or _fit_yardstick(context, candidate, candidates)
        except Diverged as error:
            context.log.note(f"yardstick {name}: {error}")
            continue
        if fit is None or OUT_OF_TIME in (fit.fit.stopped, candidate.fits[-1].fit.stopped):
            context.log.note(f"yardstick {name}: no time is left for it")
        else:
            fitted.append((candidate, fit))
    return fitted


def _fit_yardstick(context: TrainingContext, candidate: Candidate, candidates: list[Candidate]) -> Fitted | None:
    """Return a fit on the whole training part, without leeway; None where no time is left for it."""
    number, left = len(candidate.fits) or len(context.folds), context.agreed(context.left)
    if not candidate.fits and left > 0:
        candidate.fits = [context.fit(candidate, "yardstick", *context.folds[-1], seconds=left / 3)]
    if not candidate.fits or context.agreed(context.left - candidate.whole_seconds(context.most_rows)) <= 0:
        return None
    _set_factor(context, candidate, context.folds[number - 1][1])
    return fit_whole(context, candidate, candidates, leeway=0)


def _set_factor(context: TrainingContext, candidate: Candidate, validation: Array) -> None:
    """Where logarithms are learned, set the factor of a candidate without one by the rows that its last fit did not see."""
    head = context.dataset.head
    if candidate.factor is None and isinstance(head, LogValue):
        prediction = predict(context.dataset, candidate.fits[-1], validation)
        candidate.factor = head.rescaled(context.dataset.truth[validation], prediction)
