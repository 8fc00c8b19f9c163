"""What columns are for, which task the target makes, and which thresholds learnable data passes and noise does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.propose import Guess
from steps.errors import InputError
from steps.labeling.classes import choose_positive, class_names, ordered_classes
from steps.schema import Column, TableSchema, Target

if TYPE_CHECKING:
    import polars as pl

_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|key|uuid|guid|index|idx|no|nr|number|identifier|code)$|^(id|index|unnamed.*|column_1)$|[a-z](Id|ID|Key|Number|Index)$",
)
_SLICE_VALUES = range(2, 9)
_LOOKED_AT = 50_000
"""Rows on which single columns are compared with the target."""
_TOO_STRONG = 0.985


@dataclass(frozen=True)
class Asked:
    """What the person said."""

    target: str
    ignore: tuple[str, ...]
    task: str | None
    by: str
    column: str | None


@dataclass
class Looked:
    """What the data says."""

    task: str
    columns: tuple[Guess, ...] = ()
    success: tuple[dict[str, Any], ...] = ()
    label: dict[str, Any] = field(default_factory=dict)
    slices: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    target: str = ""


def look(table: Path, schema: TableSchema, asked: Asked, codes: set[str]) -> Looked:
    """Guess everything about an ingested table.

    Args:
        codes: columns whose whole numbers are written with leading zeros.

    Raises:
        InputError: the target cannot be predicted, or does not fit the task.
    """
    import polars as pl

    data = pl.scan_parquet(table / "data.parquet", glob=False)
    values = data.select(asked.target).collect()[asked.target]
    column = next(each for each in schema.columns if each.name == asked.target)
    counts = {
        each: int(n) for each, n in class_names(values).drop_nulls().value_counts(sort=True).head(1000).iter_rows()
    }
    said: list[str] = []
    decide: list[str] = []
    task = _task(column, values, counts, asked, said)
    looked = Looked(task, target=asked.target)
    looked.columns = tuple(_columns(data, schema, asked, codes, task))
    looked.success = tuple(_success(task, counts, len(values)))
    looked.label = _label(task, column, values, counts, said)
    looked.slices = tuple(_slices(data, looked.columns))
    _suspicious(data, schema, looked, counts, decide)
    _questions(schema, looked, asked, decide, data)
    looked.guessed, looked.decide = tuple(said), tuple(decide)
    return looked


def _task(column: Column, values: pl.Series, counts: dict[str, int], asked: Asked, said: list[str]) -> str:
    distinct = values.drop_nulls().n_unique()
    name, numeric = asked.target, column.type in ("integer", "float")
    if distinct < 2:
        raise InputError(
            f"--target {name}: the column has {'no values' if distinct == 0 else 'one value only'}; there is "
            "nothing to learn"
        )
    if column.type in ("date", "datetime"):
        raise InputError(
            f"--target {name}: the column holds {column.type}s; predict a number or a class, made of it by label.rule"
        )
    if asked.task == "regression" and not numeric:
        raise InputError(f"--task regression: the target {name!r} is {column.type}; a regression predicts a number")
    if asked.task == "binary-classification" and distinct != 2:
        raise InputError(f"--task binary-classification: the target {name!r} has {distinct:,} distinct values, not two")
    task = asked.task or (
        "binary-classification" if distinct == 2 else "regression" if numeric else "multiclass-classification"
    )
    if task == "multiclass-classification" and (distinct > 1000 or distinct > len(values) / 2):
        raise InputError(
            f"--target {name}: {distinct:,} distinct values in {len(values):,} rows are no classes; choose another "
            "target"
        )
    if asked.task is None:
        alternative = ""
        if task == "regression" and column.type == "integer" and distinct <= 30:
            alternative = "; with --task multiclass-classification they are classes instead"
        said.append(
            f"the task is {task}, since {name!r} has {distinct:,} different "
            f"{'numbers' if numeric else 'values'}{alternative}"
        )
    return task


def _columns(data: pl.LazyFrame, schema: TableSchema, asked: Asked, codes: set[str], task: str) -> list[Guess]:
    import polars as pl

    floats = [column.name for column in schema.columns if column.type == "float"]
    others = [column.name for column in schema.columns if column.type != "float"]
    distinct: dict[str, int] = _row(data, [pl.col(name).drop_nulls().n_unique() for name in others])
    same: dict[str, bool] = _row(data, [pl.col(name).min() == pl.col(name).max() for name in floats])
    constant = {name for name, count in distinct.items() if count == 1} | {name for name, yes in same.items() if yes}
    counting = [c.name for c in schema.columns if c.type == "integer" and distinct[c.name] == schema.rows]
    steps: dict[str, bool] = _row(data, [(pl.col(name).diff().drop_nulls() == 1).all() for name in counting])
    return [
        _guess(column, schema, asked, codes, task, distinct.get(column.name), constant, steps.get(column.name, False))
        for column in schema.columns
    ]


def _row(data: pl.LazyFrame, questions: list[pl.Expr]) -> dict[str, Any]:
    """The answers to questions about columns, by column."""
    return data.select(questions).collect(engine="streaming").row(0, named=True) if questions else {}


def _guess(
    column: Column,
    schema: TableSchema,
    asked: Asked,
    codes: set[str],
    task: str,
    distinct: int | None,
    constant: set[str],
    counts_up: bool,
) -> Guess:
    name, kind = column.name, str(column.type)
    missing = f"{column.missing:,} missing" if column.missing else ""
    if name == asked.target:
        kind = "category" if kind == "text" else kind
        return Guess(name, kind, "feature", f"the target; never a feature{', ' + missing if missing else ''}")
    if name in asked.ignore:
        return Guess(name, kind, "ignore", "ignored, as asked")
    if name == asked.column:
        return Guess(name, kind, asked.by, f"the split's {asked.by}")
    if column.missing == schema.rows:
        return Guess(name, kind, "ignore", "no values at all")
    if name in constant and not (column.missing and kind in ("category", "boolean")):
        return Guess(name, kind, "ignore", "the same value everywhere")
    if kind == "integer" and name in codes:
        kind = "category" if (distinct or 0) <= schema.rows / 2 else "text"
        return Guess(
            name,
            kind,
            "key" if distinct == schema.rows else "feature",
            "written with leading zeros: a code, not a number",
        )
    unique = distinct == schema.rows - column.missing and column.missing == 0 and schema.rows > 20
    if kind == "integer" and unique and (counts_up or _ID_NAME.search(name)):
        return Guess(
            name,
            kind,
            "key",
            "counts the rows: an id" if counts_up else "different in every row, with the name of an id",
        )
    if kind in ("text", "category") and unique:
        return Guess(
            name, "text", "key" if _short(name) else "ignore", "different in every row: an id or free text, no feature"
        )
    if kind == "text":
        return Guess(
            name,
            kind,
            "ignore",
            f"{distinct or 0:,} different texts: free text, no feature{', ' + missing if missing else ''}",
        )
    return Guess(name, kind, "feature", missing)


def _short(name: str) -> bool:
    """Whether a column of unique texts is named like a key; otherwise it is free text."""
    return _ID_NAME.search(name) is not None


def _success(task: str, counts: dict[str, int], rows: int) -> list[dict[str, Any]]:
    """A clear win over the constant yardstick, asked of the interval's bound: noise reaches it once in forty."""
    if task == "binary-classification":
        return [{"metric": "roc_auc", "at_least": 0.55}]
    if task == "multiclass-classification":
        majority = max(counts.values()) / sum(counts.values())
        return [{"metric": "accuracy", "at_least": round(majority + 0.1 * (1 - majority), 3)}]
    return [{"metric": "r2", "at_least": 0.05}]


