"""The exact way to a table: every value is looked at, and what is wrong is told by column, file and row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError, refuse_full_disk
from steps.tables.examine import Examination, examine
from steps.tables.opened import MANY, Opened, Parses, numbered, text, wanted, whole_text
from steps.tables.parsing import Parse, advice, converted, failures, first_wrong, natural
from steps.tables.query import as_type, refuse_unfit, write
from steps.tables.schema import ROW

if TYPE_CHECKING:
    import polars as pl


def exact(opened: Opened, target: Path) -> tuple[Parses, Examination]:
    """The table, or a message that says what is wrong where."""
    import polars as pl

    for part in opened.parts:
        if opened.delimited and (fault := part.faults().describe(len(part.columns))):
            raise InputError(f"{part.name}, {fault}")
    try:
        frame = whole_text(opened)
        parses = wanted(opened, frame)
        known = {name: parse for name, parse in parses.items() if parse}
        _refuse(opened, known, failures(frame, known, opened.decimal))
        typed = {
            name: parse for name, parse in opened.declared.items() if name in opened.columns and name not in parses
        }
        refuse_unfit(frame, typed, ", ".join(part.name for part in opened.parts))
        changed = frame.with_columns(_typed_expressions(opened, parses))
        write(numbered(changed, opened.columns, drop_blank=opened.delimited), target)
    except pl.exceptions.PolarsError as error:
        refuse_full_disk(error)
        names = ", ".join(part.name for part in opened.parts)
        raise InputError(f"{names}: cannot be read: {str(error).splitlines()[0]}") from None
    examination = examine(target, MANY)
    _refuse_misfits(opened, examination)
    all_parses = {name: parse or Parse("category") for name, parse in parses.items()}
    return {**all_parses, **_natural_parses(opened)}, examination


def _typed_expressions(opened: Opened, parses: Mapping[str, Parse | None]) -> list[pl.Expr]:
    """Everything that turns cleaned text and canonical values into the wanted types."""
    import polars as pl

    changes = []
    for name in opened.columns:
        parse = parses.get(name)
        if parse:
            changes.append(converted(pl.col(name), parse, opened.decimal).alias(name))
        elif name not in parses and (declared := opened.declared.get(name)):
            changes.append(as_type(pl.col(name), opened.kinds[name], declared).alias(name))
    return changes


def _natural_parses(opened: Opened) -> Parses:
    found = {}
    for name in opened.columns:
        kind = natural(opened.kinds[name])
        if kind:
            found[name] = opened.declared.get(name) or Parse(kind)
    return found


def _refuse(opened: Opened, parses: Mapping[str, Parse], wrong: Mapping[str, int]) -> None:
    """Say which values of which columns do not parse, by file and row."""
    if not wrong:
        return
    lines = []
    for name, count in wrong.items():
        lines.append(
            f"column {name!r}: {count:,} {'value is' if count == 1 else 'values are'} not {parses[name].wanted}"
        )
        examples: list[str] = []
        for part in opened.parts:
            rows = text(opened, part).with_row_index(ROW, 1)
            found = first_wrong(rows, name, parses[name], opened.decimal, ROW)
            if found.rows:
                lines[-1] += (
                    f"; {part.name}, rows {', '.join(map(str, found.rows))}{' ...' if count > len(found.rows) else ''}"
                )
                examples = list(found.examples)
                break
        shown = ", ".join(repr(each if len(each) <= 40 else each[:37] + "...") for each in examples)
        lines[-1] += (
            f", such as {shown}. What would work: {advice(parses[name], examples, opened.decimal, opened.name, name)}"
        )
    raise InputError("\n".join(lines))


def _refuse_misfits(opened: Opened, examination: Examination) -> None:
    """What typed formats may hold and a table may not."""
    for name, found in examination.columns.items():
        if found.huge:
            raise InputError(
                f"source {opened.name!r}, column {name!r} holds infinite values, or larger ones than float32 can "
                "hold; wanted numbers between -3.4e38 and 3.4e38, or missing values"
            )
        if found.zero_bytes:
            raise InputError(f"source {opened.name!r}, column {name!r} holds zero bytes; the data is damaged")
