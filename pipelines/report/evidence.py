"""The second half of the report as plain rows: columns, expectations, leak checks, training, lineage, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report.gather import Facts, Stage
from pipelines.report.numbers import Scale, number, percent, seconds, show

SHOWN_COLUMNS = 120
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


def shares(counts: Mapping[str, Any]) -> list[Share]:
    """Counts by name, in their own order."""
    numbers = {name: float(value) for name, value in counts.items() if isinstance(value, int | float)}
    total, most = sum(numbers.values()), max(numbers.values(), default=0)
    return [
        Share(str(name), number(int(value)), percent(value, total), f"{100 * value / most if most else 0:.2f}%")
        for name, value in numbers.items()
    ]


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
    listed = [column for column in schema.get("columns", ()) if not str(column.get("name", "")).startswith("_")]
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


def expectations(facts: Facts) -> list[Mapping[str, Any]]:
    """The suite's results, failures first, the gravest at the top."""
    results = facts.document("validation").get("results", ())
    return sorted(results, key=lambda r: (bool(r.get("success")), _SEVERITIES.index(r["severity"]) if r.get("severity") in _SEVERITIES else 0))


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
        elif isinstance(value, Mapping) and not all(isinstance(item, _SCALARS) or item is None for item in value.values()):
            tables.append((words, ["", "value"], [[str(key), show(item, 300)] for key, item in list(value.items())[:50]]))
        elif isinstance(value, Mapping):
            scalars += [(f"{words}: {key}", show(item)) for key, item in list(value.items())[:30]]
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
        reason=record.reason,
        key=record.key if record.status != "skipped" else "",
    )


def total_seconds(facts: Facts) -> tuple[str, str]:
    """What this run took, and what was saved by the cache."""
    spent = sum(stage.record.seconds for stage in facts.stages)
    saved = sum(stage.seconds for stage in facts.stages if stage.record.status == "cached")
    return seconds(spent), seconds(saved) if saved else ""


def lineage(facts: Facts) -> Iterator[tuple[str, str]]:
    """Where everything came from: (what, exactly which)."""
    record = facts.record
    yield "run", record.run
    yield "problem file", record.problem_path
    yield "started", record.started
    yield "finished", record.finished or "not yet"
    for name, what in (("table", "table, digest of the content"), ("train_set", "training part, digest"), ("test_set", "sealed test part, digest")):
        if digest := facts.document(name).get("digest"):
            yield what, str(digest)
    train = facts.stage("train")
    files = train.manifest.get("files", {}) if train else {}
    if "model/model.pt2" in files:
        yield "model.pt2, sha256", str(files["model/model.pt2"].get("sha256"))
    for section, field in (("split", "seed"), ("train", "seed"), ("evaluate", "seed")):
        if (value := facts.problem.get(section, {}).get(field)) is not None:
            yield f"{section} seed", str(value)
    for name, value in record.overrides.items():
        yield f"set by hand: {name}", str(value)


def scale_of(values: Sequence[float]) -> Scale:
    return Scale(values)
