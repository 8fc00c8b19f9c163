"""What the evaluate stage publishes: metrics with intervals, thresholds, comparisons, slices and the verdict."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from model_code import tasks
from steps.documents import Document, Section

MODEL, CHAMPION, CONSTANT = "model", "champion", "constant"
RIVALS = (CONSTANT, "linear", "trees", CHAMPION)
"""What the model can be compared with, as results show it."""
_POOR_CALIBRATION = 0.05
_NEARLY_PERFECT = {"roc_auc": 0.99, "r2": 0.99, "accuracy": 0.99}
"""The headline metrics from which a result is more often a leak than a good model."""
_ONE_SIDED = 1.645  # standard deviations above the mean: the upper 95 % quantile of a normal distribution


def published(name: str) -> str:
    """Return a rival's name as results show it; gradient boosting had other names in earlier versions."""
    return {"hgb": "trees", "hist_gradient_boosting": "trees"}.get(name, name)


class Estimate(Section):
    """A value with the ends of its 95 % interval; None where undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @field_validator("value", "low", "high")
    @classmethod
    def _rounded(cls, value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else rounded(value)


def rounded(value: float) -> float:
    """Return ten significant digits; the rest is rounding that differs between machines."""
    return float(f"{value:.10g}")


Reason = Literal["declared", "costs", "promises"]
"""Why a row counts as positive from a probability on: the problem says so, it was the cheapest, it was chosen for promises."""


class ThresholdResult(Estimate):
    """A threshold and whether the model met it."""

    metric: str
    wanted: str
    """The threshold in words."""
    at_least: float | None = None
    at_most: float | None = None
    on: Literal["interval", "value"] = "interval"
    slice: str | None = None
    met: bool
    reason: str | None = None
    """Why it was not met."""
    rows: int | None = None
    """How many test rows it is judged on."""
    rows_to_decide: int | None = None
    """About how many would bring the interval clear of the bound, if the estimate stays; None where it is now."""


Outcome = Literal["better", "not worse", "worse", "cannot tell"]
Grade = Literal["pass", "reserved", "rejected"]
SIMPLER = "linear"


class Comparison(Section):
    """The model against another predictor in the headline metric, on the same resamples."""

    metric: str
    difference: Estimate
    """The model's metric minus the other's."""
    better: str
    """``model``, the other's name, or ``neither`` where the interval of the difference holds 0."""
    outcome: Outcome | None = None
    """What this says of the model; None in documents of early versions."""
    margin: float = 0.0
    """By so much less of the metric, or less than that, a model is not worse."""
    rows_to_decide: int | None = None
    """About how many test rows would tell where these cannot, if the difference stays."""


class SliceResult(Section):
    """The model on the test rows that share a value of a column."""

    value: str
    rows: int
    small: bool
    """True where the rows are too few for an interval."""
    weaker: bool | None = None
    """Whether the headline metric is worse than on all rows beyond chance, with so many slices compared; None where nobody knows."""
    metrics: dict[str, Estimate]


class WeakSegment(Section):
    """Rows on which the model does worse than on all, beyond chance, although nobody named them."""

    where: dict[str, str]
    """column -> value, of one column or two."""
    rows: int
    estimate: Estimate
    """The metric of the search on them."""


class SegmentSearch(Section):
    """What a search for weak segments looked at, and which ones are clearly below all rows; the largest lack first."""

    metric: str
    columns: int
    paired: int
    """How many of the columns were looked at in pairs."""
    tried: int
    """How many segments had enough rows."""
    least_rows: int
    weak: tuple[WeakSegment, ...] = ()


class GroupResult(Section):
    """A group of people on the test rows, by a value of a column that the problem names."""

    value: str
    rows: int
    measures: dict[str, Estimate]
    """What is compared -> its mean in the group; without an interval where the rows are too few to compare."""


class Gap(Section):
    """The two groups that are furthest apart; the interval of their difference holds for all pairs of groups at once."""

    highest: str
    lowest: str
    difference: Estimate

    @property
    def clear(self) -> bool:
        """Whether there is a gap beyond chance."""
        return self.difference.low is not None and self.difference.low > 0


class FairnessResult(Section):
    """The groups by a column, and for each thing that is compared the largest gap; None where fewer than two have rows enough."""

    groups: tuple[GroupResult, ...]
    gaps: dict[str, Gap | None]


class Champion(Section):
    """The champion on the same test rows."""

    metrics: dict[str, Estimate]


