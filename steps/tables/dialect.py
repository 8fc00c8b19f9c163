"""The dialect of a delimited text file: delimiter, quotes, header and decimal mark, detected from its start.

Whatever is detected is reported, and the problem file can override it.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from steps.errors import InputError
from steps.tables.layout import DELIMITERS, SAMPLE, Layout, layout_of

_COMMENTS = ("#", "//", "%")
_MOST_TITLES = 20
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?")
_DECIMALS = (
    r"[+-]?(?:(?:\d*|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+){mark}(?:\d{{1,2}}|\d{{4,}})"
    r"|(?:0*|\d{{4,}}|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+){mark}\d{{3}})(?:[eE][+-]?\d+)?"
)
"""Numbers whose mark cannot separate thousands."""
_COMMA_DECIMAL = re.compile(_DECIMALS.format(thousands=r"[.' ]", mark=","))
_POINT_DECIMAL = re.compile(_DECIMALS.format(thousands="[,' ]", mark=r"\."))


@dataclass(frozen=True)
class Dialect:
    """The way in which one file is written."""

    delimiter: str
    quote: str | None
    """The quote around cells; None where quotes are ordinary characters."""
    decimal: str | None
    """The decimal mark that numbers of the file must have; None where none has decimals for sure."""
    header: tuple[str, ...] | None
    """The cells of the header as they are written; None without a header."""
    width: int
    """The number of columns."""
    skipped: int
    """The number of physical lines before the first record."""
    titles: tuple[str, ...] = ()
    """The lines above the table that were taken for comments or titles."""
    trailing: int = 0
    """The number of delimiters with which every line ends; the cells behind them are no columns, but count in ``width``."""
    spaced: bool = False
    """True if blanks stand before quotes."""
    lone_returns: bool = False
    """True if some lines end with a carriage return alone."""


@dataclass(frozen=True)
class Overrides:
    """The parts of a dialect that the user gives; those that are None are detected."""

    delimiter: str | None = None
    quote: str | None = None
    decimal: str | None = None
    header: bool | None = None
    missing: Sequence[str] = ()
    skip: int | None = None
    names: int | None = None
    """The number of names that the source gives."""


def uses_carriage_returns(path: Path) -> bool:
    """Return whether lines end with a carriage return alone, as on old Macs; polars does not take it for a line end."""
    with path.open("rb") as file:
        start = file.read(SAMPLE)
    return b"\r" in start and b"\n" not in start


def detect(path: Path, name: str, overrides: Overrides) -> Dialect:
    """Detect the dialect from the start of a UTF-8 file.

    Raises:
        InputError: the file is empty, or nothing is left below the skipped lines.
    """
    with path.open("rb") as file:
        start = file.read(SAMPLE)
        complete = not file.read(1)
    return _detect(start, name, replace(overrides, missing=tuple(overrides.missing)), complete=complete)


@lru_cache(maxsize=4)  # 'new' opens a file several times
def _detect(start: bytes, name: str, overrides: Overrides, *, complete: bool) -> Dialect:
    text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode(start)
    if not text.strip():
        raise InputError(f"{name}: the file is empty; it needs a header and rows")
    if not complete:
        text = text[: text.rfind("\n") + 1] or text
    skip = _comment_lines(text) if overrides.skip is None else overrides.skip
    if overrides.skip is None and not text.split("\n", skip)[-1].strip():
        skip = 0  # each line begins like a comment, so none is one
    _, *rest = text.split("\n", skip) if skip else ("", text)
    if not rest or not rest[-1].strip():
        raise InputError(f"{name}: nothing is left below the {skip} skipped lines")
    layout = layout_of(rest[-1], overrides.delimiter, overrides.quote, complete=complete)
    if (
        overrides.skip is None
        and skip
        and (from_comment := _with_header_comment(text, skip, layout, overrides)) is not None
    ):
        skip, layout = skip - 1, from_comment
    records = layout.records
    rows = [[cell.strip() for cell in row] for _, row in records]
    titles = titles_above(rows, set(overrides.missing)) if overrides.skip is None else 0
    records, rows = records[titles:], rows[titles:]
    first_line, first = records[0][0] + skip, records[0][1]
    header = _has_header(rows, set(overrides.missing)) if overrides.header is None else overrides.header
    skipped = first_line if header else first_line - _lines_of(first)
    above = first_line - _lines_of(first) if overrides.skip is None else 0
    width, names = (len(first), rows[0]) if not header else _columns(rows)
    trailing = 0 if overrides.names == width else _empty_ends(rows, width, header=header)
    return Dialect(
        delimiter=layout.delimiter,
        quote=layout.quote,
        decimal=overrides.decimal or _decimal(rows[1:] if header else rows, layout.delimiter),
        header=tuple(names[: width - trailing]) if header else None,
        width=width,
        skipped=skipped,
        titles=tuple(line.strip() for line in text.split("\n", above)[:above] if line.strip(f" \r{DELIMITERS}")),
        trailing=trailing,
        spaced=layout.spaced,
        lone_returns=layout.lone_returns,
    )


def _comment_lines(text: str) -> int:
    """Return the number of lines at the start that begin like comments, and of blank ones between them."""
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith(_COMMENTS):
            count = number
        elif line.strip():
            break
    return count


def _with_header_comment(text: str, skip: int, below: Layout, overrides: Overrides) -> Layout | None:
    """Return the layout that begins with the last comment line if that line is the header, as in ``#id,name``."""
    layout = layout_of(text.split("\n", skip - 1)[-1], overrides.delimiter, overrides.quote, complete=True)
    rows = [[cell.strip() for cell in row] for _, row in layout.records]
    missing = set(overrides.missing)
    as_wide = len(rows) > 1 and len(rows[0]) == len(rows[1]) == len(below.records[0][1]) > 1
    return (
        layout
        if as_wide and _has_header(rows, missing) and not _words_above_numbers(rows[1], rows[2:], missing)
        else None
    )


