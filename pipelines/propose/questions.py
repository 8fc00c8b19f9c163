"""What the rows say of a split and of leaks: roles, a division and questions that follow from repeating ids, time and copies."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines.propose import nominal, texts
from pipelines.propose.flattery import SAMPLE, Flattery, flattery
from pipelines.propose.order import Order, find_order
from pipelines.propose.subjects import Subject, grouping, subjects
from pipelines.propose.trial import Outcome
from steps.splitting.document import Finding
from steps.splitting.ids import names_subject
from steps.splitting.leaks import LATER_TARGET, NEAR_TARGET
from steps.splitting.proxies import PAIR_IS_TARGET, PRODUCT_IS_TARGET, SUM_IS_TARGET
from steps.tables.schema import Column, TableSchema, unused
from steps.tables.truth import Array, number_array
from steps.wording import listed

Guessed = tuple[str, str, str]
"""Type, role and reason of a column."""
Attempt = Callable[[Mapping[str, Guessed], Mapping[str, Any]], Outcome]


@dataclass(frozen=True)
class Study:
    """A table whose target is known.

    Attributes:
        truth: class index (null without a label) or number of each row.
        features: the columns that look like features.
        declared: columns whose type a person declared.
    """

    table: Path
    schema: TableSchema
    target: str
    truth: pl.Series
    classes: tuple[str, ...]
    features: tuple[Column, ...]
    declared: Collection[str] = ()

    @cached_property
    def data(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.table / "data.parquet", glob=False)

    def with_categories(self, names: Collection[str]) -> Study:
        """Return the study in which these columns are categories."""
        return replace(
            self,
            features=tuple(
                column.model_copy(update={"type": "category"}) if column.name in names else column
                for column in self.features
            ),
        )

    def labelled(self, names: Sequence[str], rows: slice = slice(None)) -> tuple[pl.DataFrame, Array]:
        """Return columns and truth of the rows with a label."""
        present = self.truth.is_not_null()
        frame = self.data.select(names).collect(engine="streaming").filter(present)[rows]
        return frame, self.truth.drop_nulls().to_numpy()[rows]


@dataclass
class Advice:
    """What follows from the rows."""

    columns: dict[str, Guessed] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    timed: bool = False
    """Whether a question is about a split by time."""


def advise(
    study: Study,
    distinct: dict[str, int],
    codes: Collection[str],
    by: str,
    column: str | None,
    attempt: Attempt,
    *,
    settled: bool,
    source: str | None,
) -> Advice:
    """Return what the rows say.

    Args:
        distinct: the number of different values of each column; 0 where it was not counted.
        codes: columns whose integers are written with leading zeros.
        by: how rows are divided so far.
        column: the column of that group or time.
        attempt: labels and splits the table with other roles and another division.
        settled: whether a person said so.
        source: the only source, where no query reads it yet.
    """
    advice = Advice()
    ids = subjects(study.data, study.features, distinct, study.schema.rows)
    names = [column.name for column in study.features if column.type != "text"]
    truth = study.truth.fill_null(-1 if study.classes else float("nan")).to_numpy()
    group = None if settled else grouping(study.table, ids, names, truth, len(study.classes))
    types = {column.name: "text" if column.name in codes else str(column.type) for column in study.features}
    advice.columns = {subject.name: _role(subject, group, types[subject.name]) for subject in ids}
    if group:
        advice.split = {"by": "group", "column": group}
    study = _with_names_of_things(advice, study, distinct, group or column)
    study = _with_short_texts(advice, study, group or column)
    outcome = attempt({**advice.columns}, advice.split)
    if outcome.seed is not None:
        advice.split["seed"] = outcome.seed
        advice.guesses.append(
            f"the rows are divided with split.seed: {outcome.seed}; with smaller seeds a part has no rows, or one class only"
        )
    _about_leaks(advice, study, outcome.leaks)
    honest = replace(study, features=tuple(c for c in study.features if c.name not in outcome.refused))
    _about_ids(advice, honest, [subject for subject in ids if subject.name not in outcome.refused], group, by)
    if by != "time" and not group:
        _about_order(advice, honest, source)
    return advice


def _role(subject: Subject, group: str | None, kind: str) -> tuple[str, str, str]:
    """Return type, role and reason of a repeating id."""
    if subject.name == group:
        return kind, "group", f"repeats: {subject.values:,} values; its rows stay together"
    if subject.same_as:
        return kind, "ignore", f"divides the rows as {subject.same_as!r} does, or more finely"
    reason = f"named like an id, and {subject.values:,} values repeat"
    return (kind, "ignore", reason) if names_subject(subject.name) else ("category", "feature", reason)


def _with_short_texts(advice: Advice, study: Study, group: str | None) -> Study:
    """Take texts of a few words that say something of the target as categories, and return the study in which they are."""
    names = [c.name for c in study.features if c.type == "text" and c.name not in {*advice.columns, *study.declared}]
    if not names:
        return study
    rows = slice(None, None, -(-study.schema.rows // texts.ROWS))
    frame, truth = study.labelled([*names, *filter(None, [group])], rows)
    targets = nominal.targets_of(truth, len(study.classes))
    fold = _fold_of(frame, group)
    for name in names:
        if share := texts.share_of_words(frame[name].cast(pl.String), targets, fold):
            reason = (
                f"short texts, learned by their words, which explain {share:.0%} of the target's variance out of fold"
            )
            advice.columns[name] = ("category", "feature", reason)
    return study.with_categories({*names} & {*advice.columns})


def _fold_of(frame: pl.DataFrame, group: str | None) -> Array:
    """Return a fold for each row, the same for rows of one group."""
    return nominal.fold_of(frame[group].rank("dense").fill_null(0).to_numpy() if group else None, frame.height)


def _with_names_of_things(advice: Advice, study: Study, distinct: Mapping[str, int], group: str | None) -> Study:
    """Take whole numbers that name things as categories, and return the study in which they are."""
    rows = study.schema.rows
    names = [
        column.name
        for column in study.features
        if column.name not in {*advice.columns, *study.declared}
        and nominal.may_name_things(column, distinct[column.name], rows)
    ]
    if not names:
        return study
    frame, truth = study.labelled([*names, *filter(None, [group])], slice(None, None, -(-rows // nominal.ROWS)))
    targets = nominal.targets_of(truth, len(study.classes))
    fold = _fold_of(frame, group)
    for name in names:
        if naming := nominal.naming(name, number_array(frame[name]), targets, fold):
            advice.columns[name] = ("category", "feature", naming.in_words)
            advice.guesses.append(
                f"{name!r} is taken as a category: {naming.in_words}; if they are amounts: --set data.columns.{name}.type=integer"
            )
    return study.with_categories({*names} & {*advice.columns})


def _about_ids(advice: Advice, study: Study, ids: Sequence[Subject], group: str | None, by: str) -> None:
    for subject in ids:
        name = subject.name
        if name == group:
            advice.guesses.append(
                f"{subject.in_words}, so all rows of one value are in one part (--split group:{name})"
                f"{_in_figures(_between_groups(study, name), 'rows of other values')}; where the model will only meet known "
                "ones: --split row, and {type: category, role: feature} for the column"
            )
        elif not subject.same_as:
            advice.questions.append(_identity_question(subject, study, by))


def _identity_question(subject: Subject, study: Study, by: str) -> str:
    name = subject.name
    role = "it is ignored" if names_subject(name) else "it is taken as a category"
    only = "; if it only meets known ones: {type: category, role: feature}" if names_subject(name) else ""
    missing = f"; {subject.missing:,} rows have none, which a split by group refuses" if subject.missing else ""
    figures = (
        "" if subject.missing or by == "time" else _in_figures(_between_groups(study, name), "rows of other values")
    )
    return (
        f"{subject.in_words}, {role}: will the model meet new ones? Then --split group:{name} keeps the rows of each together"
        f"{figures}{missing}{only}"
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
        signs.append(f"{listed(map(repr, order.parts))} together say when a row was made")
    if order.autocorrelation is not None:
        signs.append(
            f"the {study.target!r} of consecutive rows is alike (autocorrelation {order.autocorrelation:.2f}), as it is where "
            "rows are in the order of time, or sorted by something close to it"
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


def _about_leaks(advice: Advice, study: Study, leaks: Sequence[Finding]) -> None:
    """Leave out what the leak gate would refuse, and ask about all leaks."""
    types = {column.name: str(column.type) for column in study.features}
    for leak in leaks:
        these, question = ("it is", "is it") if len(leak.columns) == 1 else ("they are", "are they")
        measure, score = next(iter(leak.numbers.items()))
        names = listed(map(repr, leak.columns))
        evidence = {
            NEAR_TARGET: f"column {names} alone predicts {study.target!r} ({measure} {score:.3f})",
            SUM_IS_TARGET: f"a weighted sum of {names} is {study.target!r}",
            PRODUCT_IS_TARGET: f"a product (or quotient) of {names} is {study.target!r}",
            PAIR_IS_TARGET: f"{names} together give {study.target!r} ({measure} {score:.3f})",
            LATER_TARGET: f"column {names} is the {study.target!r} of a later row",
        }[leak.check]
        doubt = f"{question} known when the prediction is made?"
        if leak.level == "refused":
            reasons = ", ".join(f"{name}: <why it is known>" for name in leak.columns)
            allowed = f"{{role: feature}}, and split.allow_proxies: {{{reasons}}}"
            advice.questions.append(f"{evidence}, so {these} left out: {doubt} If so: {allowed}")
            for name in leak.columns:
                advice.columns[name] = (
                    advice.columns.get(name, (types[name],))[0],
                    "ignore",
                    "nearly the target: see below",
                )
        else:
            advice.questions.append(f"{evidence}: {doubt} If not: {{role: ignore}} or {{available: later}}")
