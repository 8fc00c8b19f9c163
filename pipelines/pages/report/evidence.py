"""The second half of the report as plain rows: columns, expectations, leak checks, training, lineage, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.runs.records import RunRecord
from pipelines.pages.report.decision import Got, got
from pipelines.pages.report.gather import Facts, Stage
from pipelines.pages.report.numbers import (
    NOT_RECORDED,
    Scale,
    cut,
    decimals_for,
    is_number,
    number,
    percent,
    seconds,
    show,
)

SHOWN_COLUMNS = 120
SHOWN_FILES = 5
SHOWN_CLASSES = 40
SHOWN_EXPECTATIONS = 150
_SEVERITIES = ("critical", "warning", "info")
_SCALARS = str | int | float | bool


@dataclass(frozen=True)
class Share:
    """A part of a whole in words and as the width of a bar."""

    name: str
    count: str
    share: str
    width: str


def class_balance(facts: Facts) -> list[Share]:
    """The classes with their rows, in the order of their indices; empty for a regression."""
    found = facts.document("labels").get("classes") or ()
    counts = [(str(each.get("class")), int(each.get("rows") or 0)) for each in found if isinstance(each, Mapping)]
    total, most = sum(count for _, count in counts), max((count for _, count in counts), default=0)
    return [
        Share(name, number(count), percent(count, total), f"{100 * count / most if most else 0:.2f}%")
        for name, count in counts
    ]


def labels(facts: Facts) -> Iterator[tuple[str, str]]:
    """Where the labels come from and how many rows have one."""
    found = facts.document("labels")
    if not found:
        return
    source = str(found.get("source") or NOT_RECORDED)
    yield (
        "where they come from",
        f"the rule {found['rule']}" if found.get("rule") else source.replace("column:", "the column "),
    )
    if is_number(found.get("coverage")):
        labeled, rows = found.get("rows_labeled"), found.get("rows")
        yield "coverage", f"{percent(found['coverage'])} ({number(labeled)} of {number(rows)} rows)"
    if missing := found.get("rows_unlabeled"):
        done = {"drop": "left out, as declared", "refuse": "refused"}.get(
            str(found.get("unlabeled")), show(found.get("unlabeled"))
        )
        yield "rows without a label", f"{number(missing)}: {done}"
    if positive := found.get("positive"):
        yield "the class that metrics speak of", f"{positive.get('class')} ({positive.get('how')})"
    if summary := found.get("summary"):
        yield "the target", show(summary, 300)
    known = (
        "target",
        "task",
        "source",
        "rule",
        "rows",
        "rows_labeled",
        "rows_unlabeled",
        "unlabeled",
        "unlabeled_rows",
    )
    yield from plain(found, without=(*known, "coverage", "provenance", "classes", "positive", "summary"))[0]


def division(facts: Facts) -> Iterator[tuple[str, str]]:
    """How the rows were divided."""
    found = facts.document("split")
    if not found:
        return
    column = f" ({found['column']})" if found.get("column") else ""
    yield "divided by", f"{found.get('by') or NOT_RECORDED}{column}"
    train, test = (_rows_of(found, part) for part in ("train", "test"))
    if is_number(train) and is_number(test):
        yield "rows to train on", number(train)
        yield "rows sealed for the test", f"{number(test)} ({percent(test, train + test)})"
    if found.get("boundary") is not None:
        yield "the test part begins at", show(found["boundary"])
    known = ("by", "column", "rows", "boundary", "balance", "findings", "notes", "test_fraction")
    yield from plain(found, without=known)[0]


def _rows_of(split: Mapping[str, Any], part: str) -> Any:
    found = (split.get("rows") or {}).get(part)
    return found.get("rows") if isinstance(found, Mapping) else found


def balance(facts: Facts) -> list[tuple[str, str, str]]:
    """Each class with its share of the training part and of the test part."""
    found = facts.document("split").get("balance") or ()
    return [
        (show(each.get("class")), percent(each.get("train")), percent(each.get("test")))
        for each in found
        if isinstance(each, Mapping)
    ][:SHOWN_CLASSES]


def findings(facts: Facts) -> list[tuple[str, str]]:
    """What the leak checks found: (level, text), refusals first."""
    found = [each for each in facts.document("split").get("findings") or () if isinstance(each, Mapping)]
    listed = [
        (str(each.get("level") or NOT_RECORDED), str(each.get("text") or show(dict(each), 300))) for each in found
    ]
    return sorted(listed, key=lambda pair: pair[0] != "refused")


@dataclass(frozen=True)
class ColumnRow:
    """One column of the table."""

    name: str
    type: str
    role: str
    missing: str
    width: str


def columns(facts: Facts) -> tuple[list[ColumnRow], int]:
    """The table's columns, the row number left out, and how many more there are."""
    schema = facts.document("labeled") or facts.document("table")
    rows, target = schema.get("rows") or 0, (schema.get("target") or {}).get("name")
    listed = [column for column in (schema.get("columns") or ()) if not str(column.get("name", "")).startswith("_")]
    found = [
        ColumnRow(
            name=column["name"],
            type=f"{column.get('type')}{' in ' + column['timezone'] if column.get('timezone') else ''}",
            role="target" if column["name"] == target else _role(column),
            missing=percent(column.get("missing"), rows) if column.get("missing") else "",
            width=f"{100 * (column.get('missing') or 0) / rows if rows else 0:.1f}%",
        )
        for column in listed
    ]
    return found[:SHOWN_COLUMNS], max(0, len(found) - SHOWN_COLUMNS)


