"""Text that means more than words to a person: times of day, lists, numbers with a unit."""

from __future__ import annotations

import re

import polars as pl

from steps.tables.evidence import NEARLY, first_values, text_with
from steps.tables.parsing import Parse

_NUMBER = r"[+-]?\d[\d.,' ]*"
_UNIT = r"[^\d\s.,'\"+()-][^\d\s]{0,11}"
_PATTERNS = (
    (r"\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:[AaPp]\.?[Mm]\.?)?", "times of day", "make them numbers in data.query"),
    (
        r"\d{1,2}(?:st|nd|rd|th|\.)?[-/ ]?(?i:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])\p{L}*\.?",
        "days without a year",
        "add the year to use them as dates",
    ),
    (r"[\[{].*[\]}]", "lists or objects", "take their parts in data.query, or write them as columns"),
    (
        (
            r"(?:\p{L}{3,10}\.?,?\s)?\d{1,2}(?:st|nd|rd|th|\.)?[-/ ]\p{L}{3,10}\.?,?[-/ ]\d{2,4}"
            r"|\p{L}{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}|\p{L}{3,10}\.?[-/ ]\d{4}"
        ),
        "what may be dates",
        "write them as 2023-01-31 to use them as dates",
    ),
)
"""Whole values, the words for them, and what would make them readable."""
_UNITS = (rf"^{_NUMBER}\s?({_UNIT})$", rf"^({_UNIT})(?:\s[+-]?\d[\d.,' ]*|[+-]?\d[\d.,' ]*[.,]\d+)$")
"""Numbers before a unit and behind one."""
_MOST_UNITS = 5
LIKE = "|".join([*(f"^(?:{pattern})$" for pattern, *_ in _PATTERNS), *_UNITS])
"""Text that is worth a closer look."""


def described(frame: pl.LazyFrame, name: str) -> Parse:
    """Return text with a note about what it may be to a person."""
    values = [str(value) for value in first_values(frame, name)]
    for pattern, what, advice in _PATTERNS:
        letters = pattern.replace(r"\p{L}", r"[^\W\d_]")
        if sum(re.fullmatch(letters, value) is not None for value in values) >= NEARLY * len(values):
            return text_with(f"holds {what}, such as {values[0]!r}, and is taken as text; {advice}")
    units = [match[1] for value in values for pattern in _UNITS if (match := re.search(pattern, value))]
    different = sorted(set(units))
    if len(units) < NEARLY * len(values) or len(different) > _MOST_UNITS:
        return Parse("category")
    what = "numbers with a unit" if re.match(r"[+-]?\d", values[0]) else "numbers behind a word"
    if len(different) > 1:
        return text_with(
            f"holds numbers with different units ({', '.join(different)}), such as {values[0]!r}; it is taken as text"
        )
    return text_with(
        f"holds {what}, such as {values[0]!r}, and is taken as text; to read the numbers, declare type: float and affixes: [{different[0]}]"
    )
