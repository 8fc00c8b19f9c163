"""The candidates of the train stage: fitted on the folds and scored, one chosen, that one fitted on all rows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

from model_code import families, parallel
from model_code.families import Architecture, Family, Quality, Solver
from model_code.fitting import CONTINUED, Blend, Dataset, Fitted, predict, train_on
from model_code.tasks import Metric, Task
from model_code.tasks.heads import LogValue
from model_code.training import BEHIND, OUT_OF_TIME, Fit, Options
from steps.evaluation.statistics import Sampled
from steps.evaluation.thresholds import Goal
from steps.journal import Journal
from steps.splitting.folds import Fold
from steps.training import blending, concurrency
from steps.training.concurrency import Job, Report
from steps.training.document import BLEND
from steps.training.scale import rescale
from steps.training.selection import Validated, better_by, score, unmet

Array = np.ndarray[Any, Any]

BEHIND_ALL = 1.02
"""A network that at half time has more than this times the loss of every other candidate is given up."""
FAR = 3.0
"""Standard errors by which a candidate is worse after the first fold if it is given up."""
MOST_ROWS = 1_500_000
"""The most rows that a fit of standard quality learns from: what a fit needs beside its rows is several times their memory."""
MOST_BYTES = 400 * 2**20
"""Fits run at the same time while the encoded rows, once for each of them, are fewer bytes: a fit needs several times as many."""
LEEWAY = 0.05
"""The share of the budget that final fits may take more, rather than end before they are what the folds have seen."""


@dataclass
class Candidate:
    """One architecture, or a blend of several, with its predictions of the validated rows and their score."""

    name: str
    architecture: Architecture | None = None
    """None of a blend."""
    members: Mapping[str, float] = field(default_factory=dict)
    """The weights of a blend by the names of other candidates."""
    fits: list[Fitted] = field(default_factory=list)
    factor: float | None = None
    """What predictions are multiplied by where logarithms are learned."""
    prediction: Array | None = None
    """Of the validated rows, each by the fit on its fold."""
    score: Sampled | None = None
    unmet: list[str] = field(default_factory=list)
    skipped: str | None = None
    """Why it has no score: it did not fit in the budget."""
    given_up: str | None = None
    """Why it has no score: it could not catch up with another one, or is not what the problem wants."""
    seconds: float = 0.0
    """How long the fits on the folds took."""
    milliseconds: float = 0.0
    """How long a prediction of 1,000 rows takes."""

    def cut(self) -> list[str]:
        """Return, in words, what the time budget cut off; a faster or slower machine gives another result."""
        if self.skipped:
            return [f"{self.name} was skipped"]
        return [
            f"{self.name} stopped after {fitted.fit.unit} {len(fitted.fit.validation_loss)} on fold {number} of {len(self.fits)}"
            for number, fitted in enumerate(self.fits, 1)
            if fitted.fit.stopped == OUT_OF_TIME
        ]

    def whole_seconds(self, rows: int) -> float:
        """Return about how long a fit on so many rows takes, by those on the folds."""
        seconds = sum(fitted.fit.seconds * rows / fitted.rows for fitted in self.fits) / max(len(self.fits), 1)
        return seconds * self.whole_share

    @property
    def whole_share(self) -> float:
        """The share of a fold's epochs that the fit on the whole training part takes."""
        return 1 if self.architecture is None or isinstance(self.architecture, Solver) else CONTINUED

    def epochs(self) -> int:
        """Return how many epochs were best, on the average of the folds."""
        return max(round(sum(fitted.fit.epochs for fitted in self.fits) / len(self.fits)), 1)

    def config(self) -> dict[str, Any]:
        """Return the settings as plain values for the training record; of a blend, its weights."""
        return self.architecture.describe() if self.architecture else dict(self.members)