def _role(column: Mapping[str, Any]) -> str:
    role = str(column.get("role", "feature"))
    if column.get("available") == "later":
        return "known only later"
    return "not used (text)" if role == "feature" and column.get("type") == "text" else role


@dataclass(frozen=True)
class SourceRow:
    """One source with its files and how they were read."""

    name: str
    rows: str
    files: str
    reading: str


def sources(facts: Facts) -> list[SourceRow]:
    found = facts.document("ingest").get("sources")
    return [_source(str(name), each) for name, each in found.items()] if isinstance(found, Mapping) else []


def _source(name: str, source: Any) -> SourceRow:
    source = source if isinstance(source, Mapping) else {}
    files = [each for each in source.get("files") or () if isinstance(each, Mapping)]
    named = [f"{cut(each.get('file'))} ({number((each.get('bytes') or 0) / 1e6)} MB)" for each in files]
    more = f" and {number(len(named) - SHOWN_FILES)} more" if len(named) > SHOWN_FILES else ""
    first = {key: value for key, value in (files[0] if files else {}).items() if key not in ("file", "bytes")}
    return SourceRow(name, number(source.get("rows")), ", ".join(named[:SHOWN_FILES]) + more, _reading(first))


def _reading(found: Mapping[str, Any]) -> str:
    """``format csv, delimiter ",", header yes``: signs are quoted, since commas and blanks are easily missed."""
    return ", ".join(
        f"{key.replace('_', ' ')} {repr(value) if isinstance(value, str) and len(value) <= 2 else show(value)}"
        for key, value in found.items()
    )


def expectations(facts: Facts) -> list[Mapping[str, Any]]:
    """The suite's results, failures first, the gravest at the top."""
    results = facts.document("validation").get("results") or ()
    return sorted(
        results,
        key=lambda r: (
            bool(r.get("success")),
            _SEVERITIES.index(r["severity"]) if r.get("severity") in _SEVERITIES else 0,
        ),
    )


Plain = tuple[list[tuple[str, str]], list[tuple[str, list[str], list[list[str]]]]]
"""Scalars as (name, value), and lists of flat objects as (name, headings, rows)."""


def plain(document: Mapping[str, Any], *, without: Sequence[str] = ()) -> Plain:
    """Whatever a document holds, laid out without knowing what it means."""
    scalars: list[tuple[str, str]] = []
    tables: list[tuple[str, list[str], list[list[str]]]] = []
    for name, value in document.items():
        if name in without or value is None or value in ({}, []):
            continue
        words = name.replace("_", " ")
        if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
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
    longest = max((stage.seconds for stage in facts.stages), default=0.0)
    return [_stage_row(stage, longest) for stage in facts.stages]


def _stage_row(stage: Stage, longest: float) -> StageRow:
    record = stage.record
    return StageRow(
        name=record.name,
        status=record.status,
        seconds=seconds(stage.seconds) if stage.seconds else "",
        width=f"{100 * stage.seconds / longest if longest else 0:.2f}%",
        reason=record.reason if record.status != "skipped" else "",
        key=record.key if record.status != "skipped" else "",
    )