class Bin(Section):
    """Test rows with similar predicted probabilities."""

    low: float
    high: float
    mean_predicted: float
    observed: float
    """The share of the rows in which the class occurred."""
    rows: int


class Calibration(Section):
    """How far predicted probabilities are from observed shares."""

    bins: tuple[Bin, ...] = ()
    expected_calibration_error: float | None = None

    @property
    def is_off(self) -> bool:
        """Return whether the error matters and is larger than calibrated probabilities show by chance."""
        error = self.expected_calibration_error
        return error is not None and error > max(_POOR_CALIBRATION, self.error_by_chance())

    def error_by_chance(self) -> float:
        """Return the error that calibrated probabilities exceed in about one of twenty draws; 0 without bins.

        The observed share of a bin with n independent rows and mean probability p is nearly normal around p with
        s = sqrt(p (1 - p) / n), so its distance from p is folded normal: mean s sqrt(2 / pi), variance s^2 (1 - 2 / pi).
        The error is the sum of the distances weighted by rows, nearly normal again, cut at its upper 95 % quantile.

        Source: Leone, Nelson & Nottingham, "The folded normal distribution", Technometrics 3 (4), 1961.
        """
        filled = [(part.rows, min(1.0, max(0.0, part.mean_predicted))) for part in self.bins if part.rows]
        total = sum(rows for rows, _ in filled)
        spreads = [rows / total * math.sqrt(chance * (1 - chance) / rows) for rows, chance in filled]
        mean = math.sqrt(2 / math.pi) * sum(spreads)
        return mean + _ONE_SIDED * math.sqrt((1 - 2 / math.pi) * sum(spread**2 for spread in spreads))


class Histogram(Section):
    """Counts between edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Plane(Section):
    """Counts of rows by predicted bin, then actual bin."""

    edges_predicted: tuple[float, ...]
    edges_actual: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


class Residuals(Section):
    """How actual minus predicted values are distributed, in the unit of the target."""

    quantiles: dict[str, float]
    histogram: Histogram
    predicted_vs_actual: Plane


class Stretch(Section):
    """Test rows that follow one another, in predicted value or in time: what was predicted beside what happened."""

    at: float
    """Where they lie, by their median."""
    rows: int
    actual: float
    """The mean; of two classes the share of the second, of several the share whose class is the most probable one."""
    predicted: float
    """The mean of the predicted numbers, or of the probabilities of that."""
    low: float | None = None
    """Of numbers: one in ten errors (actual minus predicted) is below."""
    high: float | None = None
    """One in ten is above."""


class Curve(Section):
    """A line for one class against all others."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float | None = None
    """The metric of all thresholds: ROC AUC, average precision."""


class Outcomes(Section):
    """How many rows have which probability, by what happened."""

    names: tuple[str, ...]
    """The two classes, or whether the predicted one of several was right."""
    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


class Curves(Section):
    """How probabilities rank and divide the test rows; of many classes, those that are ranked worst."""

    roc: tuple[Curve, ...] = ()
    """True-positive rate by false-positive rate."""
    precision_recall: tuple[Curve, ...] = ()
    gain: Curve | None = None
    """Share of the positive rows by share of all rows, the highest ranked first."""
    outcomes: Outcomes | None = None


class ColumnImportance(Section):
    """A column, or columns that nearly determine one another, and what they are worth to the model."""

    columns: tuple[str, ...]
    fall: Estimate
    """By how much the metric is worse where these columns have the values of other test rows."""


class Importance(Section):
    """What the columns are worth to the model on a sample of the test rows."""

    metric: str
    rows: int
    """How many test rows were looked at."""
    repeats: int
    """How often their values were exchanged."""
    columns: tuple[ColumnImportance, ...] = ()
    """What is worth most comes first."""
    left_out: tuple[str, ...] = ()
    """Columns that the budget does not allow: those that predictions go along with least, or that time did not suffice for."""


class Line(Section):
    """A mean prediction at each value of a column."""

    name: str
    """The class whose probability it is; empty for numbers."""
    y: tuple[float, ...]


class Dependence(Section):
    """How predictions follow a column while everything else stays as it is."""

    column: str
    numbers: tuple[float, ...] = ()
    """The values of a number, or in seconds since 1970 those of a date."""
    values: tuple[str, ...] = ()
    """The values of a category, the most frequent first."""
    is_date: bool = False
    lines: tuple[Line, ...]
    """The mean of the rows; of several classes those that move most."""
    single: tuple[tuple[float, ...], ...] = ()
    """Single rows, unless there are several classes."""
    rows: int


