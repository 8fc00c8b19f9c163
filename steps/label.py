"""label: each row gets its label, from a column or by a declared rule, with its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from model_code import tasks
from model_code.tasks import labels
from steps import documents
from steps.core import Config, Input, Output
from steps.errors import GateRefused, InputError
from steps.journal import Journal
from steps.labeling.classes import choose_positive, class_metrics, twins
from steps.labeling.document import ClassShare, LabelReport, PositiveClass
from steps.tables.names import LABEL_SOURCE, ROW
from steps.tables.schema import Column, TableSchema, Target, unused
from steps.wording import near

if TYPE_CHECKING:
    import polars as pl

    from model_code.tasks import Task

LISTED = 20
"""How many row numbers a message lists."""
FEW = 5
"""The rows that each class needs; fewer may all end in one part, and no metric on them means anything."""


class LabelSection(Config):
    """How each row gets its label."""

    rule: str | None = Field(
        default=None, description="A SQL expression over the table's columns that computes the label: arr_delay >= 15."
    )
    unlabeled: Literal["drop", "refuse"] = Field(
        default="refuse", description="Rows without a label: 'drop' leaves them out and reports it, 'refuse' stops."
    )
    positive: str | None = Field(
        default=None, description="The positive one of two classes; guessed and reported when left out."
    )
    minimum_coverage: float = Field(
        default=0, ge=0, le=1, description="The run stops when a smaller share of the rows has a label."
    )
    classes: tuple[str, ...] | None = Field(
        default=None, description="All classes, in the order of their indices; any other label is an error."
    )
    leave_out: tuple[str, ...] = Field(
        default=(), description="Classes whose rows are left out, such as those with fewer than 5 rows."
    )
    class_metrics: bool = Field(
        default=False, description="Track the share of every class as a metric where there are more than two, too."
    )


class LabelConfig(LabelSection):
    """The predicted column and how each row gets its label."""

    target: str = Field(description="The predicted column, or the name of the column that the rule computes.")
    task: str = Field(description="binary-classification, multiclass-classification or regression.")


def label(table: Input, labeled: Output, config: LabelConfig, log: Journal) -> None:
    """Write the labelled rows, with the provenance of each label.

    Raises:
        InputError: the target or the rule is wrong, or the labels do not fit the task.
        GateRefused: rows without a label are refused, or coverage is too low.
    """
    import polars as pl

    schema = documents.read(TableSchema, table)
    rows = pl.read_parquet(table / "data.parquet", columns=[ROW], glob=False)[ROW]
    raw, notes = _raw_labels(table / "data.parquet", schema, config)
    task = tasks.get(config.task)
    values = _labels(raw, rows, config)
    report = LabelReport(target=config.target, task=config.task, **_coverage(values, rows, config), notes=notes)
    reasons = _refusals(report, config, _missing_words(schema, config))
    values, left_out = _leave_out(values, config)
    present = values.drop_nulls()
    if present.is_empty():
        raise InputError(f"target {config.target!r}: none of the {len(values):,} rows has a label")
    _check_constant(present, config)
    counts = _counts(values, raw, config)
    classes, summary = _classes(task, counts, config) if counts else ((), _summary(present))
    notes = [*notes, f"rows of classes left out: {listed_counts(left_out)}"] if left_out else notes
    report = report.model_copy(update={**summary, "left_out": left_out, "notes": (*notes, *_spellings(counts))})
    _publish(table, labeled, schema, values, classes, config)
    documents.write(labeled, report)
    _log(report, config, log)
    if reasons:
        raise GateRefused(*reasons)


def _raw_labels(path: Path, schema: TableSchema, config: LabelConfig) -> tuple[pl.Series, list[str]]:
    """Return the target of every row as the table holds it or the rule computes it, and notes about it."""
    import polars as pl

    from steps.labeling.rules import apply_rule

    names = [column.name for column in schema.columns]
    if config.target in (ROW, LABEL_SOURCE):
        raise InputError(f"target {config.target!r} is a reserved column name; give the label another name")
    if config.rule is None:
        if config.target not in names:
            raise InputError(
                f"target {config.target!r}: the table has no such column{near(config.target, names)}; "
                f"its columns are: {', '.join(names)}. To compute a label from them, write label.rule"
            )
        return pl.scan_parquet(path, glob=False).select(config.target).collect()[config.target], []
    if config.target in names:
        raise InputError(
            f"target {config.target!r} is a column already, and label.rule computes another one; "
            f"give the label another name, or leave label.rule out to predict the column"
        )
    values, alone = apply_rule(path, config.rule, names)
    return values, [] if alone else ["the rule looks at other rows (a window): new rows can change old labels"]


def _labels(raw: pl.Series, rows: pl.Series, config: LabelConfig) -> pl.Series:
    """Return the label of each row, null where there is none."""
    try:
        return labels.get(config.task).read(raw)
    except labels.Unfit as unfit:
        where = ""
        if unfit.rows is not None:
            wrong = rows.filter(unfit.rows)
            where = f" in {len(wrong):,} of {len(raw):,} rows (rows {_listed(wrong)})"
        raise InputError(f"target {config.target!r} {unfit.problem}{where}; {unfit.advice}") from None


def _leave_out(values: pl.Series, config: LabelConfig) -> tuple[pl.Series, dict[str, int]]:
    """Return the labels without those of the classes to be left out, and the rows of each of these."""
    if not config.leave_out:
        return values, {}
    if values.dtype.is_numeric():
        raise InputError("label.leave_out: the labels are numbers, not classes")
    rows: dict[str, int] = dict(values.drop_nulls().value_counts().iter_rows())
    for name in config.leave_out:
        if name not in rows:
            raise InputError(f"label.leave_out: no row has the class {name!r}{near(name, list(rows))}")
    return values.set(values.is_in(config.leave_out), None), {name: rows[name] for name in config.leave_out}


def _listed(rows: pl.Series) -> str:
    return ", ".join(map(str, rows.head(LISTED).to_list())) + (" ..." if len(rows) > LISTED else "")


def _coverage(values: pl.Series, rows: pl.Series, config: LabelConfig) -> dict[str, Any]:
    missing = rows.filter(values.is_null())
    labeled = len(values) - len(missing)
    return {
        "source": _source(config),
        "rule": config.rule,
        "rows": len(values),
        "rows_labeled": labeled,
        "rows_unlabeled": len(missing),
        "unlabeled": config.unlabeled,
        "unlabeled_rows": missing.head(LISTED).to_list(),
        "coverage": labeled / len(values) if len(values) else 0.0,
        "provenance": {_source(config): labeled},
    }


def _source(config: LabelConfig) -> str:
    return "rule" if config.rule is not None else f"column:{config.target}"


def _missing_words(schema: TableSchema, config: LabelConfig) -> str:
    """Return which cells of the target count as no label, as a part of a sentence."""
    column = next((column for column in schema.columns if column.name == config.target), None)
    words = [word for word in column.reading.missing if word] if column and column.reading else []
    return f"; cells {', '.join(map(repr, words))} count as none (data.sources.NAME.missing)" if words else ""


def _spellings(counts: dict[str, int]) -> list[str]:
    return [
        f"classes that differ in case or blanks only count as different: {', '.join(map(repr, names))}; make them one in "
        "data.query or label.rule if they are"
        for names in twins(counts)
    ]


def _refusals(report: LabelReport, config: LabelConfig, words: str) -> list[str]:
    reasons = []
    missing, total = report.rows_unlabeled, report.rows
    if missing and config.unlabeled == "refuse":
        rows = ", ".join(map(str, report.unlabeled_rows)) + (" ..." if missing > LISTED else "")
        reasons.append(
            f"{missing:,} of {total:,} rows have no label (rows {rows}){words}; write label.unlabeled: drop to leave "
            f"them out, or label them"
        )
    if report.coverage < config.minimum_coverage:
        reasons.append(
            f"{report.coverage:.1%} of the rows have a label ({report.rows_labeled:,} of {total:,}); "
            f"label.minimum_coverage is {config.minimum_coverage:.1%}"
        )
    return reasons


def _check_constant(present: pl.Series, config: LabelConfig) -> None:
    if present.n_unique() == 1:
        raise InputError(
            f"target {config.target!r} has the same value in all {len(present):,} labelled rows, so there is nothing "
            f"to learn; check {'label.rule' if config.rule else 'the column, or choose another target'}"
        )


def _counts(values: pl.Series, raw: pl.Series, config: LabelConfig) -> dict[str, int]:
    """Return the rows of each class, in the order of the classes' indices; empty where labels are numbers."""
    try:
        counts = labels.get(config.task).count(values, raw)
    except labels.Unfit as unfit:
        raise InputError(f"target {config.target!r} {unfit}") from None
    if not counts or config.classes is None:
        return counts
    _check_declared(counts, config)
    return {name: counts[name] for name in config.classes}


