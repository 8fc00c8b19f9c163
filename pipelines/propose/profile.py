"""A profile of the data: the role of each column, the task of the target, and thresholds that noise does not reach."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from model_code import tasks
from model_code.tasks import Task, labels
from pipelines.propose import codes as coding
from pipelines.propose import instants, questions, trial
from pipelines.propose.classes import answers, categories, spellings
from pipelines.propose.trial import Outcome
from steps.errors import InputError
from steps.label import FEW, LabelConfig, listed_counts
from steps.labeling.classes import choose_positive
from steps.split import SplitConfig
from steps.tables.schema import Column, TableSchema
from steps.tables.truth import number_array

_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|key|uuid|guid|index|idx|no|nr|number|identifier|code)$|^(id|index|unnamed.*|column_1)$|[a-z](Id|ID|Key|Number|Index)$",
)
_FREE_TEXT = "free text, not a feature"
_SLICE_VALUES = range(2, 9)
_FEW_DIFFERENT, _FEW_OF = 10, 200
"""A column is nearly constant if it has fewer rows with another value than so many, of at least 200 times as many."""
_FIRST = 10_000
"""The rows among which the usual value is looked for."""
_LISTED = 20
"""How many columns a message names."""
_MOST_ROWS = 2_000_000
"""With more rows, equal ones are not counted: that would need all of them in memory."""


@dataclass(frozen=True)
class Request:
    """The options of ``fourscore new``."""

    target: str
    ignore: tuple[str, ...]
    task: str | None
    by: str
    column: str | None
    split: bool = False
    """Whether a person says how rows are divided."""
    source: str | None = None
    """The only source, where no query reads it yet."""
    label: Mapping[str, Any] = field(default_factory=dict)
    division: Mapping[str, Any] = field(default_factory=dict)
    """What a person says of labels and of the split."""
    declared: frozenset[str] = frozenset()
    """The columns whose type a person declared."""


@dataclass(frozen=True)
class Guess:
    """The proposed type and role of one column."""

    name: str
    type: str
    role: str
    note: str = ""
    """The reason, where it is not obvious."""


@dataclass(frozen=True)
class Profile:
    """The proposal that follows from the data."""

    task: str
    target: str
    columns: tuple[Guess, ...]
    success: tuple[dict[str, Any], ...]
    label: dict[str, Any]
    slices: tuple[str, ...]
    split: dict[str, Any]
    """How rows are divided, where the data suggests more than the options say."""
    guessed: tuple[str, ...]
    """The guesses that a person should know, as sentences."""
    decide: tuple[str, ...]
    """The questions that a person must decide."""
    other_task: str | None = None
    """A task that is as likely."""


@dataclass(frozen=True)
class ColumnProfile:
    """One column with what was measured of it."""

    column: Column
    rows: int
    distinct: int
    """The number of different values; 0 for fractions, which are not counted."""
    constant: bool
    counts_up: bool
    is_code: bool
    """True if its integers are written with leading zeros."""
    different: int | None = None
    """The rows with another value than the usual one, if they were counted."""

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows > 20 and not self.column.missing

    @property
    def missing(self) -> str:
        return f"{self.column.missing:,} missing" if self.column.missing else ""


def profile_table(table: Path, schema: TableSchema, request: Request, codes: Collection[str]) -> Profile:
    """Return the profile of an ingested table.

    Args:
        codes: columns whose integers are written with leading zeros.

    Raises:
        InputError: the target cannot be predicted or does not fit the task, or no column could be a feature.
    """
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    values = data.select(request.target).collect()[request.target]
    column = next(column for column in schema.columns if column.name == request.target)
    choice = _task(column, values, request, lambda: _numbers(data, schema, request.target))
    task = choice.task
    counts, left_out = _count(task.name, values)
    profiles = _column_profiles(data, schema, codes)
    columns = [_guess(profile, request) for profile in profiles]
    label, label_notes = _label(task, column, values, counts)
    label |= {"leave_out": [*left_out]} if left_out else {}
    if not any(_FREE_TEXT in c.note for c in columns):  # which may turn out to be a feature
        _check_features(columns, request)

    def attempt(changes: Mapping[str, questions.Guessed], division: Mapping[str, Any]) -> Outcome:
        changed = [Guess(c.name, *changes[c.name]) if c.name in changes else c for c in columns]
        _check_features(changed, request)
        roles = {c.name: (c.type, c.role) for c in changed}
        labelling = LabelConfig(**{"target": request.target, "task": task.name, **label, **request.label})
        return trial.attempt(table, schema, roles, labelling, SplitConfig(**{**request.division, **division}))

    advice = questions.advise(
        questions.Study(
            table=table,
            schema=schema,
            target=request.target,
            truth=labels.get(task.name).truth(labels.get(task.name).read(values), tuple(counts)),
            classes=tuple(counts),
            features=_open(columns, schema, request),
            declared=request.declared,
        ),
        {profile.column.name: profile.distinct for profile in profiles},
        codes,
        request.by,
        request.column,
        attempt,
        settled=request.split,
        source=request.source,
    )
    columns = [Guess(c.name, *advice.columns[c.name]) if c.name in advice.columns else c for c in columns]
    _check_features(columns, request)
    words = categories(
        data, [c.name for c in columns if (c.type, c.role) == ("category", "feature") and c.name != request.target]
    )
    return Profile(
        task=task.name,
        target=request.target,
        columns=tuple(columns),
        # Better than a constant prediction even at the unfavourable end of the interval: noise gets there once in forty.
        success=({"metric": task.headline, "at_least": task.clear_win(counts)},),
        label=label,
        slices=tuple(_slices(data, columns, request.target)),
        split=advice.split,
        guessed=(*([choice.note] if choice.note and choice.is_sure else []), *label_notes, *advice.guesses),
        other_task=choice.other,
        decide=(
            *([] if choice.is_sure else [choice.note]),
            *_rare_classes(request.target, left_out),
            *spellings({request.target: {**counts, **left_out}, **words}, request.target, request.source),
            *advice.questions,
            *(() if advice.timed else _dates(columns, request)),
            *_numbers_for_dates(data, columns, request),
            *_equal_rows(data, schema, columns),
            "question, decision, owner and cost_of_error are yours to write; success is a starting point, not a promise",
        ),
    )


@dataclass(frozen=True)
class _Choice:
    """A task, why it was chosen, and whether another is as likely."""

    task: Task
    note: str = ""
    other: str | None = None
    """The other task of a toss-up."""

    @property
    def is_sure(self) -> bool:
        return self.other is None


def _task(column: Column, values: pl.Series, request: Request, numbers: Callable[[], pl.DataFrame]) -> _Choice:
    """Return the requested task, or the one that fits the target.

    Args:
        numbers: returns the columns of numbers whose order may tell codes from amounts.
    """
    distinct = values.drop_nulls().n_unique()
    name = request.target
    if distinct < 2:
        raise InputError(
            f"--target {name}: the column has {'no values' if distinct == 0 else 'one value only'}"
            f"{f', and {column.missing:,} rows count as missing (as NA, null, ? ...)' if column.missing else ''}; there is "
            "nothing to learn"
        )
    if column.type in ("date", "datetime"):
        raise InputError(
            f"--target {name}: the column holds {column.type}s; predict a number or a class, computed by label.rule"
        )
    if request.task:
        if fault := _fault(request.task, values):
            raise InputError(f"--task {request.task}: the target {name!r} {fault}")
        return _Choice(tasks.get(request.task))
    fitting = [task for task in tasks.names() if not _fault(task, values)]
    if not fitting:
        raise InputError(f"--target {name}: the column {_fault(tasks.names()[-1], values)}")
    numeric = column.type in ("integer", "float")
    evidence = coding.evidence(name, values, numbers()) if numeric and len(fitting) > 1 else None
    if evidence and evidence.are_codes:
        fitting.sort(key=lambda task: not tasks.get(task).has_classes)
    task, *alternatives = fitting
    options = " or ".join(f"--task {other}" for other in alternatives)
    if evidence is None:
        note = f"the task is {task}, since {name!r} has {distinct:,} different {'numbers' if numeric else 'values'}"
        if column.type == "integer" and 2 < distinct <= 30 and options:
            note += f"; {options} would fit too"
        return _Choice(tasks.get(task), note)
    likely = f"look like {'codes of classes' if evidence.are_codes else 'amounts'}"
    instead = f"if they are {'a quantity' if evidence.are_codes else 'classes'}: {options}"
    low, high = (int(end) for end in number_array(values.drop_nulls().sort())[[0, -1]])
    span = f"{low} to {high}"
    if not evidence.is_sure:
        note = (
            f"classes or amounts? The {distinct} values of {name!r}, {span}, could be either; the task is {task}, since they "
            f"{likely} ({evidence.in_words}); {instead}"
        )
        return _Choice(tasks.get(task), note, alternatives[0])
    note = (
        f"the task is {task}, since the {distinct} values of {name!r} {likely}, {span} ({evidence.in_words}); {instead}"
    )
    return _Choice(tasks.get(task), note)


def _numbers(data: pl.LazyFrame, schema: TableSchema, target: str) -> pl.DataFrame:
    """Return rows of the columns of numbers, evenly chosen."""
    names = [
        c.name for c in schema.columns if c.type in ("integer", "float") and c.name != target and c.role != "ignore"
    ]
    return data.select(names[: coding.COLUMNS]).gather_every(coding.step(schema.rows)).collect(engine="streaming")


def _fault(name: str, values: pl.Series) -> str:
    """Return why a column cannot be the target of a task, in words that follow its name; empty if it can."""
    try:
        _count(name, values)
    except labels.Unfit as unfit:
        return str(unfit)
    return ""


def _count(name: str, values: pl.Series) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rows of each class of a task, and of each class with too few rows, which is left out.

    Raises:
        Unfit: the column cannot be the target of the task.
    """
    reader = labels.get(name)
    read = reader.read(values)
    rows = {} if read.dtype.is_numeric() else dict(read.drop_nulls().value_counts().sort(read.name).iter_rows())
    rare = {name: count for name, count in rows.items() if count < FEW}
    if len(rows) - len(rare) < 2:
        if rare and len(rows) <= _LISTED:
            raise labels.Unfit(f"has too few rows of {listed_counts(rare)}", f"each class needs {FEW} or more")
        return reader.count(read, values), {}
    return reader.count(read.set(read.is_in([*rare]), None), values), rare


