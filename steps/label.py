"""label: each row gets its label, from a column or by a declared rule, and says where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from model_code import tasks
from model_code.tasks import labels
from steps import documents
from steps.core import Config, Input, Output
from steps.errors import GateRefused, InputError, near
from steps.journal import Journal
from steps.labeling.classes import choose_positive, class_metrics
from steps.labeling.document import ClassShare, LabelReport, PositiveClass
from steps.tables.schema import LABEL_SOURCE, ROW, Column, TableSchema, Target, unused

if TYPE_CHECKING:
    import polars as pl

    from model_code.tasks import Task

SHOWN = 20
"""How many row numbers a message names."""
FEW = 5
"""A class needs this many rows: fewer may end in one part only, and nothing can be said of it."""


class LabelConfig(Config):
    """What is predicted and how each row gets it."""

    target: str = Field(description="The column that is predicted, or the name of what the rule makes.")
    task: str = Field(description="binary-classification, multiclass-classification or regression.")
    rule: str | None = Field(
        default=None, description="A SQL expression over the table's columns that makes the label: arr_delay >= 15."
    )
    unlabeled: Literal["drop", "refuse"] = Field(
        default="refuse", description="Rows without a label: 'drop' leaves them out and reports it, 'refuse' stops."
    )
    positive: str | None = Field(
        default=None, description="Of two classes the one that metrics speak of; guessed and reported when left out."
    )
    minimum_coverage: float = Field(
        default=0, ge=0, le=1, description="The run stops when a smaller share of the rows has a label."
    )
    classes: tuple[str, ...] | None = Field(
        default=None, description="All classes, in the order of their indices; a label outside of them is an error."
    )


def label(table: Input, labeled: Output, config: LabelConfig, log: Journal) -> None:
    """Write the labelled rows, with the provenance of each label.

    Raises:
        InputError: the target or the rule is wrong, or the labels do not fit the task.
        GateRefused: rows are without a label where that is refused, or coverage is too low.
    """
    import polars as pl

    schema = documents.read(TableSchema, table)
    rows = pl.read_parquet(table / "data.parquet", columns=[ROW], glob=False)[ROW]
    raw, notes = _raw_labels(table / "data.parquet", schema, config)
    task = tasks.get(config.task)
    values = _labels(raw, rows, config)
    report = LabelReport(target=config.target, task=config.task, **_coverage(values, rows, config), notes=notes)
    reasons = _refusals(report, config)
    known = values.drop_nulls()
    if known.is_empty():
        raise InputError(f"target {config.target!r}: none of the {len(values):,} rows has a label")
    _check_constant(known, config)
    counts = _counts(values, raw, config)
    classes, summary = _classes(task, counts, config) if counts else ((), _summary(known))
    report = report.model_copy(update=summary)
    _publish(table, labeled, schema, values, classes, config)
    documents.write(labeled, report)
    _say(report, log)
    if reasons:
        raise GateRefused(*reasons)


def _raw_labels(path: Path, schema: TableSchema, config: LabelConfig) -> tuple[pl.Series, list[str]]:
    """The target as it is in the table or as the rule makes it, for every row, and what is to be said of it."""
    import polars as pl

    from steps.labeling.rules import apply_rule

    names = [column.name for column in schema.columns]
    if config.target in (ROW, LABEL_SOURCE):
        raise InputError(f"target {config.target!r} is a name that every table has already; give the label another one")
    if config.rule is None:
        if config.target not in names:
            raise InputError(
                f"target {config.target!r}: the table has no such column{near(config.target, names)}; "
                f"its columns are: {', '.join(names)}. To make a label out of them, write label.rule"
            )
        return pl.scan_parquet(path, glob=False).select(config.target).collect()[config.target], []
    if config.target in names:
        raise InputError(
            f"target {config.target!r} is a column already, and label.rule makes another of that name; "
            f"give what the rule makes a name of its own, or leave label.rule out to predict the column"
        )
    made, alone = apply_rule(path, config.rule, names)
    return made, [] if alone else ["the rule looks at other rows (a window): new rows can change old labels"]


def _labels(raw: pl.Series, rows: pl.Series, config: LabelConfig) -> pl.Series:
    """Each row's label, null where there is none."""
    try:
        return labels.get(config.task).read(raw)
    except labels.Unfit as unfit:
        where = ""
        if unfit.rows is not None:
            wrong = rows.filter(unfit.rows)
            where = f" in {len(wrong):,} of {len(raw):,} rows (rows {_listed(wrong)})"
        raise InputError(f"target {config.target!r} {unfit.problem}{where}; {unfit.advice}") from None


def _listed(rows: pl.Series) -> str:
    return ", ".join(map(str, rows.head(SHOWN).to_list())) + (" ..." if len(rows) > SHOWN else "")


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
        "unlabeled_rows": missing.head(SHOWN).to_list(),
        "coverage": labeled / len(values) if len(values) else 0.0,
        "provenance": {_source(config): labeled},
    }


def _source(config: LabelConfig) -> str:
    return "rule" if config.rule is not None else f"column:{config.target}"


