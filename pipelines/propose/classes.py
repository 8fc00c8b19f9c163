"""Questions about classes and categories: spellings of one word."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from steps.labeling.classes import twins

_MOST_VALUES = 1000
"""A column with more different values is hardly one of categories."""
_QUESTIONS = 50
"""Questions asked at once: the engine holds buffers for each, gigabytes for thousands of columns."""
_LISTED, _MOST_WORDS = 5, 30
"""How many words of a column are listed, and how many a query may replace."""


def spellings(columns: Mapping[str, Mapping[str, int]], target: str, source: str | None) -> Iterator[str]:
    """Ask about classes, and categories of features, that differ in case or blanks only.

    Args:
        columns: the rows of each value, by column.
        source: the only source, where no query reads it yet.
    """
    words = {
        name: [sorted(group, key=lambda value: -counts[value]) for group in twins(counts)]
        for name, counts in columns.items()
    }
    words = {name: groups for name, groups in words.items() if groups}
    if not words:
        return
    texts = []
    for name, groups in words.items():
        listed = "; ".join(", ".join(f"{v!r} ({columns[name][v]:,})" for v in group) for group in groups[:_LISTED])
        what = "classes" if name == target else "values"
        texts.append(
            f"{what} of {name!r} that differ in case or blanks only count as different: {listed}"
            f"{' ...' if len(groups) > _LISTED else ''}"
        )
    question = f"{'. '.join(texts)}; {'is each of them one word' if len(texts) > 1 else 'are they one word'}?"
    if source is not None and sum(map(len, words.values())) <= _MOST_WORDS:
        replaced = ", ".join(_replaced(name, groups) for name, groups in words.items())
        query = f"SELECT * REPLACE ({replaced}) FROM {_name(source)}"  # noqa: S608 - shown to a person, and checked
        question += f" If so: --set data.query={shlex.quote(query)}"
    yield question


def answers(data: pl.LazyFrame, questions: Sequence[pl.Expr]) -> dict[str, Any]:
    """Return the answer to each question about the columns, by the name of its column."""
    result: dict[str, Any] = {}
    for start in range(0, len(questions), _QUESTIONS):
        batch = data.select(questions[start : start + _QUESTIONS])
        result |= batch.collect(engine="streaming").row(0, named=True)
    return result


def categories(data: pl.LazyFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the rows of each value of columns of categories; columns of many values are left out."""
    tallies = [pl.col(name).drop_nulls().value_counts().head(_MOST_VALUES + 1).implode() for name in names]
    return {
        name: dict(sorted((str(row[name]), row["count"]) for row in rows))
        for name, rows in answers(data, tallies).items()
        if len(rows) <= _MOST_VALUES
    }


def _replaced(name: str, groups: Sequence[Sequence[str]]) -> str:
    """Return the SQL that gives each group of spellings the most frequent one."""
    column = _name(name)
    whens = " ".join(
        f"WHEN {column} IN ({', '.join(map(_text, rarer))}) THEN {_text(first)}" for first, *rarer in groups
    )
    return f"CASE {whens} ELSE {column} END AS {column}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