@dataclass
class TrainingContext:
    """The data and settings that all parts of the stage share."""

    task: Task
    family: Family
    frame: pl.DataFrame
    dataset: Dataset
    folds: list[Fold]
    validated: Validated
    """The rows of all folds together, in the order of the folds."""
    options: Options
    names: tuple[str, ...]
    """The candidates, cheapest first."""
    choose: Literal["best", "first"]
    quality: Quality
    goal: Goal
    """What is promised, and which decisions it is about."""
    minutes: float
    """The budget of everything but reading the rows and writing the models."""
    checkpoints: Path
    log: Journal
    begun: float
    """When it began, by ``time.perf_counter``."""
    earlier: float = 0.0
    """Seconds of fits that an interrupted training made before."""
    whole: dict[str, Fitted] = field(default_factory=dict)
    """The fits on the whole training part, by candidate."""
    fits: int = 0
    """How many fits are finished."""
    so_far: str = ""
    """The last score on a fold, in words."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def positions(self) -> Array:
        """Return the positions int64[n] of the validated rows in ``frame`` and ``dataset``."""
        return np.concatenate([validation for _, validation in self.folds])

    @property
    def metric(self) -> Metric:
        return self.task.metrics[self.task.headline]

    @property
    def spent(self) -> float:
        """Return the seconds of training so far."""
        return time.perf_counter() - self.begun + self.earlier

    @property
    def left(self) -> float:
        """Return the seconds that the budget still has."""
        return self.minutes * 60 - self.spent

    @property
    def most_rows(self) -> int:
        """Return how many rows a fit learns from at most."""
        return self.frame.height if self.quality == "best" else min(self.frame.height, MOST_ROWS)

    @property
    def at_once(self) -> int:
        """Return how many fits run at the same time: each has its cores of the CPU; one on a GPU or in several processes."""
        if self.options.device.type != "cpu" or parallel.size() > 1:
            return 1
        bytes_of_fit = sum(array.nbytes for array in self.dataset.inputs)
        return max(min(parallel.cores() // torch.get_num_threads(), MOST_BYTES // max(bytes_of_fit, 1)), 1)

    def agreed(self, seconds: float) -> float:
        """Return the seconds that all processes of a training take for theirs."""
        return parallel.agreed(seconds, self.options.device)

    def candidate(self, name: str) -> Candidate:
        return Candidate(name, families.architecture(self.family, name, self.frame.height, self.quality))

    def fit(
        self,
        candidate: Candidate,
        label: str,
        training: Array,
        validation: Array | None,
        *,
        stop_after: int | None = None,
        seconds: float,
        behind: float = math.inf,
        tune: bool = False,
        earlier: Fitted | None = None,
        report: Report | None = None,
    ) -> Fitted:
        """Fit a candidate on some of the rows, with progress and a checkpoint under the label, and count its time.

        Of more than ``most_rows``, as many are taken, evenly drawn.
        """
        assert candidate.architecture is not None
        folder = self.checkpoints / f"{candidate.name}-{label.replace(' ', '-')}"
        folder.mkdir(parents=True, exist_ok=True)
        options = replace(
            self.options,
            stop_after=stop_after,
            seconds=seconds,
            behind=behind,
            tune=tune,
            checkpoint=folder / "latest.pt",
            note=self.log.warning,
            report=report or partial(self._report, f"{candidate.name}, {label}"),
        )
        start = time.perf_counter()
        if len(training) > self.most_rows:
            training = training[np.linspace(0, len(training) - 1, self.most_rows, dtype=np.int64)]
        fitted = train_on(self.dataset, candidate.architecture, training, validation, options, earlier)
        with self._lock:
            self.fits += 1
            self.earlier += max(fitted.fit.seconds - (time.perf_counter() - start), 0)
        if report is None:
            self._report(f"{candidate.name}, {label}: finished", 1, 1)
        return fitted

    def fit_all(self, jobs: Sequence[Job[Fitted]], what: str) -> list[Fitted]:
        """Run calls of ``fit``, as many at the same time as this machine can."""
        return concurrency.run(jobs, self.at_once, partial(self._report, what))

    def _report(self, what: str, count: float, total: float) -> None:
        share = min(self.fits / (len(self.names) * len(self.folds) + 1), 1.0)
        self.log.progress(count, total, what, share=share, so_far=self.so_far)


def fit_candidates(context: TrainingContext) -> list[Candidate]:
    """Fit the candidates on the folds, in order, and blend them; with ``choose: first`` until one reaches all thresholds."""
    tried: list[Candidate] = []
    if context.most_rows < context.frame.height:
        rows = f"{context.most_rows:,} of {context.frame.height:,} rows"
        context.log.note(f"a fit learns from at most {rows}, evenly drawn; train.quality: best takes all")
    monotone = [entry["name"] for entry in context.dataset.schema["inputs"] if entry.get("monotone")]
    for name in context.names:
        if monotone and name not in context.family.monotone:
            reason = f"cannot keep predictions monotone in {', '.join(monotone)}"
            context.log.note(f"{name}: left out, since it {reason}")
            tried.append(Candidate(name, given_up=reason))
            continue
        tried.append(_fit_on_folds(context, name, tried))
        if context.choose == "first" and tried[-1].score and not tried[-1].unmet:
            return tried
    blend = _blend(context, tried)
    return [*tried, blend] if blend else tried


def _fit_on_folds(context: TrainingContext, name: str, rivals: list[Candidate]) -> Candidate:
    """Fit one candidate on the folds and score it; the first always, a later one within the budget and if it keeps up."""
    candidate, rows, count = context.candidate(name), context.most_rows, len(context.folds)
    assert candidate.architecture is not None
    rivals = [rival for rival in rivals if rival.score]
    predictions, predicting = [], 0.0
    at_once = context.at_once if candidate.architecture.side_by_side else 1
    waves = concurrency.waves(count, at_once, first_alone=candidate.architecture.tunes)
    for index, wave in enumerate(waves):
        # what is left after the whole fits of those before, in equal parts for the folds to come and this one's whole fit
        left = context.left - sum(rival.whole_seconds(rows) for rival in rivals)
        fewest = min(len(context.folds[number - 1][0]) for number in wave)
        share = context.agreed(left / (len(waves) - index + rows / min(fewest, rows)))
        fits = []
        if share > 0 or not rivals:
            fits = context.fit_all(
                [
                    partial(
                        context.fit,
                        candidate,
                        f"fold {number} of {count}",
                        *context.folds[number - 1],
                        seconds=share,
                        behind=_behind(rivals, number),
                        tune=number == 1 and (candidate.architecture.tunes or count == 1),
                    )
                    for number in wave
                ],
                f"{name}, folds {' and '.join(map(str, wave))} of {count}",
            )
        late = [number for number, fitted in zip(wave, fits, strict=False) if fitted.fit.stopped == OUT_OF_TIME]
        if rivals and (late or not fits):
            candidate.skipped = (
                f"does not fit in the budget of {context.minutes:g} minutes: "
                f"{name}, fold {late[0] if late else wave[0]} of {count} alone took more than its share"
            )
            candidate.fits = []
            return candidate
        for number, fitted in zip(wave, fits, strict=True):
            candidate.seconds += fitted.fit.seconds
            candidate.fits.append(fitted)
            validation, start = context.folds[number - 1][1], time.perf_counter()
            predictions.append(predict(context.dataset, fitted, validation))
            predicting += time.perf_counter() - start
            _note_score(context, f"{name}: fold {number} of {count}", validation, predictions[-1])
            candidate.given_up = _lag(context, fitted, predictions, rivals, number)
            if candidate.given_up:
                context.log.note(f"{name}: {candidate.given_up}")
                return candidate
    candidate.milliseconds = 1e6 * predicting / len(context.validated.truth)
    prediction, head = np.concatenate(predictions), context.dataset.head
    if isinstance(head, LogValue):
        candidate.factor, prediction = rescale(head, context.validated, prediction)
    _score(context, candidate, prediction)
    return candidate


def _behind(rivals: list[Candidate], number: int) -> float:
    """Return the validation loss that a network must reach on a fold by half time: about the worst of the others'."""
    return max((BEHIND_ALL * min(rival.fits[number - 1].fit.validation_loss) for rival in rivals), default=math.inf)


