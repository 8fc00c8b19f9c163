"""One source becomes one typed Parquet table, by the optimistic parser where it can and by the strict one otherwise.

The optimistic parser infers types from the first rows, lets polars parse while it reads and checks the result. If it fails
or its result looks odd, the strict parser checks the shape of the files, infers types from all rows and reports by file and
row what does not parse. Both give the same table. One strict parser alone would take six times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from steps.errors import InputError
from steps.journal import Journal
from steps.tables.document import ColumnType, FileReport, SourceReport
from steps.tables.encodings import EAST_ASIAN
from steps.tables.examine import Examination
from steps.tables.optimistic import parse_optimistic
from steps.tables.parsing import Parse
from steps.tables.readers import Part, read_parts
from steps.tables.schema import Reading
from steps.tables.source import Source
from steps.tables.source_frame import SourceFrame
from steps.tables.strict import parse_strict

Parser = Callable[[SourceFrame, Path], tuple[dict[str, Parse], Examination] | None]


@dataclass(frozen=True)
class Staged:
    """A source as a typed table."""

    path: Path
    parses: Mapping[str, Parse]
    readings: Mapping[str, Reading]
    """How the columns that arrived as text were read."""
    examination: Examination
    report: SourceReport


def stage(
    directory: Path,
    name: str,
    source: Source,
    declared: Mapping[str, Parse],
    scratch: Path,
    log: Journal,
    *,
    first: Parser | None = parse_optimistic,
) -> Staged:
    """Read a source.

    Args:
        directory: ``raw/<source>``.
        declared: the parses of the columns whose type the problem file gives.
        first: the parser that is tried before the strict one.

    Raises:
        InputError: a file or a value is wrong.
    """
    target = scratch / f"{name}.parquet"
    result = None
    if first is not None:
        parts = read_parts(directory, name, source, scratch, whole=False)
        frame = SourceFrame.of(name, source, parts, declared)
        result = first(frame, target)
    if result is None:
        parts = read_parts(directory, name, source, scratch)
        frame = SourceFrame.of(name, source, parts, declared)
        result = parse_strict(frame, target)
    parses, examination = result
    if examination.rows == 0:
        raise InputError(f"{parts[0].name}: there are no rows below the header; at least one is needed")
    report = _report(frame, parses, examination)
    _note(frame, report, log)
    return Staged(target, parses, _readings(frame, parses), examination, report)


def _report(frame: SourceFrame, parses: Mapping[str, Parse], examination: Examination) -> SourceReport:
    return SourceReport(
        files=tuple(FileReport(**part.report) for part in frame.parts),
        rows=examination.rows,
        decimal=frame.marks.decimal,
        types={name: _column_type(parse) for name, parse in parses.items()},
        blank_records=examination.last_row - examination.rows or None,
    )


def _column_type(parse: Parse) -> ColumnType:
    return ColumnType(type=parse.type, format=parse.format or None, almost=parse.almost)


def _note(frame: SourceFrame, report: SourceReport, log: Journal) -> None:
    """Note in the journal what was detected and a person may want to override."""
    headers = frame.repeated_headers() if report.blank_records else []
    if headers:
        rows = ", ".join(map(str, headers[:5])) + (" ..." if len(headers) > 5 else "")
        which = f"rows {rows} repeat" if len(headers) > 1 else f"row {rows} repeats"
        log.note(f"source {frame.name!r}: {which} the header; they were left out")
    dropped = len(frame.source.drop_rows) * len(frame.parts) if frame.delimited else 0
    if (blank := (report.blank_records or 0) - len(headers) - dropped) > 0:
        log.note(f"source {frame.name!r}: {blank:,} records without any value were left out")
    for part, file in zip(frame.parts, report.files, strict=True):
        _note_layout(part, file, frame.name, log)
        if part.dialect and part.dialect.header is None and frame.source.header is None:
            log.note(
                f"{part.name}: has no header, so its columns are named {part.columns[0]} to {part.columns[-1]} "
                "(set header: true if the first line is one)"
            )
        if part.report.get("renamed"):
            log.note(f"{part.name}: columns without a name are called {', '.join(part.report['renamed'])}")
        if file.suffixed:
            log.note(f"{part.name}: the header repeats names; the later columns are called {', '.join(file.suffixed)}")
        if (file.encoding or "utf-8") not in ("utf-8", "utf-8-sig") and frame.source.encoding is None:
            log.note(f"{part.name}: read as {file.encoding}{_doubt(file, frame.name)}")


def _shortened(lines: Sequence[str]) -> str:
    return "; ".join(f"{line[:60]!r}" for line in lines[:2]) + (" ..." if len(lines) > 2 else "")


def _note_layout(part: Part, file: FileReport, source: str, log: Journal) -> None:
    if file.titles:
        count = f"{len(file.titles):,} lines" if len(file.titles) > 1 else "a line"
        log.note(
            f"{part.name}: {count} above the table {'were' if len(file.titles) > 1 else 'was'} left out: "
            f"{_shortened(file.titles)} (set data.sources.{source}.skip if that is wrong)"
        )
    if file.errors:
        log.note(f"{part.name}: {file.errors:,} cells hold errors such as #DIV/0! and count as missing")
    if file.layout:
        log.note(f"{part.name}: the table is read from {file.layout}")
    if file.trailing_delimiter:
        log.note(f"{part.name}: every line ends with a delimiter; the empty cells behind it are no column")
    if file.lone_returns:
        log.note(f"{part.name}: some lines end with a carriage return alone, which is taken for a line end")


def _doubt(file: FileReport, source: str) -> str:
    """Return what a person can do where the encoding is a guess that may be wrong."""
    setting = f"data.sources.{source}.encoding"
    if file.foreign:
        return f", which gives words of accented letters only; if they are wrong, set {setting}: cp1251, cp1253, gbk, shift_jis ..."
    if file.encoding in EAST_ASIAN:
        return f", by its frequent characters; if they are wrong, set {setting}"
    return ""


def _readings(frame: SourceFrame, parses: Mapping[str, Parse]) -> dict[str, Reading]:
    missing = tuple(sorted(set(frame.source.missing)))
    return {name: _reading(parses[name], missing, delimited=frame.delimited) for name in frame.text_columns}


def _reading(parse: Parse, missing: tuple[str, ...], *, delimited: bool) -> Reading:
    missing = tuple(sorted({*missing, *parse.missing}))
    decimal: Literal[".", ","] = "," if parse.decimal == "," else "."
    return Reading(
        missing=missing,
        decimal=decimal if delimited or not parse.plain else None,
        format=parse.format,
        thousands=parse.thousands,
        affixes=parse.affixes,
        clock_change=parse.clock_change,
        signs=parse.signs,
    )
