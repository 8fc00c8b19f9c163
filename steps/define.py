"""define: the problem is checked and frozen, with its thresholds, before any stage looks at the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from model_code import tasks
from model_code.tasks import APPLICATION, COST
from steps import documents
from steps.cards import markdown
from steps.cards.document import ANSWERS, USES, ProblemCard
from steps.cards.review import Review
from steps.core import Config, Output
from steps.errors import GateRefused, InputError
from steps.evaluation.thresholds import Costs, Threshold
from steps.journal import Journal

if TYPE_CHECKING:
    from model_code.tasks import Metric, Task


Fault = tuple[tuple[str | int, ...], str]
"""The place of a fault in the problem, and the fault in words."""


class DefineConfig(Config):
    """The question and its success criteria."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="Lower-case letters, digits, - and _; names runs and experiments.",
    )
    question: str = Field(min_length=1, description="The question in words.")
    decision: str = Field(min_length=1, description="The decision that the answer serves.")
    owner: str = Field(min_length=1, description="The role that owns the decision.")
    cost_of_error: str = Field(min_length=1, description="The cost of errors, in each direction.")
    intended_users: str | None = Field(
        default=None, min_length=1, description="Who works with the predictions; on the report and the model card."
    )
    out_of_scope: str | None = Field(
        default=None, min_length=1, description="Uses that the model is not made for; on the report and the model card."
    )
    data_license: str | None = Field(
        default=None,
        min_length=1,
        description="The licence of the data, as an SPDX identifier (CC0-1.0) or in words; on the report and the model card.",
    )
    costs: Costs | None = Field(
        default=None,
        description="Of two classes, what a miss and a false alarm cost, in one unit: {miss: 50, false_alarm: 2}. "
        "'prediction' is then the positive class from the probability on that was cheapest on the validation folds.",
    )
    decision_threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Of two classes, the probability from which 'prediction' is the positive class. Left out: chosen on the "
        "validation folds for promises on recall, precision, specificity or false_positive_rate, or the cheapest by costs, "
        "or 0.5.",
    )
    review: Review = Field(
        default_factory=Review,
        description="Who may approve a model, and the questions that an approval answers; four-eyes in short.",
    )
    task: str = Field(description="binary-classification, multiclass-classification or regression.")
    target: str = Field(
        min_length=1, description="The predicted column, or the name of the column that label.rule computes."
    )
    success: tuple[Threshold, ...] = Field(
        description="The thresholds that the model must reach on the held-out test set."
    )


def define(card: Output, config: DefineConfig, log: Journal) -> None:
    """Check that success can be measured, freeze the problem and write the problem card.

    Raises:
        InputError: no task or metric has such a name.
        GateRefused: thresholds are missing, cannot be measured or contradict each other; the card is written first.
    """
    if texts := [text for _, text in unknown(config)]:
        raise InputError("\n".join(texts))
    task = tasks.get(config.task)
    reasons = [text for _, text in faults(config)]
    documents.write(card, ProblemCard(**config.model_dump()))
    (card / "card.md").write_text(_card(config, task, reasons), encoding="utf-8")
    log.parameter("define.task", config.task)
    log.parameter("define.target", config.target)
    log.metric("application/thresholds", len(config.success))
    log.table(
        "success",
        [{"metric": t.metric, "wanted": t.requirement, "slice": t.slice, "on": t.on} for t in config.success],
    )
    if reasons:
        log.verdict("refused", reasons)
        raise GateRefused(*reasons)


def faults(config: DefineConfig) -> list[Fault]:
    """Return what makes a problem impossible to judge."""
    if strange := [*unknown(config)]:
        return strange
    task = tasks.get(config.task)
    return [*_blank_fields(config, task), *_unmeasurable(config, task), *_contradictory(config.success)]


def unknown(config: DefineConfig) -> Iterator[Fault]:
    """Yield a task or metrics that do not exist."""
    try:
        task = tasks.get(config.task)
    except ValueError as error:
        yield ("task",), f"task: {error}"
        return
    for metric, position in {t.metric: i for i, t in reversed([*enumerate(config.success)])}.items():
        if task.metric(metric) is None:
            homes = [name for name in tasks.names() if tasks.get(name).metric(metric)]
            hint = f" (it is a metric of {' and '.join(homes)})" if homes else ""
            text = f"success: {metric!r} is not a metric of {task.name}{hint}; its metrics are: {', '.join(task.metric_names())}"
            yield ("success", position, "metric"), text


