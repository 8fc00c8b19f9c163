"""The narrowest type that all values of a column have, found in a few streamed passes over cleaned text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from model_code.tabular.values import affix_pattern, with_point, with_usual_signs
from steps.errors import InputError
from steps.tables import dates, numerals
from steps.tables.document import NearlyType
from steps.tables.numerals import Marks, Numerals
from steps.tables.parsing import Parse
from steps.tables.schema import ROW, Type

_NEARLY = 0.95
"""The share of values of a type from which a column of text is said to be nearly of that type."""
_EXAMPLES = 64
"""Values on which the formats of dates are tried before those that fit are counted in all of the column."""
_WORDS, _ROWS = 12, 5
_ALIKE = (
    (
        r"^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:[AaPp]\.?[Mm]\.?)?$",
        "times of day",
        "make them numbers in data.query",
    ),
    (
        (
            r"^(?:\d{4}[-/](?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/]\d{4}|\d{4}-?W\d{2}"
            r"|[QT][1-4][-/ ]?\d{4}|\d{4}[-/ ]?[QT][1-4]|\p{L}{3,9}\.?[-/ ]\d{4})$"
        ),
        "months, weeks or quarters",
        "give them a day in data.query to use them as dates",
    ),
    (
        (
            r"^(?:\p{L}{3,10}\.?,?\s)?\d{1,2}(?:st|nd|rd|th|\.)?[-/ ]\p{L}{3,10}\.?,?[-/ ]\d{2,4}$"
            r"|^\p{L}{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}$"
        ),
        "what may be dates",
        "declare type: date and the format, or write them as 2023-01-31",
    ),
    (r"^[+-]?\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?$", "numbers in lakhs and crores", "write them without commas"),
    (
        r"^[+-]?\d[\d.,' ]*\s?([^\d\s.,'+()-][^\d\s]{0,11})$",
        "numbers with a unit",
        "to read the numbers, declare type: float and affixes: [{unit}]",
    ),
)
"""What columns of text may be to a person: the pattern, the words for it, and what would make it readable."""
_DIGITS = r"^[+-]?\d+$"

Questions = Mapping[str, pl.Expr]
Counts = Mapping[str, int]


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
    fractions, nearly, undecided = [], [], []
    plain = _ask(frame, {name: _plain_questions(name, marks) for name in columns})
    for name, counts in plain.items():
        parse = declared.get(name)
        if parse is None and counts["values"] == 0:
            parses[name] = None
        elif parse is None and (simple := _simple_parse(counts)):
            parses[name] = simple
        elif counts["values"] and counts["finite"] + counts["infinite"] == counts["values"] and _numeric(parse):
            fractions.append(name)
        elif parse is None and counts["finite"] >= _NEARLY * counts["values"]:
            nearly.append(name)
        else:
            undecided.append(name)
    for name in nearly:
        if (parse := _nearly_plain_numbers(frame, name, plain[name], marks)) is not None:
            parses[name] = parse
        else:
            undecided.append(name)
    looks = _ask(
        frame,
        {name: _doubt_questions(name) for name in fractions} | {name: _shape_questions(name) for name in undecided},
    )
    parses |= {name: _fraction_parse(looks[name], marks, declared.get(name)) for name in fractions}
    parses = {name: parse and replace(parse, decimal=marks.decimal) for name, parse in parses.items()}
    unlike = [name for name in fractions if parses[name] is None]
    numeric = [
        name
        for name in undecided
        if _numeric(declared.get(name))
        and (_own_affixes(declared, name) or looks[name]["number"] >= looks[name]["values"] / 2)
    ]
    parses |= _infer_numbers(frame, [*unlike, *numeric], marks, declared)
    dated = [name for name in undecided if _dated(declared.get(name), looks[name]) and not _settled(parses.get(name))]
    parses |= _infer_dates(frame, dated, declared)
    for name in undecided:
        if name not in declared and name not in parses and looks[name]["alike"] >= _NEARLY * looks[name]["values"]:
            parses[name] = _alike(frame, name)
    left = {name: replace(declared.get(name, Parse("category")), decimal=marks.decimal) for name in columns}
    return {name: parses.get(name, left[name]) for name in columns}


def _alike(frame: pl.LazyFrame, name: str) -> Parse:
    """Return text with a note about what it may be to a person."""
    values = frame.select(name).drop_nulls().head(_EXAMPLES).collect(engine="streaming")[name].to_list()
    for pattern, what, advice in _ALIKE:
        matches = [match for value in values if (match := re.search(pattern.replace(r"\p{L}", r"[^\W\d_]"), value))]
        units = {match.group(match.lastindex or 0) for match in matches}
        if len(matches) >= _NEARLY * len(values) and ("{unit}" not in advice or len(units) == 1):
            note = f"holds {what}, such as {values[0]!r}, and is taken as text; {advice.format(unit=units.pop())}"
            return Parse("category", note=note, sure=False)
    return Parse("category")


def _numeric(declared: Parse | None) -> bool:
    """Return whether a column may hold numbers, as far as its declaration goes."""
    return declared is None or declared.type in ("integer", "float")


def _dated(declared: Parse | None, shape: Counts) -> bool:
    if declared is None:
        return shape["date"] >= _NEARLY * shape["values"]
    return declared.type in ("date", "datetime")


def _settled(parse: Parse | None) -> bool:
    return parse is not None and not parse.textual


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
    }


def _shape_questions(name: str) -> Questions:
    """Return what has to be counted to see which columns of text may be numbers or dates; most are neither."""
    text = pl.col(name)
    return {
        "values": text.count(),
        "number": text.str.contains(numerals.NUMBER_LIKE).sum(),
        "date": text.str.contains(dates.DATE_LIKE).sum(),
        "alike": text.str.contains("|".join(pattern for pattern, *_ in _ALIKE)).sum(),
    }


def _ask(frame: pl.LazyFrame, questions: Mapping[str, Questions]) -> dict[str, dict[str, int]]:
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


def _simple_parse(counts: Counts) -> Parse | None:
    """Return the parse of a column that needs no second look."""
    values = counts["values"]
    if counts["boolean"] == values:
        return Parse("boolean")
    if counts["integer"] == values:
        return Parse("integer")
    if counts["digits"] == values:
        return Parse("category", note="holds whole numbers beyond 64 bits; they are kept as text", sure=False)
    if counts["infinite"] == values:
        return Parse("category", note="holds nothing but infinities; they are kept as text", sure=False)
    return None


def _fraction_parse(counts: Counts, marks: Marks, declared: Parse | None) -> Parse | None:
    """Return the parse of plain numbers that are not all whole; None if their marks may separate thousands."""
    values = counts["values"]
    if counts["ambiguous"] and counts["short"] and counts["ambiguous"] + counts["short"] == values:
        return None
    if marks.thousands is not None and counts["ambiguous"]:
        return None
    if declared is not None:
        return declared
    if counts["exponents"] and counts["exponents"] + counts["digits"] == values:
        alike = counts["zeros"] or counts["longest"] == counts["shortest"]
        if counts["exponents"] == values or alike:
            note = "holds codes such as 1E5, kept as text; if they are numbers, declare type: float"
            return Parse("category", note=note, sure=False)
        return Parse("float", note="holds numbers such as 1E5; if they are codes, declare type: category", sure=False)
    return Parse("float")  # parsing refuses huge and infinite values later, by row


def _infer_numbers(
    frame: pl.LazyFrame, columns: Sequence[str], marks: Marks, declared: Mapping[str, Parse]
) -> dict[str, Parse | None]:
    """Return the columns of numbers that are written for people, and those that nearly are."""
    parses: dict[str, Parse | None] = {}
    questions = {name: numerals.questions(name, marks, _own_affixes(declared, name)) for name in columns}
    for name, counts in _ask(frame, questions).items():
        form = numerals.decide(counts, marks)
        affixes = _affixes(frame, name, _own_affixes(declared, name)) if counts["affixed"] else ()
        if form is None or len(affixes) > 1:
            if name not in declared and (parse := _nearly_numbers(frame, name, counts, marks, affixes)):
                parses[name] = parse
            continue
        parse = declared.get(name) or Parse("integer" if form.whole else "float")
        parses[name] = _with_form(parse, replace(form, affixes=affixes), _example(frame, name))
    return parses


def _with_form(parse: Parse, form: Numerals, example: str) -> Parse:
    note = form.note(example)
    if not form.sure:
        other = {",": ".", ".": ","}[form.thousands or form.decimal]
        note += (
            f". If {form.thousands!r} is the decimal mark, set decimal: {form.thousands!r} for the source"
            if form.thousands
            else f". If {form.decimal!r} stands between thousands, set thousands: {form.decimal!r} and decimal: {other!r} for "
            "the source"
        )
    return replace(
        parse,
        decimal=form.decimal,
        thousands=form.thousands,
        affixes=form.affixes,
        signs=form.signs,
        note=note,
        sure=form.sure or parse.declared,
    )


def _own_affixes(declared: Mapping[str, Parse], name: str) -> tuple[str, ...]:
    return declared[name].affixes if name in declared else ()


def _affixes(frame: pl.LazyFrame, name: str, own: tuple[str, ...]) -> tuple[str, ...]:
    choices = affix_pattern((*numerals.AFFIXES, *own))
    pattern = rf"^[+-]?\s*({choices})|({choices})$"
    number = with_usual_signs(pl.col(name))
    both = pl.coalesce(number.str.extract(pattern, 1), number.str.extract(pattern, 2))
    return tuple(sorted(frame.select(both.drop_nulls().unique()).collect(engine="streaming").to_series().to_list()))


def _example(frame: pl.LazyFrame, name: str) -> str:
    """Return the first value that shows how the numbers of a column are written."""
    values = frame.select(name).drop_nulls().head(1000).collect(engine="streaming")[name]
    return str(max(values, key=lambda value: len(re.sub(r"[\w+-]", "", value)), default=""))


def _nearly_plain_numbers(frame: pl.LazyFrame, name: str, counts: Counts, marks: Marks) -> Parse | None:
    """Return text with a note about its odd words; None if most of them may be numbers too, as people write them."""
    text = pl.col(name)
    number = with_point(text, marks.decimal).cast(pl.Float64, strict=False)
    odd = frame.filter(text.is_not_null() & number.is_finite().not_().fill_null(value=True))
    shapes = odd.select(text.str.contains(numerals.NUMBER_LIKE).mean()).collect(engine="streaming").item()
    if shapes >= 0.5:
        return None
    kind: Type = "integer" if counts["integer"] == counts["finite"] else "float"
    almost = _almost(
        frame, name, text.is_not_null() & number.is_finite().not_().fill_null(value=True), counts["values"], kind, None
    )
    return Parse("category", note=almost.note(), sure=False, almost=almost)


def _nearly_numbers(
    frame: pl.LazyFrame, name: str, counts: Counts, marks: Marks, affixes: Sequence[str]
) -> Parse | None:
    """Return text with a note about the numbers that it nearly is; None if it is far from that."""
    values = counts["values"]
    if len(affixes) > 1 and numerals.decide(counts, marks):
        note = f"holds amounts in {', '.join(affixes)}, which cannot be compared as numbers; it is taken as text"
        return Parse("category", note=note, sure=False)
    form = max(marks.forms, key=lambda form: counts[f"fits {form}"])
    if counts[f"fits {form}"] == values and counts["blank"]:
        note = f"holds groups of digits such as {_example(frame, name)!r}, taken as codes; if they are numbers, declare type: float"
        return Parse("category", note=note, sure=False)
    if counts[f"fits {form}"] < _NEARLY * values:
        return None
    kind: Type = "float" if counts["comma" if form[1] == "," else "point"] else "integer"
    odd = ~numerals.core(pl.col(name)).str.contains(numerals.pattern(*form))
    almost = _almost(frame, name, odd, values, kind, None)
    return Parse("category", note=almost.note(), sure=False, almost=almost)


def _almost(frame: pl.LazyFrame, name: str, odd: pl.Expr, values: int, kind: Type, form: str | None) -> NearlyType:
    wrong = frame.select(name).with_row_index(ROW, 1).filter(odd).collect(engine="streaming")
    words = wrong[name].unique(maintain_order=True).head(_WORDS)
    return NearlyType(
        type=kind,
        format=form,
        values=values,
        odd=wrong.height,
        words=tuple(words),
        rows=tuple(wrong[ROW].head(_ROWS)),
    )


def _infer_dates(frame: pl.LazyFrame, columns: Sequence[str], declared: Mapping[str, Parse]) -> dict[str, Parse | None]:
    """Return dates where one format fits all values, and text with a note where it fits nearly all of them."""
    formats, firsts = {}, {}
    for name in columns:
        examples = frame.select(name).drop_nulls().head(_EXAMPLES).collect(engine="streaming")[name]
        firsts[name] = examples[0] if len(examples) else ""
        formats[name] = dates.formats_of(examples, declared[name].type if name in declared else None)
    questions = {name: {"values": pl.col(name).count(), **dates.questions(name, formats[name])} for name in columns}
    parses: dict[str, Parse | None] = {}
    for name, counts in _ask(frame, questions).items():
        values = counts.pop("values")
        fitting = [form for form in formats[name] if counts[form] == values]
        if name in declared:
            parses[name] = _declared_date(name, declared[name], fitting, counts, firsts[name])
        elif parse := _date_parse(frame, name, fitting, counts, values, firsts[name]):
            parses[name] = parse
    return parses


def _declared_date(name: str, declared: Parse, fitting: Sequence[str], counts: Counts, first: str) -> Parse:
    if first and len(different := dates.different_orders(fitting)) > 1:
        raise InputError(
            f"column {name!r}: the formats {different[0]} and {different[1]} both fit every date, such as "
            f"{first!r}; say which one is right with data.columns.{name}.format"
        )
    best = fitting[0] if fitting else max(counts, key=lambda form: counts[form], default=None)
    return replace(declared, format=best)


def _date_parse(
    frame: pl.LazyFrame, name: str, fitting: Sequence[str], counts: Counts, values: int, first: str
) -> Parse | None:
    if len(different := dates.different_orders(fitting)) > 1:
        note = (
            f"may be dates, but both {different[0]} and {different[1]} fit, as in {first!r}; declare type and format to use it "
            "as one"
        )
        return Parse("category", note=note, sure=False)
    if fitting:
        return Parse("date" if dates.is_date(fitting[0]) else "datetime", fitting[0])
    best = max(counts, key=lambda form: counts[form], default=None)
    if best is None or counts[best] < _NEARLY * values:
        return None
    kind: Type = "date" if dates.is_date(best) else "datetime"
    almost = _almost(
        frame, name, dates.parsed(pl.col(name), best).is_null() & pl.col(name).is_not_null(), values, kind, best
    )
    return Parse("category", note=f"{almost.note()}; the others are written as {best}", sure=False, almost=almost)
