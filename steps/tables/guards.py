"""Guards: small files that would fill the memory are refused before they are read."""

from __future__ import annotations

import io
import mmap
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from steps.errors import InputError
from steps.tables.unpacking import LARGEST_RATIO

ENOUGH = 1 << 29
"""Bytes that the values of any file may take in memory, whatever its size."""
LONGEST_LINE = 1 << 25
MOST_CELLS = 50_000_000
"""Cells between the first and the last of a sheet: the reader reserves memory for each, empty or not."""
_PIECE, _OVERLAP = 1 << 20, 256
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12}
_REFERENCE = re.compile(rb'\sr="([A-Z]{1,3})?([0-9]{1,7})"')
_SHARED = re.compile(rb'<c [^>]*t="s"[^>]*>(?:<f[^>]*/?>)?<v>(\d+)<')
_ERROR = re.compile(rb'<c [^>]*t="e"')
_ROW, _CELLS, _ERROR_CELLS, _CELL_OF_SHARED_TEXT, _SHARED_TEXT = 0, range(2, 12), (3, 11), 7, 19
"""Kinds of records in an .xlsb file ([MS-XLSB], section 2.3)."""
_ODS = re.compile(rb"<table:(table-row|table-cell|covered-table-cell)\b([^>]*)>")
_REPEATED = re.compile(rb'table:number-(?:rows|columns)-repeated="(\d{1,9})"')


def check_lines(path: Path, name: str, longest: int = LONGEST_LINE) -> None:
    """Refuse text with a line that no table has; it costs a look at a few bytes in each stretch of the file.

    Raises:
        InputError: a line is longer than twice ``longest``, or somewhat shorter.
    """
    size = path.stat().st_size
    if size <= longest:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for start in range(0, size - longest, longest):
            end = start + longest
            if text.find(b"\n", start, end) < 0 and text.find(b"\r", start, end) < 0:
                raise InputError(
                    f"{name}: no line ends between byte {start:,} and byte {end:,}, so this is no text file of a table; each "
                    "record needs a line of its own"
                )


def check_parquet(path: Path, name: str, enough: int = ENOUGH) -> None:
    """Refuse a Parquet file whose values take far more memory than the file has bytes.

    A dictionary holds a long text once, and so does the file; in memory each row has its own.

    Raises:
        InputError: the values are too large, or the numbers of rows contradict each other.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    limit = max(enough, LARGEST_RATIO * path.stat().st_size)
    try:
        names = [column.path for column in pq.ParquetFile(path).schema if column.physical_type == "BYTE_ARRAY"]
        file = pq.ParquetFile(path, read_dictionary=names)
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if sum(group.num_rows for group in groups) != metadata.num_rows:
            raise InputError(
                f"{name}: damaged: it says that it has {metadata.num_rows:,} rows, and its parts have others"
            )
        size = 0
        for number, group in enumerate(groups):
            for place in range(metadata.num_columns):
                chunk = group.column(place)
                least = chunk.num_values * _WIDTHS.get(chunk.physical_type, 8)
                size += max(least, chunk.total_uncompressed_size)
                if size <= limit and chunk.num_values * chunk.total_uncompressed_size > limit:
                    size += _text_size(file, number, chunk, limit - size)
                if size > limit:
                    raise InputError(
                        f"{name}: the values of its {path.stat().st_size:,} bytes take more than {limit:,} bytes in memory (column "
                        f"{chunk.path_in_schema!r}), which no table does"
                    )
    except (pa.ArrowException, OSError):
        return  # the reader says what is wrong


def _text_size(file: Any, group: int, chunk: Any, limit: int) -> int:
    """Return the bytes of a chunk of text that a dictionary holds, or a larger number; more than ``limit`` is not counted."""
    if chunk.physical_type != "BYTE_ARRAY" or not any("DICTIONARY" in encoding for encoding in chunk.encodings):
        return 0
    size = 0
    for batch_size in (1, 1 << 16):  # the longest text bounds all of them, mostly
        for batch in file.iter_batches(batch_size, [group], [chunk.path_in_schema]):
            lengths, indices = _dictionary(batch.column(0))
            longest = int(lengths.max(initial=0))
            if batch_size == 1 and chunk.num_values * longest <= limit:
                return int(chunk.num_values) * longest
            if batch_size == 1:
                break
            size += int(lengths[indices].sum()) if len(lengths) else 0
            if size > limit:
                return size
    return size


def _dictionary(column: Any) -> tuple[Any, Any]:
    """Return the lengths of the texts of a dictionary, and the places in it of a column's values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while not pa.types.is_dictionary(column.type):
        if not pa.types.is_nested(column.type):
            return np.asarray(pc.binary_length(column).fill_null(0)), np.arange(len(column))
        column = column.flatten()[0] if pa.types.is_struct(column.type) else column.flatten()
    lengths = np.asarray(pc.binary_length(column.dictionary).fill_null(0)).astype(np.int64)
    return lengths, np.asarray(column.indices.drop_null())