def _label(task: str, column: Column, values: pl.Series, counts: dict[str, int], said: list[str]) -> dict[str, Any]:
    label: dict[str, Any] = {}
    if column.missing:
        label["unlabeled"] = "drop"
        said.append(
            f"{column.missing:,} of {len(values):,} rows have no {column.name!r}: they are left out "
            "(label.unlabeled: drop)"
        )
    if task == "binary-classification":
        positive, how = choose_positive({name: counts[name] for name in ordered_classes(list(counts))}, None)
        label["positive"] = positive
        said.append(f"the positive class is {positive!r} ({how.removeprefix('guessed: ')})")
    if task != "regression":
        rarest = min(counts, key=lambda name: counts[name])
        if counts[rarest] < 50:
            said.append(f"class {rarest!r} has {counts[rarest]:,} rows only: its metrics will be uncertain")
    return label


def _slices(data: pl.LazyFrame, columns: Sequence[Guess]) -> list[str]:
    """Up to two columns of few categories, on which the model is looked at separately."""
    import polars as pl

    candidates = [
        c.name
        for c in columns
        if c.role == "feature" and c.type in ("category", "boolean") and not c.note.startswith("the target")
    ]
    if not candidates:
        return []
    distinct = (
        data.select(pl.col(name).n_unique() for name in candidates).collect(engine="streaming").row(0, named=True)
    )
    return [name for name, count in distinct.items() if count in _SLICE_VALUES][:2]


