"""The optimistic parser of delimited text: types from the first rows, parsed by polars' CSV reader, then checked.

It is several times as fast as the strict parser. Whatever it finds odd it leaves to that one, so it gives the same table
or none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from model_code.tabular import MISSING
from model_code.tabular.moments import DATE, DATETIME, parsed
from model_code.tabular.values import cleaned, converted, digits, whole_digits, zoned
from steps.errors import InputError
from steps.tables.examine import Examination, examine
from steps.tables.parquet import numbered, write
from steps.tables.parsing import Parse
from steps.tables.readers import Part
from steps.tables.source_frame import SourceFrame

SAMPLE = 10_000
"""Rows from which types are inferred."""
_DIRECT = {"integer": pl.Int64, "float": pl.Float64, "boolean": pl.Boolean}
"""Types that polars parses while it reads."""


@dataclass(frozen=True)
class _Assumptions:
    """What an attempt takes for granted; text that contradicts it fails to parse, or shows in the examination."""

    parses: dict[str, Parse]
    markers: frozenset[str]


def parse_optimistic(
    source: SourceFrame, target: Path, *, sample: int = SAMPLE
) -> tuple[dict[str, Parse], Examination] | None:
    """Write the table, or return None when the strict parser has to decide.

    What is said of a column whose sample is text, such as how many of its values are numbers, is said of the sample.
    """
    if not source.delimited:
        return None
    try:
        first = source.parts[0]
        parses = source.choose_parses(source.part_text(first).head(sample).collect(engine="streaming").lazy())
        inferred = {name: parse for name, parse in parses.items() if parse}
        if any(not parse.sure for parse in inferred.values()):
            return None  # all values have to be looked at
        cells = first.text().select(source.columns).head(sample).collect(engine="streaming")
        every = _Assumptions(inferred, frozenset(source.source.missing))
        few = _fewest(cells, every)
        for assumptions in (few,) if few == every else (few, every):
            if (examination := _attempt(source, assumptions, target)) is not None:
                return {name: parse or Parse("category") for name, parse in parses.items()}, examination
    except (pl.exceptions.PolarsError, InputError):
        return None
    return None


def _fewest(cells: pl.DataFrame, every: _Assumptions) -> _Assumptions:
    """Reduce the assumptions to what the first rows need, which saves about a seventh of the time.

    Each marker is compared with each cell, and "%.f" looks for a fraction behind each second. Markers beside the usual words
    stay, since they may read like values.
    """
    markers = sorted(every.markers)
    present = {value for column in cells.iter_columns() for value in column.filter(column.is_in(markers)).unique()}
    parses = {
        name: replace(parse, format=parse.format.replace("%.f", ""))
        if parse.format and not cells[name].str.contains(".", literal=True).any()
        else parse
        for name, parse in every.parses.items()
    }
    return _Assumptions(parses, frozenset(present | (every.markers - set(MISSING))))


def _attempt(source: SourceFrame, assumptions: _Assumptions, target: Path) -> Examination | None:
    try:
        frames = [_typed(source, part, assumptions) for part in source.parts]
        write(numbered(pl.concat(frames)), target)
    except pl.exceptions.PolarsError:
        return None
    examination = examine(target, _forbidden(source, assumptions))
    contents = examination.columns
    if any(content.huge or content.zero_bytes or content.forbidden for content in contents.values()):
        return None
    if any(contents[name].missing < examination.rows for name in source.text_columns if name not in assumptions.parses):
        return None  # the sample had no value in this column, so its type is not known
    # Polars fills a short record with missing values, and sees no cell behind a delimiter that ends the file.
    short = bool(contents[source.columns[-1]].missing)
    if any(part.fault() for part in source.parts if short or _ends_open(part) or _trails(part)):
        return None
    if all(content.missing for content in contents.values()):
        return _without_blank_records(target, examination)
    return examination


def _trails(part: Part) -> bool:
    return part.dialect is not None and part.dialect.trailing > 0


def _ends_open(part: Part) -> bool:
    """Return whether the file ends with a delimiter."""
    assert part.dialect is not None
    with part.path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == part.dialect.delimiter.encode()


def _forbidden(source: SourceFrame, assumptions: _Assumptions) -> dict[str, pl.Series]:
    """Return the values that a missing marker leaves in a column when it has blanks around it.

    The CSV reader compares cells with markers before it skips blanks. No usual marker reads as a number or a date, so typed
    columns are looked at for the others only.
    """
    markers = pl.Series("", sorted({*source.source.missing, ""}), pl.String)
    unusual = markers.filter(~markers.is_in([*MISSING]))
    forbidden = {}
    for name in source.text_columns:
        parse = assumptions.parses.get(name)
        if parse is None or parse.textual:
            forbidden[name] = markers
        elif len(unusual):
            values = pl.select(converted(pl.lit(unusual), parse)).to_series()
            forbidden[name] = values.drop_nulls()
    return forbidden


def _without_blank_records(target: Path, examination: Examination) -> Examination:
    """Remove records without any value, such as blank lines."""
    table = pl.scan_parquet(target, glob=False)
    some_value = pl.any_horizontal(pl.col(column).is_not_null() for column in examination.columns)
    if table.select(some_value.all()).collect(engine="streaming").item():
        return examination
    write(table.filter(some_value), target)
    return examine(target)


def _typed(source: SourceFrame, part: Part, assumptions: _Assumptions) -> pl.LazyFrame:
    dtypes = {
        name: _DIRECT[parse.type]
        for name, parse in assumptions.parses.items()
        # Polars would take a point for the decimal mark even where the mark is a comma.
        if parse.type in _DIRECT
        and parse.plain
        and not parse.missing
        and not (parse.type == "float" and parse.decimal == ",")
    }
    frame = part.typed(dtypes, sorted(assumptions.markers)).select(source.columns)
    return frame.with_columns(
        _strictly(_cleaned(source, name), assumptions.parses.get(name))
        for name in source.text_columns
        if name not in dtypes
    )


def _cleaned(source: SourceFrame, name: str) -> pl.Expr:
    """Return a column without the markers of its own; the reader has removed those of the source."""
    parse = source.declared.get(name)
    return cleaned(pl.col(name), parse.missing) if parse and parse.missing else pl.col(name)


def _strictly(text: pl.Expr, parse: Parse | None) -> pl.Expr:
    """Return the values as ``converted`` does, but fail on text that does not parse."""
    if parse is not None and parse.type == "float":
        return digits(text.str.strip_chars(), parse).cast(pl.Float64, strict=True)
    if parse is not None and parse.type == "integer":
        return whole_digits(text.str.strip_chars(), parse).cast(pl.Int64, strict=True)
    if parse is not None and parse.type == "date":
        return parsed(text, "date", parse.format or DATE, strict=True)
    if parse is not None and parse.type == "datetime":
        value = parsed(text, "datetime", parse.format or DATETIME, strict=True)
        if parse.aware:
            return value.dt.convert_time_zone(parse.timezone or "UTC")
        if parse.clock_change:
            return zoned(value, parse, aware=False)
        return value.dt.replace_time_zone(parse.timezone) if parse.timezone else value
    return text.str.strip_chars()
