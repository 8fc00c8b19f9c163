"""Questions about the classes of a target: codes that may be quantities, and spellings of one word."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

import polars as pl

from steps.label import FEW
from steps.labeling.twins import twins

_MOST_CODES = 10
_QUANTITY = re.compile(
    r"(^|[\W_])(n|no|nr|num|number|count|counts|cnt|qty|quantity|total|sum|amount|size|age|price|cost|score|rating|stars?|points?|"
    r"quality|grade|rank|goals?|visits?|children|kids|items?|rooms?|bedrooms?|claims?|clicks?|days?|weeks?|months?|years?|hours?|"
    r"minutes?)($|[\W_])"
)


def are_codes(name: str, values: pl.Series) -> bool:
    """Return whether numbers are rather the codes of classes: few, consecutive from 0 or 1, and not named like a quantity."""
    if not values.dtype.is_numeric():
        return False
    counts: dict[float, int] = dict(values.drop_nulls().value_counts().iter_rows())
    codes = sorted(counts)
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return (
        3 <= len(codes) <= _MOST_CODES
        and codes[0] in (0, 1)
        and all(code == codes[0] + step for step, code in enumerate(codes))
        and min(counts.values()) >= FEW
        and _QUANTITY.search(spaced) is None
    )


def spellings(target: str, counts: Mapping[str, int], source: str | None) -> Iterator[str]:
    """Ask about classes that differ in case or blanks only.

    Args:
        counts: the rows of each class.
        source: the only source, where no query reads it yet.
    """
    words = [sorted(names, key=lambda name: -counts[name]) for names in twins(counts)]
    if not words:
        return
    listed = "; ".join(", ".join(f"{name!r} ({counts[name]:,})" for name in names) for names in words)
    question = (
        f"classes of {target!r} that differ in case or blanks only count as different: {listed}; are they one class?"
    )
    if source is not None:
        column = _name(target)
        whens = " ".join(
            f"WHEN {column} IN ({', '.join(map(_text, rarer))}) THEN {_text(first)}" for first, *rarer in words
        )
        query = " ".join(["SELECT * REPLACE", f"(CASE {whens} ELSE {column} END AS {column})", "FROM", _name(source)])
        question += f" If so: --set data.query={shlex.quote(query)}"
    yield question


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