def _lag(
    context: TrainingContext, fitted: Fitted, predictions: list[Array], rivals: list[Candidate], number: int
) -> str | None:
    """Return why a candidate cannot catch up, by the folds so far; None if it may.

    It is given up where it is behind by more than noise after the first of several folds and a blend gives it no weight.
    """
    if fitted.fit.stopped == BEHIND:
        half = len(fitted.fit.validation_loss)
        return f"given up on fold {number}: after {half} {fitted.fit.unit}s its validation loss is above that of all others"
    if number > 1 or len(context.folds) == 1 or not rivals:
        return None
    rows = np.arange(len(predictions[0]))
    on_first_fold = [rival.prediction[rows] for rival in rivals if rival.prediction is not None] + [predictions[0]]
    if blending.weigh(context.validated.truth[rows], np.stack(on_first_fold))[-1]:
        return None
    scores = [score(context.metric, context.validated, prediction, rows) for prediction in on_first_fold]
    for rival, rival_score in zip(rivals, scores, strict=False):
        gain, error = better_by(context.metric, scores[-1], rival_score)
        if gain < -FAR * error:
            return (
                f"given up after fold 1 of {len(context.folds)}: worse than {rival.name} by {-gain:.4g} in "
                f"{context.metric.name} (standard error {error:.2g})"
            )
    return None