def _column_profiles(data: pl.LazyFrame, schema: TableSchema, codes: Collection[str]) -> list[ColumnProfile]:
    floats = [column.name for column in schema.columns if column.type == "float"]
    counted = [column.name for column in schema.columns if column.type != "float"]
    distinct: dict[str, int] = answers(data, [pl.col(name).drop_nulls().n_unique() for name in counted])
    constant: dict[str, bool] = answers(data, [pl.col(name).min() == pl.col(name).max() for name in floats])
    unique = [c.name for c in schema.columns if c.type == "integer" and distinct[c.name] == schema.rows]
    many = schema.rows >= _FEW_OF * _FEW_DIFFERENT
    usual = {
        c.name: first.median() if c.type in ("integer", "float") else first.drop_nulls().mode().first()
        for c in schema.columns
        if many and distinct.get(c.name, 0) <= _FEW_DIFFERENT
        for first in [pl.col(c.name).head(_FIRST)]
    }
    different: dict[str, int] = answers(
        data, [(schema.rows - (pl.col(name) == value).sum()).alias(name) for name, value in usual.items()]
    )
    counting: dict[str, bool] = answers(data, [(pl.col(name).diff().drop_nulls() == 1).all() for name in unique])
    return [
        ColumnProfile(
            column=column,
            rows=schema.rows,
            distinct=distinct.get(column.name, 0),
            constant=distinct.get(column.name) == 1 or bool(constant.get(column.name)),
            counts_up=counting.get(column.name, False),
            is_code=column.name in codes,
            different=different.get(column.name),
        )
        for column in schema.columns
    ]


