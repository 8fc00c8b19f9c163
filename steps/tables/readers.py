"""From the files of a source to frames: unpacked, decoded, columns named; each file's format found and reported.

Delimited text comes as a frame of strings, as it is written; everything else with the types that its format knows.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from steps.core import Config
from steps.errors import InputError, install, refuse_full_disk
from steps.tables import structure
from steps.tables.dialect import Dialect, Overrides, detect, encoding_of, transcode, uses_carriage_returns
from steps.tables.schema import LABEL_SOURCE, ROW

if TYPE_CHECKING:
    import polars as pl

RESERVED = (ROW, LABEL_SOURCE)
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")
_SUFFIXES = {
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
_CHUNK = 1 << 20
_DAMAGES = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
    UnicodeError,
)
"""What unpacking raises, the last of it about the names of members."""
LARGEST_RATIO = 200
"""Tables pack 5 to 50 times; a file that unpacks to more than this was made to fill a disk."""
FREELY = 64 << 20
"""Bytes that any file may unpack to."""


class Source(Config):
    """Where data comes from and, where detection is not enough, how it is written."""

    path: str | tuple[str, ...] = Field(
        description="A path relative to this file, a glob, package://NAME/file, https:// or s3://; or a list of them."
    )
    format: Literal["auto", "csv", "tsv", "ndjson", "json", "parquet", "excel"] = Field(
        default="auto", description="By the file's name when auto."
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Between the cells of a text file; detected when left out.",
    )
    quote: str | None = Field(
        default=None,
        max_length=1,
        description="Around cells; '' when quotes are ordinary characters; detected when left out.",
    )
    encoding: str | None = Field(
        default=None, description="utf-8, utf-16, latin-1, cp1252 ...; detected when left out."
    )
    decimal: Literal[".", ","] | None = Field(default=None, description="The decimal mark; detected when left out.")
    header: bool | None = Field(
        default=None, description="Whether the first record names the columns; detected when left out."
    )
    names: tuple[str, ...] | None = Field(
        default=None, description="Names of the columns in order, instead of the header's or of column_1, column_2 ..."
    )
    skip: int = Field(default=0, ge=0, description="Lines of a text file above its header or first record.")
    member: str | None = Field(default=None, description="Which file of a zip archive.")
    sheet: str | None = Field(default=None, description="Which sheet of a workbook; the first when left out.")
    missing: tuple[str, ...] = Field(default=MISSING, description="Cells that mean: no value. Blank cells always do.")

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_byte_in_every_file(cls, mark: str | None) -> str | None:
        if mark is not None and (not mark.isascii() or mark in {"\n", "\r", "\0"}):
            raise ValueError(f"{mark!r} is no mark that files can be read by; wanted one ASCII character on a line")
        return mark

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.delimiter is not None and self.delimiter == ('"' if self.quote is None else self.quote):
            raise ValueError(
                f"the delimiter {self.delimiter!r} is the quote around cells too; give another quote, or ''"
            )
        return self

    @field_validator("missing")
    @classmethod
    def _as_cells_are_compared(cls, missing: tuple[str, ...]) -> tuple[str, ...]:
        """Blanks around a cell are not part of it, so they are none of a marker."""
        return tuple(marker.strip() for marker in missing)


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
    """Of formats that know types."""

    def text(self) -> pl.LazyFrame:
        """The cells as they are written (strings), or the values that the format knows."""
        return self.frame if self.frame is not None else self.typed({}, ())

    def typed(self, kinds: Mapping[str, Any], missing: Sequence[str]) -> pl.LazyFrame:
        """Delimited text, with polars parsing the ``kinds`` (name -> polars type) while it reads; the rest strings."""
        import polars as pl

        assert self.dialect is not None
        return pl.scan_csv(
            self.path,
            glob=False,
            has_header=False,
            skip_lines=self.dialect.skipped,
            separator=self.dialect.delimiter,
            quote_char=self.dialect.quote,
            schema={name: kinds.get(name, pl.String) for name in self.columns},
            null_values=list(missing) or None,
            missing_columns="insert",  # a blank line in the first place counts as a record with one column
        )

    def faults(self) -> structure.Faults:
        """What is wrong with the shape of the records; reads the whole file."""
        assert self.dialect is not None
        return structure.faults(self.path, self.dialect)


def parts(directory: Path, source_name: str, source: Source, scratch: Path, *, whole: bool = True) -> list[Part]:
    """The files of a source in order, all with the same columns.

    Args:
        directory: ``raw/<source>``, with files named ``NN-<file>``.
        scratch: where unpacked and decoded copies may be kept while they are read.
        whole: whether encodings are detected from all of a file, or only from its start.

    Raises:
        InputError: a file cannot be read, or files disagree on the columns.
    """
    files = sorted(path for path in directory.iterdir() if not path.name.startswith(".")) if directory.is_dir() else []
    if not files:
        raise InputError(f"source {source_name!r} has no files")
    found = [
        _part(path, source, scratch / f"{source_name}-{number}-{whole}", whole=whole)
        for number, path in enumerate(files)
    ]
    first = found[0]
    for part in found[1:]:
        if part.format != first.format:
            raise InputError(
                f"source {source_name!r}: {first.name} is {first.format} and {part.name} is {part.format}; files "
                "of one source are alike"
            )
        if set(part.columns) != set(first.columns):
            raise InputError(
                f"source {source_name!r}: {first.name} and {part.name} have different columns: "
                f"{_difference(first, part)}"
            )
    return found


def _difference(first: Part, second: Part) -> str:
    only = [
        f"only {part.name} has {', '.join(map(repr, sorted(set(part.columns) - set(other.columns))))}"
        for part, other in ((first, second), (second, first))
        if set(part.columns) - set(other.columns)
    ]
    return "; ".join(only)


def _part(path: Path, source: Source, scratch: Path, *, whole: bool) -> Part:
    scratch.mkdir(parents=True)
    name = re.sub(r"^\d+-", "", path.name)
    readable, inner = _unpacked(path, name, source, scratch)
    kind = _format(inner, source)
    report: dict[str, Any] = {"file": name, "format": kind, "bytes": path.stat().st_size}
    if inner != name:
        report["member"] = inner
    if readable.stat().st_size == 0:
        raise InputError(f"{name}: the file is empty; wanted a header and rows")
    if kind in ("csv", "tsv"):
        return _delimited(readable, name, source, kind, scratch, report, whole=whole)
    try:
        frame = _known(readable, name, source, kind)
        columns = frame.collect_schema().names()
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - readers of other formats raise what they like
        refuse_full_disk(error)
        raise InputError(f"{name}: cannot be read as {kind}: {str(error).splitlines()[0]}") from None
    names = _named(columns, name, source, report)
    frame = frame.rename(dict(zip(columns, names, strict=True)), strict=False)
    return Part(name, readable, kind, names, report=report, frame=frame)


def _format(name: str, source: Source) -> str:
    if source.format != "auto":
        return source.format
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(
            f"{name}: the ending {suffix!r} names no format; known are {', '.join(_SUFFIXES)}; or give the "
            "source's format"
        )
    return _SUFFIXES[suffix]


def _unpacked(path: Path, name: str, source: Source, scratch: Path) -> tuple[Path, str]:
    """The file that is to be read, out of gzip or zip if it is in one, and its name."""
    lower = name.lower()
    try:
        if lower.endswith(".gz"):
            target = scratch / "unpacked"
            with gzip.open(path, "rb") as packed:
                _unpack(packed, path.stat().st_size, target, name)
            return target, name[:-3]
        if lower.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                member = _member(archive, name, source)
                target = scratch / "unpacked"
                with archive.open(member) as packed:
                    _unpack(packed, archive.getinfo(member).compress_size, target, name)
                return target, PurePosixPath(member).name
    except InputError:
        raise
    except _DAMAGES as error:
        refuse_full_disk(error)
        raise InputError(f"{name}: cannot be unpacked: {error}") from None
    return path, name


def _unpack(packed: gzip.GzipFile | IO[bytes], packed_size: int, target: Path, name: str) -> None:
    """Write what is packed, as long as it is no bomb and leaves half of the free disk for the table that it becomes.

    Raises:
        InputError: it is larger; nothing of it is left.
    """
    free = shutil.disk_usage(target.parent).free // 2
    sane = max(FREELY, LARGEST_RATIO * packed_size)
    size = 0
    with target.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > min(free, sane):
                break
            out.write(chunk)
    if size <= min(free, sane):
        return
    target.unlink()
    if sane < free:
        raise InputError(
            f"{name}: {packed_size:,} bytes unpack to more than {LARGEST_RATIO} times as many; no table does that. "
            "If it is one, unpack it yourself and name the file"
        )
    raise InputError(
        f"{name}: unpacks to more than {free:,} bytes, half of what is free on the disk of the workspace; free some, or "
        "give --workspace on a larger disk"
    )


def _member(archive: zipfile.ZipFile, name: str, source: Source) -> str:
    """The one file of an archive that is data; a table goes before JSON, which often only describes it."""
    members = [
        info.filename for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if source.member is not None:
        matching = [member for member in members if source.member in (member, PurePosixPath(member).name)]
        if len(matching) == 1:
            return matching[0]
        raise InputError(
            f"{name}: there is no single member {source.member!r}; the archive holds: {', '.join(members[:10])}"
        )
    tables = [member for member in members if _SUFFIXES.get(PurePosixPath(member).suffix.lower(), "json") != "json"]
    candidates = (
        tables or [member for member in members if PurePosixPath(member).suffix.lower() in _SUFFIXES] or members
    )
    if len(candidates) != 1:
        raise InputError(
            f"{name}: which member is meant? Give member: one of {', '.join(members[:10]) or 'none, it is empty'}"
        )
    return candidates[0]


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
    return Part(name, path, kind, _named(columns, name, source, report), dialect, report)


def _named(columns: Sequence[str], name: str, source: Source, report: dict[str, Any]) -> tuple[str, ...]:
    """The columns' names: given, or the header's with blank ones numbered.

    Raises:
        InputError: two are the same, or one is reserved or would be read as a pattern of names (by polars).
    """
    if source.names is not None and len(source.names) != len(columns):
        raise InputError(f"{name}: {len(source.names)} names are given and the file has {len(columns)} columns")
    given = source.names or columns
    renamed = {number: f"column_{number}" for number, column in enumerate(given, 1) if not column.strip()}
    if renamed:
        report["renamed"] = list(renamed.values())
    names = tuple(renamed.get(number, column) for number, column in enumerate(given, 1))
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        places = [str(number) for number, column in enumerate(names, 1) if column == twice[0]]
        raise InputError(
            f"{name}, line 1: the column name {twice[0]!r} is used {len(places)} times (columns {', '.join(places)}); "
            "rename them, or give names: [...] for all columns of the source"
        )
    if reserved := [column for column in names if column in RESERVED]:
        raise InputError(
            f"{name}, line 1: the column name {reserved[0]!r} is reserved; give names: [...] for all columns of "
            "the source"
        )
    if patterns := [column for column in names if column == "*" or (column.startswith("^") and column.endswith("$"))]:
        raise InputError(
            f"{name}, line 1: the column name {patterns[0]!r} reads as a pattern of names; give names: [...] for all "
            "columns of the source"
        )
    return names


def _known(path: Path, name: str, source: Source, kind: str) -> pl.LazyFrame:
    import polars as pl

    if kind == "parquet":
        return pl.scan_parquet(path, glob=False)
    if kind == "excel":
        return _workbook(path, name, source)
    with path.open("rb") as file:
        start = file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        return pl.read_json(path, infer_schema_length=None).lazy()
    if not start.partition(b"\n")[0].rstrip().endswith(b"}"):
        raise InputError(f"{name}: wanted a list of objects [{{...}}, {{...}}], or one object on each line (ndjson)")
    return pl.scan_ndjson(escape(str(path)), infer_schema_length=None)


def _workbook(path: Path, name: str, source: Source) -> pl.LazyFrame:
    import polars as pl

    try:
        import fastexcel  # noqa: F401 - only to say clearly that it is missing
    except ImportError:
        raise InputError(f"{name}: reading workbooks needs fastexcel; {install('excel')}") from None
    options: dict[str, Any] = {"sheet_name": source.sheet} if source.sheet else {"sheet_id": 1}
    frame = pl.read_excel(path, has_header=source.header is not False, infer_schema_length=None, **options)
    assert isinstance(frame, pl.DataFrame)
    return frame.lazy()
