"""The candidates of the train step: each fitted on the folds and scored, one chosen, that one fitted on everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from steps.evaluation.statistics import Resampling, Sampled
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal
from steps.training.selection import better_by, score, unmet

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.architectures import Architecture
    from model_code.tabular.fitting import Data, Fitted, Settings
    from model_code.tasks import Metric
    from steps.splitting.folds import Fold

    Array = np.ndarray[Any, Any]


@dataclass
class Candidate:
    """One architecture with what its folds gave."""

    name: str
    architecture: Architecture
    fits: list[Fitted] = field(default_factory=list)
    truth: Array | None = None
    prediction: Array | None = None
    score: Sampled | None = None
    unmet: list[str] = field(default_factory=list)
    skipped: str | None = None

    def cut(self) -> list[str]:
        """What the time budget left out of it, in words; another machine, faster or slower, gives another result."""
        from model_code.training import OUT_OF_TIME

        if self.skipped:
            return [f"{self.name} was skipped"]
        return [
            f"{self.name} stopped after epoch {len(fitted.fit.validation_loss)} on fold {number} of {len(self.fits)}"
            for number, fitted in enumerate(self.fits, 1)
            if fitted.fit.stopped == OUT_OF_TIME
        ]

    def epochs(self) -> int:
        """How many epochs were best, on the average of the folds."""
        return max(round(sum(fitted.fit.epochs for fitted in self.fits) / len(self.fits)), 1)


@dataclass
class Work:
    """What the parts of this stage share."""

    frame: pl.DataFrame
    data: Data
    folds: list[Fold]
    drawn: Resampling
    """How the rows of all folds together are drawn anew."""
    settings: Settings
    names: tuple[str, ...]
    """The candidates, cheapest first."""
    choose: Literal["best", "first"]
    success: tuple[Threshold, ...]
    minutes: float
    """The budget of all fits together."""
    checkpoints: Path
    log: Journal
    spent: float = 0.0

    @property
    def metric(self) -> Metric:
        return self.data.task.metrics[self.data.task.headline]

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.minutes * 60 - self.spent


def until_reached(work: Work) -> list[Candidate]:
    """Candidates in order until one reaches all thresholds on the validation folds."""
    tried: list[Candidate] = []
    for name in work.names:
        tried.append(attempt(work, name))
        if tried[-1].score and not tried[-1].unmet:
            break
    return tried


def attempt(work: Work, name: str) -> Candidate:
    """Fit one candidate on the folds and score it; the first one always runs, a later one only within the budget."""
    import numpy as np

    from model_code import architectures
    from model_code.tabular.fitting import predict, train_on
    from model_code.training import OUT_OF_TIME

    candidate = Candidate(name, architectures.get(name, work.frame.height))
    must = name == work.names[0]
    predictions = []
    for number, (training, validation) in enumerate(work.folds):
        what = f"{name}, fold {number + 1} of {len(work.folds)}"
        allowed = work.left / (len(work.folds) + 1 - number)
        fitted = train_on(
            work.data,
            candidate.architecture,
            training,
            validation,
            work.settings,
            checkpoint=_checkpoint(work, f"{name}-fold-{number + 1}"),
            seconds=allowed,
            report=lambda done, total, _, what=what: work.log.progress(done, total, what),  # type: ignore[misc]
        )
        work.spent += fitted.fit.seconds
        candidate.fits.append(fitted)
        if fitted.fit.stopped == OUT_OF_TIME and not must:
            candidate.skipped = (
                f"does not fit in the budget of {work.minutes:g} minutes: {what} alone took more than its share"
            )
            candidate.fits = []
            return candidate
        predictions.append(predict(work.data, fitted, validation))
    where = np.concatenate([validation for _, validation in work.folds])
    candidate.truth, candidate.prediction = work.data.truth[where], np.concatenate(predictions)
    candidate.score = score(work.metric, candidate.truth, candidate.prediction, work.drawn)
    candidate.unmet = unmet(
        work.success,
        work.data.task,
        candidate.truth,
        candidate.prediction,
        work.frame[where],
        work.drawn,
        work.frame,
    )
    return candidate


def _checkpoint(work: Work, fit: str) -> Path:
    folder = work.checkpoints / fit
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "latest.pt"


def choose(work: Work, candidates: list[Candidate]) -> tuple[Candidate, str]:
    """The candidate that wins, and why in words."""
    tried = [candidate for candidate in candidates if candidate.score]
    if work.choose == "first" and not tried[-1].unmet:
        return tried[-1], "the first, from the cheapest on, that reaches all thresholds on the validation folds"
    metric = work.metric
    best, why = tried[0], "the only candidate that was tried" if len(tried) == 1 else ""
    for challenger in tried[1:]:
        assert best.score is not None
        assert challenger.score is not None
        gain, error = better_by(metric, challenger.score, best.score)
        if gain > error:
            why = f"better than {best.name} by {gain:.4g} in {metric.name} on the folds (standard error {error:.2g})"
            best = challenger
        else:
            why = (
                f"{challenger.name} is not better by more than one standard error "
                f"({gain:.4g} in {metric.name}, standard error {error:.2g})"
            )
    if work.choose == "first":
        why = f"none reaches all thresholds on the validation folds; of these, {why or 'it is the best'}"
    return best, why


def fit_whole(work: Work, candidate: Candidate) -> Fitted:
    """The candidate on the whole training part, for as many epochs as were best on the folds."""
    import numpy as np

    from model_code.tabular.fitting import train_on

    everything = np.arange(work.frame.height)
    fitted = train_on(
        work.data,
        candidate.architecture,
        everything,
        None,
        work.settings,
        checkpoint=_checkpoint(work, f"{candidate.name}-whole"),
        scheduled=candidate.fits[0].fit.scheduled,
        stop_after=candidate.epochs(),
        report=lambda done, total, _: work.log.progress(done, total, f"{candidate.name}, whole training part"),
    )
    work.spent += fitted.fit.seconds
    return fitted
