"""The guard of workbooks: a small file that would fill the memory is refused before it is opened."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO

from steps.errors import InputError

MOST_CELLS = 50_000_000
"""Cells between the first and the last of a sheet: the reader reserves memory for each, empty or not."""
_PIECE, _LONGEST = 1 << 20, 64
_REFERENCE = re.compile(rb'\sr="([A-Z]{1,3})?([0-9]{1,7})"')


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
