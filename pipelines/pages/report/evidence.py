"""The second half of the report as plain rows: columns, expectations, leak checks, training, lineage, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from infra.runs.records import RunRecord
from pipelines.pages.report.decision import EstimateRow, estimate_row
from pipelines.pages.report.gather import Facts, Stage
from pipelines.pages.report.markup import Scale, seconds, share, show
from steps.cards.document import Registration
from steps.evaluation.document import Estimate
from steps.evaluation.sentences import metric_name
from steps.evaluation.wording import cut, decimals_for, number, percent
from steps.expectations.document import ExpectationResult, Severity, ValidationResults
from steps.labeling.document import LabelReport
from steps.splitting.document import SplitReport
from steps.tables.document import IngestReport, SourceReport
from steps.tables.schema import Column
from steps.training.document import CandidateRecord, TrainingRecord

SHOWN_COLUMNS = 120
SHOWN_FILES = 5
SHOWN_CLASSES = 40
_SCALARS = str | int | float | bool


@dataclass(frozen=True)
class Share:
    """A part of a whole in words and as the width of a bar."""

    name: str
    count: str
    share: str
    width: str


def class_balance(report: LabelReport | None) -> list[Share]:
    """Return the classes with their rows, in the order of their indices; empty for a regression."""
    classes = report.classes if report else ()
    most = max((entry.rows for entry in classes), default=0)
    return [Share(c.name, number(c.rows), percent(c.share), share(c.rows, most)) for c in classes]


def labels(report: LabelReport) -> Iterator[tuple[str, str]]:
    """Yield where the labels come from and how many rows have one."""
    column = report.source.removeprefix("column:")
    yield "Source", f"the rule {report.rule}" if report.rule else f"the column {column}"
    of_rows = f"{number(report.rows_labeled)} of {number(report.rows)} rows"
    yield "Coverage", f"{percent(report.coverage)} ({of_rows})"
    if report.rows_unlabeled:
        what = {"drop": "left out, as configured", "refuse": "refused"}.get(report.unlabeled, report.unlabeled)
        yield "Rows without a label", f"{number(report.rows_unlabeled)}: {what}"
    if report.positive:
        yield "Positive class", f"{report.positive.name} ({report.positive.how})"
    if report.summary:
        yield "Target", show(report.summary, 300)


def division(report: SplitReport) -> Iterator[tuple[str, str]]:
    """Yield how the rows were divided."""
    yield "Split by", f"{report.by} ({report.column})" if report.column else report.by
    if report.hashed:
        yield "Hashed columns", show(report.hashed, 300)
    train, test = (report.rows[part].rows if part in report.rows else 0 for part in ("train", "test"))
    yield "Training rows", number(train)
    yield "Test rows, held out", f"{number(test)} ({percent(test, train + test)})"
    if report.boundary is not None:
        yield "The test part begins at", report.boundary


def balance(report: SplitReport) -> list[tuple[str, str, str]]:
    """Return each class with its share of the training part and of the test part."""
    write = percent if any(entry.name for entry in report.balance) else number
    return [(entry.name or "mean", write(entry.train), write(entry.test)) for entry in report.balance][:SHOWN_CLASSES]


@dataclass(frozen=True)
class ColumnRow:
    """One column of the table."""

    name: str
    type: str
    role: str
    missing: str
    width: str


def columns(facts: Facts) -> tuple[list[ColumnRow], int]:
    """Return the table's columns, the row number left out, and how many more there are."""
    if not (table := facts.table):
        return [], 0
    target = table.target.name if table.target else None
    rows = [
        ColumnRow(
            name=column.name,
            type=f"{column.type} in {column.timezone}" if column.timezone else column.type,
            role="target" if column.name == target else _role(column),
            missing=percent(column.missing, table.rows) if column.missing else "",
            width=share(column.missing, table.rows),
        )
        for column in table.columns
        if not column.name.startswith("_")
    ]
    return rows[:SHOWN_COLUMNS], max(0, len(rows) - SHOWN_COLUMNS)


def _role(column: Column) -> str:
    if column.available == "later":
        return "known only later"
    return "not used (text)" if column.role == "feature" and column.type == "text" else column.role


