"""The evidence of how numbers are written in a column: signs between thousands, decimal marks, money and percentages.

A comma or a point before exactly three digits may be either mark. What else the column and the file hold decides; where that
leaves a doubt, the reading says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from model_code.tabular.values import (
    CURRENCIES,
    PERCENT,
    SCALES,
    affix_pattern,
    number_pattern,
    with_usual_signs,
    without_affixes,
)
from steps.tables.evidence import NEARLY, PARTLY, Counts, Questions, ask, disagreeing, first_values, text_with
from steps.tables.parsing import Parse

AFFIXES = (*CURRENCIES, *PERCENT)
_FORMS = ((",", "."), (".", ","), ("'", "."), ("'", ","), (" ", "."), (" ", ","))
"""The pairs of a sign between thousands and a decimal mark that people use."""
_WORDS = {",": "commas", ".": "points", "'": "apostrophes", " ": "blanks"}
_OTHER = {",": ".", ".": ","}
_SCALE = "|".join(re.escape(affix) for affix in sorted(SCALES, key=len, reverse=True))
NUMBER_LIKE = (
    r"^\W{0,3}[\p{L}$€£¥.]{0,4}\W{0,3}\d[\d.,'\u2019\s]*(?:[eE][+-]?\d+)?(?:\W{0,2}\p{L}{0,7}\.?){0,2}\W{0,2}$"
)
"""Text that may be a number with signs around it."""
AMBIGUOUS = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""A number whose mark may stand between thousands or before decimals."""
_NEGATIVE = r"^[^\d]*\(.*\)[^\d]*$|[\u2212\u2010-\u2014\ufe63\uff0d]\s*\d|\d\s*-$"


@dataclass(frozen=True)
class Marks:
    """What is known of the numbers of a source before a column is looked at."""

    decimal: str = "."
    """The decimal mark of most numbers."""
    exact: bool = False
    """True if the problem file gives the decimal mark."""
    evident: bool = False
    """True if the problem file gives the decimal mark, or other numbers of the file must have it."""
    thousands: str | None = None
    """The sign between thousands that the problem file gives; empty for none."""
    commas_delimit: bool = False
    """True if commas stand between the cells, so that numbers with a comma need quotes."""
    source: str = "NAME"
    """The name of the source, for settings in messages."""

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
    whole: bool = False
    """True if no number has decimals."""
    sure: bool = True
    """False if the sign between thousands may be a decimal mark instead, or the other way round."""
    negative: bool = False
    """True if there are other minus signs than the hyphen in front, or parentheses."""
    signs: bool = False
    """True if there are other signs or digits than a program would write."""
    affixes: tuple[str, ...] = ()

    def note(self, example: str, source: str) -> str:
        """Return what is unusual about the numbers, with an example of them, and what to do if that is wrong."""
        scales = [affix for affix in self.affixes if affix in SCALES]
        units = [affix for affix in self.affixes if affix not in SCALES]
        parts = []
        if units:
            parts.append(
                {"%": "percentages", "‰": "numbers per mille"}[units[0]]
                if units[0] in PERCENT
                else f"amounts in {' and '.join(units)}"
            )
        if scales:
            parts.append(f"numbers that {', '.join(scales)} multipl{'ies' if len(scales) == 1 else 'y'}")
        if self.thousands is not None:
            parts.append(f"numbers with {_WORDS.get(self.thousands, self.thousands)} between thousands")
        if self.decimal == "," and not (self.thousands or self.affixes):
            parts.append("numbers with a decimal comma")
        if self.negative:
            parts.append("minus signs or parentheses for negative numbers")
        usual = "numbers with unusual signs" if self.signs else "numbers with a decimal point"
        note = f"holds {', '.join(parts) or usual}, such as {example!r}; they are read as numbers"
        if scales:
            return f"{note}. If {' or '.join(scales)} is no multiplier, declare type: category"
        setting = f"data.sources.{source}"
        if not self.sure and self.thousands:
            return f"{note}. If {self.thousands!r} is the decimal mark, set decimal: {self.thousands!r} for the source ({setting}.decimal)"
        if not self.sure:
            return (
                f"{note}. If {self.decimal!r} stands between thousands, set thousands: {self.decimal!r} and "
                f"decimal: {_OTHER[self.decimal]!r} for the source ({setting})"
            )
        return note


