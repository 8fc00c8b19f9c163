"""Tables in JSON: a list of objects, one object on each line, and other shapes that programs write.

Polars reads the first two by itself. Python reads the rest, and whatever polars refuses: NaN, mixed types, a byte order mark.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steps.errors import InputError

_START, _CHUNK = 1 << 20, 1 << 22
_DEEPEST = 200
"""Objects and lists within each other; polars needs minutes for a thousand."""
_TABLE = "a table is a list of objects [{...}, {...}], or one object on each line (ndjson)"

Records = list[Any]


def scan_json(path: Path, name: str, member: str | None, report: dict[str, Any]) -> pl.LazyFrame:
    """Return the table of a JSON or NDJSON file; ``report`` gets where it was, if that is not obvious.

    Args:
        member: the key of the list of rows where an object holds several, such as ``response.rows``.

    Raises:
        InputError: the file is no JSON, or holds no table.
    """
    with path.open("rb") as file:
        start = file.read(_START).removeprefix(b"\xef\xbb\xbf").lstrip()
    _refuse_depth(path, name)
    lines = _has_lines(start)
    try:
        if lines:
            frame = pl.scan_ndjson(escape(str(path)), infer_schema_length=None)
            frame.head(1).collect()
            return frame
        if start.startswith(b"["):
            return pl.read_json(path, infer_schema_length=None).lazy()
    except pl.exceptions.PolarsError:
        pass  # Python says better what is wrong, or reads it
    try:
        content = _lines(path, name) if lines else _document(path, name)
        records = content if lines else _records(content, name, member, report)
        _refuse_mixtures(records, name)
        return pl.read_json(io.BytesIO(json.dumps(records).encode()), infer_schema_length=None).lazy()
    except RecursionError:
        raise InputError(f"{name}: objects and lists lie within each other too often for a table") from None


def _has_lines(start: bytes) -> bool:
    """Return whether each line is an object of its own."""
    first, _, rest = start.partition(b"\n")
    return start.startswith(b"{") and first.rstrip(b" \r,;").endswith(b"}") and rest.lstrip()[:1] == b"{"


def _document(path: Path, name: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_constant)
    except ValueError as error:
        raise InputError(f"{name}: no JSON: {error}") from None


def _lines(path: Path, name: str) -> Records:
    """Return the object of each line.

    Raises:
        InputError: a line is no object; the message says which and why.
    """
    records = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            line = raw.removeprefix(b"\xef\xbb\xbf").strip()
            if not line:
                continue
            try:
                records.append(json.loads(line, parse_constant=_constant))
            except ValueError as error:
                why = str(error).replace("line 1 ", "")
                if line.endswith((b",", b";")):
                    why = f"it ends with {chr(line[-1])!r}; write one object on each line and nothing between them"
                raise InputError(f"{name}, line {number}: no JSON: {why}") from None
            if not isinstance(records[-1], dict):
                raise InputError(f"{name}, line {number}: no object: {str(records[-1])[:40]!r}; {_TABLE}")
    return records


def _constant(word: str) -> None:
    """Return what a number outside of JSON means: NaN is a missing value."""
    if word != "NaN":
        raise ValueError(f"{word} is no number of a table; write null for a missing value")


def _refuse_mixtures(records: Records, name: str) -> None:
    """Check that no column holds objects in some rows and other values in others."""
    first: dict[str, type] = {}
    for number, record in enumerate(records, 1):
        for key, value in record.items():
            kind = type(value) if isinstance(value, list | dict) else object
            if value is not None and first.setdefault(key, kind) != kind:
                raise InputError(
                    f"{name}: {key!r} is an object or a list in some records and not in record {number} or the other way round; "
                    "write it alike in all of them"
                )


def _records(content: Any, name: str, member: str | None, report: dict[str, Any]) -> Records:
    """Return the rows of a document as objects."""
    if isinstance(content, list):
        return _rows_of_list(content, name, report)
    if not isinstance(content, dict):
        raise InputError(f"{name}: the JSON holds one value and no table; {_TABLE}")
    lists = dict(_lists(content, ""))
    if member is None and not lists and (records := _of_pandas(content, report)) is not None:
        return records
    if member is not None and member not in lists:
        keys = ", ".join(lists) or "none"
        raise InputError(f"{name}: no list of objects is called {member!r}; the lists are: {keys}")
    least = min((path.count(".") for path in lists), default=0)
    nearest = [path for path in lists if path.count(".") == least]
    if member is None and len(nearest) > 1:
        raise InputError(
            f"{name}: several lists of objects: {', '.join(nearest)}; say which is the table with the source's member: {nearest[0]}"
        )
    if chosen := member or next(iter(nearest), None):
        report["layout"] = f"the list {chosen!r} of the object"
        return lists[chosen]
    if any(isinstance(value, list | dict) for value in content.values()):
        raise InputError(
            f"{name}: an object with the keys {', '.join(map(str, [*content][:8]))}, and no table; {_TABLE}"
        )
    return [content]


def _rows_of_list(rows: Sequence[Any], name: str, report: dict[str, Any]) -> Records:
    if rows and all(isinstance(row, list) for row in rows):
        header = all(isinstance(cell, str) for cell in rows[0]) and len(set(rows[0])) == len(rows[0])
        names = rows[0] if header else [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
        report["layout"] = "a list of rows" + (", of which the first has the names" if header else " without names")
        return _with_names(names, rows[1:] if header else rows, name)
    wrong = next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise InputError(f"{name}: item {wrong} of the list is no object: {str(rows[wrong - 1])[:40]!r}; {_TABLE}")
    return list(rows)


def _with_names(names: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> Records:
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InputError(f"{name}: row {number} has {len(row)} values and there are {len(names)} columns")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _of_pandas(content: Mapping[str, Any], report: dict[str, Any]) -> Records | None:
    """Return the rows of an object as ``DataFrame.to_json`` writes it with orient split, list, columns or index."""
    columns, rows = content.get("columns"), content.get("data")
    if isinstance(columns, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        report["layout"] = "the parts 'columns' and 'data' (pandas' orient split)"
        return _with_names([str(column) for column in columns], rows, report["file"])
    parts = list(content.values())
    if parts and all(isinstance(part, list) for part in parts) and len({len(part) for part in parts}) == 1:
        if any(isinstance(item, list | dict) for part in parts for item in part[:1]):
            return None
        report["layout"] = "one list for each column"
        return [dict(zip(content, row, strict=True)) for row in zip(*parts, strict=True)]
    if not parts or not all(isinstance(part, dict) and part.keys() == parts[0].keys() for part in parts):
        return None
    inner = list(parts[0])
    by_column = _numbered(inner) or (not _numbered(content) and len(inner) >= len(content))
    if len(inner if by_column else content) < 2:
        return None
    report["layout"] = (
        f"one object for each {'column' if by_column else 'row'} (pandas' orient {'columns' if by_column else 'index'})"
    )
    if by_column:
        labels = {} if _numbered(inner) else {"index": inner}
        return [
            {
                **{key: values[place] for key, values in labels.items()},
                **{column: content[column][label] for column in content},
            }
            for place, label in enumerate(inner)
        ]
    return [{**({} if _numbered(content) else {"index": label}), **row} for label, row in content.items()]


def _numbered(labels: Any) -> bool:
    return all(str(label).isdigit() for label in labels)


def _lists(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Records]]:
    """Return the lists of objects within an object, by their path."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _lists(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield f"{prefix}{key}", value


def _refuse_depth(path: Path, name: str) -> None:
    """Check how deep objects and lists lie within each other.

    Raises:
        InputError: too deep for any table.
    """
    steps = np.zeros(256, np.int8)
    steps[[ord("["), ord("{")]], steps[[ord("]"), ord("}")]] = 1, -1
    depth = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            moves = steps[np.frombuffer(chunk, np.uint8)]
            levels = depth + np.cumsum(moves[moves != 0], dtype=np.int64)
            if len(levels) and levels.max() > _DEEPEST:
                break
            depth = int(levels[-1]) if len(levels) else depth
        else:
            return
    depth = 0  # exactly, since brackets in text count for nothing
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', path.read_bytes()):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > _DEEPEST:
            raise InputError(
                f"{name}: objects and lists lie within each other more than {_DEEPEST} deep, which is no table"
            )
