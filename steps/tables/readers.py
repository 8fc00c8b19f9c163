"""The files of a source as frames: unpacked, decoded, with named columns; the format of each is detected.

Delimited text becomes a frame of strings, as it is written; other formats keep the types that they have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from steps.errors import InputError, refuse_full_disk
from steps.tables.dialect import Dialect, Overrides, detect, uses_carriage_returns
from steps.tables.encodings import encoding_of, looks_foreign, transcode
from steps.tables.guards import check_lines, check_parquet
from steps.tables.json_files import scan_json
from steps.tables.mending import without_blanks_before_quotes, without_footer
from steps.tables.names import ROW
from steps.tables.naming import column_names, without_objects
from steps.tables.signatures import check_text, content_of, unknown_suffix
from steps.tables.structure import Faults, faults
from steps.tables.unpacking import unpack
from steps.tables.workbooks import read_workbook

if TYPE_CHECKING:
    from steps.tables.file_settings import Settings

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
_TRAILING, _NUMBER, _HEADER = f"{ROW}:", f"{ROW}#", f"{ROW}!"  # no column has such names


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
    drop_rows: tuple[int, ...] = ()
    """The records of delimited text whose cells are emptied, so that they are left out."""

    def text(self) -> pl.LazyFrame:
        """Return the cells as they are written (strings), or the values of a format with types."""
        return self.frame if self.frame is not None else self.typed({}, ())

    def typed(self, dtypes: Mapping[str, Any], missing: Sequence[str]) -> pl.LazyFrame:
        """Return delimited text, its columns parsed by polars as ``dtypes``, or strings where there is none."""
        frame = self._scan(dtypes, missing).select(self.columns)
        if self.drop_rows:
            whole = ~pl.col(_NUMBER).is_in(self.drop_rows)
            frame = frame.with_row_index(_NUMBER, 1).select(pl.when(whole).then(pl.col(self.columns)))
        if dtypes or not self._names_cells:
            return frame  # a header in the middle of typed columns does not parse
        # as a column of its own: in the condition of each column it would be a plan of columns squared
        return frame.with_columns(self._is_header().alias(_HEADER)).select(
            pl.when(~pl.col(_HEADER)).then(pl.col(name)).alias(name) for name in self.columns
        )

    def repeats_header(self) -> pl.LazyFrame:
        """Return for each record of delimited text whether it repeats the header."""
        frame = self._scan({}, ()).select(self.columns)
        return frame.select(
            self._is_header().alias("repeats") if self._names_cells else pl.lit(value=False).alias("repeats")
        )

    @property
    def _names_cells(self) -> bool:
        """True if the header has enough names for a record that repeats it to be no coincidence."""
        return self.dialect is not None and self.dialect.header is not None and sum(map(bool, self.dialect.header)) > 1

    def _is_header(self) -> pl.Expr:
        assert self.dialect is not None
        assert self.dialect.header is not None
        cells = [
            pl.col(column).str.strip_chars().eq_missing(cell)
            for column, cell in zip(self.columns, self.dialect.header, strict=True)
            if cell
        ]
        return pl.all_horizontal(cells)

    def _scan(self, dtypes: Mapping[str, Any], missing: Sequence[str]) -> pl.LazyFrame:
        """Return the columns, and behind them the empty cells at the ends of the lines where there are any."""
        assert self.dialect is not None
        names = [*self.columns, *(f"{_TRAILING}{number}" for number in range(self.dialect.trailing))]
        return pl.scan_csv(
            self.path,
            glob=False,
            has_header=False,
            skip_lines=self.dialect.skipped,
            separator=self.dialect.delimiter,
            quote_char=self.dialect.quote,
            schema={name: dtypes.get(name, pl.String) for name in names},
            null_values=list(missing) or None,
            truncate_ragged_lines=bool(self.drop_rows),  # only rows that are left out have more cells
            missing_columns="insert",  # polars takes a blank first line for a record with one column
        )

    def faults(self) -> Faults:
        """Return what is wrong with the shape of delimited text; reads the whole file."""
        assert self.dialect is not None
        return faults(self.path, self.dialect, self.drop_rows)

    def fault(self, settings: str = "the source's settings") -> str | None:
        """Return what is wrong with the shape of delimited text, in words; reads the whole file.

        Args:
            settings: where the settings of the source are, such as ``data.sources.people``.
        """
        assert self.dialect is not None
        if fault := self.faults().describe(settings):
            return fault
        if not self.dialect.trailing:
            return None
        ends = [pl.col(f"{_TRAILING}{number}").str.strip_chars() for number in range(self.dialect.trailing)]
        cells = (
            self._scan({}, ()).select(pl.concat_str(ends, ignore_nulls=True).alias(_TRAILING)).with_row_index("row", 1)
        )
        filled = cells.filter(pl.col(_TRAILING) != "").head(1).collect(engine="streaming")
        if filled.is_empty():
            return None
        row, value = filled.row(0)
        return (
            f"row {row}: the last cell holds {value!r}, while the lines above end with empty cells that have no name; "
            f"set {settings}.names for all {self.dialect.width} columns"
        )


@contextmanager
def reading(name: str, form: str = "", errors: type[Exception] = pl.exceptions.PolarsError) -> Iterator[None]:
    """Turn what a reader raises into a sentence.

    Args:
        form: as what the file is read.

    Raises:
        InputError: the file cannot be read.
        OSError: the disk is full.
    """
    try:
        yield
    except InputError:
        raise
    except errors as error:
        refuse_full_disk(error)
        raise InputError(f"{name}: cannot be read{form}: {str(error).splitlines()[0]}") from None
    except pl.exceptions.PanicException:  # not an Exception; Parquet files with wrong offsets end in it
        raise InputError(f"{name}: cannot be read{form}: the file is damaged") from None


def read_parts(directory: Path, source_name: str, source: Settings, scratch: Path, *, whole: bool = True) -> list[Part]:
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
            first_names, names = set(first.columns), set(part.columns)
            extra = {first.name: first_names - names, part.name: names - first_names}
            only = (f"only {name} has {', '.join(map(repr, sorted(more)))}" for name, more in extra.items() if more)
            raise InputError(
                f"source {source_name!r}: {first.name} and {part.name} have different columns: {'; '.join(only)}"
            )
    return parts


def _part(path: Path, source: Settings, scratch: Path, *, whole: bool) -> Part:
    scratch.mkdir(parents=True)
    name = re.sub(r"^\d+-", "", path.name)
    readable, inner = unpack(path, name, source.member, _FORMATS, scratch)
    kind = _format(readable, inner, source)
    report: dict[str, Any] = {"file": name, "format": kind, "bytes": path.stat().st_size}
    if inner != name:
        report["member"] = inner
    if readable.stat().st_size == 0:
        raise InputError(f"{name}: the file is empty; it needs a header and rows")
    if kind in ("csv", "tsv", "json", "ndjson") and (content := content_of(readable)):
        raise InputError(f"{name}: this is {content}")
    if kind in ("csv", "tsv"):
        return _delimited(readable, name, source, kind, scratch, report, whole=whole)
    if kind in ("json", "ndjson"):
        readable, report["encoding"] = _decoded(readable, name, source, scratch, whole=whole)
    with reading(name, f" as {kind}", Exception):  # readers of other formats raise what they like
        frame = without_objects(_scan(readable, name, source, kind, report))
        columns = frame.collect_schema().names()
    names = column_names(columns, name, source, report)
    if source.drop_rows:
        frame = frame.with_row_index(_NUMBER, 1).filter(~pl.col(_NUMBER).is_in(source.drop_rows)).drop(_NUMBER)
    frame = frame.rename(dict(zip(columns, names, strict=True)), strict=False)
    return Part(name, readable, kind, names, report=report, frame=frame)


def _format(path: Path, name: str, source: Settings) -> str:
    if source.format != "auto":
        return source.format
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(unknown_suffix(path, name, suffix, _FORMATS))
    return _FORMATS[suffix]


def _delimited(
    path: Path, name: str, source: Settings, kind: str, scratch: Path, report: dict[str, Any], *, whole: bool
) -> Part:
    raw = path
    check_lines(path, name)
    path, encoding = _decoded(path, name, source, scratch, whole=whole)
    check_text(path, name)
    if source.skip_footer:
        path = without_footer(path, source.skip_footer, scratch / "footless", name)
    overrides = Overrides(
        delimiter=source.delimiter or ("\t" if kind == "tsv" else None),
        quote=source.quote,
        decimal=source.decimal,
        header=source.header,
        missing=source.missing,
        skip=source.skip,
        names=len(source.names) if source.names is not None else None,
    )
    dialect = detect(path, name, overrides)
    if dialect.lone_returns:
        transcode(path, "utf-8", scratch / "line-feeds", name)
        path = scratch / "line-feeds"
    if dialect.spaced:
        without_blanks_before_quotes(path, dialect, scratch / "close")
        path = scratch / "close"
    header = dialect.header
    report |= {
        "encoding": encoding,
        "delimiter": dialect.delimiter,
        "quote": dialect.quote or "",
        "decimal": dialect.decimal or ".",
        "header": header is not None,
        "titles": dialect.titles or None,
        "trailing_delimiter": dialect.trailing > 0 or None,
        "lone_returns": dialect.lone_returns or None,
        "foreign": (encoding in ("cp1252", "latin-1") and source.encoding is None and looks_foreign(raw)) or None,
    }
    columns = header or tuple(f"column_{number}" for number in range(1, dialect.width - dialect.trailing + 1))
    return Part(
        name, path, kind, column_names(columns, name, source, report), dialect, report, drop_rows=source.drop_rows
    )


def _decoded(path: Path, name: str, source: Settings, scratch: Path, *, whole: bool) -> tuple[Path, str]:
    """Return text as UTF-8 with line feeds, and the encoding that it had."""
    encoding = source.encoding or encoding_of(path, name, whole=whole)
    if encoding.lower().replace("_", "-") in ("utf-8", "utf-8-sig", "utf8", "ascii") and not uses_carriage_returns(
        path
    ):
        return path, encoding
    transcode(path, encoding, scratch / "decoded", name)
    return scratch / "decoded", encoding


def _scan(path: Path, name: str, source: Settings, kind: str, report: dict[str, Any]) -> pl.LazyFrame:
    if kind == "parquet":
        check_parquet(path, name)
        return pl.scan_parquet(path, glob=False)
    if kind == "excel":
        return read_workbook(path, name, source, report)
    member = None if "member" in report else source.member
    return scan_json(path, name, member, report)
