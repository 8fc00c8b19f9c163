"""The dialect of a delimited text file: encoding, delimiter, quotes, header and decimal mark, detected from its bytes.

Whatever is detected is reported, and the problem file can override it.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steps.errors import InputError

DELIMITERS = ",;\t|"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
_SAMPLE = 1 << 20
"""Bytes from which a dialect is detected."""
_RECORDS = 500
_CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LONE_RETURN = re.compile(r"\r(?!\n)")
_RETURN = "\ufdd0"
"""Stands for a carriage return within a cell: the csv module takes one for a line end, polars does not."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?")
_COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_POINT_DECIMAL = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")


@dataclass(frozen=True)
class Dialect:
    """The way in which one file is written."""

    delimiter: str
    quote: str | None
    """The quote around cells; None where quotes are ordinary characters."""
    decimal: str
    header: tuple[str, ...] | None
    """The cells of the header as they are written; None without a header."""
    width: int
    """The number of columns."""
    skipped: int
    """The number of physical lines before the first record."""


@dataclass(frozen=True)
class Overrides:
    """The parts of a dialect that the user gives; those that are None are detected."""

    delimiter: str | None = None
    quote: str | None = None
    decimal: str | None = None
    header: bool | None = None
    missing: Sequence[str] = ()
    skip: int = 0


def encoding_of(path: Path, name: str, *, whole: bool = True) -> str:
    """Detect the encoding of a file.

    A byte order mark tells it; otherwise text that decodes as UTF-8 is UTF-8, since other text hardly ever does; of the
    8-bit encodings cp1252 is taken unless a byte is undefined in it.

    Args:
        whole: look at all of the file, not only at its start.

    Raises:
        InputError: the file is UTF-8 with damaged lines.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                return encoding
        if (wide := _without_mark(start)) is not None:
            return wide
    if _is_utf8(path, whole=whole):
        return "utf-8"
    return _eight_bit(path, name)


def _is_utf8(path: Path, *, whole: bool) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)
                if not whole:
                    return True
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _without_mark(start: bytes) -> str | None:
    """Return UTF-16 without a byte order mark, in which every other byte of western text is zero; None for other text."""
    if b"\0" not in start:
        return None
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.3 * len(start) / 2 or min(even, odd) > 0.05 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _eight_bit(path: Path, name: str) -> str:
    """Return an 8-bit encoding, unless most lines with special characters are UTF-8: then the file is damaged UTF-8."""
    well_formed, wrong, first_line, undefined = 0, 0, 0, False
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                well_formed += 1
            except UnicodeDecodeError:
                wrong += 1
                first_line = first_line or number
                undefined = undefined or any(byte in line for byte in b"\x81\x8d\x8f\x90\x9d")
    if well_formed > wrong:
        raise InputError(
            f"{name}, line {first_line}: not readable as UTF-8, while {well_formed:,} other lines are; {wrong:,} "
            "lines are damaged. Fix the file, or give its encoding, such as encoding: cp1252 (or latin-1)"
        )
    return "latin-1" if undefined else "cp1252"


def transcode(path: Path, encoding: str, target: Path, name: str) -> None:
    """Write the file as UTF-8 with line feeds as line ends.

    Raises:
        InputError: the file is not in that encoding, or no such encoding exists.
    """
    choices = f"use one of {', '.join(ENCODINGS)}"
    with path.open("rb") as file, target.open("w", encoding="utf-8", newline="") as out:
        try:
            reader = io.TextIOWrapper(file, codecs.lookup(encoding).name, newline="")
        except (LookupError, ValueError):  # ValueError also for codecs from bytes to bytes, such as hex
            raise InputError(f"{name}: {encoding!r} is not an encoding of text; {choices}") from None
        try:
            pending = ""
            while text := reader.read(_CHUNK):
                text = pending + text
                pending = "\r" if text.endswith("\r") else ""
                text = text[: len(text) - len(pending)]
                out.write(text.replace("\r\n", "\n").replace("\r", "\n"))
            out.write(pending.replace("\r", "\n"))
        except UnicodeError as error:
            raise InputError(f"{name}: cannot be read as {encoding}: {error}; {choices}") from None


def uses_carriage_returns(path: Path) -> bool:
    """Return whether lines end with a carriage return alone, as on old Macs; polars does not take it for a line end."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
    return b"\r" in start and b"\n" not in start