class PredictionIntervals(Section):
    """How the model's prediction intervals do on the test rows."""

    level: float
    coverage: Estimate
    """The share of the test rows whose true number is inside."""
    mean_width: float
    """In the unit of the target."""
    later: bool = False
    """True if the test rows are later than those that the intervals rest on, so that nothing makes the two alike."""


class Decision(Section):
    """What it means to act on the test rows from a probability on, and what that costs by the declared costs."""

    threshold: float
    reason: Reason | Literal["one half"] | None = None
    """Why from there; None in documents whose other metrics are those from one half on."""
    acted: int | None = None
    """How many rows somebody acts on."""
    hits: int | None = None
    """How many of them are positive."""
    positives: int | None = None
    miss: float | None = None
    false_alarm: float | None = None
    per_1000_rows: Estimate | None = None
    never: float | None = None
    """The cost for 1,000 rows if nobody ever acts."""
    always: float | None = None
    saved: dict[str, Estimate] = Field(default={})
    """never, always, a yardstick or champion -> what 1,000 rows cost less by the model's decisions than so."""
    thresholds: dict[str, float] = Field(default={})
    """Yardstick or champion -> the probability from which it acts; a yardstick's is chosen on the test rows themselves."""


class ClassScores(Section):
    """How well a class is predicted, or the mean of the classes."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


class ClassResult(ClassScores):
    """One of several classes on the test rows."""

    name: str
    rows: int
    predicted: int
    """How many rows are decided for it."""


class ConfusedPair(Section):
    """A class whose rows are taken for another one."""

    truth: str
    predicted: str
    rows: int
    share: float
    """Of the rows of the true class."""


class Abstention(Section):
    """What the model is worth on the rows that it decides, where it leaves the others to a person."""

    level: float | None = None
    """The accuracy that was asked for; None for a point of the curve."""
    threshold: float
    """The model decides rows whose most probable class has this probability or more."""
    abstained: float
    """The share of the rows that a person sees."""
    accuracy: Estimate


class BehaviourResult(Section):
    """A rule that answers must follow, and how many rows follow it."""

    rule: str
    """In words."""
    rows: int
    """On which it was tried, or cases."""
    followed: int
    at_least: float
    """The share of them that must follow it."""
    met: bool
    against: tuple[int, ...] = ()
    """The numbers of the first rows that do not."""
    of_cases: bool = False


class Disturbance(Section):
    """What becomes of the headline metric, and of decisions, where values are missing or off."""

    missing: str | None = None
    """The column that is emptied; None where all numbers are a little off."""
    value: float | None = None
    other_decisions: float | None = None
    """The share of rows that are decided otherwise; None of numbers."""


class Robustness(Section):
    """The headline metric on some test rows as they are, and disturbed."""

    metric: str
    rows: int
    value: float | None = None
    noise: float
    """By how many standard deviations numbers are off."""
    changes: tuple[Disturbance, ...] = ()


class SuspectedLabels(Section):
    """Rows of the training part that belong to another class than their label says, with confidence."""

    rows: int
    among: int
    """How many rows the folds predicted."""
    listed: tuple[int, ...] = ()
    """The numbers of the most certain ones."""


class LearningPoint(Section):
    """The headline metric of a candidate that learned from so many rows."""

    rows: int
    value: float | None


class LearningCurve(Section):
    """How a cheap candidate grows with its rows, on one fold of the training part."""

    name: str
    points: tuple[LearningPoint, ...]
    gain: Estimate
    """By what the last doubling of the rows changed the metric."""


class NextStep(Section):
    """What to do about a rejected model, and what speaks for it."""

    advice: str
    evidence: str


class Diagnosis(Section):
    """Why a model was rejected, as far as the run shows it."""

    steps: tuple[NextStep, ...] = ()
    """The most promising first."""
    labels: SuspectedLabels | None = None
    """None where the classes are not far enough apart to tell a wrong label from a hard row."""
    learning: LearningCurve | None = None


class IntervalMethod(Section):
    """How the intervals were computed."""

    method: str
    level: float
    resamples: int
    seed: int
    resampled: str
    """What is drawn: rows, or what keeps rows together."""
    drawn: int
    """How many of them there are."""


class EvaluationData(Section):
    """Which rows the model was trained and judged on."""

    train_rows: int
    train_digest: str
    test_rows: int
    test_digest: str


class Evaluation(Document):
    """How good the model is on the held-out test set, and whether that is good enough."""

    artifact: ClassVar[str] = "evaluation"
    file: ClassVar[str] = "evaluation.json"

    task: str
    target: str
    classes: tuple[str, ...] = ()
    rows: int
    verdict: Literal["pass", "rejected"]
    reasons: tuple[str, ...] = ()
    headline: str
    nearly_perfect: bool = False
    """Whether the headline metric is so high that a column may give the answer away."""
    metrics: dict[str, Estimate]
    thresholds: tuple[ThresholdResult, ...] = ()
    yardsticks: dict[str, dict[str, Estimate]] = Field(default={})
    champion: Champion | None = None
    comparisons: dict[str, Comparison] = Field(default={})
    slices: dict[str, tuple[SliceResult, ...]] = Field(default={})
    search: SegmentSearch | None = None
    """None where rows are too few to tell chance, and in documents of early versions."""
    fairness: dict[str, FairnessResult] = Field(default={})
    calibration: Calibration | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    per_class: tuple[ClassResult, ...] = ()
    """Of more than two classes, each."""
    class_averages: dict[str, ClassScores] = Field(default={})
    """macro and weighted (by rows)."""
    confused: tuple[ConfusedPair, ...] = ()
    """The most frequent first."""
    abstention: tuple[Abstention, ...] = ()
    residuals: Residuals | None = None
    by_prediction: tuple[Stretch, ...] = ()
    """Of numbers: from small predictions to large ones."""
    over_time: tuple[Stretch, ...] = ()
    """In seconds since 1970 where ``time_is_date``."""
    time_column: str | None = None
    time_is_date: bool = False
    curves: Curves | None = None
    importance: Importance | None = None
    """None in documents of early versions, or where the model names no columns."""
    dependence: tuple[Dependence, ...] = ()
    """Of the columns that are worth most."""
    behaviour: tuple[BehaviourResult, ...] = ()
    robustness: Robustness | None = None
    """None in documents of early versions, and where the model names no columns."""
    prediction_intervals: PredictionIntervals | None = None
    decision: Decision | None = None
    diagnosis: Diagnosis | None = None
    """Of a rejected model only."""
    interval: IntervalMethod
    data: EvaluationData
    notes: tuple[str, ...] = ()

    def is_nearly_perfect(self) -> bool:
        """Return whether the headline metric is nearly perfect and a constant prediction is far from it."""
        constant = self.yardsticks.get("constant", {}).get(self.headline, Estimate()).value
        value, bound = self.metrics.get(self.headline, Estimate()).value, _NEARLY_PERFECT.get(self.headline)
        if value is None or bound is None:
            return False
        return value >= bound and (constant is None or 1 - value <= (1 - constant) / 5)

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Whatever speaks against a model that passes: who does better, and a simpler model or champion that does as well."""
        return tuple(
            name
            for name, comparison in self.comparisons.items()
            if comparison.better == name
            or (name == CHAMPION and comparison.better != MODEL)
            or (name == SIMPLER and comparison.better != MODEL and comparison.difference.value is not None)
        )

    @property
    def grade(self) -> Grade:
        """The verdict, with a grade of its own for a model that passes although something else does as well."""
        return "reserved" if self.verdict == "pass" and self.alternatives else self.verdict

    def rivals(self) -> dict[str, dict[str, Estimate]]:
        """Return the metrics of everything that the model is compared with: yardsticks, then the champion."""
        return {**self.yardsticks, **({CHAMPION: self.champion.metrics} if self.champion else {})}

    def higher_is_better(self, metric: str) -> bool:
        """Return the metric's direction; a metric that the task does not know counts as better when higher."""
        definition = _metric(self.task, metric)
        return definition.higher_is_better if definition else True

    def ends(self, metric: str) -> tuple[float | None, float | None]:
        """Return the lowest and the highest value that a metric can have."""
        return metric_ends(self.task, metric)


def metric_ends(task: str, metric: str | None) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value that a metric of a task can have; None where there is no end."""
    definition = _metric(task, metric)
    return (definition.low, definition.high) if definition else (None, None)


def _metric(task: str, metric: str | None) -> tasks.Metric | None:
    return tasks.get(task).metric(metric or "") if task in tasks.names() else None
