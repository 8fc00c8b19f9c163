"""The evidence that a column's values give: counts over all of them, and what is said where they do not agree."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from steps.tables.document import NearlyType
from steps.tables.names import ROW
from steps.tables.parsing import Parse
from steps.tables.schema import Type

NEARLY, PARTLY = 0.95, 0.5
"""The shares of values of a type from which a column of text is said to be nearly, or partly, of that type."""
EXAMPLES = 64
"""Values that are looked at before all of a column is."""
_WORDS, _ROWS, _LISTED = 12, 5, 3

Questions = Mapping[str, pl.Expr]
Counts = Mapping[str, int]


def ask(frame: pl.LazyFrame, questions: Mapping[str, Questions]) -> dict[str, dict[str, int]]:
    """Answer all questions about all columns in one pass."""
    expressions = [
        expression.alias(f"{column}/{question}")
        for column, (_, about) in enumerate(questions.items())
        for question, expression in about.items()
    ]
    answers = frame.select(expressions).collect(engine="streaming").row(0, named=True) if expressions else {}
    return {
        name: {question: int(answers[f"{column}/{question}"] or 0) for question in about}
        for column, (name, about) in enumerate(questions.items())
    }


def first_values(frame: pl.LazyFrame, name: str, count: int = EXAMPLES) -> pl.Series:
    return frame.select(name).drop_nulls().head(count).collect(engine="streaming")[name]


def text_with(note: str) -> Parse:
    """Return text with a question for a person."""
    return Parse("category", note=note, sure=False)


def disagreeing(
    frame: pl.LazyFrame, name: str, odd: pl.Expr, values: int, fitting: int, kind: Type, form: str | None = None
) -> Parse | None:
    """Return text with a note about the type that most of its values have; None if fewer than half have it.

    Args:
        odd: the values that do not have the type.
        form: how dates are written.
    """
    if fitting < PARTLY * values:
        return None
    wrong = frame.select(name).with_row_index(ROW, 1).filter(odd)
    if fitting < NEARLY * values:
        words = wrong.select(name).unique(maintain_order=True).head(_WORDS).collect(engine="streaming")[name]
        what = {"integer": "whole numbers", "float": "numbers"}.get(kind, f"dates written as {form}")
        advice = ""
        if len(words) < _WORDS:
            how = f"type: {kind}" + (f", format: {form!r}" if form else "")
            listed = ", ".join(json.dumps(word, ensure_ascii=False) for word in words)
            advice = f"; if they mean 'no value', declare {how} and missing: [{listed}]"
        elif kind in ("integer", "float") and _plain(frame.filter(~odd), name):
            number = {"integer": "BIGINT", "float": "DOUBLE"}[kind]
            advice = f'; to use the numbers alone: data.query with SELECT * REPLACE (TRY_CAST("{name}" AS {number}) AS "{name}")'
        return text_with(
            f"is taken as text: {fitting:,} of its {values:,} values are {what}, and the others are not, such as "
            f"{', '.join(repr(word[:40]) for word in words.head(_LISTED))}{advice}"
        )
    rows = wrong.collect(engine="streaming")
    almost = NearlyType(
        type=kind,
        format=form,
        values=values,
        odd=rows.height,
        words=tuple(rows[name].unique(maintain_order=True).head(_WORDS)),
        rows=tuple(rows[ROW].head(_ROWS)),
    )
    note = almost.note() + (f"; the others are written as {form}" if form else "")
    return Parse("category", note=note, sure=False, almost=almost)


def _plain(numbers: pl.LazyFrame, name: str) -> bool:
    """Return whether nearly all numbers are written as any program reads them."""
    readable = pl.col(name).cast(pl.Float64, strict=False).is_not_null()
    plain: bool = numbers.select(readable.mean() >= NEARLY).collect(engine="streaming").item()
    return plain
