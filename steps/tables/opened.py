"""A source whose files are found and whose cells are still as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.errors import InputError
from steps.tables.parsing import Parse, cleaned, infer, natural
from steps.tables.query import canonical
from steps.tables.readers import Part, Source
from steps.tables.schema import ROW

if TYPE_CHECKING:
    import polars as pl

MANY = 10_000
"""More distinct strings than this are not counted."""
Parses = dict[str, Parse]


@dataclass(frozen=True)
class Opened:
    """A source to be read: its files, and the type in which each of its columns arrives."""

    name: str
    source: Source
    parts: list[Part]
    declared: Mapping[str, Parse]
    decimal: str
    kinds: Mapping[str, Any]
    """Name -> polars type as the format gives it."""

    @classmethod
    def of(cls, name: str, source: Source, found: list[Part], declared: Mapping[str, Parse]) -> Opened:
        decimal = next((part.dialect.decimal for part in found if part.dialect and part.dialect.decimal == ","), ".")
        schemas = [part.text().collect_schema() for part in found]
        kinds = {column: _common([schema[column] for schema in schemas]) for column in found[0].columns}
        return cls(name, source, found, declared, decimal, kinds)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.parts[0].columns

    @property
    def delimited(self) -> bool:
        return self.parts[0].dialect is not None

    def textual(self) -> list[str]:
        """Columns that arrive as strings, which have to be parsed."""
        import polars as pl

        return [name for name in self.columns if self.kinds[name] == pl.String]


def _common(kinds: list[pl.DataType]) -> pl.DataType:
    """The type in which a column arrives; strings where files disagree or a table has no such type."""
    import polars as pl

    if any(kind in (pl.UInt64, pl.Int128, pl.UInt128) or _is_whole(kind) for kind in kinds):
        return pl.String()  # as in a CSV file: integers if all fit into 64 bits
    naturals = {natural(kind) for kind in kinds if kind != pl.Null}
    if naturals == {"integer", "float"}:
        return pl.Float64()
    first = next((kind for kind in kinds if kind != pl.Null), pl.Null())
    if len(naturals) != 1 or (natural(first) is None and not isinstance(first, pl.Duration)):
        return pl.String()
    return first


def _is_whole(kind: pl.DataType) -> bool:
    """Decimals without a fraction, such as Oracle's NUMBER: float64 would make one of two long keys."""
    import polars as pl

    return isinstance(kind, pl.Decimal) and kind.scale == 0


def numbered(frame: pl.LazyFrame, columns: tuple[str, ...], *, drop_blank: bool) -> pl.LazyFrame:
    """``_row`` first; records without any value left out."""
    import polars as pl

    with_rows = frame.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.Int64))
    return (
        with_rows.filter(pl.any_horizontal(pl.col(column).is_not_null() for column in columns))
        if drop_blank
        else with_rows
    )


def text(opened: Opened, part: Part) -> pl.LazyFrame:
    """A part with its string columns cleaned and the others canonical; nested values as JSON text."""
    import polars as pl

    frame = part.text().select(opened.columns)
    schema = frame.collect_schema()
    changes = []
    for name in opened.columns:
        kind, column = schema[name], pl.col(name)
        if isinstance(kind, pl.Struct):
            column = column.struct.json_encode()
        elif kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise InputError(
                f"{part.name}: column {name!r} holds {kind}; wanted one value in each row. Flatten it, or leave it "
                "out of the file"
            )
        elif kind != pl.String and not ((kind.is_integer() or _is_whole(kind)) and opened.kinds[name] == pl.String):
            plain = canonical(column, kind)
            column = column if plain is None else plain
        if opened.kinds[name] == pl.String:
            column = cleaned(column.cast(pl.String), opened.source.missing)
        elif natural(kind) != natural(opened.kinds[name]):
            column = column.cast(opened.kinds[name])
        changes.append(column.alias(name))
    return frame.select(changes)


def whole_text(opened: Opened) -> pl.LazyFrame:
    import polars as pl

    frames = [text(opened, part) for part in opened.parts]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")


def wanted(opened: Opened, frame: pl.LazyFrame) -> dict[str, Parse | None]:
    """How each string column is parsed: as declared, or as inferred from ``frame``."""
    undecided: dict[str, Parse] = {}
    found: dict[str, Parse | None] = {}
    ask = []
    for name in opened.textual():
        declared = opened.declared.get(name)
        if declared and (declared.format or declared.type not in ("date", "datetime")):
            found[name] = declared
            continue
        ask.append(name)
        if declared:
            undecided[name] = declared
    found.update(infer(frame, ask, opened.decimal, undecided))
    return {name: found[name] for name in opened.textual()}
