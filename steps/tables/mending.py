"""Copies of delimited files without what the CSV reader cannot be told to skip."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from steps.errors import InputError
from steps.tables.dialect import Dialect

_TAIL = 1 << 20
"""Bytes at the end of a file that hold its footer."""


def without_blanks_before_quotes(path: Path, dialect: Dialect, target: Path) -> None:
    """Copy a file without blanks between delimiters and quotes; it keeps its lines."""
    with path.open(encoding="utf-8", newline="") as file, target.open("w", encoding="utf-8", newline="") as out:
        for _ in range(dialect.skipped):
            out.write(file.readline())
        quote = dialect.quote or '"'
        reader = csv.reader(file, delimiter=dialect.delimiter, quotechar=quote, skipinitialspace=True)
        csv.writer(out, delimiter=dialect.delimiter, quotechar=quote, lineterminator="\n").writerows(reader)


def without_footer(path: Path, lines: int, target: Path, name: str) -> Path:
    """Copy a file without its last lines; blank ones do not count.

    Raises:
        InputError: the file has no more lines than that.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read().splitlines(keepends=True)
        left = lines
        while left and len(tail) > 1:
            size -= len(line := tail.pop())
            left -= bool(line.strip())
        if left:
            raise InputError(f"{name}: skip_footer: {lines}, and the file has fewer lines")
        file.seek(0)
        with target.open("wb") as out:
            shutil.copyfileobj(file, out)
            out.truncate(size)
    return target
