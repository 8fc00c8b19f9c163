"""What to do about a model that was rejected: the most promising next steps, with the evidence for each.

Steps are ordered by how much of the headline metric's error they might take away, as far as that can be estimated: what the
folds score more than the test rows, what a rival scores more, what weak segments lack, the share of suspected labels, and what
the last doubling of the training rows gained. These are hints, not promises; none of them is measured on a new model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_code.tasks import Task
from steps import documents
from steps.evaluation import labels, learning, remarks, sentences
from steps.evaluation.document import (
    Diagnosis,
    Estimate,
    Evaluation,
    LearningCurve,
    NextStep,
    SuspectedLabels,
    ThresholdResult,
)
from steps.evaluation.thresholds import Goal
from steps.splitting.document import ColumnProfiles
from steps.training.document import CandidateRecord, TrainingRecord
from steps.wording import count, isolate, listed, number, percent

MOST = 3
_LISTED = 3


@dataclass(frozen=True)
class _Hint:
    """A next step, and the share of the error that it might take away."""

    share: float
    advice: str
    evidence: str


@dataclass(frozen=True)
class Places:
    """The folders that a diagnosis reads."""

    yardsticks: Path
    train_set: Path
    division: Path


def diagnose(
    evaluation: Evaluation,
    record: TrainingRecord | None,
    schema: Mapping[str, Any],
    task: Task,
    goal: Goal,
    places: Places,
    seed: int,
) -> Diagnosis:
    """Return the next steps for a rejected model.

    Args:
        record: of its training; None where there is none.
        schema: of the model, which says how rows are encoded.
    """
    profiles = None
    if (places.division / ColumnProfiles.file).is_file():
        profiles = documents.read(ColumnProfiles, places.division)
    suspected = labels.document(places.yardsticks)
    curve = learning.curve(schema, task, goal, places.train_set, seed)
    return Diagnosis(steps=steps(evaluation, record, profiles, suspected, curve), labels=suspected, learning=curve)


def steps(
    evaluation: Evaluation,
    record: TrainingRecord | None,
    profiles: ColumnProfiles | None,
    suspected: SuspectedLabels | None,
    curve: LearningCurve | None,
) -> tuple[NextStep, ...]:
    """Return the most promising next steps for a rejected model, by what is measured of it; None of what is not."""
    hints = [
        *_undecided(evaluation),
        *_rival(evaluation),
        *_drift(evaluation, record, profiles),
        *_segments(evaluation),
        *_labels(evaluation, suspected),
        *_learning(evaluation, curve, record),
        *_budget(record),
        *_promise(evaluation),
    ]
    hints.sort(key=lambda hint: -hint.share)
    return tuple(NextStep(advice=hint.advice, evidence=hint.evidence) for hint in hints[:MOST])


def _error(evaluation: Evaluation) -> float:
    """Return how far the headline metric is from its best value, which is 1."""
    value = evaluation.metrics[evaluation.headline].value
    return max(1 - value, 1e-6) if value is not None else 1.0


def _undecided(evaluation: Evaluation) -> Iterator[_Hint]:
    """Yield that more test rows would do, where every broken promise is kept by its estimate."""
    broken = [threshold for threshold in evaluation.thresholds if not threshold.met]
    if broken and all(threshold.rows_to_decide and _meets(threshold) for threshold in broken):
        worst = max(broken, key=lambda threshold: threshold.rows_to_decide or 0)
        rows = worst.rows_to_decide
        yield _Hint(
            2.0,
            f"Judge it on more test rows, about {number(rows)}, before changing anything.",
            f"The estimate keeps every promise, and only the interval does not: {_result(worst)}.",
        )


def _meets(threshold: ThresholdResult) -> bool:
    """Return whether the estimate itself reaches what was promised."""
    value, bound = threshold.value, sentences.bound(threshold)
    if value is None or bound is None:
        return False
    return value >= bound if threshold.at_least is not None else value <= bound


def _result(threshold: ThresholdResult) -> str:
    where = f" on {isolate(threshold.slice)}" if threshold.slice else ""
    name = sentences.metric_in_sentence(threshold.metric)
    return f"{name}{where} is {sentences.with_interval(threshold)}, promised is {sentences.requirement(threshold)}"


def _rival(evaluation: Evaluation) -> Iterator[_Hint]:
    """Yield the best of those who do better."""
    better = {name: comparison for name, comparison in evaluation.comparisons.items() if comparison.better == name}
    if better:
        name = max(better, key=lambda name: abs(better[name].difference.value or 0.0))
        other = sentences.predictor_in_sentence(name)
        advice = f"Keep {other}." if name == "champion" else f"Let {other} be a candidate of training, or use it alone."
        if name == "constant":
            advice = "Check the target and the columns: there may be nothing to learn from them."
        gain = abs(better[name].difference.value or 0.0)
        yield _Hint(gain / _error(evaluation), advice, sentences.comparison_sentence(name, better[name]))


def _drift(evaluation: Evaluation, record: TrainingRecord | None, profiles: ColumnProfiles | None) -> Iterator[_Hint]:
    """Yield that the test part is another world, where the model scored clearly better on the folds."""
    chosen, test = _chosen(record), evaluation.metrics[evaluation.headline]
    if record is None or chosen is None or record.metric != evaluation.headline:
        return
    folds, higher = chosen.estimate, evaluation.higher_is_better(evaluation.headline)
    worst, best = (folds.low, test.high) if higher else (test.low, folds.high)
    if folds.value is None or test.value is None or worst is None or best is None or worst <= best:
        return
    drifted = [column for column in profiles.columns if column.has_drifted] if profiles else []
    drifted.sort(key=lambda column: -(column.drift or 0.0))
    names = [f"{isolate(column.name)} ({percent(column.drift)} of the rows)" for column in drifted[:_LISTED]]
    name = sentences.metric_name(evaluation.headline)
    evidence = f"{name} is {sentences.with_interval(folds)} on the folds of the training part, and "
    evidence += f"{sentences.with_interval(test)} on the test part."
    if names:
        evidence += f" The parts differ beyond chance in {listed(names)}."
    yield _Hint(
        abs(folds.value - test.value) / _error(evaluation),
        "Find out what changed between the training part and the test part; train on rows like those of use, and leave out "
        "columns whose meaning changed.",
        evidence,
    )


def _segments(evaluation: Evaluation) -> Iterator[_Hint]:
    """Yield the segments that are weak beyond chance, by what all rows would gain without their lack."""
    weak = [
        (f"{isolate(column)} = {isolate(part.value)}", evaluation.headline, part.rows, estimate)
        for column, part, estimate in sentences.weakest(evaluation)
        if sentences.is_clearly_weaker(evaluation, part)
    ]
    if search := evaluation.search:
        weak += [
            (remarks.segment_name(segment), search.metric, segment.rows, segment.estimate) for segment in search.weak
        ]
    lacks = sorted(((_lack(evaluation, *entry[1:]), _segment(*entry)) for entry in weak), reverse=True)[:_LISTED]
    if lacks:
        advice = "Look at the rows of the weakest segments: more rows like them, or columns that tell them apart."
        yield _Hint(min(sum(lack for lack, _ in lacks), 1.0), advice, f"{listed([text for _, text in lacks])}.")


def _lack(evaluation: Evaluation, metric: str, rows: int, estimate: Estimate) -> float:
    """Return the share of the error of all rows that a segment adds by being worse than they are."""
    overall = evaluation.metrics[metric].value or 0.0
    error = _error(evaluation) if metric == evaluation.headline else max(overall, 1e-6)
    return abs(overall - (estimate.value or 0.0)) * rows / evaluation.rows / error


def _segment(name: str, metric: str, rows: int, estimate: Estimate) -> str:
    return f"{name} ({count(rows, 'row')}): {sentences.metric_in_sentence(metric)} {sentences.with_interval(estimate)}"


def _labels(evaluation: Evaluation, suspected: SuspectedLabels | None) -> Iterator[_Hint]:
    if suspected and suspected.rows:
        share = suspected.rows / suspected.among
        rows = ", ".join(map(str, suspected.listed[:5]))
        yield _Hint(
            min(share / _error(evaluation), 1.0),
            "Check the labels of the rows that are listed in evaluation.json under diagnosis.",
            f"On the folds, {count(suspected.rows, 'row')} of {number(suspected.among)} ({percent(share)}) belong to another class "
            f"with confidence, first of all rows {rows}.",
        )


def _learning(evaluation: Evaluation, curve: LearningCurve | None, record: TrainingRecord | None) -> Iterator[_Hint]:
    """Yield that more rows help, or that the columns are the limit."""
    if curve is None or curve.gain.value is None or curve.gain.low is None or curve.gain.high is None:
        return
    half, whole = curve.points[-2:]
    name = sentences.metric_in_sentence(evaluation.headline)
    gained = f"{sentences.predictor_in_sentence(curve.name)} has {name} {number(half.value, 3)} with {number(half.rows)} rows and "
    gained += f"{number(whole.value, 3)} with {number(whole.rows)}, a gain of {sentences.with_interval(curve.gain)}"
    gained = f"{gained[:1].upper()}{gained[1:]}{_gap(record)}."
    higher = evaluation.higher_is_better(evaluation.headline)
    if (curve.gain.low > 0) if higher else (curve.gain.high < 0):
        yield _Hint(abs(curve.gain.value) / _error(evaluation), "Collect more training rows.", gained)
    else:
        advice = "Look for columns that say more about the target: more rows of the same kind would not clearly help."
        yield _Hint(0.01, advice, gained)


def _gap(record: TrainingRecord | None) -> str:
    """Return the losses of the chosen candidate on rows that it learned from and on those that it did not."""
    chosen = _chosen(record)
    fold = chosen.folds[-1] if chosen and chosen.folds else None
    if fold is None or not 0 < fold.epochs <= min(len(fold.train_loss), len(fold.validation_loss)):
        return ""
    losses = [number(curve[fold.epochs - 1], 3) for curve in (fold.train_loss, fold.validation_loss)]
    return f"; the model's loss is {losses[0]} on rows that it learned from and {losses[1]} on others"


def _chosen(record: TrainingRecord | None) -> CandidateRecord | None:
    return next((c for c in record.candidates if c.name == record.chosen), None) if record else None


def _budget(record: TrainingRecord | None) -> Iterator[_Hint]:
    if record and record.budget_bound:
        cut = listed([isolate(what) for what in record.budget_cut[:_LISTED]])
        yield _Hint(0.02, "Give training more time (`train.budget.minutes`).", f"The budget cut it short: {cut}.")


def _promise(evaluation: Evaluation) -> Iterator[_Hint]:
    """Yield the promise that is broken by most, which is all that is left where nothing else helps."""
    broken = [threshold for threshold in evaluation.thresholds if not threshold.met and threshold.value is not None]
    if broken:
        worst = max(broken, key=_distance)
        yield _Hint(0.0, "Ask the owner whether the promise is too strict.", f"{_result(worst)}.")


def _distance(threshold: ThresholdResult) -> float:
    """Return how far an estimate is from what was promised, as a share of that."""
    bound = sentences.bound(threshold) or 0.0
    return abs((threshold.value or 0.0) - bound) / max(abs(bound), 1e-9)
