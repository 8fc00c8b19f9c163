"""The shape of a delimited text file: records with too few or too many cells, and a quote that is never closed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps.tables.dialect import Dialect

CHUNK = 1 << 22
_LISTED = 5
_NEWLINE, _RETURN = ord("\n"), ord("\r")

Numbers = NDArray[np.int64]


class Ragged(NamedTuple):
    """A record with too few or too many cells."""

    line: int
    """The line on which it starts."""
    cells: int
    record: int
    """Its number, 1 below the header; blank lines count."""


@dataclass
class Faults:
    """The faults of a file; lines are physical ones, counted from 1."""

    width: int
    """The number of cells that records must have."""
    records: int = 0
    ragged: list[Ragged] = field(default_factory=list)
    """The first records of another width."""
    ragged_count: int = 0
    even_count: int = 0
    last_even: int = 0
    """The line on which the last record of the right width starts."""
    widths: set[int] = field(default_factory=set)
    """The widths of ragged records."""
    lone_return: int | None = None
    """The line of the first carriage return that is no part of a line end, where records are ragged."""
    open_quote: int | None = None
    """The line of the last quote that opens and never closes."""
    zero_byte: int | None = None
    """The line of the first zero byte."""

    def describe(self, settings: str) -> str | None:
        """Return the faults in words, or None when the shape is right.

        Args:
            settings: where the settings of the source are, such as ``data.sources.people``.
        """
        if self.zero_byte is not None:
            return f"line {self.zero_byte}: a zero byte; the file is damaged, or not text (encoding: utf-16?)"
        if self.ragged:
            lines = ", ".join(f"line {line} has {cells}" for line, cells, _ in self.ragged)
            more = f" and {self.ragged_count - len(self.ragged):,} more" if self.ragged_count > len(self.ragged) else ""
            quote = f"; a quote opened on line {self.open_quote} is never closed" if self.open_quote else ""
            return f"the file has {self.width} columns, but {lines}{more}{quote}. {self._advice(settings)}"
        if self.open_quote is not None:
            return (
                f"a quote opened on line {self.open_quote} is never closed; close it, or set {settings}.quote: '' if quotes are "
                "ordinary characters"
            )
        return None

    @property
    def at_end(self) -> bool:
        """True if all ragged records stand below all others."""
        return self.even_count > 0 and bool(self.ragged) and self.ragged[0].line > self.last_even

    @property
    def short(self) -> tuple[Ragged, ...]:
        """The ragged records if they are few and short, and nothing else explains them."""
        explained = self.open_quote is not None or self.lone_return is not None or self.zero_byte is not None
        few = 0 < self.ragged_count == len(self.ragged) <= max(1, self.even_count / 20)
        return tuple(self.ragged) if few and not explained and self.width > max(self.widths) else ()

    def _advice(self, settings: str) -> str:
        """Return what would help, by the pattern of the ragged records."""
        cells = self.ragged[0].cells
        if self.open_quote is not None:
            return f"Close the quote, or set {settings}.quote: '' if quotes are ordinary characters"
        if self.lone_return is not None:
            return (
                f"Line {self.lone_return} holds a carriage return alone, which some programs write as a line end: replace "
                "them by line feeds"
            )
        if self.at_end:
            count = f"{self.ragged_count:,} lines are" if self.ragged_count > 1 else "line is"
            return f"The last {count} unlike the others: for a footer, set {settings}.skip_footer: {self.ragged_count}"
        if len(self.widths) == 1 and self.ragged_count > self.even_count:
            other = f"Nearly all lines have {cells} cells"
            if cells == self.width + 1:
                return (
                    f"{other}, one more than the header: add its name to the header, or set {settings}.names for all "
                    f"{cells} columns with header: true"
                )
            return f"{other}: set {settings}.skip to the number of lines above the header, or {settings}.delimiter"
        if self.widths == {self.width + 1}:
            return (
                f"A cell that holds the delimiter needs quotes, and a line needs no delimiter at its end: fix these lines, "
                f"or set {settings}.delimiter or {settings}.quote"
            )
        return f"Fix these lines, or set {settings}.delimiter or {settings}.quote"


_LONE_RETURN = re.compile(rb"\r(?!\n)[^\r\n]")


def _line_of_lone_return(path: Path) -> int | None:
    """Return the first line that holds a carriage return before other text; None where there is none."""
    with path.open("rb") as lines:
        return next((number for number, line in enumerate(lines, 1) if _LONE_RETURN.search(line)), None)


def faults(path: Path, dialect: Dialect, dropped: Sequence[int] = (), chunk_size: int = CHUNK) -> Faults:
    """Return what is wrong with the shape of a file, read in chunks.

    Args:
        dropped: the numbers of records that are left out.
    """
    with path.open("rb") as file:
        for _ in range(dialect.skipped):
            file.readline()
        result = _Scanner(dialect, dropped).scan(file, chunk_size)
    if result.ragged:
        result.lone_return = _line_of_lone_return(path)
    return result


class _Scanner:
    """A state machine over bytes, vectorised: it looks only at quotes, delimiters and line ends.

    A quote toggles between inside and outside of quotes, so a doubled quote inside of quotes changes nothing. What is counted
    of the record that a chunk cuts is carried over to the next chunk.
    """

    def __init__(self, dialect: Dialect, dropped: Sequence[int] = ()) -> None:
        self.faults = Faults(dialect.width)
        self.dropped = np.array(dropped, np.int64)
        self.count = 0
        self.delimiter = ord(dialect.delimiter)
        self.quote = ord(dialect.quote) if dialect.quote else None
        self.special = np.zeros(256, bool)
        self.special[[self.delimiter, _NEWLINE, *([self.quote] if self.quote is not None else [])]] = True
        self.line = dialect.skipped + 1
        self.inside = False
        self.opened_on = self.line
        # The record that is being read: its first line, its delimiters and its bytes so far.
        self.start, self.delimiters, self.length = self.line, 0, 0
        self.after_return = False

    def scan(self, file: BinaryIO, chunk_size: int) -> Faults:
        while chunk := file.read(chunk_size):
            if self.faults.zero_byte is None and (zero := chunk.find(b"\0")) >= 0:
                self.faults.zero_byte = self.line + chunk.count(b"\n", 0, zero)
            self._chunk(np.frombuffer(chunk, np.uint8))
        if self.inside:
            self.faults.open_quote = self.opened_on
        if self.length:  # the last record, without a line end
            self._records(np.array([self.delimiters + 1]), np.array([self.length]), np.array([0]))
        return self.faults

    def _chunk(self, data: NDArray[np.uint8]) -> None:
        places = np.flatnonzero(self.special[data])
        marks = data[places]
        line_after = self.line + np.cumsum(marks == _NEWLINE)
        inside = np.zeros(len(marks), bool)
        if self.quote is not None:
            toggles = marks == self.quote
            inside = ((np.cumsum(toggles, dtype=np.uint8) + self.inside) & 1).astype(bool)
            if (opening := np.flatnonzero(toggles & inside)).size:
                self.opened_on = int(line_after[opening[-1]])
            self.inside = bool(inside[-1]) if len(inside) else self.inside
        ends = np.flatnonzero((marks == _NEWLINE) & ~inside)
        delimiters = np.cumsum((marks == self.delimiter) & ~inside)
        if len(ends):
            stops = places[ends]
            per_record = np.diff(delimiters[ends], prepend=0)
            lengths = np.diff(stops, prepend=-1) - 1
            per_record[0] += self.delimiters
            lengths[0] += self.length
            # A record that holds only the carriage return of its line end is a blank line.
            returns = np.where(stops > 0, data[np.maximum(stops - 1, 0)] == _RETURN, self.after_return)
            self._records(per_record + 1, lengths - returns, line_after[ends])
            self.start = int(line_after[ends[-1]])
            self.delimiters, self.length = int(delimiters[-1] - delimiters[ends[-1]]), len(data) - int(stops[-1]) - 1
        else:
            self.delimiters += int(delimiters[-1]) if len(delimiters) else 0
            self.length += len(data)
        self.line = int(line_after[-1]) if len(line_after) else self.line
        self.after_return = bool(data[-1] == _RETURN)

    def _records(self, cells: Numbers, lengths: Numbers, next_lines: Numbers) -> None:
        """Count records: the cells and length of each, and the line after it; the first starts on ``self.start``."""
        real = lengths > 0
        self.faults.records += int(np.count_nonzero(real))
        numbers = self.count + 1 + np.arange(len(cells))
        self.count += len(cells)
        if len(self.dropped):
            real &= ~np.isin(numbers, self.dropped)
        right = cells == self.faults.width
        wrong = np.flatnonzero(real & ~right)
        self.faults.ragged_count += len(wrong)
        self.faults.widths |= set(cells[wrong][:1000].tolist())
        even = np.flatnonzero(real & right)
        self.faults.even_count += len(even)
        if len(even):
            self.faults.last_even = self.start if even[-1] == 0 else int(next_lines[even[-1] - 1])
        for index in wrong[: _LISTED - len(self.faults.ragged)]:
            line = self.start if index == 0 else int(next_lines[index - 1])
            self.faults.ragged.append(Ragged(line, int(cells[index]), int(numbers[index])))
