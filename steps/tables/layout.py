"""The layout of text: how it is divided into records and cells, by the delimiter and quote that fit best."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SAMPLE = 1 << 20
"""Bytes from which a dialect is detected."""
DELIMITERS = ",;\t|"
_LONE_RETURN = re.compile(r"\r(?!\n)")
_SPACED_QUOTE = re.compile(rf'[{re.escape(DELIMITERS)}][ ]+"')
_RECORDS = 500
_RETURN = "\ufdd0"
"""Stands for a carriage return within a cell: the csv module takes one for a line end, polars does not."""

Records = list[tuple[int, list[str]]]
"""The first records without blank lines: the physical line on which each ends, and its cells."""


@dataclass(frozen=True)
class Layout:
    """A way to divide text, and the first records that it gives."""

    delimiter: str
    quote: str | None
    records: Records
    spaced: bool = False
    lone_returns: bool = False

    @property
    def even(self) -> bool:
        """True if all records have the same number of cells, more than one."""
        widths = {len(row) for _, row in self.records}
        return len(widths) == 1 and widths != {1}


def layout_of(text: str, delimiter: str | None, quote: str | None, *, complete: bool) -> Layout:
    """Choose how text is divided into cells; what is less usual is tried where the usual leaves records uneven."""
    layout = Layout(*_layout(_LONE_RETURN.sub(_RETURN, text), delimiter, quote, complete=complete))
    if layout.even:
        return layout
    returns = bool(_LONE_RETURN.search(text))
    spaced = quote != "" and _SPACED_QUOTE.search(text) is not None
    for lone, blanks in ((True, False), (False, True), (True, True)):
        if lone <= returns and blanks <= spaced:
            other = _LONE_RETURN.sub("\n" if lone else _RETURN, text)
            parts = _layout(other, delimiter, quote, complete=complete, spaced=blanks)
            candidate = Layout(*parts, spaced=blanks, lone_returns=lone)
            if candidate.even:
                return candidate
    return layout


def _layout(
    text: str, delimiter: str | None, quote: str | None, *, complete: bool, spaced: bool = False
) -> tuple[str, str | None, Records]:
    """Choose the delimiter and quote with which the records are most alike, then widest; earlier candidates win ties."""
    delimiters = [delimiter] if delimiter else list(DELIMITERS)
    if quote is not None:
        return _best(text, delimiters, [quote or None], complete=complete, strict=False, spaced=spaced)
    if spaced:
        return _best(text, delimiters, ['"'], complete=complete, strict=True, spaced=True)
    single = "'" if '"' not in text and _encloses(text, "'") else None
    quotes = [single, '"', None] if single else ['"', None]
    best = _best(text, delimiters, quotes, complete=complete, strict=True)
    if best[1] is None and len({len(row) for _, row in best[2]}) > 1 and _encloses(text, '"'):
        # Quotes do enclose cells, and one of them is damaged: reading with quotes will lead to a message about it.
        return _best(text, delimiters, ['"'], complete=complete, strict=False)
    return best


def _best(
    text: str,
    delimiters: Sequence[str],
    quotes: Sequence[str | None],
    *,
    complete: bool,
    strict: bool,
    spaced: bool = False,
) -> tuple[str, str | None, Records]:
    best: tuple[float, str, str | None, Records] | None = None
    for quote in quotes:
        for delimiter in delimiters:
            records = _records(text, delimiter, quote, complete=complete, strict=strict, spaced=spaced)
            if not records:
                continue
            width, count = Counter(len(row) for _, row in records).most_common(1)[0]
            score = count / len(records) + (0 if width == 1 else 1) + min(width, 50) / 1000
            if best is None or score > best[0] + 1e-9:
                best = score, delimiter, quote, records
    if best is None:
        return delimiters[0], '"', _records(text, delimiters[0], None, complete=complete, strict=False)
    return best[1:]


def _encloses(text: str, quote: str) -> bool:
    """Return whether a quote encloses a whole cell anywhere."""
    edge = rf"[{re.escape(DELIMITERS)}]"
    return bool(re.search(rf"(?:^|{edge}){quote}[^{quote}\n]*{quote}(?:$|\r|{edge})", text, re.MULTILINE))


def _records(
    text: str, delimiter: str, quote: str | None, *, complete: bool, strict: bool, spaced: bool = False
) -> Records:
    """Return the first records; none when the quotes do not fit."""
    if delimiter == quote:
        return []  # the csv module of Python 3.13 raises for equal marks
    reader = csv.reader(
        io.StringIO(text, newline="\n"),
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=strict and quote is not None,
        skipinitialspace=spaced,
    )
    records: Records = []
    csv.field_size_limit(SAMPLE)
    try:
        for cells in reader:
            row = [cell.replace(_RETURN, "\r") for cell in cells]
            if row and not (len(row) == 1 and not row[0].strip()):
                if strict and quote and _stray(row, quote, text):
                    return []
                records.append((reader.line_num, row))
            if len(records) >= _RECORDS:
                break
    except csv.Error:
        return records if not complete and records and quote else []
    return records


def _stray(row: Sequence[str], quote: str, text: str) -> bool:
    """Return whether a cell that is not enclosed holds a quote, which only a reader without quotes keeps."""
    return any(quote in cell and quote * 2 not in text and not cell.startswith(quote) for cell in row)