def _score(context: TrainingContext, candidate: Candidate, prediction: Array) -> None:
    candidate.prediction = prediction
    candidate.score = score(context.metric, context.validated, prediction)
    if context.choose == "first":
        rows = context.frame[context.positions]
        scored = {context.metric.name: candidate.score}
        candidate.unmet = unmet(context.goal, context.validated, prediction, rows, context.frame, scored)
    estimate = candidate.score.estimate()
    interval = "" if estimate.low is None else f" ({estimate.low:.3g} to {estimate.high:.3g})"
    cost = f"{candidate.milliseconds:,.1f} ms for 1,000 rows"
    if candidate.members:
        weights = ", ".join(f"{weight:g} {name}" for name, weight in candidate.members.items())
        what = f"{candidate.name} of {weights}"
    else:
        what, cost = candidate.name, f"{candidate.seconds:.1f} s, {cost}"
    context.log.note(f"{what}: {context.metric.label} {candidate.score.value:.3g}{interval} on the folds, {cost}")


def _note_score(context: TrainingContext, what: str, validation: Array, prediction: Array) -> None:
    value = context.metric.bind(context.dataset.truth[validation], prediction)(np.ones(len(validation)))
    context.so_far = f"{context.metric.label} {value:.3g}"
    context.log.note(f"{what}, {context.so_far}")


def _blend(context: TrainingContext, tried: list[Candidate]) -> Candidate | None:
    """Return the blend of the candidates that have a score; None if one of them alone is as good."""
    scored = [c for c in tried if c.prediction is not None and c.score and math.isfinite(c.score.value)]
    if len(scored) < 2:
        return None
    truth, predictions = context.validated.truth, np.stack([c.prediction for c in scored if c.prediction is not None])
    weights = blending.weigh(truth, predictions)
    blended = blending.cross_fitted(truth, predictions, context.validated.resampling)
    members = [(c, round(float(weight), 3)) for c, weight in zip(scored, weights, strict=True) if weight]
    if blended is None or len(members) < 2:
        return None
    blend = Candidate(BLEND, members={member.name: weight for member, weight in members})
    blend.milliseconds = sum(member.milliseconds for member, _ in members)
    _score(context, blend, blended)
    return blend


def choose(context: TrainingContext, candidates: list[Candidate]) -> tuple[Candidate, str]:
    """Return the candidate that wins, and why in words."""
    tried = [candidate for candidate in candidates if candidate.score]
    if context.choose == "first" and not tried[-1].unmet:
        return tried[-1], "the first, from the cheapest on, that reaches all thresholds on the validation folds"
    metric = context.metric
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
    if context.choose == "first":
        why = f"none reaches all thresholds on the validation folds; of these, {why or 'it is the best'}"
    return best, why


def fit_whole(
    context: TrainingContext, candidate: Candidate, candidates: list[Candidate], leeway: float = LEEWAY
) -> Fitted:
    """Fit the candidate on the whole training part, for as long as was best on the folds; a network goes on from the last fold.

    Of a blend, each member is fitted so; a candidate is fitted once.
    """
    if candidate.members:
        parts = [c for c in candidates if c.name in candidate.members]
        _fit_whole_parts(context, parts, leeway)
        members = [context.whole[part.name] for part in parts]
        blend = Blend([member.model for member in members], list(candidate.members.values()))
        seconds = sum(member.fit.seconds for member in members)
        return Fitted(blend, Fit(epochs=len(members), unit="member", seconds=seconds), context.most_rows)
    _fit_whole_parts(context, [candidate], leeway)
    return context.whole[candidate.name]


def _fit_whole_parts(context: TrainingContext, candidates: list[Candidate], leeway: float) -> None:
    """Fit those that are no blend and have no such fit yet."""
    missing = [candidate for candidate in candidates if candidate.name not in context.whole]
    rows, seconds = np.arange(context.frame.height), context.agreed(context.left + leeway * context.minutes * 60)
    jobs = [
        partial(
            context.fit,
            candidate,
            "whole training part",
            rows,
            None,
            stop_after=candidate.epochs(),
            earlier=candidate.fits[-1],
            seconds=seconds,
        )
        for candidate in missing
    ]
    names = " and ".join(candidate.name for candidate in missing)
    for candidate, fitted in zip(missing, context.fit_all(jobs, f"{names}, whole training part"), strict=True):
        context.whole[candidate.name] = fitted
        if candidate.factor is not None:
            fitted.model.head = LogValue(context.dataset.truth, candidate.factor)
