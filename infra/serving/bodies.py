"""The body of a request as a table: CSV, JSON, JSON lines or Parquet, as clients of SageMaker and MLflow send them.

Nothing is interpreted here but the form: ``model_code.tabular.reading`` reads the values, as it does for ``predict``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import orjson
import polars as pl

from infra.serving.media import MediaType
from infra.serving.parquet import check_size
from infra.serving.refusals import Refusal, unreadable
from infra.serving.unpack import unpack
from model_code.tabular.from_values import series_of

MLFLOW = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The keys that MLflow's clients put around their rows."""
_DELIMITERS = (",", ";", "\t", "|")
MOST_UNPACKED = 64 << 20
"""Bytes to which a Parquet file may unpack."""
_FEW = 32
"""Rows that are also kept as objects."""
_OTHER_COLUMNS = 20
"""How many columns that the model does not need are kept, for messages."""


@dataclass(frozen=True)
class Body:
    """The rows of a request as they were sent."""

    table: Callable[[], pl.DataFrame]
    """Makes a table of the rows; a few of ordinary values are answered without one."""
    records: Sequence[Mapping[str, Any]] | None = None
    """The rows as objects, if they are few."""
    header: bool = True
    """False for CSV without the names of its columns; then the answers have none either."""
    from_pandas: bool = False
    """Whether pandas made the rows, which takes words such as NA for missing values."""
    level: object = None
    """The level of prediction intervals that the body asks for."""


def read_body(content: bytes, media: MediaType, names: Sequence[str], most_rows: int) -> Body:
    """Return the rows of a body.

    Args:
        names: of the model's inputs, in whose order rows without names are.
        most_rows: how many rows a request may have.

    Raises:
        Refusal: 400, the body is not of this form; 413, it has too many rows.
    """
    match media.form:
        case "csv":
            return _csv(_text(content), media.header, names, most_rows)
        case "json":
            return _json(_loaded(content, "the body"), names, most_rows)
        case "lines":
            return _lines(content, names, most_rows)
        case "parquet":
            return _parquet(content, names, most_rows)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(f"the body is not UTF-8: byte {error.start + 1:,} of {len(content):,} is wrong") from None


def check_rows(count: int, most_rows: int) -> None:
    """Check the number of rows.

    Raises:
        Refusal: 400, there is none; 413, there are too many.
    """
    if not count:
        raise unreadable("there are no rows; at least one is needed")
    if count > most_rows:
        raise Refusal(413, f"a request may have {most_rows:,} rows; send more in several requests")


def _csv(text: str, header: bool | None, names: Sequence[str], most_rows: int) -> Body:
    """Read CSV; without a word about its header, the first line is one if it holds the name of an input."""
    delimiter = _delimiter(text, header, names)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(islice(filter(None, reader), most_rows + 2))
    except csv.Error as error:
        raise unreadable(f"line {reader.line_num:,} is not CSV: {error}") from None
    if header is None:
        header = bool(rows) and not {name.strip() for name in names}.isdisjoint(cell.strip() for cell in rows[0])
    columns = rows.pop(0) if header and rows else list(names)
    check_rows(len(rows), most_rows)
    if not header and len(rows[0]) != len(columns):
        raise unreadable(
            f"row 1 has {len(rows[0]):,} cells and the model {len(columns):,} inputs; send the cells in the order of "
            f"{', '.join(names[:_OTHER_COLUMNS])}, or a first line with the names of the columns"
        )
    return replace(_of_rows(columns, rows, names), header=header)


def _delimiter(text: str, header: bool | None, names: Sequence[str]) -> str:
    """Return the sign between cells: a comma, unless another one makes sense of the first line and the comma does not."""
    line = text[: text.find("\n")] if "\n" in text else text
    expected = {name.strip() for name in names}
    for delimiter in _DELIMITERS:
        if line.count(delimiter) > len(line) // 2 + len(names):
            continue  # a line of nothing but commas is no header, however long it is
        cells = [cell.strip().strip('"').strip() for cell in line.split(delimiter)]
        if expected <= set(cells) or (header is not True and len(cells) == len(names) > 1):
            return delimiter
    return ","


