"""What the rows say of a split and of leaks: roles, a division and questions that follow from repeating ids, time and copies."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.propose.flattery import SAMPLE, Flattery, flattery
from pipelines.propose.order import Order, find_order
from pipelines.propose.subjects import Subject, grouping, subjects
from steps.splitting.ids import names_subject
from steps.splitting.leaks import is_target
from steps.splitting.moments import parts_of_moment
from steps.splitting.proxies import fold_of_rows, identity, strength
from steps.tables.schema import Column, TableSchema, unused
from steps.tables.truth import Array, number_array

_STRONG = 0.985
"""The score of a single column that is worth a question."""
_MOST = 50_000
"""Rows on which columns are compared with the target."""
_MARGIN = 0.002
"""A column that is this close to the limit of the leak gate may be over it in the training part."""


@dataclass(frozen=True)
class Study:
    """A table whose target is known.

    Attributes:
        truth: class index (null without a label) or number of each row.
        features: the columns that look like features.
    """

    table: Path
    schema: TableSchema
    target: str
    truth: pl.Series
    classes: tuple[str, ...]
    features: tuple[Column, ...]

    @cached_property
    def data(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.table / "data.parquet", glob=False)

    def labelled(self, names: Sequence[str], rows: slice = slice(None)) -> tuple[pl.DataFrame, Array]:
        """Return columns and truth of the rows with a label."""
        present = self.truth.is_not_null()
        frame = self.data.select(names).collect(engine="streaming").filter(present)[rows]
        return frame, self.truth.drop_nulls().to_numpy()[rows]


@dataclass
class Advice:
    """What follows from the rows."""

    columns: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Type, role and reason of a column."""
    split: dict[str, Any] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    timed: bool = False
    """Whether a question is about a split by time."""


def advise(
    study: Study, distinct: dict[str, int], codes: set[str], by: str, *, settled: bool, source: str | None
) -> Advice:
    """Return what the rows say.

    Args:
        distinct: the number of different values of each column; 0 where it was not counted.
        codes: columns whose integers are written with leading zeros.
        by: how rows are divided so far.
        settled: whether a person said so.
        source: the only source, where no query reads it yet.
    """
    advice = Advice()
    ids = subjects(study.data, study.features, distinct, study.schema.rows)
    names = [column.name for column in study.features if column.type != "text"]
    truth = study.truth.fill_null(-1 if study.classes else float("nan")).to_numpy()
    group = None if settled else grouping(study.table, ids, names, truth, len(study.classes))
    candidates = [column for column in study.features if column.name not in {subject.name for subject in ids}]
    refused = _about_leaks(advice, _leaks(study, candidates), candidates)
    honest = replace(study, features=tuple(column for column in study.features if column.name not in refused))
    _about_ids(advice, honest, ids, group, codes, by)
    if by != "time" and not group:
        _about_order(advice, honest, source)
    return advice


def _about_ids(
    advice: Advice, study: Study, ids: Sequence[Subject], group: str | None, codes: set[str], by: str
) -> None:
    types = {column.name: "text" if column.name in codes else str(column.type) for column in study.features}
    if group:
        advice.split = {"by": "group", "column": group}
    for subject in ids:
        name = subject.name
        if name == group:
            advice.columns[name] = (types[name], "group", f"repeats: {subject.values:,} values; its rows stay together")
            advice.guesses.append(
                f"{subject.in_words}, so all rows of one value are in one part (--split group:{name})"
                f"{_in_figures(_between_groups(study, name), 'rows of other values')}; where the model will only meet known "
                "ones: --split row, and {type: category, role: feature} for the column"
            )
        elif subject.same_as:
            advice.columns[name] = (
                types[name],
                "ignore",
                f"divides the rows as {subject.same_as!r} does, or more finely",
            )
        elif names_subject(name):
            advice.columns[name] = (types[name], "ignore", f"named like an id, and {subject.values:,} values repeat")
            advice.questions.append(_identity_question(subject, study, by))
        else:
            advice.columns[name] = ("category", "feature", f"named like an id, and {subject.values:,} values repeat")
            advice.questions.append(_identity_question(subject, study, by))


def _identity_question(subject: Subject, study: Study, by: str) -> str:
    name = subject.name
    role = "it is ignored" if names_subject(name) else "it is taken as a category"
    missing = f"; {subject.missing:,} rows have none, which a split by group refuses" if subject.missing else ""
    figures = (
        "" if subject.missing or by == "time" else _in_figures(_between_groups(study, name), "rows of other values")
    )
    return (
        f"{subject.in_words}, {role}: will the model meet new ones? Then --split group:{name} keeps the rows of each together"
        f"{figures}{missing}; if it only meets known ones: {{type: category, role: feature}}"
    )


def _in_figures(result: Flattery | None, apart: str) -> str:
    return f"; {result.in_words(apart)}" if result else ""


def _between_groups(study: Study, name: str) -> Flattery | None:
    """Compare rows drawn by chance with whole groups, about a fifth of the rows each."""
    columns = list(study.features)
    frame, truth = study.labelled([column.name for column in columns], slice(0, SAMPLE))
    ids = frame[name].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    order = np.random.default_rng(0).permutation(int(ids.max()) + 1)
    apart = order[ids] < len(order) / 5
    described = [
        column.model_copy(update={"type": "category"}) if column.name == name else column for column in columns
    ]
    return flattery(frame, described, truth, len(study.classes), apart)


