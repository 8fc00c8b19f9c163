"""define: the problem is checked and frozen, with its thresholds, before any stage looks at the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from model_code import tasks
from steps import documents
from steps.cards import markdown
from steps.cards.document import ProblemCard
from steps.core import Config, Output
from steps.errors import GateRefused, InputError
from steps.evaluation.thresholds import Threshold, digits
from steps.journal import Journal

if TYPE_CHECKING:
    from model_code.tasks import Metric, Task


class DefineConfig(Config):
    """The question and its success criteria."""

    name: str = Field(description="The problem's name.")
    question: str = Field(description="The question in words.")
    decision: str = Field(description="The decision that the answer serves.")
    owner: str = Field(description="The role that owns the decision.")
    cost_of_error: str = Field(description="The cost of errors, in each direction.")
    task: str = Field(description="binary-classification, multiclass-classification or regression.")
    target: str = Field(description="The column that is predicted.")
    success: tuple[Threshold, ...] = Field(
        description="The thresholds that the model must reach on the held-out test set."
    )


def define(card: Output, config: DefineConfig, log: Journal) -> None:
    """Check that success can be measured, freeze the problem and write the problem card.

    Raises:
        InputError: no task or metric has such a name.
        GateRefused: thresholds are missing, cannot be measured or contradict each other; the card is written first.
    """
    task = _task(config)
    _check_metrics(config, task)
    reasons = [*_blank_fields(config), *_unmeasurable(config.success, task), *_contradictory(config.success)]
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


def _task(config: DefineConfig) -> Task:
    try:
        return tasks.get(config.task)
    except ValueError as error:
        raise InputError(f"task: {error}") from None


def _check_metrics(config: DefineConfig, task: Task) -> None:
    """Check that every metric is one of the task's."""
    unknown = []
    for metric in dict.fromkeys(threshold.metric for threshold in config.success):
        if metric not in task.metrics:
            homes = [name for name in tasks.names() if metric in tasks.get(name).metrics]
            hint = f" (it is a metric of {' and '.join(homes)})" if homes else ""
            unknown.append(
                f"success: {metric!r} is not a metric of {task.name}{hint}; its metrics are: {', '.join(task.metrics)}"
            )
    if unknown:
        raise InputError("\n".join(unknown))


def _blank_fields(config: DefineConfig) -> Iterator[str]:
    if not config.success:
        metric = tasks.get(config.task).headline
        yield f"success: no threshold is declared, so no model could succeed; declare one, such as on {metric}"
    for field in ("question", "decision", "owner", "cost_of_error", "target"):
        if not getattr(config, field).strip():
            yield f"{field}: it is blank; readers of the report need it in words"


def _unmeasurable(success: Sequence[Threshold], task: Task) -> Iterator[str]:
    """Yield the thresholds that every model or no model meets, or that point the wrong way."""
    for threshold in success:
        problem = _problem(threshold, task.metrics[threshold.metric])
        if problem:
            yield f"success: {threshold.requirement}: {problem}"


def _problem(threshold: Threshold, metric: Metric) -> str | None:
    bound = threshold.at_least if threshold.at_least is not None else threshold.at_most
    assert bound is not None, "a threshold has exactly one bound"
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


def _contradictory(success: Sequence[Threshold]) -> Iterator[str]:
    """Yield thresholds that judge the same number twice: the same metric, rows and end of the interval."""
    by_number: dict[tuple[str, str | None, str], Threshold] = {}
    for threshold in success:
        key = (threshold.metric, threshold.slice, threshold.on)
        earlier = by_number.setdefault(key, threshold)
        if earlier is threshold:
            continue
        if earlier == threshold:
            yield f"success: {threshold.requirement}: it is declared twice; remove one"
        else:
            both = f"{earlier.requirement} and {threshold.requirement}"
            yield f"success: {both}: two bounds for the same number; keep one of them"


def _card(config: DefineConfig, task: Task, reasons: Sequence[str]) -> str:
    """Return the problem card as Markdown."""
    fields = {
        "Question": config.question,
        "Decision": config.decision,
        "Owner": config.owner,
        "Cost of errors": config.cost_of_error,
        "Task": f"{config.task}, of {config.target}",
    }
    rows = [
        (
            threshold.metric,
            f">= {digits(threshold.at_least)}"
            if threshold.at_least is not None
            else f"<= {digits(threshold.at_most or 0)}",
            _end(threshold),
            threshold.slice or "all rows",
        )
        for threshold in config.success
    ]
    parts = [
        f"# {markdown.escape(config.name)}\n",
        *(markdown.paragraph(label, text) for label, text in fields.items()),
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