def infer(
    frame: pl.LazyFrame, columns: Sequence[str], marks: Marks, declared: Mapping[str, Parse]
) -> dict[str, Parse | None]:
    """Return the columns of numbers that are written for people, and text with a note for those that nearly are.

    A declared column gets its form, or None where no form fits all of its values.
    """
    own = {name: declared[name].affixes if name in declared else () for name in columns}
    parses: dict[str, Parse | None] = {}
    for name, counts in ask(frame, {name: questions(name, marks, own[name]) for name in columns}).items():
        form = decide(counts, marks)
        affixes = _Affixes.of(frame, name, own[name]) if counts["affixed"] or counts["scaled"] else _Affixes()
        if form is not None and affixes.alike and (name in declared or not affixes.may_be_units(counts)):
            parse = declared.get(name) or Parse("integer" if form.whole else "float")
            parses[name] = _with_form(
                parse, replace(form, affixes=(*affixes.units, *affixes.scales)), frame, name, marks
            )
        elif name not in declared and (text := _text(frame, name, counts, marks, affixes)):
            parses[name] = text
    return parses


def core(text: pl.Expr, affixes: Iterable[str] = ()) -> pl.Expr:
    """Return numbers without signs of money or percent, without multipliers and without other affixes."""
    number = without_affixes(with_usual_signs(text), (*AFFIXES, *affixes))
    return number.str.replace(rf"(\d[.,]?)\s*(?:{_SCALE})$", "$1")


def questions(name: str, marks: Marks, affixes: Iterable[str] = ()) -> Questions:
    """Return what has to be counted in a column to decide how its numbers are written."""
    text = pl.col(name)
    usual = with_usual_signs(text)
    number = core(text, affixes)
    fits = {form: number.str.contains(number_pattern(form[0] or None, form[1])) for form in marks.forms}
    return {
        "values": text.count(),
        **{f"fits {form}": fit.sum() for form, fit in fits.items()},
        "any": pl.any_horizontal(fits.values()).sum(),
        "comma": number.str.contains(",", literal=True).sum(),
        "point": number.str.contains(".", literal=True).sum(),
        "blank": number.str.contains(r"\d \d").sum(),
        "apostrophe": number.str.contains("'", literal=True).sum(),
        "ambiguous": number.str.contains(AMBIGUOUS).sum(),
        "double": number.str.contains(r"^[+-]?\d{1,3}([.,])\d{2,3}[.,]\d{2,3}").sum(),
        "short": number.str.contains(r"^[+-]?\d{1,3}$").sum(),
        "long": number.str.contains(r"^[+-]?\d{4,}$").sum(),
        "percent": text.str.contains(f"[{''.join(PERCENT)}]").sum(),
        "scaled": usual.str.contains(rf"\d[.,]?\s*(?:{_SCALE})(?:\P{{L}}|$)").sum(),
        "affixed": (without_affixes(usual, (*AFFIXES, *affixes)) != usual).sum(),
        "negative": text.str.contains(_NEGATIVE).sum(),
        "signed": (usual != text).sum(),
        "longest": text.str.len_chars().max(),
        "shortest": text.str.len_chars().min(),
    }


def decide(counts: Counts, marks: Marks) -> Numerals | None:
    """Return how all numbers of a column are written, affixes aside; None if they are not all numbers of one form."""
    values = counts["values"]
    fitting = [form for form in marks.forms if counts[f"fits {form}"] == values]
    if not fitting or (0 < counts["percent"] < values):
        return None
    thousands, decimal, sure = _choose(fitting, counts, marks)
    if thousands == " " and counts["longest"] == counts["shortest"] and values > 1:
        return None  # codes in groups, rather than numbers
    scaled = counts["scaled"] > 0
    return Numerals(
        thousands,
        decimal,
        whole=not scaled and counts["comma" if decimal == "," else "point"] == 0,
        sure=sure and not scaled,
        negative=counts["negative"] > 0,
        signs=counts["signed"] > 0,
    )


def _choose(fitting: list[tuple[str, str]], counts: Counts, marks: Marks) -> tuple[str | None, str, bool]:
    """Return the sign between thousands, the decimal mark, and whether no other choice is plausible."""
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
    if counts["double"]:
        return mark, _OTHER[mark], True
    if counts["affixed"] > counts["percent"]:  # amounts have two decimals, or none
        decimals = mark == "." and marks.commas_delimit
        return (None, mark, False) if decimals else (mark, _OTHER[mark], mark == ",")
    if marks.evident:
        return (None, mark, True) if marks.decimal == mark else (mark, _OTHER[mark], True)
    if mark == "," or (counts["short"] and not counts["long"] and not marks.commas_delimit):
        return mark, _OTHER[mark], False
    return None, mark, counts["long"] > 0 or (marks.commas_delimit and not counts["short"])


