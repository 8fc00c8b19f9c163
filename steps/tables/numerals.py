"""The evidence of how numbers are written in a column: signs between thousands, decimal marks, money and percentages.

A comma or a point before exactly three digits may be either mark. What else the column and the file hold decides; where that
leaves a doubt, the reading says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from model_code.tabular.values import (
    CURRENCIES,
    PERCENT,
    affix_pattern,
    number_pattern,
    with_usual_signs,
    without_affixes,
)

AFFIXES = (*CURRENCIES, *PERCENT)
_FORMS = ((",", "."), (".", ","), ("'", "."), ("'", ","), (" ", "."), (" ", ","))
"""The pairs of a sign between thousands and a decimal mark that people use."""
_WORDS = {",": "commas", ".": "points", "'": "apostrophes", " ": "blanks"}
NUMBER_LIKE = r"^\W{0,3}[\p{L}$€£¥.]{0,4}\W{0,2}\d[\d.,'\u2019\s]*(?:[eE][+-]?\d+)?\W{0,2}\p{L}{0,3}\.?\W{0,2}$"
"""Text that may be a number with signs around it."""
AMBIGUOUS = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""A number whose mark may stand between thousands or before decimals."""


@dataclass(frozen=True)
class Marks:
    """What is known of the numbers of a source before a column is looked at."""

    decimal: str = "."
    """The decimal mark of most numbers."""
    exact: bool = False
    """True if the problem file gives the decimal mark."""
    thousands: str | None = None
    """The sign between thousands that the problem file gives; empty for none."""
    commas_delimit: bool = False
    """True if commas stand between the cells, so that numbers with a comma need quotes."""

    @property
    def forms(self) -> tuple[tuple[str, str], ...]:
        forms = [form for form in _FORMS if not self.exact or form[1] == self.decimal]
        if self.thousands is not None:
            forms = [
                (self.thousands, mark)
                for mark in ".,"
                if mark != self.thousands and (not self.exact or mark == self.decimal)
            ]
        return tuple(forms)


@dataclass(frozen=True)
class Numerals:
    """How the numbers of one column are written."""

    thousands: str | None
    decimal: str
    whole: bool
    """True if no number has decimals."""
    sure: bool
    """False if the sign between thousands may be a decimal mark instead, or the other way round."""
    affixes: tuple[str, ...] = ()
    signs: bool = False

    def note(self, example: str) -> str:
        """Return what is unusual about the numbers, with an example of them."""
        parts = []
        if self.affixes:
            [affix] = self.affixes
            parts.append("percentages" if affix in PERCENT else f"amounts in {affix}")
        if self.thousands is not None:
            parts.append(f"numbers with {_WORDS.get(self.thousands, self.thousands)} between thousands")
        if self.decimal == "," and not (self.thousands or self.affixes):
            parts.append("numbers with a decimal comma")
        if self.signs:
            parts.append("minus signs or parentheses for negative numbers")
        return (
            f"holds {', '.join(parts) or 'numbers with a decimal point'}, such as {example!r}; they are read as numbers"
        )


def core(text: pl.Expr, affixes: Iterable[str] = ()) -> pl.Expr:
    """Return numbers without signs of money or percent, and without other affixes."""
    return without_affixes(with_usual_signs(text), (*AFFIXES, *affixes))


def questions(name: str, marks: Marks, affixes: Iterable[str] = ()) -> Mapping[str, pl.Expr]:
    """Return what has to be counted in a column to decide how its numbers are written."""
    text = pl.col(name)
    number = core(text, affixes)
    return {
        "values": text.count(),
        **{f"fits {form}": number.str.contains(pattern(*form)).sum() for form in marks.forms},
        "comma": number.str.contains(",", literal=True).sum(),
        "point": number.str.contains(".", literal=True).sum(),
        "blank": number.str.contains(r"\d \d").sum(),
        "apostrophe": number.str.contains("'", literal=True).sum(),
        "ambiguous": number.str.contains(AMBIGUOUS).sum(),
        "double": number.str.contains(r"^[+-]?\d{1,3}([.,])\d{3}[.,]\d{3}").sum(),
        "short": number.str.contains(r"^[+-]?\d{1,3}$").sum(),
        "long": number.str.contains(r"^[+-]?\d{4,}$").sum(),
        "percent": text.str.contains(f"(?:{affix_pattern(PERCENT)})").sum(),
        "affixed": (number != with_usual_signs(text)).sum(),
        "signed": text.str.contains(r"^\(.*\)$|[\u2212\u2010-\u2014\ufe63\uff0d]|\d\s*-$").sum(),
        "longest": text.str.len_chars().max(),
        "shortest": text.str.len_chars().min(),
    }


def pattern(thousands: str, decimal: str) -> str:
    """Return the pattern of numbers of one form."""
    return number_pattern(thousands or None, decimal)


def decide(counts: Mapping[str, int], marks: Marks) -> Numerals | None:
    """Return how all numbers of a column are written; None if they are not all numbers of one form."""
    values = counts["values"]
    fitting = [form for form in marks.forms if counts[f"fits {form}"] == values]
    if not fitting or (0 < counts["percent"] < values):
        return None
    thousands, decimal, sure = _choose(fitting, counts, marks)
    if thousands == " " and counts["longest"] == counts["shortest"] and values > 1:
        return None  # codes in groups, rather than numbers
    has_decimals = counts["comma" if decimal == "," else "point"] > 0
    return Numerals(thousands, decimal, not has_decimals, sure, signs=counts["signed"] > 0)


def _choose(fitting: list[tuple[str, str]], counts: Mapping[str, int], marks: Marks) -> tuple[str | None, str, bool]:
    present = {",": counts["comma"], ".": counts["point"], "'": counts["apostrophe"], " ": counts["blank"]}
    for sign in ("'", " "):
        if present[sign] and (forms := [form for form in fitting if form[0] == sign]):
            return (sign, marks.decimal, True) if (sign, marks.decimal) in forms else (sign, forms[0][1], True)
    if not present[","] and not present["."]:
        return None, marks.decimal, True
    english, continental = (any(form == pair for form in fitting) for pair in ((",", "."), (".", ",")))
    if not (english and continental) or marks.thousands is not None:
        thousands, decimal = fitting[0]
        return thousands if present.get(thousands) else None, decimal, True
    # All marks are of one kind and stand before exactly three digits.
    mark = "," if present[","] else "."
    other = "." if mark == "," else ","
    if counts["double"]:
        return mark, other, True
    if mark == "." and counts["affixed"] > counts["percent"]:  # amounts have two decimals, or none
        return (None, mark, False) if marks.commas_delimit else (mark, other, False)
    if marks.decimal != mark:  # the file's numbers have the other decimal mark, or none has decimals
        return mark, other, False
    if mark == "," or marks.commas_delimit or not counts["short"] or counts["long"]:
        return None, mark, mark == "," or not (counts["short"] and not counts["long"])
    return mark, other, False