def _suspicious(
    data: pl.LazyFrame, schema: TableSchema, looked: Looked, counts: dict[str, int], decide: list[str]
) -> None:
    """Columns that alone (nearly) give the target: mentioned, not dropped; the leak gate has the last word."""
    import polars as pl

    from steps.dividing.proxies import fold_of_rows, strength, truth_array

    classes = tuple(ordered_classes(list(counts))) if looked.task != "regression" else ()
    target = Target(name=looked.target, task=looked.task, classes=classes)
    features = [
        c
        for c in schema.columns
        if any(g.name == c.name and g.role == "feature" for g in looked.columns)
        and c.name != looked.target
        and c.type != "text"
    ]
    every = max(1, -(-schema.rows // _LOOKED_AT))
    kept = data.filter(pl.col(looked.target).is_not_null()).gather_every(every)
    frame = kept.select(looked.target, *(c.name for c in features)).collect(engine="streaming")
    labels = class_names(frame[looked.target]) if classes else frame[looked.target].cast(pl.Float64)
    truth = truth_array(labels, target)
    fold = fold_of_rows(len(truth))
    for column in features:
        found = strength(frame[column.name], column, truth, len(classes), fold)
        if found.score >= _TOO_STRONG and (not classes or found.skill >= 0.9):
            decide.append(
                f"column {column.name!r} alone predicts {looked.target!r} ({found.measure} {found.score:.3f}): is "
                "it known when the "
                f"prediction is made? If not: {{role: ignore}} or {{available: later}}; 'run' stops if it is the "
                "target itself"
            )


def _questions(schema: TableSchema, looked: Looked, asked: Asked, decide: list[str], data: pl.LazyFrame) -> None:
    import polars as pl

    dates = [c.name for c in looked.columns if c.type in ("date", "datetime") and c.role == "feature"]
    if dates and asked.by == "row":
        decide.append(
            f"rows have times ({', '.join(map(repr, dates))}): if the model will be asked about the future, split "
            f"by time: --split time:{dates[0]}"
        )
    if not any(c.role == "feature" and c.name != asked.target and c.type != "text" for c in looked.columns):
        raise InputError(
            "no column is left that could be a feature: the others are ids, constant, ignored, or free text, which "
            "these models do not read"
        )
    features = [c.name for c in looked.columns if c.role == "feature"]
    equal = (
        schema.rows - data.select(pl.struct(features).n_unique()).collect(engine="streaming").item()
        if schema.rows <= 2_000_000
        else 0
    )
    if equal:
        decide.append(
            f"{equal:,} rows repeat another one in all features and the target: are they separate observations?"
        )
    decide.append(
        "question, decision, owner and cost_of_error are yours to write; the thresholds under success are a start, "
        "not a promise to anybody"
    )