@dataclass
class _Counts:
    """What a workbook holds, as far as it was read, and what it may hold."""

    name: str
    most_cells: int
    most_text: int
    budget: int
    """Bytes that may still be unpacked."""
    lengths: Any
    """The bytes of each of the texts that cells share."""
    text: int = 0
    errors: int = 0

    def unpack(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise InputError(
                f"{self.name}: unpacks to more than {LARGEST_RATIO} times as many bytes, which no workbook does"
            )

    def add_texts(self, places: Any) -> None:
        """Add cells that share texts, by the places of the texts."""
        self.text += int(self.lengths[places[places < len(self.lengths)]].sum())
        if self.text > self.most_text:
            raise InputError(
                f"{self.name}: its cells repeat texts so long that they take more than {self.most_text:,} bytes in memory, which no "
                "table does"
            )

    def check_cells(self, rows: int, columns: int, repeated: int = 0) -> None:
        cells = max(rows * columns, repeated)
        if cells <= self.most_cells:
            return
        end = (
            f"ends in row {rows:,} and column {columns:,}, which are"
            if rows * columns == cells
            else "repeats its cells, which makes"
        )
        raise InputError(
            f"{self.name}: a sheet {end} {cells:,} cells, more than the {self.most_cells:,} that are read; delete the empty rows "
            "and columns, or save it as CSV"
        )


def check_workbook(path: Path, name: str, most_cells: int = MOST_CELLS, enough: int = ENOUGH) -> int:
    """Refuse a workbook that needs far more memory than it has bytes, and return how many of its cells hold errors.

    Raises:
        InputError: a sheet has too many cells, text that cells share is too long, or the file is damaged.
    """
    if not zipfile.is_zipfile(path):
        return 0  # of a format before 2007, whose sheets have 65,536 rows at most
    budget = max(enough, LARGEST_RATIO * path.stat().st_size)
    counts = _Counts(name, most_cells, enough, budget, np.zeros(0, np.int64))
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.namelist(), key=lambda member: "sharedstrings." not in member.lower())
            for member in members:
                if member.endswith(".xml"):
                    _check_xml(archive, member, counts)
                elif member.endswith(".bin"):
                    _check_records(archive, member, counts)
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{name}: damaged: {error}") from None
    return counts.errors


def _check_xml(archive: zipfile.ZipFile, member: str, counts: _Counts) -> None:
    if member.lower().endswith("sharedstrings.xml"):
        counts.lengths = _lengths(_pieces(archive, member, counts))
    rows = columns = 1
    cells = repeated = 0
    for piece in _pieces(archive, member, counts):
        if member == "content.xml":
            cells, repeated = _repeated_cells(piece, cells, repeated)
        references = _REFERENCE.findall(piece)
        rows = max([rows, *map(int, {digits for _, digits in references})])
        columns = max([columns, *map(_number, {letters for letters, _ in references})])
        counts.check_cells(rows, columns, cells)
        counts.errors += len(_ERROR.findall(piece))
        counts.add_texts(np.array(_SHARED.findall(piece), dtype=np.int64))


def _check_records(archive: zipfile.ZipFile, member: str, counts: _Counts) -> None:
    """Check a part of an .xlsb file: records of rows, of cells with their columns, and of texts that cells share."""
    lengths = []
    row = rows = columns = 0
    for kind, content, size in _records(archive, member, counts):
        number = int.from_bytes(content[:4], "little")
        if kind == _SHARED_TEXT:
            lengths.append(size)
        elif kind == _ROW:
            row = number + 1
        elif kind in _CELLS:
            rows, columns = max(rows, row), max(columns, number + 1)
            counts.check_cells(rows, columns)
            counts.errors += kind in _ERROR_CELLS
            if kind == _CELL_OF_SHARED_TEXT:
                counts.add_texts(np.array([int.from_bytes(content[8:12], "little")]))
    if member.lower().endswith("sharedstrings.bin"):
        counts.lengths = np.array(lengths, np.int64)


def _records(archive: zipfile.ZipFile, member: str, counts: _Counts) -> Iterator[tuple[int, bytes, int]]:
    """Yield the kind, the first bytes and the size of each record; numbers have seven bits in a byte."""
    with archive.open(member) as unpacked:
        file = io.BufferedReader(cast(Any, unpacked), _PIECE)
        while start := file.read(1):
            kind = start[0] if start[0] < 0x80 else start[0] & 0x7F | (_byte(file) & 0x7F) << 7
            size = 0
            for place in range(0, 28, 7):
                byte = _byte(file)
                size |= (byte & 0x7F) << place
                if byte < 0x80:
                    break
            counts.unpack(size)
            content = file.read(min(size, 12))
            for rest in range(size - len(content), 0, -_PIECE):
                file.read(min(rest, _PIECE))
            yield kind, content, size


def _byte(file: io.BufferedReader) -> int:
    return (file.read(1) or b"\0")[0]


def _pieces(archive: zipfile.ZipFile, member: str, counts: _Counts) -> Iterator[bytes]:
    """Yield a member in pieces that overlap a little, as long as the budget of bytes lasts."""
    rest = b""
    with archive.open(member) as file:
        while piece := file.read(_PIECE):
            counts.unpack(len(piece))
            whole = rest + piece
            cut = max(whole.rfind(b"<"), len(whole) - _OVERLAP)
            yield whole[:cut]
            rest = whole[cut:]
    yield rest


def _lengths(pieces: Iterator[bytes]) -> Any:
    """Return the bytes of each of the texts that cells share, with their tags."""
    ends, before = [], 0
    for piece in pieces:
        ends += [before + match.end() for match in re.finditer(b"</si>|<si/>", piece)]
        before += len(piece)
    return np.diff(np.array(ends, np.int64), prepend=0)


def _repeated_cells(piece: bytes, cells: int, rows: int) -> tuple[int, int]:
    """Return the cells of an OpenDocument sheet that hold something, and how often the row at the end repeats."""
    for kind, attributes in _ODS.findall(piece):
        match = _REPEATED.search(attributes)
        count = int(match[1]) if match else 1
        if kind == b"table-row":
            rows = count
        elif b"office:value" in attributes:
            cells += rows * count
    return cells, rows


def _number(letters: bytes) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