@dataclass(frozen=True)
class SourceRow:
    """One source with its files and how they were read."""

    name: str
    rows: str
    files: str
    reading: str


def sources(report: IngestReport | None) -> list[SourceRow]:
    """Return each source with its files and how they were read."""
    return [_source(name, source) for name, source in report.sources.items()] if report else []


def _source(name: str, source: SourceReport) -> SourceRow:
    files = [f"{cut(file.file)} ({number(file.bytes / 1e6)} MB)" for file in source.files]
    more = f" and {number(len(files) - SHOWN_FILES)} more" if len(files) > SHOWN_FILES else ""
    first = source.files[0].model_dump(exclude={"file", "bytes"}, exclude_none=True) if source.files else {}
    return SourceRow(name, number(source.rows), ", ".join(files[:SHOWN_FILES]) + more, _reading(first))


def _reading(properties: Mapping[str, Any]) -> str:
    """Return ``format csv, delimiter ",", header yes``: signs are quoted, since commas and blanks are easily missed."""
    return ", ".join(
        f"{name.replace('_', ' ')} {repr(value) if isinstance(value, str) and len(value) <= 2 else show(value)}"
        for name, value in properties.items()
    )


def expectations(results: ValidationResults | None) -> list[ExpectationResult]:
    """Return the suite's results, failures first, the gravest at the top."""
    order = get_args(Severity)
    return sorted(results.results if results else (), key=lambda r: (r.success, order.index(r.severity)))


Plain = tuple[list[tuple[str, str]], list[tuple[str, list[str], list[list[str]]]]]
"""Scalars as (name, value), and lists of flat objects as (name, headings, rows)."""


def plain(document: Mapping[str, Any]) -> Plain:
    """Lay a document out without knowing what it means."""
    scalars: list[tuple[str, str]] = []
    tables: list[tuple[str, list[str], list[list[str]]]] = []
    for name, value in document.items():
        if value is None or value in ({}, [], ()):
            continue
        words = name.replace("_", " ")
        if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
            headings = list(dict.fromkeys(key for item in value for key in item))
            tables.append((words, headings, [[show(item.get(key)) for key in headings] for item in value[:50]]))
        elif isinstance(value, Mapping) and not all(
            isinstance(item, _SCALARS) or item is None for item in value.values()
        ):
            tables.append(
                (words, ["name", "value"], [[str(key), show(item, 300)] for key, item in list(value.items())[:50]])
            )
        elif isinstance(value, Mapping):
            scalars += [
                (f"{words}: {str(key).replace('_', ' ')}", show(item))
                for key, item in list(value.items())[:30]
                if item is not None
            ]
        else:
            scalars.append((words, show(value, 300)))
    return scalars, tables


@dataclass(frozen=True)
class StageRow:
    """One stage on the clock."""

    name: str
    status: str
    seconds: str
    width: str
    reason: str
    key: str


def stages(facts: Facts) -> list[StageRow]:
    """Return every stage of the run with its status and time."""
    longest = max((stage.seconds for stage in facts.stages), default=0.0)
    return [_stage_row(stage, longest) for stage in facts.stages]


def _stage_row(stage: Stage, longest: float) -> StageRow:
    record = stage.record
    return StageRow(
        name=record.name,
        status=record.status,
        seconds=seconds(stage.seconds) if stage.seconds else "",
        width=share(stage.seconds, longest),
        reason=record.reason if record.status != "skipped" else "",
        key=record.key if record.status != "skipped" else "",
    )


def total_seconds(facts: Facts) -> tuple[str, str]:
    """Return what this run took, and what it reused from the cache."""
    spent = sum(stage.record.seconds for stage in facts.stages)
    saved = sum(stage.seconds for stage in facts.stages if stage.record.status == "cached")
    return seconds(spent), seconds(saved) if saved >= 0.1 else ""


def notes(facts: Facts) -> list[tuple[str, str]]:
    """Return what the stages warned about, and all notes of stages that this page does not know: (stage, text)."""
    producers = list(facts.producers.values())
    levels = {stage.record.name: ("warning",) if stage in producers else ("warning", "info") for stage in facts.stages}
    return [(s.record.name, text) for s in facts.stages for text in s.notes(*levels[s.record.name])[:20]]