def _classes(task: Task, counts: dict[str, int], config: LabelConfig) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the classes in the order of their indices, and their part of the report."""
    few = {name: count for name, count in counts.items() if count < FEW}
    if few:
        raise InputError(
            f"target {config.target!r}: too few rows of "
            f"{listed_counts(few)}; each class needs {FEW} or more: merge classes with label.rule, or leave their rows out "
            f"with label.leave_out: [{', '.join(map(json.dumps, list(few)[:LISTED]))}]"
        )
    positive = None
    if task.has_positive:
        name, how = choose_positive(counts, config.positive, in_order=config.classes is not None)
        counts = {
            other: counts[other] for other in sorted(counts, key=lambda other: other == name)
        }  # the positive last
        positive = PositiveClass(name=name, how=how)
    total = sum(counts.values())
    balance = tuple(ClassShare(name=name, rows=count, share=count / total) for name, count in counts.items())
    return tuple(counts), {"classes": balance, "positive": positive}


def listed_counts(counts: Mapping[str, int]) -> str:
    """Return classes with their rows as a part of a sentence."""
    more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
    return ", ".join(f"{name!r} ({count:,})" for name, count in list(counts.items())[:LISTED]) + more


def _check_declared(counts: dict[str, int], config: LabelConfig) -> None:
    assert config.classes is not None
    extra = sorted(set(counts) - set(config.classes))
    absent = sorted(set(config.classes) - set(counts))
    if extra or absent:
        faults = [f"other labels in the data: {', '.join(map(repr, extra[:LISTED]))}"] if extra else []
        faults += [f"classes without rows: {', '.join(map(repr, absent[:LISTED]))}"] if absent else []
        raise InputError(f"label.classes lists {', '.join(map(repr, config.classes))}; {'; '.join(faults)}")


def _summary(present: pl.Series) -> dict[str, Any]:
    """Return the report of a numeric label: moments and quantiles, no value of a row."""
    quantiles = {f"p{round(100 * q):02d}": present.quantile(q, "linear") for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {"summary": {"mean": present.mean(), "standard_deviation": present.std(), **quantiles}}


def _publish(
    table: Path, labeled: Path, schema: TableSchema, values: pl.Series, classes: tuple[str, ...], config: LabelConfig
) -> None:
    """Write the labelled rows as a table, streamed; a column that is the target stays in its place."""
    import polars as pl

    from steps.tables.digest import ROW_GROUP, table_digest, with_missing

    name = unused("_label", {config.target, *(column.name for column in schema.columns)})
    beside = pl.LazyFrame({name: values})
    lazy = pl.concat([pl.scan_parquet(table / "data.parquet", glob=False), beside], how="horizontal")
    lazy = lazy.filter(pl.col(name).is_not_null()).with_columns(
        pl.col(name).alias(config.target), pl.lit(_source(config)).alias(LABEL_SOURCE)
    )
    data = labeled / "data.parquet"
    lazy.drop(name).sink_parquet(data, maintain_order=True, row_group_size=ROW_GROUP)
    kind: Literal["category", "float"] = "category" if classes else "float"
    target = Column(name=config.target, type=kind)
    columns = tuple(target if column.name == config.target else column for column in schema.columns)
    if config.rule is not None:
        columns = (*columns, target)
    rows = len(values) - values.null_count()
    documents.write(
        labeled,
        TableSchema(
            rows=rows,
            digest=table_digest(data),
            columns=with_missing(data, columns),
            target=Target(name=config.target, task=config.task, classes=classes),
            layout=schema.layout,
        ),
    )


def _shares(counts: Mapping[str, int], *, every: bool) -> dict[str, float]:
    """Return metrics of the classes: how many there are, the shares of the rarest and the most frequent, and of each."""
    total = sum(counts.values())
    ends = {"smallest": min(counts.values()), "largest": max(counts.values())}
    metrics = {"data/classes": float(len(counts))}
    metrics |= {f"data/{end}_class_share": rows / total for end, rows in ends.items()}
    return metrics | (class_metrics(counts) if every or len(counts) == 2 else {})


def _log(report: LabelReport, config: LabelConfig, log: Journal) -> None:
    log.metric("data/label_coverage", report.coverage)
    log.metric("data/rows_labeled", report.rows_labeled)
    log.metric("data/rows_unlabeled", report.rows_unlabeled)
    if report.rows_unlabeled:
        log.note(f"{report.rows_unlabeled:,} of {report.rows:,} rows have no label ({report.unlabeled})")
    for note in report.notes:
        log.warning(note)
    if report.classes:
        log.metrics(_shares({share.name: share.rows for share in report.classes}, every=config.class_metrics))
        log.table("class balance", [share.model_dump(by_alias=True) for share in report.classes])
        if report.positive:
            log.parameter("positive_class", report.positive.name)
            log.note(f"positive class: {report.positive.name!r} ({report.positive.how})")
    elif report.summary:
        for name in ("mean", "standard_deviation"):
            if (value := report.summary[name]) is not None:
                log.metric(f"data/target_{name}", value)
