"""What columns are for, which task the target makes, and which thresholds learnable data passes and noise does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_code import tasks
from steps.errors import InputError
from steps.label import FEW
from steps.labeling.classes import choose_positive
from steps.tables.schema import Column, TableSchema, Target

if TYPE_CHECKING:
    import polars as pl

    from model_code.tasks import Task

_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|key|uuid|guid|index|idx|no|nr|number|identifier|code)$|^(id|index|unnamed.*|column_1)$|[a-z](Id|ID|Key|Number|Index)$",
)
_SLICE_VALUES = range(2, 9)
_LOOKED_AT = 50_000
"""Rows on which single columns are compared with the target."""
_TOO_STRONG = 0.985
_LISTED = 20
"""How many columns a message names."""


@dataclass(frozen=True)
class Asked:
    """What the person said."""

    target: str
    ignore: tuple[str, ...]
    task: str | None
    by: str
    column: str | None


@dataclass(frozen=True)
class Guess:
    """What one column is taken for."""

    name: str
    type: str
    role: str
    note: str = ""
    """Why, where it is not plain."""


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
    said: list[str] = []
    decide: list[str] = []
    task = _task(column, values, asked, said)
    counts = task.count(task.labels(values))
    looked = Looked(task.name, target=asked.target)
    looked.columns = tuple(_columns(data, schema, asked, codes))
    # A clear win over the constant yardstick, asked of the interval's bound: noise reaches it once in forty.
    looked.success = ({"metric": task.headline, "at_least": task.clear_win(counts)},)
    looked.label = _label(task, column, values, counts, said)
    _rare(asked.target, counts, decide)
    looked.slices = tuple(_slices(data, looked.columns))
    _suspicious(data, schema, looked, task, tuple(counts), decide)
    _questions(schema, looked, asked, decide, data)
    looked.guessed, looked.decide = tuple(said), tuple(decide)
    return looked


def _task(column: Column, values: pl.Series, asked: Asked, said: list[str]) -> Task:
    """The task that was asked for, or the first that the target can have."""
    distinct = values.drop_nulls().n_unique()
    name = asked.target
    if distinct < 2:
        raise InputError(
            f"--target {name}: the column has {'no values' if distinct == 0 else 'one value only'}"
            f"{f', and {column.missing:,} rows count as missing (as NA, null, ? ...)' if column.missing else ''}; there is "
            "nothing to learn"
        )
    if column.type in ("date", "datetime"):
        raise InputError(
            f"--target {name}: the column holds {column.type}s; predict a number or a class, made of it by label.rule"
        )
    if asked.task:
        if fault := _fault(asked.task, values):
            raise InputError(f"--task {asked.task}: the target {name!r} {fault}")
        return tasks.get(asked.task)
    fitting = (each for each in tasks.names() if not _fault(each, values))
    task = next(fitting, None)
    if task is None:
        raise InputError(f"--target {name}: the column {_fault(tasks.names()[-1], values)}")
    alternatives = list(fitting) if column.type == "integer" and 2 < distinct <= 30 else []
    said.append(
        f"the task is {task}, since {name!r} has {distinct:,} different "
        f"{'numbers' if column.type in ('integer', 'float') else 'values'}"
        + "".join(f"; --task {each} would fit too" for each in alternatives)
    )
    return tasks.get(task)


def _fault(task: str, values: pl.Series) -> str:
    """Why a column can not be the target of a task, in words that go on after its name; empty where it can."""
    found = tasks.get(task)
    try:
        found.check(found.labels(values), values)
    except tasks.Unfit as unfit:
        return str(unfit)
    return ""


@dataclass(frozen=True)
class _Seen:
    """One column with what was measured of it."""

    column: Column
    rows: int
    distinct: int
    """Different values; 0 where they were not counted, as of fractions."""
    constant: bool
    counts_up: bool
    is_code: bool
    """Its whole numbers are written with leading zeros."""

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows > 20 and not self.column.missing

    @property
    def missing(self) -> str:
        return f"{self.column.missing:,} missing" if self.column.missing else ""


def _columns(data: pl.LazyFrame, schema: TableSchema, asked: Asked, codes: set[str]) -> list[Guess]:
    import polars as pl

    floats = [column.name for column in schema.columns if column.type == "float"]
    others = [column.name for column in schema.columns if column.type != "float"]
    distinct: dict[str, int] = _row(data, [pl.col(name).drop_nulls().n_unique() for name in others])
    same: dict[str, bool] = _row(data, [pl.col(name).min() == pl.col(name).max() for name in floats])
    counting = [c.name for c in schema.columns if c.type == "integer" and distinct[c.name] == schema.rows]
    steps: dict[str, bool] = _row(data, [(pl.col(name).diff().drop_nulls() == 1).all() for name in counting])
    seen = [
        _Seen(
            column=column,
            rows=schema.rows,
            distinct=distinct.get(column.name, 0),
            constant=distinct.get(column.name) == 1 or bool(same.get(column.name)),
            counts_up=steps.get(column.name, False),
            is_code=column.type == "integer" and column.name in codes,
        )
        for column in schema.columns
    ]
    return [_guess(each, asked) for each in seen]


def _row(data: pl.LazyFrame, questions: list[pl.Expr]) -> dict[str, Any]:
    """The answers to questions about columns, by column."""
    return data.select(questions).collect(engine="streaming").row(0, named=True) if questions else {}


def _guess(seen: _Seen, asked: Asked) -> Guess:
    """What was asked for comes first, then what rules a column out, then what it looks like."""
    return (
        _as_asked(seen, asked)
        or _without_use(seen)
        or _identifying(seen)
        or Guess(seen.column.name, seen.column.type, "feature", seen.missing)
    )


def _as_asked(seen: _Seen, asked: Asked) -> Guess | None:
    name, kind = seen.column.name, str(seen.column.type)
    if name == asked.target:
        missing = f", {seen.missing}" if seen.missing else ""
        return Guess(name, "category" if kind == "text" else kind, "feature", f"the target; never a feature{missing}")
    if name in asked.ignore:
        return Guess(name, kind, "ignore", "ignored, as asked")
    if name == asked.column:
        return Guess(name, kind, asked.by, f"the split's {asked.by}")
    return None


def _without_use(seen: _Seen) -> Guess | None:
    name, kind = seen.column.name, seen.column.type
    if seen.column.missing == seen.rows:
        return Guess(name, kind, "ignore", "no values at all")
    if seen.constant and not (seen.missing and kind in ("category", "boolean")):
        return Guess(name, kind, "ignore", "the same value everywhere")
    return None


def _identifying(seen: _Seen) -> Guess | None:
    """Codes, ids and free text."""
    name, kind = seen.column.name, seen.column.type
    if seen.is_code:
        role = "key" if seen.distinct == seen.rows else "feature"
        shown = "category" if seen.distinct <= seen.rows / 2 else "text"
        return Guess(name, shown, role, "written with leading zeros: a code, not a number")
    if kind == "integer" and seen.unique and (seen.counts_up or _named_like_key(name)):
        how = "counts the rows: an id" if seen.counts_up else "different in every row, with the name of an id"
        return Guess(name, kind, "key", how)
    if kind in ("text", "category") and seen.unique:
        role = "key" if _named_like_key(name) else "ignore"
        return Guess(name, "text", role, "different in every row: an id or free text, no feature")
    if kind == "text":
        missing = f", {seen.missing}" if seen.missing else ""
        return Guess(name, kind, "ignore", f"{seen.distinct:,} different texts: free text, no feature{missing}")
    return None


def _named_like_key(name: str) -> bool:
    """Whether a column is named like a key."""
    return _ID_NAME.search(name) is not None


def _label(task: Task, column: Column, values: pl.Series, counts: dict[str, int], said: list[str]) -> dict[str, Any]:
    label: dict[str, Any] = {}
    if column.missing:
        label["unlabeled"] = "drop"
        said.append(
            f"{column.missing:,} of {len(values):,} rows have no {column.name!r}: they are left out "
            "(label.unlabeled: drop)"
        )
    if task.has_positive:
        positive, how = choose_positive(counts, None)
        label["positive"] = positive
        said.append(f"the positive class is {positive!r} ({how.removeprefix('guessed: ')})")
    rarest = min(counts, key=lambda name: counts[name], default=None)
    if rarest is not None and FEW <= counts[rarest] < 50:
        said.append(f"class {rarest!r} has {counts[rarest]:,} rows only: its metrics will be uncertain")
    return label


def _rare(target: str, counts: dict[str, int], decide: list[str]) -> None:
    few = sorted((name for name in counts if counts[name] < FEW), key=lambda name: counts[name])
    if not few:
        return
    shown = ", ".join(f"{name!r} ({counts[name]})" for name in few[:5]) + (" ..." if len(few) > 5 else "")
    decide.append(
        f"{len(few):,} of {len(counts):,} classes of {target!r} have fewer than {FEW} rows, and 'run' stops at them: {shown}. "
        "Merge classes with label.rule, or leave their rows out with data.query"
    )


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
    data: pl.LazyFrame, schema: TableSchema, looked: Looked, task: Task, classes: tuple[str, ...], decide: list[str]
) -> None:
    """Columns that alone (nearly) give the target: mentioned, not dropped; the leak gate has the last word."""
    import polars as pl

    from steps.splitting.proxies import fold_of_rows, strength
    from steps.tables.truth import truth_array

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
    truth = truth_array(task.labels(frame[looked.target]), target)
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
    others = [c for c in looked.columns if c.name != asked.target]
    if not any(c.role == "feature" and c.type != "text" for c in others):
        why = [f"\n  {c.name} ({c.type}): {c.note}" for c in others] or [f" there is only {asked.target!r}"]
        more = f"\n  and {len(why) - _LISTED:,} more" if len(why) > _LISTED else ""
        raise InputError(
            f"no column is left that could be a feature (a number, a category, true or false, or a time):"
            f"{''.join(why[:_LISTED])}{more}"
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
