"""The second half of the report: labels, division, columns, training, lineage and time in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.runs.records import RunRecord
from pipelines.pages.report.gather import Facts
from pipelines.pages.report.markup import seconds, show
from steps.cards.document import Registration
from steps.evaluation.document import Evaluation
from steps.labeling.document import LabelReport
from steps.splitting.document import ColumnProfile, ColumnProfiles, SplitReport
from steps.tables.document import SourceReport
from steps.tables.schema import Column
from steps.training.document import BLEND, CandidateRecord, TrainingRecord
from steps.wording import cut, exact, number, percent

SHOWN_FILES = 5
_SUMMARY = {
    "mean": "Mean",
    "standard_deviation": "Standard deviation",
    "p05": "5 % are below",
    "p25": "A quarter is below",
    "p50": "Half are below",
    "p75": "Three quarters are below",
    "p95": "95 % are below",
}
_SCALARS = str | int | float | bool


def labels(report: LabelReport) -> Iterator[tuple[str, str]]:
    """Yield where the labels come from and how many rows have one."""
    column = report.source.removeprefix("column:")
    yield "Source", f"the rule {report.rule}" if report.rule else f"the column {column}"
    of_rows = f"{number(report.rows_labeled)} of {number(report.rows)} rows"
    yield "Coverage", f"{percent(report.coverage)} ({of_rows})"
    if report.rows_unlabeled:
        what = {"drop": "left out, as configured", "refuse": "refused"}.get(report.unlabeled, report.unlabeled)
        yield "Rows without a label", f"{number(report.rows_unlabeled)}: {what}"
    if report.left_out:
        yield "Classes left out", show(report.left_out, 300)
    if report.positive:
        yield "Positive class", f"{report.positive.name} ({report.positive.how})"
    for name, value in (report.summary or {}).items():
        if value is not None:
            yield _SUMMARY.get(name, name), show(value)


def division(report: SplitReport) -> Iterator[tuple[str, str]]:
    """Yield how the rows were divided."""
    yield "Split by", f"{report.by} ({report.column})" if report.column else report.by
    if report.hashed:
        yield "Assigned by a hash of", show(report.hashed, 160)
    train, test = (report.rows[part].rows if part in report.rows else 0 for part in ("train", "test"))
    yield "Training rows", number(train)
    yield "Test rows, held out", f"{number(test)} ({percent(test, train + test)})"
    if report.boundary is not None:
        yield "The test part begins at", report.boundary


def role(column: Column, target: str | None) -> str:
    """Return what a column is for."""
    if column.name == target:
        return "target"
    if column.available == "later":
        return "known only later"
    return "not used (text)" if column.role == "feature" and column.type == "text" else column.role


def drifted(columns: Sequence[Column], profiles: ColumnProfiles | None) -> list[Column]:
    """Return the columns that differ between the parts by more than chance, the farthest apart first."""
    far = (
        {profile.name: -(profile.drift or 0.0) for profile in profiles.columns if profile.has_drifted}
        if profiles
        else {}
    )
    return sorted((column for column in columns if column.name in far), key=lambda column: far[column.name])


def foremost(columns: Sequence[Column], evaluation: Evaluation | None, target: str | None) -> list[Column]:
    """Return the target, then the columns that the model relies on most, then the others in the table's order."""
    importance = evaluation.importance if evaluation else None
    names = [name for entry in importance.columns for name in entry.columns] if importance else []
    places = {name: place for place, name in enumerate([target, *names])}
    return sorted(columns, key=lambda column: places.get(column.name, len(places)))


def spread(profile: ColumnProfile) -> str:
    """Return where nearly all values lie; of categories, nothing."""
    return "" if profile.low is None else f"{quantile(profile.low)} to {quantile(profile.high)}"


def quantile(value: float | str | None) -> str:
    """Return a number, or a day as it is."""
    return exact(value) if isinstance(value, int | float) else cut(value, 10)


def missing_shares(profile: ColumnProfile, profiles: ColumnProfiles) -> str:
    """Return the share of missing values, of both parts where they differ."""
    train, test = (percent(missing, rows) for missing, rows in zip(profile.missing, profiles.rows, strict=True))
    return train if train == test else f"{train} / {test}"