def titles_above(rows: Sequence[Sequence[str]], missing: set[str]) -> int:
    """Return the number of records above the header, which fill fewer cells than it does."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    filled = [_filled(row) for row in rows]
    fuller = [
        index
        for index in range(1, min(len(rows) - 1, _MOST_TITLES))
        if len(rows[index]) == width and filled[index] > max(filled[:index])
    ]
    above_numbers = (index for index in fuller if _words_above_numbers(rows[index], rows[index + 1 :], missing))
    if (index := next(above_numbers, None)) is not None:
        return index
    alone = fuller and max(filled[: fuller[0]]) <= 1 and len(rows[0]) != width - 1
    return fuller[0] if alone and _has_header(rows[fuller[0] :], missing) else 0


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def _columns(rows: Sequence[Sequence[str]]) -> tuple[int, list[str]]:
    """Return the number of columns and their names.

    A header may have fewer names than all records have cells: behind its last one there are delimiters in each record, or
    the first cell holds the names of the rows.
    """
    header, rest = list(rows[0]), rows[1:]
    width = len(rest[0]) if rest else len(header)
    more = width - len(header)
    if more > 0 and all(len(row) == width for row in rest):
        if not any(any(row[-more:]) for row in rest):
            return width, [*header, *[""] * more]
        if more == 1 and len({row[0] for row in rest}) == len(rest):
            return width, ["", *header]
    return len(header), header


def _empty_ends(rows: Sequence[Sequence[str]], width: int, *, header: bool) -> int:
    """Return the number of cells at the end of each record that are empty and have no name."""
    body = rows[1:] if header else rows
    last_name = max((index + 1 for index, name in enumerate(rows[0]) if name), default=0) if header else 1
    if not body or any(len(row) != width for row in body):
        return 0
    filled = max(index + 1 for row in body for index, cell in enumerate(row) if cell) if any(map(any, body)) else width
    return max(0, width - max(last_name, filled))


def _lines_of(row: Sequence[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in row)


def _has_header(rows: Sequence[Sequence[str]], missing: set[str]) -> bool:
    """Return whether the first record names the columns.

    It does not if it holds a missing marker, a value that returns below it, or numbers that words do not outvote.
    """
    first = rows[0]
    rest = [row for row in rows[1:] if row != first or len(row) == 1]  # concatenated files repeat their header
    names = [cell for cell in first if cell]
    if not names or any(cell in missing and not cell.isalnum() for cell in names):
        return False
    if any(_NUMBER.fullmatch(cell) for cell in names):
        return _words_above_numbers(first, rest, missing)
    if not rest:
        return True
    if any(_NUMBER.fullmatch(row[column]) for row in rest for column in range(len(first)) if column < len(row)):
        return True
    returning = sum(
        any(cell in (row[column : column + 1] or ("",)) for row in rest) for column, cell in enumerate(first) if cell
    )
    return returning == 0


def _words_above_numbers(first: Sequence[str], rest: Sequence[Sequence[str]], missing: set[str]) -> bool:
    """Return whether more columns of numbers begin with a word than with a number."""
    words = numbers = 0
    for column, cell in enumerate(first):
        below = [row[column] for row in rest if column < len(row) and row[column] and row[column] not in missing]
        if cell and len(below) > 1 and all(_NUMBER.fullmatch(value) for value in below):
            words, numbers = (words, numbers + 1) if _NUMBER.fullmatch(cell) else (words + 1, numbers)
    return words > numbers


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str | None:
    """Return the mark that more numbers must have before decimals than the other one.

    A mark before groups of exactly three digits may separate thousands, so it is no evidence. Between commas, each column with
    numbers in quotes decides for itself.
    """
    cells = [cell for row in rows for cell in row]
    commas, points = (
        sum(1 for cell in cells if pattern.fullmatch(cell)) for pattern in (_COMMA_DECIMAL, _POINT_DECIMAL)
    )
    if commas > points and delimiter != ",":
        return ","
    return "." if points > commas else None