def _loaded(content: bytes, what: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise unreadable(f"{what} is not JSON: {error}") from None


def _json(document: Any, names: Sequence[str], most_rows: int) -> Body:
    """Read rows as MLflow's clients wrap them, as a list, as pandas' split form, or as one object."""
    if isinstance(document, dict):
        key = next((key for key in MLFLOW if key in document and key not in names), None)
        if key is not None:
            level = _level(document.get("params"))
            return replace(_unwrapped(key, document[key], names, most_rows), from_pandas=True, level=level)
        if {"columns", "data"} <= document.keys() and not {"columns", "data"} & set(names):
            return _split(document, names, most_rows)
        document = [document]
    return _rows(document, names, most_rows)


def _level(parameters: object) -> object:
    """Return the level of intervals among ``params``.

    Raises:
        Refusal: 400, they are no object.
    """
    if parameters is None or isinstance(parameters, dict):
        return (parameters or {}).get("intervals")
    raise unreadable('params is no object; send {"intervals": 0.95}')


def _unwrapped(key: str, value: Any, names: Sequence[str], most_rows: int) -> Body:
    if key == "dataframe_split":
        if not isinstance(value, dict):
            raise unreadable('dataframe_split is no object; send {"columns": [...], "data": [[...], ...]}')
        return _split(value, names, most_rows)
    if key == "inputs" and isinstance(value, dict):
        columns = {name: cells if isinstance(cells, list) else [cells] for name, cells in value.items()}
        lengths = {len(cells) for cells in columns.values()}
        if len(lengths) > 1:
            raise unreadable(f"inputs has columns of {min(lengths):,} and of {max(lengths):,} values")
        check_rows(max(lengths, default=0), most_rows)
        return Body(
            partial(
                _of_records,
                [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
                names,
            )
        )
    return _rows(value, names, most_rows)


def _split(document: Mapping[str, Any], names: Sequence[str], most_rows: int) -> Body:
    columns, rows = document.get("columns", list(names)), document.get("data")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise unreadable('columns and data are lists in this form: {"columns": [...], "data": [[...], ...]}')
    check_rows(len(rows), most_rows)
    return _of_rows([str(column) for column in columns], rows, names)


def _rows(value: Any, names: Sequence[str], most_rows: int) -> Body:
    """Return rows that are objects, or lists of cells in the order of the model's inputs."""
    if not isinstance(value, list):
        raise unreadable("the rows are no list; send [{...}, {...}] with an object for each row")
    check_rows(len(value), most_rows)
    kinds = {type(row) for row in value}
    if kinds == {dict}:
        return Body(partial(_of_records, value, names), value if len(value) <= _FEW else None)
    if kinds == {list}:
        return _of_rows(names, value, names)
    number = next(
        i for i, row in enumerate(value, 1) if not isinstance(row, type(value[0]) if kinds & {dict} else dict)
    )
    raise unreadable(f"row {number:,} is {_kind(value[number - 1])}; rows are objects, or all of them lists")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def _lines(content: bytes, names: Sequence[str], most_rows: int) -> Body:
    """Read a JSON document for each line: an object, or a list of cells in the order of the model's inputs."""
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    check_rows(len(lines), most_rows)
    return _rows([_loaded(line, f"line {i:,}") for i, line in enumerate(lines, 1)], names, most_rows)


def _of_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], names: Sequence[str]) -> Body:
    """Return rows of cells.

    Raises:
        Refusal: 400, a row has another number of cells than there are columns, or two columns have one name.
    """
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list):
            raise unreadable(f"row {number:,} is {_kind(row)}, not a list of cells")
        if len(row) != len(columns):
            raise unreadable(f"row {number:,} has {len(row):,} cells; there are {len(columns):,} columns")
    places: dict[str, int] = {}
    for place in _useful_places(columns, names):
        if columns[place] in places:
            raise unreadable(f"two columns are named {columns[place][:60]!r}; send each column once")
        places[columns[place]] = place
    few = None
    if len(rows) <= _FEW:
        few = [{name: row[place] for name, place in places.items()} for row in rows]
    return Body(partial(_of_cells, rows, places), few)


def _of_cells(rows: Sequence[Sequence[Any]], places: Mapping[str, int]) -> pl.DataFrame:
    """Return a table of the cells at these places."""
    return pl.DataFrame({name: _series(name, [row[place] for row in rows]) for name, place in places.items()})


def _useful_places(columns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the places of columns that may be inputs, and of a few others, which messages show."""
    useful = {name.strip() for name in names}
    places = [place for place, column in enumerate(columns) if column.strip() in useful]
    surplus: dict[str, int] = {}
    for place, column in enumerate(columns):
        if column.strip() not in useful and len(surplus) < _OTHER_COLUMNS:
            surplus.setdefault(column, place)
    return sorted([*places, *surplus.values()])


def _of_records(records: Iterable[dict[str, Any]], names: Sequence[str]) -> pl.DataFrame:
    """Return objects as a table; the fields of an object in them are columns named like ``home.city``."""
    useful = {name.strip() for name in names}
    columns: dict[str, list[Any]] = {}
    surplus: dict[str, None] = {}
    count = 0
    for count, record in enumerate(records, 1):
        for name, value in _fields(record):
            if name.strip() in useful:
                cells = columns.setdefault(name, [])
                cells.extend([None] * (count - 1 - len(cells)))
                if len(cells) < count:
                    cells.append(value)
            elif len(surplus) < _OTHER_COLUMNS:
                surplus[name] = None
    for cells in columns.values():
        cells.extend([None] * (count - len(cells)))
    unused = {name: pl.Series([None] * count) for name in surplus}
    return pl.DataFrame({**{name: _series(name, values) for name, values in columns.items()}, **unused})


def _fields(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object, then those of objects in it."""
    waiting = [("", record)]
    for prefix, fields in waiting:
        for name, value in fields.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
            else:
                yield prefix + name, value


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """Return the values of one column; whole numbers among others are numbers, and a list stays one, which is no value."""
    kinds = {type(value) for value in values}
    if kinds & {list, dict}:
        return pl.Series(name, [None if value is None else [str(value)[:60]] for value in values])
    if kinds - {type(None)} == {int, float}:
        values = [None if value is None else float(value) for value in values]
    return series_of(name, values)


def _parquet(content: bytes, names: Sequence[str], most_rows: int) -> Body:
    table = unpack(content, names, most_rows)
    return Body(lambda: table)


def parquet_table(content: bytes, names: Sequence[str], most_rows: int) -> pl.DataFrame:
    """Return the columns of a Parquet file that may be inputs; ``unpack`` calls this in a process of its own.

    Raises:
        Refusal: 400, it cannot be read, or unpacks to too much; 413, it has too many rows.
    """
    try:
        file = io.BytesIO(content)
        check_rows(pl.scan_parquet(file).select(pl.len()).collect().item(), most_rows)
        check_size(content, most_rows, MOST_UNPACKED)
        columns = list(pl.read_parquet_schema(file))
        nested = [name.partition(".")[0] for name in names]
        return pl.read_parquet(file, columns=[columns[place] for place in _useful_places(columns, [*names, *nested])])
    except Refusal:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of Rust, on broken files
            raise
        why = f": {error}" if type(error) is ValueError else ""
        raise unreadable(f"the body is no Parquet file that can be read{why}") from None