def _guess(profile: ColumnProfile, request: Request) -> Guess:
    """Guess by the request first, then by what rules a column out, then by what it looks like."""
    return (
        _requested(profile, request)
        or _useless(profile)
        or _identifying(profile)
        or Guess(profile.column.name, profile.column.type, "feature", profile.missing)
    )


def _requested(profile: ColumnProfile, request: Request) -> Guess | None:
    name, kind = profile.column.name, str(profile.column.type)
    if name == request.target:
        missing = f", {profile.missing}" if profile.missing else ""
        return Guess(name, "category" if kind == "text" else kind, "feature", f"the target; never a feature{missing}")
    if name in request.ignore:
        return Guess(name, kind, "ignore", "ignored by --ignore")
    if name == request.column:
        return Guess(name, kind, request.by, f"the split's {request.by}")
    if profile.column.role != "feature":
        return Guess(name, kind, profile.column.role, "as declared")
    return None


def _useless(profile: ColumnProfile) -> Guess | None:
    name, kind = profile.column.name, profile.column.type
    if profile.column.missing == profile.rows:
        return Guess(name, kind, "ignore", "no values at all")
    if profile.constant and not (profile.missing and kind in ("category", "boolean")):
        return Guess(name, kind, "ignore", "the same value everywhere")
    if profile.different is not None and profile.different < _FEW_DIFFERENT:
        rows = f"{profile.different} of {profile.rows:,} rows"
        return Guess(name, kind, "ignore", f"the same value everywhere but in {rows}, of which nothing can be learned")
    values = profile.rows - profile.column.missing
    if values < _FEW_DIFFERENT <= profile.rows / _FEW_OF:
        return Guess(name, kind, "ignore", f"{values} values in {profile.rows:,} rows, of which nothing can be learned")
    return None