def lineage(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield where everything came from: (what, exactly which)."""
    record = facts.record
    yield "Run", record.run
    yield "Problem file", record.problem_path
    yield "Started", record.started
    yield "Finished", record.finished or "not yet"
    yield from _where(record)
    for name, what in (("table", "Table"), ("train_set", "Training part"), ("test_set", "Test part, held out")):
        if schema := facts.tables.get(name):
            yield f"{what}, digest", schema.digest
    train = facts.producers.get(TrainingRecord)
    if train and "model/model.pt2" in train.files:
        yield "model.pt2, sha256", str(train.files["model/model.pt2"].get("sha256"))
    registration = facts.get(Registration)
    for name, value in registration.tags.items() if registration else ():
        if name.endswith("_digest"):
            yield name.replace("_", " ").capitalize(), value
    for section, content in facts.problem.items():
        if isinstance(content, Mapping) and content.get("seed") is not None:
            yield f"Seed of {section}", str(content["seed"])
    for name, value in record.overrides.items():
        yield f"Override: {name}", str(value)


def _where(record: RunRecord) -> Iterator[tuple[str, str]]:
    places = {
        "sagemaker": f"Amazon SageMaker, stack {record.stack}",
        "sagemaker-local": "the local SageMaker emulator (nothing ran on AWS)",
    }
    yield "Ran on", places.get(record.on, "one machine")
    for name, value in (
        ("Store", record.store),
        ("Pipeline execution", record.execution),
        ("Steps of the execution", ", ".join(f"{job} {status}" for job, status in record.jobs.items())),
        ("Model package", record.package),
    ):
        if value:
            yield name, value


@dataclass(frozen=True)
class CandidateRow:
    """One candidate model on the validation folds."""

    name: str
    status: str
    result: EstimateRow | None
    details: str
    unmet: Sequence[str]


def candidates(training: TrainingRecord) -> list[CandidateRow]:
    """Return every candidate with its cross-validated score."""
    estimates = [Estimate(value=c.score, low=c.low, high=c.high) for c in training.candidates]
    scale, places = Scale(estimates), decimals_for(*estimates)
    return [
        CandidateRow(
            name=candidate.name,
            status=candidate.status,
            result=None if estimate.value is None else estimate_row("", estimate, scale, places),
            details=candidate.reason or _details(candidate),
            unmet=candidate.unmet,
        )
        for candidate, estimate in zip(training.candidates, estimates, strict=True)
    ]


def _details(candidate: CandidateRecord) -> str:
    epochs = ", ".join(number(fold.epochs) for fold in candidate.folds)
    weights = f"{number(candidate.weights)} weights" if candidate.weights else ""
    return "; ".join(part for part in (weights, f"best epoch per fold: {epochs}" if epochs else "") if part)


def settings(training: TrainingRecord) -> Plain:
    """Return how the model was trained, without what the page shows elsewhere."""
    hidden = {"format", "chosen", "why", "metric", "candidates", "folds", "final"}
    scalars, tables = plain(training.model_dump(exclude=hidden))
    final = training.final
    if final:
        scalars.insert(0, ("final fit", f"{number(final.rows)} rows, {number(final.epochs)} epochs"))
    return scalars, tables


def use(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what training and using the model cost, measured on the exported model."""
    for name, label, unit in (
        ("application/predict_p50_ms", "Single-row latency, median", "ms"),
        ("application/predict_p99_ms", "Single-row latency, 99th percentile", "ms"),
        ("application/predict_rows_per_second", "Batch throughput", "rows per second"),
        ("application/model_mb", "Model size", "MB"),
        ("framework/samples_per_second", "Training throughput", "rows per second"),
        ("framework/peak_memory_mb", "Peak memory while training", "MB"),
    ):
        if name in facts.metrics:
            yield label, f"{number(facts.metrics[name])} {unit}"


def chosen(training: TrainingRecord) -> str:
    """Return the metric that chose the candidate, as a heading of its column."""
    return f"{metric_name(training.metric)}, cross-validated"
