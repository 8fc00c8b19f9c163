"""Workbooks: a sheet as a frame, with the titles above it and the totals below it left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from steps.errors import InputError
from steps.tables.dialect import titles_above
from steps.tables.guards import check_workbook
from steps.tables.naming import UNNAMED
from steps.wording import install

if TYPE_CHECKING:
    from steps.tables.file_settings import Settings

_FIRST_ROWS = 50


def read_workbook(path: Path, name: str, source: Settings, report: dict[str, Any]) -> pl.LazyFrame:
    try:
        import fastexcel  # noqa: F401 - an extra; polars' own message does not say how to install it
    except ImportError:
        raise InputError(f"{name}: reading workbooks needs fastexcel; {install('excel')}") from None
    report["errors"] = check_workbook(path, name) or None
    skip = source.skip or 0
    frame = _sheet(path, source, skip)
    if source.skip is None and any(column.startswith(UNNAMED) for column in frame.columns):
        options: dict[str, Any] = {"n_rows": _FIRST_ROWS, "dtypes": "string"}
        start = _read_sheet(path, source, options, has_header=False, drop_empty_rows=False, drop_empty_cols=False)
        rows = [[(cell or "").strip() for cell in row] for row in start.rows()]
        if titles := titles_above(rows, set(source.missing)):
            skip = titles
            frame = _sheet(path, source, skip)
            report["titles"] = [" ".join(filter(None, row)) for row in rows[:skip] if any(row)]
    if source.skip_footer:  # again, since a word among totals makes a column of numbers text
        frame = _sheet(path, source, skip, n_rows=max(0, frame.height - source.skip_footer))
    return frame.lazy()


def _sheet(path: Path, source: Settings, skip: int, **options: Any) -> pl.DataFrame:
    """Return a sheet without its first rows; columns without a name have none."""
    has_header = source.header is not False
    start = ({"header_row": skip} if has_header else {"skip_rows": skip}) if skip else {}
    return _read_sheet(path, source, {**start, **options}, has_header=has_header, infer_schema_length=None)


def _read_sheet(path: Path, source: Settings, read_options: dict[str, Any], **options: Any) -> pl.DataFrame:
    sheet: dict[str, Any] = {"sheet_name": source.sheet} if source.sheet else {"sheet_id": 1}
    frame = pl.read_excel(path, read_options=read_options, **sheet, **options)
    assert isinstance(frame, pl.DataFrame)
    return frame
