"""The fast way from text to a table: types from the first rows, polars parses while it reads, the result is looked at.

Whatever it finds odd, it leaves to the exact way: it gives the same table as that or none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from steps.errors import InputError
from steps.tables.examine import Examination, examine
from steps.tables.opened import MANY, Opened, Parses, numbered, text, wanted
from steps.tables.parsing import Parse, converted, pointed
from steps.tables.query import write
from steps.tables.readers import MISSING, Part

if TYPE_CHECKING:
    import polars as pl

SAMPLE = 10_000
"""Rows from which types are inferred."""


@dataclass(frozen=True)
class _Assumed:
    """What an attempt takes for granted; whatever is otherwise fails to parse, or is seen in its result."""

    parses: Parses
    markers: frozenset[str]


def fast(opened: Opened, target: Path) -> tuple[Parses, Examination] | None:
    """The table, or None when the exact way has to decide."""
    import polars as pl

    if not opened.delimited:
        return None
    try:
        parses = wanted(opened, text(opened, opened.parts[0]).head(SAMPLE).collect(engine="streaming").lazy())
        known = {name: parse for name, parse in parses.items() if parse}
        if any(parse.note for parse in known.values()):
            return None
        whole = _Assumed(known, frozenset(opened.source.missing))
        lean = _lean(opened, whole)
        for assumed in (lean,) if lean == whole else (lean, whole):
            examination = _attempt(opened, assumed, target)
            if examination is not None:
                return {name: parse or Parse("category") for name, parse in parses.items()}, examination
    except (pl.exceptions.PolarsError, InputError):
        return None
    return None


def _lean(opened: Opened, whole: _Assumed) -> _Assumed:
    """As little as the first rows need: a marker that is compared with each cell, and a fraction that is looked for behind
    each second, cost a quarter of the time.

    Markers that are not the usual words are kept, since they may read like values.
    """
    first = opened.parts[0].text().select(opened.columns).head(SAMPLE).collect(engine="streaming")
    markers = {value for series in first.iter_columns() for value in series.unique() if value in whole.markers}
    parses = {
        name: replace(parse, format=parse.format.replace("%.f", ""))
        if parse.format and not first[name].str.contains(".", literal=True).any()
        else parse
        for name, parse in whole.parses.items()
    }
    return _Assumed(parses, frozenset(markers | (whole.markers - set(MISSING))))


def _attempt(opened: Opened, assumed: _Assumed, target: Path) -> Examination | None:
    import polars as pl

    try:
        frames = [_typed(opened, part, assumed) for part in opened.parts]
        write(numbered(pl.concat(frames), opened.columns, drop_blank=False), target)
    except pl.exceptions.PolarsError:
        return None
    examination = examine(target, MANY, {*opened.source.missing, ""})
    if _marked(target, opened, assumed):
        return None
    last = examination.columns[opened.columns[-1]]
    if any(found.huge or found.zero_bytes or found.unclean for found in examination.columns.values()):
        return None
    empty = set(opened.textual()) - set(assumed.parses)
    if any(examination.columns[name].missing < examination.rows for name in empty):
        return None
    doubtful = [part for part in opened.parts if last.missing or _ends_open(part)]
    if any(part.faults().describe(len(part.columns)) for part in doubtful):
        return None
    if all(found.missing for found in examination.columns.values()):
        examination = _without_blank(target, examination)
    return examination


def _ends_open(part: Part) -> bool:
    """Whether the file ends with a delimiter, behind which polars sees no further cell."""
    assert part.dialect is not None
    with part.path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == part.dialect.delimiter.encode()


def _marked(target: Path, opened: Opened, assumed: _Assumed) -> bool:
    """Whether a value may be a missing marker with blanks around it, which parsers skip and the comparison does not.

    Only markers that read as a value can be: none of the usual words does.
    """
    import polars as pl

    markers = pl.Series("", sorted(set(opened.source.missing) - set(MISSING)), pl.String)
    if markers.is_empty():
        return False
    found = pl.lit(value=False)
    for name, parse in assumed.parses.items():
        if parse.type not in ("category", "text"):
            values = pl.select(converted(pl.lit(markers), parse, opened.decimal)).to_series().drop_nulls()
            found = found | pl.col(name).is_in(values.implode()).any() if len(values) else found
    return bool(pl.scan_parquet(target, glob=False).select(found).collect(engine="streaming").item())


def _without_blank(target: Path, examination: Examination) -> Examination:
    """Leave out records without any value, such as blank lines; looked for only where every column misses something."""
    import polars as pl

    table = pl.scan_parquet(target, glob=False)
    some_value = pl.any_horizontal(pl.col(column).is_not_null() for column in examination.columns)
    if table.select(some_value.all()).collect(engine="streaming").item():
        return examination
    write(table.filter(some_value), target)
    return examine(target, MANY)


def _typed(opened: Opened, part: Part, assumed: _Assumed) -> pl.LazyFrame:
    import polars as pl

    direct = {"integer": pl.Int64, "float": pl.Float64, "boolean": pl.Boolean}
    if opened.decimal == ",":
        del direct["float"]  # polars takes a point for a decimal mark even so
    kinds = {name: direct[parse.type] for name, parse in assumed.parses.items() if parse.type in direct}
    frame = part.typed(kinds, sorted(assumed.markers)).select(opened.columns)
    changes = []
    for name in opened.textual():
        if name not in kinds:
            parse = assumed.parses.get(name)
            changes.append(_strict(pl.col(name), parse, opened.decimal) if parse else pl.col(name).str.strip_chars())
    return frame.with_columns(changes)


def _strict(text: pl.Expr, parse: Parse, decimal: str) -> pl.Expr:
    """As ``converted``, but a value that does not parse is an error."""
    import polars as pl

    if parse.type == "float":
        return pointed(text.str.strip_chars(), decimal).cast(pl.Float64, strict=True)
    if parse.type == "date":
        return text.str.to_date(parse.format, strict=True)
    if parse.type == "datetime":
        value = text.str.to_datetime(parse.format, strict=True, time_unit="us")
        if parse.aware:
            return value.dt.convert_time_zone(parse.timezone or "UTC")
        return value.dt.replace_time_zone(parse.timezone) if parse.timezone else value
    return text.str.strip_chars()