def _identifying(profile: ColumnProfile) -> Guess | None:
    """Recognise codes, ids and free text."""
    name, kind = profile.column.name, profile.column.type
    named_like_id = _ID_NAME.search(name) is not None
    if profile.is_code:
        role = "key" if profile.distinct == profile.rows else "feature"
        text_type = "category" if profile.distinct <= profile.rows / 2 else "text"
        return Guess(name, text_type, role, "written with leading zeros: a code, not a number")
    if kind == "integer" and profile.unique and (profile.counts_up or named_like_id):
        how = "counts the rows: an id" if profile.counts_up else "different in every row, with the name of an id"
        return Guess(name, kind, "key", how)
    if kind in ("text", "category") and profile.unique:
        role = "key" if named_like_id else "ignore"
        return Guess(name, "text", role, "different in every row: an id or free text, not a feature")
    if kind == "text":
        missing = f", {profile.missing}" if profile.missing else ""
        return Guess(name, kind, "ignore", f"{profile.distinct:,} different texts: {_FREE_TEXT}{missing}")
    return None


def _label(task: Task, column: Column, values: pl.Series, counts: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    """Return the label section and notes about it."""
    label: dict[str, Any] = {}
    notes = []
    if column.missing:
        label["unlabeled"] = "drop"
        notes.append(
            f"{column.missing:,} of {len(values):,} rows have no {column.name!r}: they are left out "
            "(label.unlabeled: drop)"
        )
    if task.has_positive:
        positive, how = choose_positive(counts, None)
        label["positive"] = positive
        notes.append(f"the positive class is {positive!r} ({how.removeprefix('guessed: ')})")
    rarest = min(counts, key=lambda name: counts[name], default=None)
    if rarest is not None and FEW <= counts[rarest] < 50:
        notes.append(f"class {rarest!r} has only {counts[rarest]:,} rows: its metrics will be uncertain")
    return label, notes


def _check_features(columns: Sequence[Guess], request: Request) -> None:
    candidates = [c for c in columns if c.name != request.target]
    if not any(c.role == "feature" and c.type != "text" for c in candidates):
        why = [f"\n  {c.name} ({c.type}): {c.note}" for c in candidates] or [f" there is only {request.target!r}"]
        more = f"\n  and {len(why) - _LISTED:,} more" if len(why) > _LISTED else ""
        raise InputError(
            f"no column is left that could be a feature (a number, a category, true or false, or a time):"
            f"{''.join(why[:_LISTED])}{more}"
        )


def _open(columns: Sequence[Guess], schema: TableSchema, request: Request) -> tuple[Column, ...]:
    """Return the columns that look like features, and free text, which may be ids."""
    candidates = {c.name for c in columns if c.role == "feature" or _FREE_TEXT in c.note}
    return tuple(c for c in schema.columns if c.name in candidates - {request.target})


def _slices(data: pl.LazyFrame, columns: Sequence[Guess], target: str) -> list[str]:
    """Return up to two columns of few categories, on which the model is evaluated separately."""
    candidates = [
        c.name for c in columns if c.role == "feature" and c.type in ("category", "boolean") and c.name != target
    ]
    distinct = answers(data, [pl.col(name).n_unique() for name in candidates])
    return [name for name, count in distinct.items() if count in _SLICE_VALUES][:2]


def _rare_classes(target: str, left_out: dict[str, int]) -> Iterator[str]:
    if left_out:
        yield (
            f"classes of {target!r} with fewer than {FEW} rows are left out (label.leave_out), so the model never predicts "
            f"them: {listed_counts(left_out)}. To keep them, add rows, or merge classes with label.rule"
        )


def _dates(columns: Sequence[Guess], request: Request) -> Iterator[str]:
    dates = [c.name for c in columns if c.type in ("date", "datetime") and c.role == "feature"]
    if dates and request.by == "row":
        yield (
            f"rows have times ({', '.join(map(repr, dates))}): if they say when a row was made, and the model will predict the "
            "future, split by time: "
            f"--split time:{dates[0]}"
        )


def _numbers_for_dates(data: pl.LazyFrame, columns: Sequence[Guess], request: Request) -> Iterator[str]:
    """Ask about numbers that may be dates or instants."""
    types = {
        c.name: c.type
        for c in columns
        if c.type in ("integer", "float") and c.role in ("feature", "key") and c.name != request.target
    }
    ends = [getattr(pl.col(name), end)().alias(f"{end} {name}") for name in types for end in ("min", "max")]
    return instants.questions(data, types, answers(data, ends))


def _equal_rows(data: pl.LazyFrame, schema: TableSchema, columns: Sequence[Guess]) -> Iterator[str]:
    if schema.rows > _MOST_ROWS:
        return
    features = [c.name for c in columns if c.role == "feature"]
    equal = schema.rows - data.select(pl.struct(features).n_unique()).collect(engine="streaming").item()
    if equal:
        yield (
            f"{equal:,} row{' duplicates another' if equal == 1 else 's duplicate another'} (same features and target): "
            "are they separate observations?"
        )