def periods(profiles: ColumnProfiles) -> Iterator[tuple[str, str]]:
    """Yield the first and the last day of each part."""
    for part, name in (("train", "Training part"), ("test", "Test part")):
        if period := profiles.periods.get(part):
            yield name, f"{period.first} to {period.last}"


def files(source: SourceReport) -> str:
    """Return a source's files with their sizes."""
    listed = [f"{cut(file.file)} ({size(file.bytes)})" for file in source.files]
    more = f" and {number(len(listed) - SHOWN_FILES)} more" if len(listed) > SHOWN_FILES else ""
    return ", ".join(listed[:SHOWN_FILES]) + more


def size(octets: float) -> str:
    """Return a size: ``749 bytes``, ``1.05 kB``, ``9 MB``."""
    if octets < 1000:
        return f"{number(octets)} bytes"
    return f"{number(octets / 1e3)} kB" if octets < 1e6 else f"{number(octets / 1e6)} MB"


def reading(source: SourceReport) -> str:
    """Return ``format csv, delimiter ",", header yes``: signs are quoted, since commas and blanks are easily missed."""
    properties = source.files[0].model_dump(exclude={"file", "bytes"}, exclude_none=True) if source.files else {}
    return ", ".join(
        f"{name.replace('_', ' ')} {repr(value) if isinstance(value, str) and len(value) <= 2 else show(value)}"
        for name, value in properties.items()
    )


Plain = tuple[list[tuple[str, str]], list[tuple[str, list[str], list[list[str]]]]]
"""Scalars as (name, value), and lists of flat objects as (name, headings, rows)."""


def plain(document: Mapping[str, Any]) -> Plain:
    """Lay a document out without knowing what it means."""
    scalars: list[tuple[str, str]] = []
    tables: list[tuple[str, list[str], list[list[str]]]] = []
    for name, value in document.items():
        words = name.replace("_", " ")
        if value is None or value in ({}, [], ()):
            continue
        if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
            headings = list(dict.fromkeys(key for item in value for key in item))
            tables.append((words, headings, [[show(item.get(key)) for key in headings] for item in value[:50]]))
        elif not isinstance(value, Mapping):
            scalars.append((words, show(value, 300)))
        elif all(isinstance(item, _SCALARS) or item is None for item in value.values()):
            present = [(str(key).replace("_", " "), item) for key, item in value.items()][:30]
            scalars += [(f"{words}: {key}", show(item)) for key, item in present if item is not None]
        else:
            rows = [[str(key), show(item, 300)] for key, item in value.items()]
            tables.append((words, ["name", "value"], rows[:50]))
    return scalars, tables


def total_seconds(facts: Facts) -> tuple[str, str]:
    """Return what this run took, and what it reused from the cache."""
    spent = sum(stage.record.seconds for stage in facts.stages)
    saved = sum(stage.seconds for stage in facts.stages if stage.record.status == "cached")
    return seconds(spent), seconds(saved) if saved >= 0.1 else ""


def notes(facts: Facts) -> list[tuple[str, str]]:
    """Return what the stages warned about, and all notes of stages that this page does not know: (stage, text)."""
    return [
        (stage.record.name, text)
        for stage in facts.stages
        for text in stage.notes("warning", *(() if stage.documents else ("info",)))[:20]
    ]


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
    train = facts.producer(TrainingRecord)
    if train and train.manifest and (model := train.manifest.files.get("model/model.pt2")):
        yield "model.pt2, sha256", str(model.get("sha256"))
    registration = facts.get(Registration)
    for name, value in registration.tags.items() if registration else ():
        if name.endswith("_digest"):
            yield name.replace("_", " ").capitalize(), value
    for section, content in facts.problem.items():
        if isinstance(content, Mapping) and content.get("seed") is not None:
            yield f"Seed of {section}", str(content["seed"])
    for name, value in record.overrides.items():
        yield f"Override: {name}", str(value)


