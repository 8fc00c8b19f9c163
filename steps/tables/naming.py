"""The names of columns: those of the header or of the source, blank ones numbered, repeated ones suffixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from steps.errors import InputError
from steps.tables.names import LABEL_SOURCE, ROW

if TYPE_CHECKING:
    from steps.tables.file_settings import Settings

RESERVED = (ROW, LABEL_SOURCE)
UNNAMED = "__UNNAMED__"
"""What the reader of workbooks calls columns without a name."""


def column_names(columns: Sequence[str], name: str, source: Settings, report: dict[str, Any]) -> tuple[str, ...]:
    """Return the names that the source gives, or the header's with blank ones numbered and repeated ones suffixed.

    Raises:
        InputError: two given names are equal, or one is reserved or would be a pattern of names to polars.
    """
    if source.names is not None and len(source.names) != len(columns):
        raise InputError(f"{name}: the source gives {len(source.names)} names and the file has {len(columns)} columns")
    header = source.names or ["" if column.startswith(UNNAMED) else column for column in columns]
    renamed = {number: f"column_{number}" for number, column in enumerate(header, 1) if not column.strip()}
    if renamed:
        report["renamed"] = list(renamed.values())
    names = tuple(renamed.get(number, column) for number, column in enumerate(header, 1))
    where, cure = f"{name}, line 1: the column name", "give names: [...] for all columns of the source"
    if source.names is not None:
        for column, count in Counter(names).items():
            if count > 1:
                raise InputError(f"{name}: the source's names hold {column!r} {count} times; each column needs its own")
    names, suffixed = distinct_names(names)
    if suffixed:
        report["suffixed"] = suffixed
    for column in names:
        if column in RESERVED:
            raise InputError(f"{where} {column!r} is reserved; {cure}")
        if column == "*" or (column.startswith("^") and column.endswith("$")):
            raise InputError(f"{where} {column!r} would be a pattern of names; {cure}")
    return names


def distinct_names(names: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """Return names in which repeated ones have a number, as in ``price_2``, and the new ones among them."""
    distinct: list[str] = []
    suffixed = []
    for name in names:
        unique, number = name, 1
        while unique in distinct or (number > 1 and unique in names):
            number += 1
            unique = f"{name}_{number}"
        if number > 1:
            suffixed.append(unique)
        distinct.append(unique)
    return tuple(distinct), suffixed


def without_objects(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return the fields of objects as columns of their own, named like ``home.city``."""

    def fields(name: str, column: pl.Expr, dtype: Any) -> Iterator[pl.Expr]:
        if not isinstance(dtype, pl.Struct):
            yield column.alias(name)
        else:
            for field in dtype.fields:
                yield from fields(f"{name}.{field.name}", column.struct.field(field.name), field.dtype)

    schema = frame.collect_schema()
    if not any(isinstance(dtype, pl.Struct) for dtype in schema.values()):
        return frame
    columns = [column for name, dtype in schema.items() for column in fields(name, pl.col(name), dtype)]
    names, _ = distinct_names(tuple(column.meta.output_name() for column in columns))
    return frame.select(column.alias(name) for column, name in zip(columns, names, strict=True))
