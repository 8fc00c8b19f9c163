"""Facts -> one HTML file: jinja2 escapes everything, in text and in attributes; nothing is loaded, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from infra.files import write_atomically
from pipelines.pages.report import decision, evidence, figures, markup, words
from pipelines.pages.report.gather import Facts, gather
from steps.documents import Document
from steps.evaluation import sentences, wording
from steps.evaluation.document import Calibration, Evaluation, Residuals
from steps.expectations.document import ValidationResults
from steps.labeling.document import LabelReport
from steps.splitting.document import SplitReport
from steps.tables.document import IngestReport
from steps.training.document import TrainingRecord

CONFUSION_CLASSES = 30
CURVE_POINTS = 200
MISTAKES = 6
SECTIONS = {
    "promises": "Promises",
    "numbers": "Numbers",
    "segments": "Weakest segments",
    "limits": "Limits",
    "question": "The question",
    "data": "Data",
    "validation": "Checks",
    "labels": "Labels",
    "split": "Split and leaks",
    "training": "Training",
    "errors": "Errors",
    "time": "Time",
    "others": "Other stages",
    "changes": "Changes",
    "lineage": "Lineage",
}
DOCUMENTS: dict[str, type[Document]] = {
    "data": IngestReport,
    "validation": ValidationResults,
    "labels": LabelReport,
    "split": SplitReport,
    "training": TrainingRecord,
}
"""Sections that are left out where the run did not get that far."""


def write_report(workspace: Path, run: str) -> Path:
    """Write ``workspace/reports/<run>.html``, whole or not at all.

    One that is of the run's end stays where no other can be written, or only one that knows less.

    Raises:
        InputError: there is no such run.
        OSError: it cannot be written, and there is none yet.
    """
    facts = gather(workspace, run)
    path = facts.report_path
    complete = _is_of_the_end(facts)
    if complete and facts.is_incomplete:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, render(facts))
    except OSError:
        if not complete:
            raise
    return path


def _is_of_the_end(facts: Facts) -> bool:
    """Return whether the report on disk was written after the run had ended."""
    if not facts.report_path.is_file() or not facts.record.finished:
        return False
    modified = datetime.fromtimestamp(facts.report_path.stat().st_mtime, UTC)
    return modified.isoformat(timespec="seconds") >= facts.record.finished


def render(facts: Facts) -> str:
    """Return the page of a run, however far it got."""
    page = _environment().get_template("page.html").render(_context(facts))
    return page.encode("utf-8", "replace").decode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (markup.data, markup.prose, markup.show, markup.exact, markup.text, wording.cut):
        environment.filters[function.__name__] = function
    return environment


def _visible(value: object) -> object:
    """Return plain text without what cannot be seen; markup was made by one of our filters and stays."""
    return wording.clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _context(facts: Facts) -> dict[str, Any]:
    columns, more_columns = evidence.columns(facts)
    ingest, label_report, split = facts.get(IngestReport), facts.get(LabelReport), facts.get(SplitReport)
    context: dict[str, Any] = {
        "facts": facts,
        "problem": facts.problem,
        "table": facts.table,
        "verdict": words.verdict(facts),
        "loosened": [change for change in facts.changes if words.is_loosened(change)],
        "limits": list(words.limits(facts)),
        "lesson": words.row_split_lesson(facts),
        "columns": columns,
        "more_columns": more_columns,
        "used": sum(column.role == "feature" for column in columns),
        "sources": evidence.sources(ingest),
        "query": ingest.query if ingest else None,
        "validation": facts.get(ValidationResults),
        "expectations": evidence.expectations(facts.get(ValidationResults)),
        "class_shares": evidence.class_balance(label_report),
        "label_report": label_report,
        "labels": list(evidence.labels(label_report)) if label_report else [],
        "split": split,
        "division": list(evidence.division(split)) if split else [],
        "balance": evidence.balance(split) if split else [],
        "findings": sorted(split.findings, key=lambda finding: finding.level != "refused") if split else [],
        "use": list(evidence.use(facts)),
        "stages": evidence.stages(facts),
        "total_seconds": evidence.total_seconds(facts),
        "notes": evidence.notes(facts),
        "others": [(path, evidence.plain(content)) for path, content in facts.other_documents.items()],
        "lineage": list(evidence.lineage(facts)),
    }
    if facts.evaluation:
        context |= _of_evaluation(facts.evaluation)
    if training := facts.get(TrainingRecord):
        context |= {
            "training": training,
            "metric_heading": evidence.chosen(training),
            "candidates": evidence.candidates(training),
            "curves": list(_curves(training)),
            "settings": evidence.settings(training),
        }
    unreached = [name for name, kind in DOCUMENTS.items() if not facts.get(kind)]
    optional = {
        "promises": "promises",
        "numbers": "headline",
        "segments": "segments",
        "limits": "limits",
        "others": "others",
    }
    absent = {name for name, content in optional.items() if not context.get(content)} | set(unreached)
    if not (context.get("plots") or context.get("confusion")):
        absent.add("errors")
    context["unreached"] = [SECTIONS[name] for name in unreached]
    context["absent"] = absent
    context["contents"] = [(name, title) for name, title in SECTIONS.items() if name not in absent]
    return context


def _of_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    compared = sentences.comparisons(evaluation)
    return {
        "evaluation": evaluation,
        "glance": decision.glance(evaluation),
        "promises": decision.promises(evaluation),
        "headline": decision.headline(evaluation),
        "comparisons": [(sentences.outcome(evaluation.comparisons[name]), text) for name, text in compared.items()],
        "metric_table": decision.metric_table(evaluation),
        "segments": decision.segments(evaluation),
        "confusion": _confusion(evaluation),
        "mistakes": _mistakes(evaluation),
        "plots": list(_plots(evaluation)),
    }


@dataclass(frozen=True)
class Figure:
    """A plot with what is said under it."""

    title: str
    caption: str
    svg: Markup


def _plots(evaluation: Evaluation) -> Iterator[Figure]:
    if evaluation.calibration and evaluation.calibration.bins:
        caption = _calibration_caption(evaluation.calibration, classes=len(evaluation.classes))
        yield Figure("Can its probabilities be trusted?", caption, figures.calibration(evaluation.calibration.bins))
    if residuals := evaluation.residuals:
        histogram, plane = residuals.histogram, residuals.predicted_vs_actual
        yield Figure(
            "How large are its errors?",
            f"How far predictions are from actual values; a good model is narrow and centred on zero.{_spread(residuals)}",
            figures.histogram("Errors", histogram.edges, histogram.counts, "actual minus predicted"),
        )
        yield Figure(
            "Predicted against actual",
            "Darker cells hold more rows; a perfect model has them all on the dashed line.",
            figures.density("Predicted and actual", plane.edges_predicted, plane.edges_actual, plane.counts),
        )


def _calibration_caption(calibration: Calibration, classes: int) -> str:
    error = calibration.expected_calibration_error or 0.0
    chance = ", which may be due to chance" if error <= calibration.error_by_chance() else ""
    about = "" if classes == 2 else " Here: for the predicted class."
    return (
        "Points on the dashed line are perfectly calibrated; larger dots hold more rows. "
        f"Mean error: {wording.number(100 * error, 1)} percentage points{chance}.{about}"
    )


def _spread(residuals: Residuals) -> str:
    """Return where half and nine in ten of the errors lie."""
    ends = [residuals.quantiles.get(name) for name in ("0.25", "0.75", "0.05", "0.95")]
    half_low, half_high, most_low, most_high = map(markup.show, ends)
    return (
        f" Half of the errors lie between {half_low} and {half_high}, nine in ten between {most_low} and {most_high}."
    )


def _curves(training: TrainingRecord) -> Iterator[Figure]:
    """Yield the loss by epoch of each candidate on its first validation fold."""
    for candidate in training.candidates:
        fold = next(iter(candidate.folds), None)
        if not fold or max(len(fold.train_loss), len(fold.validation_loss)) < 2:
            continue
        lines = (("training rows", fold.train_loss), ("validation rows", fold.validation_loss))
        series = [(name, *_thin(values)) for name, values in lines if values]
        caption = (
            f"Loss on the first validation fold; weights of epoch {fold.epochs} kept (dotted line). "
            f"Stopped: {fold.stopped}."
        )
        yield Figure(candidate.name, caption, figures.curves("Training curves", series, "epoch", "loss", fold.epochs))


def _thin(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return epochs from 1 and values, not more than a figure can show."""
    every = -(-len(values) // CURVE_POINTS)
    return list(range(1, len(values) + 1))[::every], list(values)[::every]


@dataclass(frozen=True)
class ConfusionRow:
    """What the model predicted where the class was ``name``: (count, shade 0..1, whether white ink is needed)."""

    name: str
    cells: list[tuple[str, str, bool]]


def _confusion(evaluation: Evaluation) -> list[ConfusionRow]:
    matrix, classes = evaluation.confusion, evaluation.classes
    if not matrix or len(classes) > CONFUSION_CLASSES:
        return []
    return [ConfusionRow(name, _shaded(row)) for name, row in zip(classes, matrix, strict=False)]


def _shaded(row: Sequence[int]) -> list[tuple[str, str, bool]]:
    total = sum(row) or 1
    return [
        (wording.number(value) if value else "", f"{0.85 * value / total:.2f}", value / total > 0.7) for value in row
    ]


def _mistakes(evaluation: Evaluation) -> list[tuple[int, str, str]]:
    """Return the largest cells off the diagonal, for more classes than two: (rows, actual, predicted)."""
    classes = evaluation.classes
    if len(classes) < 3:
        return []
    cells = [
        (rows, actual, predicted)
        for actual, row in zip(classes, evaluation.confusion or (), strict=False)
        for predicted, rows in zip(classes, row, strict=False)
        if actual != predicted and rows
    ]
    return sorted(cells, key=lambda cell: -cell[0])[:MISTAKES]