def _about_order(advice: Advice, study: Study, source: str | None) -> None:
    columns = [c for c in study.schema.columns if c.name != study.target and c.role != "ignore"]
    truth = study.truth.drop_nulls().to_numpy()
    order = find_order(study.data, columns, truth, len(study.classes))
    if order is None:
        return
    advice.timed = True
    advice.questions.append(
        f"{_signs(order, study)}{_in_figures(_later(study, order), 'later rows')}. {_remedy(order, study, source)}"
    )


def _signs(order: Order, study: Study) -> str:
    signs = []
    if order.parts:
        signs.append(f"{' and '.join(map(repr, order.parts))} together say when a row was made")
    if order.autocorrelation is not None:
        signs.append(
            f"the {study.target!r} of consecutive rows is alike (autocorrelation {order.autocorrelation:.2f}), as it is where "
            "rows are in the order of time"
        )
    return "; ".join(signs)


def _later(study: Study, order: Order) -> Flattery | None:
    """Compare rows drawn by chance with the last fifth of consecutive rows."""
    names = list(dict.fromkeys([*(c.name for c in study.features), *order.parts, *filter(None, [order.column])]))
    frame, truth = study.labelled(names, slice(-SAMPLE, None))
    place = np.arange(1, len(truth) + 1)
    if order.parts:
        place[np.lexsort([frame[name].to_numpy() for name in reversed(order.parts)])] = place.copy()
    # The order itself is no feature: it would let a model look up its neighbours.
    features = [c for c in study.features if c.name != order.column]
    return flattery(frame, features, truth, len(study.classes), place > 0.8 * len(truth))


def _remedy(order: Order, study: Study, source: str | None) -> str:
    future = "If the model will predict the future, split by time: "
    if order.column:
        return f"{future}--split time:{order.column}"
    what, name = (order.moment, "moment") if order.parts else ("ROW_NUMBER() OVER ()", "row_number")
    name = unused(name, [column.name for column in study.schema.columns])
    if source is None:
        return f"{future}add {what} AS {name} to data.query, and --split time:{name}"
    quoted = '"' + source.replace('"', '""') + '"'
    query = f"SELECT *, {what} AS {name} FROM {quoted}"  # noqa: S608 - shown to a person, and checked when it is used
    return f"{future}--set data.query={shlex.quote(query)} --split time:{name}"


@dataclass(frozen=True)
class Leak:
    """Columns that give the target away, together or alone."""

    columns: tuple[str, ...]
    evidence: str
    refused: bool
    """Whether the leak gate of a run refuses them."""


def _leaks(study: Study, candidates: Sequence[Column]) -> list[Leak]:
    """Return what nearly gives the target."""
    features = [column for column in candidates if column.type != "text"]
    step = max(1, -(-study.schema.rows // _MOST))
    frame, truth = study.labelled([column.name for column in features], slice(None, None, step))
    fold = fold_of_rows(len(truth))
    moment = parts_of_moment(features)
    leaks = []
    for column in features:
        result = strength(frame[column.name], column, truth, len(study.classes), fold)
        refused = column.name not in moment and is_target(result, truth, len(study.classes), margin=_MARGIN)
        if refused or (result.score >= _STRONG and (not study.classes or result.skill >= 0.9)):
            evidence = f"column {column.name!r} alone predicts {study.target!r} ({result.measure} {result.score:.3f})"
            leaks.append(Leak((column.name,), evidence, refused))
    alone = {name for leak in leaks for name in leak.columns} | {*moment}
    rest = [c.name for c in features if c.name not in alone and c.type in ("integer", "float", "boolean")]
    rest = [name for name in rest if frame[name].null_count() <= frame.height / 2]
    if together := _sum(frame, rest, truth, len(study.classes)):
        evidence = f"a weighted sum of {' and '.join(map(repr, together))} is {study.target!r}"
        leaks.append(Leak(tuple(together), evidence, refused=True))
    return leaks


def _about_leaks(advice: Advice, leaks: Sequence[Leak], candidates: Sequence[Column]) -> set[str]:
    """Leave out what the leak gate would refuse, and ask about the rest; return what is left out.

    Where nothing else is left, nothing is left out.
    """
    types = {column.name: str(column.type) for column in candidates if column.type != "text"}
    refused = {name for leak in leaks if leak.refused for name in leak.columns}
    if refused == set(types):
        refused = set()
    for leak in leaks:
        these, question = ("it is", "is it") if len(leak.columns) == 1 else ("they are", "are they")
        reasons = ", ".join(f"{name}: <why it is known>" for name in leak.columns)
        allowed = f"{{role: feature}}, and split.allow_proxies: {{{reasons}}}"
        doubt = f"{question} known when the prediction is made?"
        if not leak.refused:
            text = f": {doubt} If not: {{role: ignore}} or {{available: later}}"
        elif refused:
            text = f", so {these} left out: {doubt} If so: {allowed}"
        else:
            text = (
                f", and nothing else is left, so 'run' will refuse: {doubt} If so: split.allow_proxies: {{{reasons}}}"
            )
        advice.questions.append(leak.evidence + text)
    advice.columns |= {name: (types[name], "ignore", "nearly the target: see below") for name in refused}
    return refused


def _sum(frame: pl.DataFrame, names: Sequence[str], truth: Array, classes: int) -> list[str]:
    """Return the columns of which a weighted sum is the target."""
    if len(names) < 2:
        return []
    result = identity(np.column_stack([number_array(frame[name]) for name in names]), names, truth, classes)
    return result[0] if result else []
