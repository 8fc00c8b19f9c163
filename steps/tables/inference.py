"""The narrowest type that all values of a column have, found in a few streamed passes over cleaned text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from model_code.tabular.values import with_point
from steps.tables import dates, lookalikes, numerals
from steps.tables.evidence import NEARLY, PARTLY, Counts, Questions, ask, text_with
from steps.tables.numerals import Marks
from steps.tables.parsing import Parse

_DIGITS = r"^[+-]?[0-9]+$"
_MONTHS = {"%m.%Y": r"^(?:0[1-9]|1[0-2])\.(?:19|20)\d{2}$", "%Y.%m": r"^(?:19|20)\d{2}\.(?:0[1-9]|1[0-2])$"}
"""Months that look like numbers."""


def infer(
    frame: pl.LazyFrame, columns: Sequence[str], marks: Marks, declared: Mapping[str, Parse] | None = None
) -> dict[str, Parse | None]:
    """Return the narrowest type that every value of each column has; None for a column without values.

    Args:
        frame: cleaned text.
        marks: what is known of the numbers of the source.
        declared: columns whose type is declared, but not how their numbers or dates are written.

    Raises:
        InputError: the dates of a declared column may be written with the day or the month first.
    """
    declared = declared or {}
    parses: dict[str, Parse | None] = {}
    fractions, undecided = [], []
    for name, counts in ask(frame, {name: _plain_questions(name, marks) for name in columns}).items():
        parse = declared.get(name)
        if parse is None and counts["values"] == 0:
            parses[name] = None
        elif parse is None and (simple := _simple_parse(counts)):
            parses[name] = simple
        elif counts["values"] and counts["finite"] + counts["infinite"] == counts["values"] and _numeric(parse):
            fractions.append(name)
        else:
            undecided.append(name)
    looks = ask(
        frame,
        {name: _doubt_questions(name) for name in fractions} | {name: _shape_questions(name) for name in undecided},
    )
    parses |= {name: _fraction_parse(looks[name], marks, declared.get(name)) for name in fractions}
    parses = {name: parse and replace(parse, decimal=marks.decimal) for name, parse in parses.items()}
    unlike = [name for name in fractions if parses[name] is None]
    numbers = [name for name in undecided if _may_be_numbers(declared.get(name), looks[name])]
    parses |= numerals.infer(frame, [*unlike, *numbers], marks, declared)
    days = [name for name in undecided if _may_be_dates(declared.get(name), looks[name], parses.get(name))]
    parses |= dates.infer(frame, days, declared)
    for name in undecided:
        if name not in declared and name not in parses and looks[name]["alike"] >= NEARLY * looks[name]["values"]:
            parses[name] = lookalikes.described(frame, name)
    left = {name: replace(declared.get(name, Parse("category")), decimal=marks.decimal) for name in columns}
    return {name: parses.get(name, left[name]) for name in columns}


def _numeric(declared: Parse | None) -> bool:
    """Return whether a column may hold numbers, as far as its declaration goes."""
    return declared is None or declared.type in ("integer", "float")


def _may_be_numbers(declared: Parse | None, shape: Counts) -> bool:
    own_affixes = declared is not None and bool(declared.affixes)
    return _numeric(declared) and (own_affixes or shape["number"] >= PARTLY * shape["values"])


def _may_be_dates(declared: Parse | None, shape: Counts, parse: Parse | None) -> bool:
    if declared is not None:
        return declared.type in ("date", "datetime")
    return shape["date"] >= PARTLY * shape["values"] and (parse is None or parse.textual)


def _plain_questions(name: str, marks: Marks) -> Questions:
    text = pl.col(name)
    number = with_point(text, marks.decimal).cast(pl.Float64, strict=False)
    return {
        "values": text.count(),
        "boolean": text.str.to_lowercase().is_in(["true", "false"]).sum(),
        "integer": text.cast(pl.Int64, strict=False).count(),
        "digits": text.str.contains(_DIGITS).sum(),
        "finite": number.is_finite().sum(),
        "infinite": number.is_infinite().sum(),
    }


def _doubt_questions(name: str) -> Questions:
    """Return what has to be counted among plain numbers that are not all whole."""
    text = pl.col(name)
    return {
        "values": text.count(),
        "ambiguous": text.str.contains(numerals.AMBIGUOUS).sum(),
        "short": text.str.contains(r"^[+-]?\d{1,3}$").sum(),
        "exponents": text.str.contains(r"^\d+[eE]\d+$").sum(),
        "digits": text.str.contains(_DIGITS).sum(),
        "zeros": text.str.contains(r"^0\d|[eE]0\d").sum(),
        "longest": text.str.len_chars().max(),
        "shortest": text.str.len_chars().min(),
        **{form: text.str.contains(pattern).sum() for form, pattern in _MONTHS.items()},
    }


def _shape_questions(name: str) -> Questions:
    """Return what has to be counted to see which columns of text may be numbers or dates; most are neither."""
    text = pl.col(name)
    return {
        "values": text.count(),
        "number": text.str.contains(numerals.NUMBER_LIKE).sum(),
        "date": text.str.contains(dates.DATE_LIKE).sum(),
        "alike": text.str.contains(lookalikes.LIKE).sum(),
    }


def _simple_parse(counts: Counts) -> Parse | None:
    """Return the parse of a column that needs no second look."""
    values = counts["values"]
    if counts["boolean"] == values:
        return Parse("boolean")
    if counts["integer"] == values:
        return Parse("integer")
    if counts["digits"] == values:
        return text_with("holds whole numbers beyond 64 bits; they are kept as text")
    if counts["infinite"] == values:
        return text_with("holds nothing but infinities; they are kept as text")
    return None


def _fraction_parse(counts: Counts, marks: Marks, declared: Parse | None) -> Parse | None:
    """Return the parse of plain numbers that are not all whole; None if their marks may separate thousands."""
    values = counts["values"]
    if counts["ambiguous"] and (marks.thousands is not None or counts["ambiguous"] + counts["short"] == values):
        return None
    if declared is not None:
        return declared
    if months := [form for form in _MONTHS if counts[form] == values]:
        note = f"holds months written as {months[0]}, read as their first day; if they are numbers, declare type: float"
        return Parse("date", months[0], note=note, sure=False)
    if counts["exponents"] and counts["exponents"] + counts["digits"] == values:
        alike = counts["zeros"] or counts["longest"] == counts["shortest"]
        if counts["exponents"] == values or alike:
            return text_with("holds codes such as 1E5, kept as text; if they are numbers, declare type: float")
        return Parse("float", note="holds numbers such as 1E5; if they are codes, declare type: category", sure=False)
    return Parse("float")  # parsing refuses huge and infinite values later, by row
