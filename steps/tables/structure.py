"""The shape of a delimited text file: records with too few or too many cells, a quote that never closes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.tables.dialect import Dialect

if TYPE_CHECKING:
    import numpy as np

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_CHUNK = 1 << 22
_MOST = 5


@dataclass
class Faults:
    """What is wrong; lines are physical ones, counted from 1."""

    records: int = 0
    ragged: list[tuple[int, int]] = field(default_factory=list)
    """(line on which the record starts, how many cells it has) of the first few."""
    ragged_count: int = 0
    open_quote: int | None = None
    """The line of the last quote that opens and never closes."""
    zero_byte: int | None = None

    def describe(self, width: int) -> str | None:
        """In words, or None when the shape is right."""
        if self.zero_byte is not None:
            return f"line {self.zero_byte}: a zero byte; the file is damaged, or not text (encoding: utf-16?)"
        if self.ragged:
            some = ", ".join(f"line {line} has {cells}" for line, cells in self.ragged)
            more = f" and {self.ragged_count - len(self.ragged):,} more" if self.ragged_count > len(self.ragged) else ""
            tail = f"; a quote opened by line {self.open_quote} is never closed" if self.open_quote else ""
            advice = "Mend these lines, or set the source's delimiter or quote"
            return f"{width} columns are wanted, but {some}{more}{tail}. {advice}"
        if self.open_quote is not None:
            advice = "mend it, or set quote: '' if quotes are ordinary characters"
            return f"a quote opened by line {self.open_quote} is never closed; {advice}"
        return None


def faults(path: Path, dialect: Dialect) -> Faults:
    """Walk through the file in chunks; a quote toggles, so a doubled one changes nothing."""
    import numpy as np

    found = Faults()
    quote = ord(dialect.quote) if dialect.quote else ord("\n")
    delimiter = ord(dialect.delimiter)
    special = np.zeros(256, bool)
    special[[quote, delimiter, ord("\n")]] = True
    inside, cells, length, line, opened = 0, 0, 0, 1, 1
    returned = False  # whether the chunk before ended with a carriage return
    with path.open("rb") as file:
        for _ in range(dialect.skipped):
            file.readline()
            line += 1
        start = line
        while chunk := file.read(_CHUNK):
            if found.zero_byte is None and (at := chunk.find(b"\0")) >= 0:
                found.zero_byte = line + chunk.count(b"\n", 0, at)
            data = np.frombuffer(chunk, np.uint8)
            places = np.flatnonzero(special[data])
            marks = data[places]
            newline = marks == 10
            lines = line + np.cumsum(newline)
            within = np.zeros(len(marks), bool)
            if dialect.quote:
                toggles = marks == quote
                within = ((np.cumsum(toggles, dtype=np.uint8) + inside) & 1).astype(bool)
                if (opening := np.flatnonzero(toggles & within)).size:
                    opened = int(lines[opening[-1]])
                inside = int(within[-1]) if len(within) else inside
            ends = np.flatnonzero(newline & ~within)
            counted = np.cumsum((marks == delimiter) & ~within)
            if len(ends):
                stops = places[ends]
                per_record, lengths = np.diff(counted[ends], prepend=0), np.diff(stops, prepend=-1) - 1
                per_record[0] += cells
                lengths[0] += length
                returns = np.where(stops > 0, data[np.maximum(stops - 1, 0)] == 13, returned)
                _note(found, dialect.width, per_record + 1, lengths - returns, lines[ends], start)
                cells, length, start = (
                    int(counted[-1] - counted[ends[-1]]),
                    len(data) - int(stops[-1]) - 1,
                    int(lines[ends[-1]]),
                )
            else:
                cells, length = cells + int(counted[-1]) if len(counted) else cells, length + len(data)
            line = int(lines[-1]) if len(lines) else line
            returned = chunk.endswith(b"\r")
    if inside:
        found.open_quote = opened
    if length:
        _note(found, dialect.width, np.array([cells + 1]), np.array([length]), np.array([start + 1]), start)
    return found


def _note(found: Faults, width: int, cells: Any, lengths: Any, next_lines: Any, start: int) -> None:
    """Take records into account: cells and length of each, and the line after it; the first starts on ``start``."""
    import numpy as np

    real = lengths > 0
    found.records += int(np.count_nonzero(real))
    wrong = np.flatnonzero(real & (cells != width))
    found.ragged_count += len(wrong)
    for index in wrong[: _MOST - len(found.ragged)]:
        found.ragged.append((start if index == 0 else int(next_lines[index - 1]), int(cells[index])))