def _blank_fields(config: DefineConfig, task: Task) -> Iterator[Fault]:
    if not config.success:
        text = "no threshold is declared, so no model could succeed; declare one, such as on " + task.headline
        yield ("success",), f"success: {text}"
    if config.costs and not task.has_positive:
        yield ("costs",), f"costs: a miss and a false alarm are errors of two classes; the task is {task.name}"
    if config.decision_threshold is not None and not task.has_positive:
        text = f"a probability decides between two classes; the task is {task.name}"
        yield ("decision_threshold",), f"decision_threshold: {text}"
    for field in (*ANSWERS, "target"):
        if not getattr(config, field).strip():
            yield (field,), f"{field}: it is blank; readers of the report need it in words"


def _unmeasurable(config: DefineConfig, task: Task) -> Iterator[Fault]:
    """Yield the thresholds that every model or no model meets, that point the wrong way, or that want costs."""
    for position, threshold in enumerate(config.success):
        metric = task.metric(threshold.metric)
        assert metric is not None, "unknown metrics are refused before"
        problem = _problem(threshold, metric)
        if threshold.metric == COST and config.costs is None:
            problem = "it needs the costs of errors; declare them, such as costs: {miss: 50, false_alarm: 2}"
        if threshold.metric in APPLICATION and threshold.slice:
            problem = "it is measured of the model, whatever the rows; leave slice out"
        if problem:
            yield ("success", position), f"success: {threshold.requirement}: {problem}"


def _problem(threshold: Threshold, metric: Metric) -> str | None:
    bound = threshold.bound
    right, wrong = ("at_least", "at_most") if metric.higher_is_better else ("at_most", "at_least")
    if getattr(threshold, wrong) is not None:
        better = "higher" if metric.higher_is_better else "lower"
        return f"a {better} {metric.name} is better, so {wrong} would reward a worse model; use {right}"
    low, high = (metric.low, metric.high) if metric.higher_is_better else (metric.high, metric.low)
    ends = f"{metric.name} lies {_range(metric)}"
    if high is not None and (bound > high if metric.higher_is_better else bound < high):
        return f"no model can reach it: {ends}"
    if low is not None and (bound <= low if metric.higher_is_better else bound >= low):
        return f"every model meets it: {ends}"
    return None


def _range(metric: Metric) -> str:
    if metric.low is not None and metric.high is not None:
        return f"between {metric.low:g} and {metric.high:g}"
    return f"at or above {metric.low:g}" if metric.low is not None else f"at or below {metric.high:g}"


def _contradictory(success: Sequence[Threshold]) -> Iterator[Fault]:
    """Yield thresholds that judge the same number twice: the same metric, rows and end of the interval."""
    by_number: dict[tuple[str, str | None, str], Threshold] = {}
    for position, threshold in enumerate(success):
        earlier = by_number.setdefault((threshold.metric, threshold.slice, threshold.on), threshold)
        if earlier is threshold:
            continue
        both = f"{earlier.requirement} and {threshold.requirement}: two bounds for the same number; keep one of them"
        twice = f"{threshold.requirement}: it is declared twice; remove one"
        yield ("success", position), f"success: {twice if earlier == threshold else both}"


def _card(config: DefineConfig, task: Task, reasons: Sequence[str]) -> str:
    """Return the problem card as Markdown."""
    rows = [
        (threshold.metric, threshold.limit, _end(threshold), threshold.slice or "all rows")
        for threshold in config.success
    ]
    parts = [
        f"# {markdown.escape(config.name)}\n",
        *(markdown.paragraph(title, getattr(config, name)) for name, title in ANSWERS.items()),
        *(markdown.paragraph(title, use) for name, title in USES.items() if (use := getattr(config, name))),
        markdown.paragraph("Task", f"{config.task}, of {config.target}"),
    ]
    parts.append("## Success\n")
    parts.append(
        markdown.table(("metric", "threshold", "judged by", "rows"), rows) if rows else "No thresholds are declared.\n"
    )
    parts.append("Judged once, on the held-out test set; frozen when this card was written.\n")
    if reasons:
        parts.append("## Why the run stopped here\n")
        parts.append(markdown.bullets(reasons))
    return "\n".join(parts)


def _end(threshold: Threshold) -> str:
    if threshold.on == "value":
        return "the value"
    return f"the {'lower' if threshold.at_least is not None else 'upper'} end of the 95 % interval"
