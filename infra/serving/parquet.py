"""What a Parquet file unpacks to, by the headers of its pages, before anything is unpacked.

A file of 14 KB may hold a value of 400 MB, and the sizes in its footer may lie; those before each page are what a reader allocates.
The format: Apache Parquet's documentation, "File Format" and ``parquet.thrift``; Apache Thrift, "Thrift Compact protocol encoding".
"""

from __future__ import annotations

from typing import Any, TypeAlias

MAGIC = b"PAR1"
_PREFIXES = 7
"""The encoding DELTA_BYTE_ARRAY: values that repeat the beginning of the one before, which no size counts."""
_DEEPEST = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12

Struct: TypeAlias = dict[int, Any]


def check_size(content: bytes, most_rows: int, most_bytes: int) -> None:
    """Check that no column has more than so many values, and that all pages together unpack to no more than so many bytes.

    Raises:
        ValueError: they do, or the file is not Parquet.
    """
    try:
        total = _unpacked(content, most_rows)
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a Parquet file") from error
    if total > most_bytes:
        raise ValueError(f"it unpacks to {total:,} bytes; {most_bytes:,} are read")


def _unpacked(content: bytes, most_rows: int) -> int:
    """Return the bytes that the pages unpack to."""
    if content[:4] != MAGIC or content[-4:] != MAGIC or len(content) < 12:
        raise ValueError("not a Parquet file")
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    if start < 4:
        raise ValueError("not a Parquet file")
    footer, _ = _struct(content, start, 0)
    total = 0
    for group in footer[4]:
        for chunk in group[1]:
            column = chunk[3]
            if column[5] > most_rows:
                raise ValueError(f"a column has {column[5]:,} values; {most_rows:,} rows are read")
            place = min(offset for offset in (column[9], column.get(11) or column[9]))
            end = place + column[7]
            while place < end:
                header, place = _struct(content, place, 0)
                if min(header[2], header[3]) < 0 or _encoding(header) == _PREFIXES:
                    raise ValueError("its pages are of an encoding that is not read here")
                total += header[2]
                place += header[3]
    return total


def _encoding(header: Struct) -> int | None:
    """Return the encoding of a data page of either version."""
    encoding: int | None = header[5].get(2) if 5 in header else header[8].get(4) if 8 in header else None
    return encoding


def _struct(data: bytes, place: int, depth: int) -> tuple[Struct, int]:
    """Read a struct of the compact protocol: its fields by number, and the place after it."""
    if depth > _DEEPEST or place < 0:
        raise ValueError("not a Parquet file")
    fields: Struct = {}
    number = 0
    while head := data[place]:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            number, place = _whole(data, place)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        else:
            fields[number], place = _value(data, place, kind, depth)
    return fields, place + 1


def _value(data: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind == _STRUCT:
        return _struct(data, place, depth + 1)
    if kind in (_LIST, _SET):
        return _values(data, place, depth)
    if kind == _BINARY:
        length, place = _unsigned(data, place)
        return None, place + length
    if kind == _DOUBLE:
        return None, place + 8
    if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a truth value has a byte
        return data[place], place + 1
    if kind < _DOUBLE:
        return _whole(data, place)
    raise ValueError("not a Parquet file")


def _values(data: bytes, place: int, depth: int) -> tuple[list[Any], int]:
    head, place = data[place], place + 1
    count = head >> 4
    if count == 15:
        count, place = _unsigned(data, place)
    if count > len(data) - place:
        raise ValueError("not a Parquet file")
    values = []
    for _ in range(count):
        value, place = _value(data, place, head & 15, depth + 1)
        values.append(value)
    return values, place


def _unsigned(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError("not a Parquet file")


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """Read a number whose sign is its lowest bit."""
    number, place = _unsigned(data, place)
    return (number >> 1) ^ -(number & 1), place
