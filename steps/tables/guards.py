"""Guards: small files that would fill the memory are refused before they are read."""

from __future__ import annotations

import mmap
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def check_workbook(path: Path, name: str, most_cells: int = MOST_CELLS, enough: int = ENOUGH) -> int:
    """Refuse a workbook that needs far more memory than it has bytes, and return how many of its cells hold errors.

    Raises:
        InputError: a sheet has too many cells, text that cells share is too long, or the file is damaged.
    """
    if not zipfile.is_zipfile(path):
        return 0  # of a format before 2007, whose sheets have 65,536 rows at most
    errors = 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.namelist() if member.endswith(".xml")]
            budget = [max(enough, LARGEST_RATIO * path.stat().st_size)]
            shared = [member for member in members if member.lower().endswith("sharedstrings.xml")]
            lengths = _lengths(_pieces(archive, shared[0], name, budget)) if shared else np.zeros(0, np.int64)
            text = 0
            for member in members:
                rows = columns = 1
                cells = repeated = 0
                for piece in _pieces(archive, member, name, budget):
                    if member == "content.xml":
                        cells, repeated = _repeated_cells(piece, cells, repeated)
                    references = _REFERENCE.findall(piece)
                    rows = max([rows, *map(int, {digits for _, digits in references})])
                    columns = max([columns, *map(_number, {letters for letters, _ in references})])
                    if max(rows * columns, cells) > most_cells:
                        _refuse_cells(name, rows, columns, max(rows * columns, cells), most_cells)
                    errors += len(_ERROR.findall(piece))
                    places = np.array(_SHARED.findall(piece), dtype=np.int64)
                    text += int(lengths[places[places < len(lengths)]].sum())
                    if text > enough:
                        raise InputError(
                            f"{name}: its cells repeat texts so long that they take more than {enough:,} bytes in memory, which no "
                            "table does"
                        )
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{name}: damaged: {error}") from None
    return errors


def _pieces(archive: zipfile.ZipFile, member: str, name: str, budget: list[int]) -> Iterator[bytes]:
    """Yield a member in pieces that overlap a little, as long as the budget of bytes lasts."""
    rest = b""
    with archive.open(member) as file:
        while piece := file.read(_PIECE):
            budget[0] -= len(piece)
            if budget[0] < 0:
                raise InputError(
                    f"{name}: unpacks to more than {LARGEST_RATIO} times as many bytes, which no workbook does"
                )
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


def _refuse_cells(name: str, rows: int, columns: int, cells: int, most: int) -> None:
    end = (
        f"ends in row {rows:,} and column {columns:,}, which are"
        if rows * columns == cells
        else "repeats its cells, which makes"
    )
    raise InputError(
        f"{name}: a sheet {end} {cells:,} cells, more than the {most:,} that are read; delete the empty rows and columns, or save "
        "it as CSV"
    )


def _number(letters: bytes) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