def _refusals(report: LabelReport, config: LabelConfig) -> list[str]:
    reasons = []
    missing, total = report.rows_unlabeled, report.rows
    if missing and config.unlabeled == "refuse":
        rows = ", ".join(map(str, report.unlabeled_rows)) + (" ..." if missing > SHOWN else "")
        reasons.append(
            f"{missing:,} of {total:,} rows have no label (rows {rows}); write label.unlabeled: drop to leave "
            f"them out, or label them"
        )
    if report.coverage < config.minimum_coverage:
        reasons.append(
            f"{report.coverage:.1%} of the rows have a label ({report.rows_labeled:,} of {total:,}); "
            f"label.minimum_coverage wants {config.minimum_coverage:.1%}"
        )
    return reasons


def _check_constant(known: pl.Series, config: LabelConfig) -> None:
    if known.n_unique() == 1:
        raise InputError(
            f"target {config.target!r} has the same value in all {len(known):,} labelled rows: there is nothing "
            f"to learn; "
            f"look at {'label.rule' if config.rule else 'the column, or choose another target'}"
        )


def _counts(values: pl.Series, raw: pl.Series, config: LabelConfig) -> dict[str, int]:
    """The rows of each class, in the order of the classes' indices; empty where labels are numbers."""
    try:
        counts = labels.get(config.task).count(values, raw)
    except labels.Unfit as unfit:
        raise InputError(f"target {config.target!r} {unfit}") from None
    if not counts or config.classes is None:
        return counts
    _check_declared(counts, config)
    return {name: counts[name] for name in config.classes}


def _classes(task: Task, counts: dict[str, int], config: LabelConfig) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The classes in the order of their indices, and what is reported of them."""
    few = {name: count for name, count in counts.items() if count < FEW}
    if few:
        raise InputError(
            f"target {config.target!r}: too few rows of "
            f"{', '.join(f'{name!r} ({count})' for name, count in list(few.items())[:SHOWN])}"
            f"{f' and {len(few) - SHOWN} more' if len(few) > SHOWN else ''}; "
            f"each class needs {FEW} or more: merge classes with label.rule, or leave the rows out with data.query"
        )
    positive = None
    if task.has_positive:
        name, how = choose_positive(counts, config.positive, in_order=config.classes is not None)
        counts = {each: counts[each] for each in sorted(counts, key=lambda each: each == name)}
        positive = PositiveClass(name=name, how=how)
    total = sum(counts.values())
    balance = tuple(ClassShare(name=name, rows=count, share=count / total) for name, count in counts.items())
    return tuple(counts), {"classes": balance, "positive": positive}


def _check_declared(found: dict[str, int], config: LabelConfig) -> None:
    assert config.classes is not None
    extra = sorted(set(found) - set(config.classes))
    absent = sorted(set(config.classes) - set(found))
    if extra or absent:
        faults = [f"labels outside of them: {', '.join(map(repr, extra[:SHOWN]))}"] if extra else []
        faults += [f"without a row: {', '.join(map(repr, absent[:SHOWN]))}"] if absent else []
        raise InputError(f"label.classes lists {', '.join(map(repr, config.classes))}; {'; '.join(faults)}")


def _summary(known: pl.Series) -> dict[str, Any]:
    """What is reported of a number: moments and quantiles, no row's value."""
    quantiles = {f"p{round(100 * q):02d}": known.quantile(q, "linear") for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {"summary": {"mean": known.mean(), "standard_deviation": known.std(), **quantiles}}


def _publish(
    table: Path, labeled: Path, schema: TableSchema, values: pl.Series, classes: tuple[str, ...], config: LabelConfig
) -> None:
    """The labelled rows as a table, streamed; a column that is the target stays at its place."""
    import polars as pl

    from steps.tables.digest import ROW_GROUP, table_digest, with_missing

    made = unused("_label", {config.target, *(column.name for column in schema.columns)})
    beside = pl.LazyFrame({made: values})
    lazy = pl.concat([pl.scan_parquet(table / "data.parquet", glob=False), beside], how="horizontal")
    lazy = lazy.filter(pl.col(made).is_not_null()).with_columns(
        pl.col(made).alias(config.target), pl.lit(_source(config)).alias(LABEL_SOURCE)
    )
    data = labeled / "data.parquet"
    lazy.drop(made).sink_parquet(data, maintain_order=True, row_group_size=ROW_GROUP)
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
        ),
    )


def _say(report: LabelReport, log: Journal) -> None:
    log.metric("data/label_coverage", report.coverage)
    log.metric("data/rows_labeled", report.rows_labeled)
    log.metric("data/rows_unlabeled", report.rows_unlabeled)
    if report.rows_unlabeled:
        log.note(f"{report.rows_unlabeled:,} of {report.rows:,} rows have no label ({report.unlabeled})")
    for note in report.notes:
        log.warning(note)
    if report.classes:
        log.metrics(class_metrics({share.name: share.rows for share in report.classes}))
        log.table("class balance", [share.model_dump(by_alias=True) for share in report.classes])
        if report.positive:
            log.parameter("positive_class", report.positive.name)
            log.note(f"positive class: {report.positive.name!r} ({report.positive.how})")
    elif report.summary:
        for name in ("mean", "standard_deviation"):
            if (value := report.summary[name]) is not None:
                log.metric(f"data/target_{name}", value)