def total_seconds(facts: Facts) -> tuple[str, str]:
    """What this run took, and what was saved by the cache."""
    spent = sum(stage.record.seconds for stage in facts.stages)
    saved = sum(stage.seconds for stage in facts.stages if stage.record.status == "cached")
    return seconds(spent), seconds(saved) if saved >= 0.1 else ""


def lineage(facts: Facts) -> Iterator[tuple[str, str]]:
    """Where everything came from: (what, exactly which)."""
    record = facts.record
    yield "run", record.run
    yield "problem file", record.problem_path
    yield "started", record.started
    yield "finished", record.finished or "not yet"
    yield from _where(record)
    for name, what in (
        ("table", "table, digest of the content"),
        ("train_set", "training part, digest"),
        ("test_set", "sealed test part, digest"),
    ):
        if digest := facts.document(name).get("digest"):
            yield what, str(digest)
    train = facts.producer("model")
    files = (train.manifest.get("files") or {}) if train else {}
    if "model/model.pt2" in files:
        yield "model.pt2, sha256", str(files["model/model.pt2"].get("sha256"))
    for name, value in (facts.document("registration").get("tags") or {}).items():
        if str(name).endswith("_digest"):
            yield str(name).replace("_", " "), str(value)
    for section, field in (("split", "seed"), ("train", "seed"), ("evaluate", "seed")):
        if (value := facts.problem.get(section, {}).get(field)) is not None:
            yield f"{section} seed", str(value)
    for name, value in record.overrides.items():
        yield f"set by hand: {name}", str(value)


def _where(record: RunRecord) -> Iterator[tuple[str, str]]:
    places = {
        "sagemaker": f"Amazon SageMaker, stack {record.stack}",
        "sagemaker-local": "the local cloud of its workspace",
    }
    yield "ran on", places.get(record.on, "one machine")
    for name, value in (
        ("store", record.store),
        ("pipeline execution", record.execution),
        ("steps of the execution", ", ".join(f"{job} {status}" for job, status in record.jobs.items())),
        ("model package", record.package),
    ):
        if value:
            yield name, value


@dataclass(frozen=True)
class CandidateRow:
    """One candidate model on the validation folds."""

    name: str
    status: str
    got: Got | None
    details: str
    unmet: Sequence[str]


def candidates(facts: Facts) -> list[CandidateRow]:
    training = facts.document("training")
    found = training.get("candidates") or ()
    estimates = [_score(candidate) for candidate in found]
    scale, places = Scale.of(estimates), decimals_for(*estimates)
    return [
        CandidateRow(
            name=str(candidate.get("name")),
            status=str(candidate.get("status")),
            got=got("", estimate, scale, places) if is_number(estimate["value"]) else None,
            details=candidate.get("reason") or _details(candidate),
            unmet=candidate.get("unmet") or (),
        )
        for candidate, estimate in zip(found, estimates, strict=True)
    ]


def _score(candidate: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": candidate.get("score"), "low": candidate.get("low"), "high": candidate.get("high")}


def _details(candidate: Mapping[str, Any]) -> str:
    epochs = [number(fold.get("epochs")) for fold in candidate.get("folds") or ()]
    weights = f"{number(candidate.get('weights'))} weights" if candidate.get("weights") else ""
    return "; ".join(part for part in (weights, f"epochs kept: {', '.join(epochs)}" if epochs else "") if part)


def use(facts: Facts) -> Iterator[tuple[str, str]]:
    """What using the model costs, measured on what was exported."""
    metrics = facts.metrics
    for name, label, unit in (
        ("application/predict_p50_ms", "time for a single row", "ms"),
        ("application/predict_p99_ms", "99 of 100 single rows take less than", "ms"),
        ("application/predict_rows_per_second", "rows at once", "rows per second"),
        ("application/model_mb", "size of the model", "MB"),
        ("framework/samples_per_second", "training speed", "rows per second"),
        ("framework/peak_memory_mb", "peak memory while training", "MB"),
    ):
        if name in metrics:
            yield label, f"{number(metrics[name])} {unit}"