def audit(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what an auditor asks first: who made this with what, and what was decided about it."""
    record, model = facts.record, facts.model
    yield from record.provenance.items() if record.provenance else [("Made by", "not recorded")]
    if overrides := record.overrides:
        yield "Settings of this run alone", ", ".join(f"{name}={value}" for name, value in overrides.items())
    registration = facts.get(Registration)
    if model["version"]:
        yield "Registered as", f"{model['name']}, version {model['version']}"
    elif registration and registration.alias:
        yield "Registered as", f"{registration.name}; its version was not known yet when this page was written"
    else:
        yield "Registered as", "nothing, since only a candidate is registered"
    yield "Approval", f"champion since {facts.champion_since}" if model["champion"] else "not promoted"


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


def leaderboard(training: TrainingRecord, evaluation: Evaluation | None) -> list[CandidateRecord]:
    """Return the candidates, the best score first; those without one last, in the order in which they were tried."""
    sign = 1 if evaluation and training.metric and not evaluation.higher_is_better(training.metric) else -1
    return sorted(training.candidates, key=lambda candidate: (candidate.score is None, sign * (candidate.score or 0.0)))


def details(candidate: CandidateRecord) -> str:
    """Return why a candidate was skipped, or its best epochs; of a blend, the weights of its members."""
    if candidate.reason:
        return candidate.reason
    if candidate.name == BLEND:
        return "weighted mean: " + ", ".join(f"{weight:g} {name}" for name, weight in (candidate.config or {}).items())
    epochs = ", ".join(number(fold.epochs) for fold in candidate.folds)
    return f"best {candidate.folds[0].unit} per fold: {epochs}" if epochs else ""


def fit_seconds(facts: Facts, candidate: CandidateRecord) -> str:
    """Return how long a candidate was trained on all its folds; empty where that was not measured."""
    spent = facts.metrics.get(f"framework/fold_seconds.{candidate.name}")
    return "" if spent is None else seconds(spent)


def answer_time(facts: Facts, candidate: CandidateRecord) -> str:
    """Return the milliseconds that a candidate takes for 1,000 rows; empty where that was not measured."""
    milliseconds = facts.metrics.get(f"application/ms_per_1000_rows.{candidate.name}")
    return "" if milliseconds is None else f"{number(milliseconds)} ms"


def settings(training: TrainingRecord) -> Iterator[tuple[str, str]]:
    """Yield how the model was trained, without what the page shows elsewhere."""
    if final := training.final:
        start = ", from the network of the last fold" if final.continues_fold else ""
        yield "Final fit", f"{number(final.rows)} rows, {number(final.epochs)} {final.unit}s{start}"
    if training.folds:
        yield "Folds", f"{len(training.folds)}, divided by {training.divided_by or 'row'}"
    if training.resampled:
        yield "Intervals by resampling", training.resampled
    how = {"first": "the first one that keeps every promise, from the cheapest on", "best": "the best one"}
    if training.choose:
        yield "Choice of the candidate", how.get(training.choose, training.choose)
    if training.target_scale:
        yield (
            "Target is learned as",
            {"log": "its logarithm", "log1p": "the logarithm of one more"}.get(
                training.target_scale, training.target_scale
            ),
        )
    yield "Time budget", f"cut short: {', '.join(training.budget_cut)}" if training.budget_bound else "not reached"
    for name, value in (("Seed", training.seed), ("Device", training.device), ("Threads", training.threads)):
        if value is not None:
            yield name, str(value)


def use(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what training and using the model cost, measured on the exported model."""
    for name, label, unit in (
        ("application/predict_p50_ms", "Single-row latency, median", "ms"),
        ("application/predict_p99_ms", "Single-row latency, 99th percentile", "ms"),
        ("application/predict_rows_per_second", "Batch throughput", "rows per second"),
        ("application/onnx_p50_ms", "Single-row latency by onnxruntime, median", "ms"),
        ("application/onnx_rows_per_second", "Batch throughput by onnxruntime", "rows per second"),
        ("framework/samples_per_second", "Training throughput", "rows per second"),
        ("framework/peak_memory_mb", "Peak memory while training", "MB"),
    ):
        if name in facts.metrics:
            yield label, f"{number(facts.metrics[name])} {unit}"
    if (megabytes := facts.metrics.get("application/model_mb")) is not None:
        yield "Model size", size(1e6 * megabytes)
    if (difference := facts.metrics.get("application/onnx_largest_difference")) is not None:
        yield "Largest difference of model.onnx from model.pt2 on the test rows", f"{difference:.1g}"
