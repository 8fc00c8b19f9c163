"""The files of a source as frames: unpacked, decoded, with named columns; the format of each is detected.

Delimited text becomes a frame of strings, as it is written; other formats keep the types that they have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from steps.errors import InputError, install, refuse_full_disk
from steps.tables.dialect import Dialect, Overrides, detect, encoding_of, transcode, uses_carriage_returns
from steps.tables.schema import LABEL_SOURCE, ROW
from steps.tables.source import Source
from steps.tables.structure import faults
from steps.tables.unpacking import unpack

RESERVED = (ROW, LABEL_SOURCE)
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "csv",
    ".data": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}
_START = 1 << 20
"""Bytes from which the layout of a JSON file is seen."""


@dataclass(frozen=True)
class Part:
    """One file of a source, ready to be scanned."""

    name: str
    path: Path
    format: str
    columns: tuple[str, ...]
    dialect: Dialect | None = None
    report: dict[str, Any] = field(default_factory=dict)
    frame: pl.LazyFrame | None = None
    """The content, for formats with types of their own."""

    def text(self) -> pl.LazyFrame:
        """Return the cells as they are written (strings), or the values of a format with types."""
        return self.frame if self.frame is not None else self.typed({}, ())

    def typed(self, dtypes: Mapping[str, Any], missing: Sequence[str]) -> pl.LazyFrame:
        """Return delimited text, its columns parsed by polars as ``dtypes``, or strings where there is none."""
        assert self.dialect is not None
        return pl.scan_csv(
            self.path,
            glob=False,
            has_header=False,
            skip_lines=self.dialect.skipped,
            separator=self.dialect.delimiter,
            quote_char=self.dialect.quote,
            schema={name: dtypes.get(name, pl.String) for name in self.columns},
            null_values=list(missing) or None,
            missing_columns="insert",  # polars takes a blank first line for a record with one column
        )

    def fault(self) -> str | None:
        """Return what is wrong with the shape of delimited text, in words; reads the whole file."""
        assert self.dialect is not None
        return faults(self.path, self.dialect).describe(len(self.columns))


def read_parts(directory: Path, source_name: str, source: Source, scratch: Path, *, whole: bool = True) -> list[Part]:
    """Return the files of a source in order, all with the same columns.

    Args:
        directory: ``raw/<source>``, with files named ``NN-<file>``.
        scratch: a directory for unpacked and decoded copies.
        whole: detect encodings from all of a file, not only from its start.

    Raises:
        InputError: a file cannot be read, or files disagree on the columns.
    """
    files = sorted(path for path in directory.iterdir() if not path.name.startswith(".")) if directory.is_dir() else []
    if not files:
        raise InputError(f"source {source_name!r} has no files")
    parts = [
        _part(path, source, scratch / f"{source_name}-{number}-{whole}", whole=whole)
        for number, path in enumerate(files)
    ]
    first = parts[0]
    for part in parts[1:]:
        if part.format != first.format:
            raise InputError(
                f"source {source_name!r}: {first.name} is {first.format} and {part.name} is {part.format}; all files "
                "of a source need the same format"
            )
        if set(part.columns) != set(first.columns):
            raise InputError(
                f"source {source_name!r}: {first.name} and {part.name} have different columns: "
                f"{_difference(first, part)}"
            )
    return parts


def _difference(first: Part, second: Part) -> str:
    return "; ".join(
        f"only {part.name} has {', '.join(map(repr, sorted(extra)))}"
        for part, other in ((first, second), (second, first))
        if (extra := set(part.columns) - set(other.columns))
    )


def _part(path: Path, source: Source, scratch: Path, *, whole: bool) -> Part:
    scratch.mkdir(parents=True)
    name = re.sub(r"^\d+-", "", path.name)
    readable, inner = unpack(path, name, source.member, _FORMATS, scratch)
    kind = _format(inner, source)
    report: dict[str, Any] = {"file": name, "format": kind, "bytes": path.stat().st_size}
    if inner != name:
        report["member"] = inner
    if readable.stat().st_size == 0:
        raise InputError(f"{name}: the file is empty; it needs a header and rows")
    if kind in ("csv", "tsv"):
        return _delimited(readable, name, source, kind, scratch, report, whole=whole)
    try:
        frame = _scan(readable, name, source, kind)
        columns = frame.collect_schema().names()
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - readers of other formats raise what they like
        refuse_full_disk(error)
        raise InputError(f"{name}: cannot be read as {kind}: {str(error).splitlines()[0]}") from None
    names = _column_names(columns, name, source, report)
    frame = frame.rename(dict(zip(columns, names, strict=True)), strict=False)
    return Part(name, readable, kind, names, report=report, frame=frame)


def _format(name: str, source: Source) -> str:
    if source.format != "auto":
        return source.format
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"{name}: no format is known by the suffix {suffix!r}; known suffixes are {', '.join(_FORMATS)}; or give "
            "the source's format"
        )
    return _FORMATS[suffix]


def _delimited(
    path: Path, name: str, source: Source, kind: str, scratch: Path, report: dict[str, Any], *, whole: bool
) -> Part:
    encoding = source.encoding or encoding_of(path, name, whole=whole)
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf-8-sig", "utf8", "ascii") or uses_carriage_returns(path):
        decoded = scratch / "decoded"
        transcode(path, encoding, decoded, name)
        path = decoded
    delimiter = source.delimiter or ("\t" if kind == "tsv" else None)
    dialect = detect(
        path, name, Overrides(delimiter, source.quote, source.decimal, source.header, source.missing, source.skip)
    )
    header = dialect.header
    report |= {
        "encoding": encoding,
        "delimiter": dialect.delimiter,
        "quote": dialect.quote or "",
        "decimal": dialect.decimal,
        "header": header is not None,
    }
    columns = header or tuple(f"column_{number}" for number in range(1, dialect.width + 1))
    return Part(name, path, kind, _column_names(columns, name, source, report), dialect, report)


def _column_names(columns: Sequence[str], name: str, source: Source, report: dict[str, Any]) -> tuple[str, ...]:
    """Return the names that the source gives, or the header's with blank ones numbered.

    Raises:
        InputError: two names are equal, or one is reserved or would be a pattern of names to polars.
    """
    if source.names is not None and len(source.names) != len(columns):
        raise InputError(f"{name}: the source gives {len(source.names)} names and the file has {len(columns)} columns")
    header = source.names or columns
    renamed = {number: f"column_{number}" for number, column in enumerate(header, 1) if not column.strip()}
    if renamed:
        report["renamed"] = list(renamed.values())
    names = tuple(renamed.get(number, column) for number, column in enumerate(header, 1))
    where, cure = f"{name}, line 1: the column name", "give names: [...] for all columns of the source"
    for column, count in Counter(names).items():
        if count > 1:
            places = ", ".join(str(number) for number, other in enumerate(names, 1) if other == column)
            raise InputError(
                f"{where} {column!r} is used {count} times (columns {places}); rename the columns, or {cure}"
            )
    for column in names:
        if column in RESERVED:
            raise InputError(f"{where} {column!r} is reserved; {cure}")
        if column == "*" or (column.startswith("^") and column.endswith("$")):
            raise InputError(f"{where} {column!r} would be a pattern of names; {cure}")
    return names


def _scan(path: Path, name: str, source: Source, kind: str) -> pl.LazyFrame:
    if kind == "parquet":
        return pl.scan_parquet(path, glob=False)
    if kind == "excel":
        return _workbook(path, name, source)
    with path.open("rb") as file:
        start = file.read(_START).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return pl.read_json(path, infer_schema_length=None).lazy()
    if not start.partition(b"\n")[0].rstrip().endswith(b"}"):
        raise InputError(
            f"{name}: not JSON of a table; write a list of objects [{{...}}, {{...}}], or one object on each line (ndjson)"
        )
    return pl.scan_ndjson(escape(str(path)), infer_schema_length=None)


def _workbook(path: Path, name: str, source: Source) -> pl.LazyFrame:
    try:
        import fastexcel  # noqa: F401 - an extra; polars' own message does not say how to install it
    except ImportError:
        raise InputError(f"{name}: reading workbooks needs fastexcel; {install('excel')}") from None
    options: dict[str, Any] = {"sheet_name": source.sheet} if source.sheet else {"sheet_id": 1}
    frame = pl.read_excel(path, has_header=source.header is not False, infer_schema_length=None, **options)
    assert isinstance(frame, pl.DataFrame)
    return frame.lazy()