@dataclass(frozen=True)
class _Affixes:
    """What stands before and behind the numbers of a column."""

    units: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()
    alike: bool = True
    """True if all numbers that have a unit have the same."""

    @classmethod
    def of(cls, frame: pl.LazyFrame, name: str, own: tuple[str, ...]) -> _Affixes:
        units = affix_pattern(affix for affix in (*AFFIXES, *own) if affix not in SCALES)
        number = with_usual_signs(pl.col(name))
        bare = without_affixes(number, (*AFFIXES, *own))
        parts = frame.select(
            number.str.extract(rf"^[+-]?\s*({units})", 1).alias("front"),
            number.str.extract(rf"({units})$", 1).alias("back"),
            bare.str.extract(rf"\d[.,]?\s*({_SCALE})$", 1).alias("scale"),
        )
        rows = parts.unique().collect(engine="streaming")
        pairs = {tuple(part.lower() for part in pair if part) for pair in rows.select("front", "back").iter_rows()}
        spelled = {unit for unit in (*rows["front"], *rows["back"]) if unit}
        alike = len(pairs - {()}) <= 1 or len({unit.lower() for unit in spelled}) == 1
        return cls(tuple(sorted(spelled)), tuple(sorted({scale for scale in rows["scale"] if scale})), alike)

    def may_be_units(self, counts: Counts) -> bool:
        """Return whether all numbers have the same multiplier and nothing else shows that it is one, as in 3M and 6M."""
        plain = not (counts["comma"] or counts["point"] or self.units)
        return len(self.scales) == 1 and counts["scaled"] == counts["values"] and plain


def _with_form(parse: Parse, form: Numerals, frame: pl.LazyFrame, name: str, marks: Marks) -> Parse:
    plain = form.sure and not (form.thousands or form.affixes or form.signs) and form.decimal == marks.decimal
    return replace(
        parse,
        decimal=form.decimal,
        thousands=form.thousands,
        affixes=form.affixes,
        signs=form.signs,
        note=None if plain else form.note(_example(frame, name), marks.source),
        sure=form.sure or parse.declared,
    )


def _example(frame: pl.LazyFrame, name: str) -> str:
    """Return the first value that shows how the numbers of a column are written."""
    return str(max(first_values(frame, name, 1000), key=lambda value: len(re.sub(r"[\w+-]", "", value)), default=""))


def _text(frame: pl.LazyFrame, name: str, counts: Counts, marks: Marks, affixes: _Affixes) -> Parse | None:
    """Return text with a note about the numbers that it nearly is; None if it is far from that."""
    values = counts["values"]
    best = max(marks.forms, key=lambda form: counts[f"fits {form}"])
    fitting = counts[f"fits {best}"]
    if fitting == values and not affixes.alike:
        units = ", ".join(affixes.units)
        return text_with(f"holds amounts in {units}, which cannot be compared as numbers; it is taken as text")
    if fitting == values and 0 < counts["percent"] < values:
        return text_with(
            f"holds numbers of which {counts['percent']:,} of {values:,} are percentages; it is taken as text, since the "
            "others may be of another unit"
        )
    if fitting == values and affixes.may_be_units(counts):
        [scale] = affixes.scales
        return text_with(
            f"holds numbers with {scale}, such as {_example(frame, name)!r}, and is taken as text; to read them as numbers that "
            f"{scale} multiplies, declare type: float and affixes: [{scale}]"
        )
    if fitting == values and counts["blank"]:
        return text_with(
            f"holds groups of digits such as {_example(frame, name)!r}, taken as codes; if they are numbers, declare type: float"
        )
    if fitting < NEARLY * values <= counts["any"]:
        number = core(pl.col(name))
        patterns = [number_pattern(form[0] or None, form[1]) for form in marks.forms]
        other = frame.filter(number.str.contains(patterns[marks.forms.index(best)]).not_())
        one = frame.filter(pl.col(name).is_not_null()).join(other, on=name, how="anti")
        examples = [str(first_values(rows, name, 1).first()) for rows in (one, other)]
        return text_with(
            f"holds numbers that are written in more than one way, such as {' and '.join(map(repr, examples))}; it is taken as "
            "text: write them alike"
        )
    odd = ~core(pl.col(name)).str.contains(number_pattern(best[0] or None, best[1]))
    if fitting < PARTLY * values:
        return None
    numbers = frame.filter(~odd).select(core(pl.col(name)).str.contains(best[1], literal=True).any())
    fractions = numbers.collect(engine="streaming").item()
    return disagreeing(frame, name, odd, values, fitting, "float" if fractions else "integer")