def detect(path: Path, name: str, overrides: Overrides) -> Dialect:
    """Detect the dialect from the start of a UTF-8 file.

    Raises:
        InputError: the file is empty, or nothing is left below the skipped lines.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        complete = not file.read(1)
    text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode(start)
    if not text.strip():
        raise InputError(f"{name}: the file is empty; it needs a header and rows")
    if not complete:
        text = text[: text.rfind("\n") + 1] or text
    _, *rest = text.split("\n", overrides.skip) if overrides.skip else ("", text)
    if not rest or not rest[-1].strip():
        raise InputError(f"{name}: nothing is left below the {overrides.skip} skipped lines")
    delimiter, quote, records = _layout(_LONE_RETURN.sub(_RETURN, rest[-1]), overrides, complete=complete)
    first_line, first = records[0][0] + overrides.skip, records[0][1]
    rows = [[cell.strip() for cell in row] for _, row in records]
    header = _has_header(rows, set(overrides.missing)) if overrides.header is None else overrides.header
    body = rows[1:] if header else rows
    return Dialect(
        delimiter=delimiter,
        quote=quote,
        decimal=overrides.decimal or _decimal(body, delimiter),
        header=tuple(rows[0]) if header else None,
        width=len(first),
        skipped=first_line if header else first_line - _lines_of(first),
    )


Records = list[tuple[int, list[str]]]
"""The first records without blank lines: the physical line on which each ends, and its cells."""


def _lines_of(row: Sequence[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in row)


def _layout(text: str, overrides: Overrides, *, complete: bool) -> tuple[str, str | None, Records]:
    """Choose the delimiter and quote with which the records are most alike, then widest; earlier candidates win ties."""
    delimiters = [overrides.delimiter] if overrides.delimiter else list(DELIMITERS)
    if overrides.quote is not None:
        return _best(text, delimiters, [overrides.quote or None], complete=complete, strict=False)
    single = "'" if '"' not in text and _encloses(text, "'") else None
    quotes = [single, '"', None] if single else ['"', None]
    delimiter, quote, records = _best(text, delimiters, quotes, complete=complete, strict=True)
    if quote is None and len({len(row) for _, row in records}) > 1 and _encloses(text, '"'):
        # Quotes do enclose cells, and one of them is damaged: reading with quotes will lead to a message about it.
        return _best(text, delimiters, ['"'], complete=complete, strict=False)
    return delimiter, quote, records


def _best(
    text: str, delimiters: Sequence[str], quotes: Sequence[str | None], *, complete: bool, strict: bool
) -> tuple[str, str | None, Records]:
    best: tuple[float, str, str | None, Records] | None = None
    for quote in quotes:
        for delimiter in delimiters:
            records = _records(text, delimiter, quote, complete=complete, strict=strict)
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


def _records(text: str, delimiter: str, quote: str | None, *, complete: bool, strict: bool) -> Records:
    """Return the first records; none when the quotes do not fit."""
    if delimiter == quote:
        return []  # the csv module of Python 3.13 raises for equal marks
    reader = csv.reader(
        io.StringIO(text, newline="\n"),
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=strict and quote is not None,
    )
    records: Records = []
    csv.field_size_limit(_SAMPLE)
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


def _has_header(rows: Sequence[Sequence[str]], missing: set[str]) -> bool:
    """Return whether the first record names the columns.

    It does not if it holds a missing marker, a value that returns below it, or numbers that words do not outvote.
    """
    first, rest = rows[0], rows[1:]
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


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Return a comma if more numbers have one than a point, or if all points may separate thousands."""
    if delimiter == ",":
        return "."
    cells = [cell for row in rows for cell in row]
    commas = sum(1 for cell in cells if _COMMA_DECIMAL.fullmatch(cell))
    points = [cell for cell in cells if _POINT_DECIMAL.fullmatch(cell)]
    return "," if commas > len(points) or (commas and all(map(_THOUSANDS.fullmatch, points))) else "."
