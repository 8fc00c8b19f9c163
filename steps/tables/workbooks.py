"""Workbooks: a sheet as a frame, its titles left out, and small files refused that would fill the memory."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Any

import polars as pl

from steps.errors import InputError, install
from steps.tables.dialect import titles_above
from steps.tables.source import Source

UNNAMED = "__UNNAMED__"
"""What the reader of workbooks calls columns without a name."""
_FIRST_ROWS = 50

MOST_CELLS = 50_000_000
"""Cells between the first and the last of a sheet: the reader reserves memory for each, empty or not."""
_PIECE, _LONGEST = 1 << 20, 64
_REFERENCE = re.compile(rb'\sr="([A-Z]{1,3})?([0-9]{1,7})"')


def read_workbook(path: Path, name: str, source: Source, report: dict[str, Any]) -> pl.LazyFrame:
    try:
        import fastexcel  # noqa: F401 - an extra; polars' own message does not say how to install it
    except ImportError:
        raise InputError(f"{name}: reading workbooks needs fastexcel; {install('excel')}") from None
    check_extent(path, name)
    frame = _sheet(path, source, source.skip or 0)
    if source.skip is None and any(column.startswith(UNNAMED) for column in frame.columns):
        options: dict[str, Any] = {"n_rows": _FIRST_ROWS, "dtypes": "string"}
        start = _read_sheet(path, source, options, has_header=False, drop_empty_rows=False, drop_empty_cols=False)
        rows = [[(cell or "").strip() for cell in row] for row in start.rows()]
        if skip := titles_above(rows, set(source.missing)):
            frame = _sheet(path, source, skip)
            report["titles"] = [" ".join(filter(None, row)) for row in rows[:skip] if any(row)]
            source = source.model_copy(update={"skip": skip})
    if source.skip_footer:  # again, since a word among totals makes a column of numbers text
        frame = _sheet(path, source, source.skip or 0, n_rows=max(0, frame.height - source.skip_footer))
    return frame.lazy()


def _sheet(path: Path, source: Source, skip: int, **options: Any) -> pl.DataFrame:
    """Return a sheet without its first rows; columns without a name have none."""
    has_header = source.header is not False
    start = ({"header_row": skip} if has_header else {"skip_rows": skip}) if skip else {}
    return _read_sheet(path, source, {**start, **options}, has_header=has_header, infer_schema_length=None)


def _read_sheet(path: Path, source: Source, read_options: dict[str, Any], **options: Any) -> pl.DataFrame:
    sheet: dict[str, Any] = {"sheet_name": source.sheet} if source.sheet else {"sheet_id": 1}
    frame = pl.read_excel(path, read_options=read_options, **sheet, **options)
    assert isinstance(frame, pl.DataFrame)
    return frame


def check_extent(path: Path, name: str, most_cells: int = MOST_CELLS) -> None:
    """Refuse a workbook that has a sheet with more cells than fit into memory.

    Raises:
        InputError: the last row and column of a sheet are too far from the first, or the file is damaged.
    """
    if not zipfile.is_zipfile(path):
        return  # of a format before 2007, whose sheets have 65,536 rows at most
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith(".xml"):
                    continue
                with archive.open(member) as sheet:
                    rows, columns = _extent(sheet, most_cells)
                if rows * columns > most_cells:
                    raise InputError(
                        f"{name}: a sheet ends in row {rows:,} and column {columns:,}, which are {rows * columns:,} cells, "
                        f"more than the {most_cells:,} that are read; delete the empty rows and columns, or save it as CSV"
                    )
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{name}: damaged: {error}") from None


def _extent(sheet: IO[bytes], most_cells: int) -> tuple[int, int]:
    """Return the last row and column that a cell of the sheet names, or one that is too far."""
    rows = columns = 1
    rest = b""
    while piece := sheet.read(_PIECE):
        references = _REFERENCE.findall(rest + piece)
        rows = max([rows, *map(int, {digits for _, digits in references})])
        columns = max([columns, *map(_number, {letters for letters, _ in references})])
        if rows * columns > most_cells:
            break
        rest = piece[-_LONGEST:]
    return rows, columns


def _number(letters: bytes) -> int:
    """Return the number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
