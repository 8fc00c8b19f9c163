"""Facts -> one HTML file: jinja2 escapes everything, in text and in attributes; nothing is loaded, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from inspect import isfunction
from pathlib import Path
from typing import Any, get_args

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

from infra.files import write_atomically
from pipelines.pages.report import decision, evidence, figures, markup, plots, words
from pipelines.pages.report.gather import Facts, gather
from steps import wording
from steps.documents import Document
from steps.evaluation import remarks, sentences
from steps.evaluation.document import Evaluation, metric_ends
from steps.expectations.document import Severity, ValidationResults
from steps.labeling.document import LabelReport
from steps.splitting.document import ColumnProfiles, SplitReport
from steps.tables.document import IngestReport
from steps.tables.names import LABEL_SOURCE, ROW
from steps.training.document import TrainingRecord

CONFUSION_CLASSES = 30
CURVE_POINTS = 200
PROFILED_COLUMNS = 40
"""Columns that are shown with their histograms; of more, the others are in short."""
MISTAKES = 6
SECTIONS = {
    "verdict": "Verdict",
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
    "importance": "Columns",
    "behaviour": "Behaviour",
    "time": "Time",
    "others": "Other stages",
    "changes": "Changes",
    "audit": "Audit",
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
    page = environment().get_template("page.html").render(context_of(facts))
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def environment(*folders: Path) -> Environment:
    """Return the environment in which templates, those of ``folders`` too, call our functions, as filters or by name."""
    templates = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for module in (decision, evidence, sentences, remarks, wording, markup, words):  # of two `exact`, that of markup
        public = {name: function for name, function in vars(module).items() if isfunction(function) and name[0] != "_"}
        templates.filters |= public
        templates.globals |= public
    templates.globals |= {"Scale": markup.Scale, "COMPARED": remarks.COMPARED, "overlay": figures.overlay}
    return templates


def _visible(value: object) -> object:
    """Return plain text without what cannot be seen; markup was made by one of our filters and stays."""
    return wording.clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def context_of(facts: Facts) -> dict[str, Any]:
    evaluation, training, labels = facts.evaluation, facts.get(TrainingRecord), facts.get(LabelReport)
    validation, split, table = facts.get(ValidationResults), facts.get(SplitReport), facts.table
    confusion = evaluation.confusion if evaluation and len(evaluation.classes) <= CONFUSION_CLASSES else None
    gravity = get_args(Severity)
    profiles = facts.get(ColumnProfiles)
    columns = [column for column in table.columns if column.name not in (ROW, LABEL_SOURCE)] if table else []
    context: dict[str, Any] = {
        "facts": facts,
        "problem": facts.problem,
        "verdict": words.verdict(facts),
        "eased": [easing for easing in facts.history.easings if not easing.reason],
        "evaluation": evaluation,
        "segments": decision.segments(evaluation) if evaluation else None,
        "limits": list(words.limits(facts)),
        "ingest": facts.get(IngestReport),
        "table": table,
        "columns": columns,
        "foremost": evidence.foremost(columns, evaluation, table.target.name if table and table.target else None),
        "profiled_columns": PROFILED_COLUMNS,
        "drifted": evidence.drifted(columns, profiles),
        "profiles": profiles,
        "profile_of": {column.name: column for column in profiles.columns} if profiles else {},
        "features": [column.name for column in table.features()] if table else [],
        "validation": validation,
        "expectations": sorted(
            validation.results if validation else (), key=lambda r: (r.success, gravity.index(r.severity))
        ),
        "label_report": labels,
        "classes": labels.classes if labels else (),
        "split": split,
        "lesson": words.row_split_lesson(facts),
        "findings": sorted(split.findings, key=lambda finding: finding.level != "refused") if split else [],
        "warned": [finding for finding in split.findings if finding.level in ("refused", "warning")] if split else [],
        "split_target": labels.target if labels else "the target",
        "training": training,
        "metric_ends": metric_ends(labels.task, training.metric) if training and labels else markup.NO_ENDS,
        "curves": list(_curves(training, labels.task if labels else "")) if training else [],
        "use": list(evidence.use(facts)),
        "plots": list(plots.of_evaluation(evaluation, training)) if evaluation else [],
        "dependence": list(plots.of_columns(evaluation)) if evaluation else [],
        "confusion": confusion,
        "mistakes": _mistakes(evaluation) if evaluation else [],
        "total_seconds": evidence.total_seconds(facts),
        "notes": evidence.notes(facts),
        "others": [
            (path, evidence.plain(content)) for stage in facts.stages for path, content in stage.other_documents.items()
        ],
        "lineage": list(evidence.lineage(facts)),
    }
    sections = {
        "promises": evaluation and evaluation.thresholds,
        "numbers": evaluation,
        "segments": context["segments"] or (evaluation and (evaluation.search or evaluation.fairness)),
        "limits": context["limits"],
        **{name: facts.get(kind) for name, kind in DOCUMENTS.items()},
        "errors": context["plots"] or confusion,
        "importance": evaluation and evaluation.importance and evaluation.importance.columns,
        "behaviour": evaluation and (evaluation.behaviour or (evaluation.robustness and evaluation.robustness.changes)),
        "others": context["others"],
    }
    context["unreached"] = [SECTIONS[name] for name in DOCUMENTS if not sections[name]]
    context["contents"] = [(name, title) for name, title in SECTIONS.items() if sections.get(name, True)]
    return context


def _curves(training: TrainingRecord, task: str) -> Iterator[plots.Figure]:
    """Yield the loss by epoch of each candidate on its first validation fold, all on one scale."""
    folds = {candidate.name: candidate.folds[0] for candidate in training.candidates if candidate.folds}
    folds = {name: fold for name, fold in folds.items() if max(len(fold.train_loss), len(fold.validation_loss)) > 1}
    losses = [loss for fold in folds.values() for loss in (*fold.train_loss, *fold.validation_loss)]
    what = "log loss" if task.endswith("classification") else "squared error"
    for name, fold in folds.items():
        lines = (("training rows", fold.train_loss), ("validation rows", fold.validation_loss))
        series = [(of, *_thin(values)) for of, values in lines if values]
        caption = (
            f"{what.capitalize()} on the first validation fold; the model of {fold.unit} {fold.epochs} is used (dotted line). "
            f"Stopped: {fold.stopped}."
        )
        plot = figures.curves("Training curves", series, fold.unit, what, fold.epochs, figures.spread(losses))
        yield name, caption, plot


def _thin(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return epochs from 1 and values, not more than a figure can show."""
    every = -(-len(values) // CURVE_POINTS)
    return list(range(1, len(values) + 1))[::every], list(values)[::every]


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
