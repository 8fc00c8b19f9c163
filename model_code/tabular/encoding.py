"""From typed columns to the two arrays that every tabular model takes; training and serving share this encoder.

A model schema (``schema.json`` beside ``model.pt2``) lists the inputs. Numbers, booleans and instants go to ``numeric``
(float64, missing is NaN), strings go to ``category`` as positions in the vocabulary of their column (int64, missing and
unknown are -1), followed by the positions of the pieces of long texts (see ``pieces``). Everything that was fitted on data
happens later, inside the exported graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from model_code.tabular import pieces
from model_code.tabular.values import LARGEST_VOCABULARY, MANY_VALUES

Array = np.ndarray[Any, Any]
Schema = Mapping[str, Any]

UNKNOWN = -1
_ROWS = 2**17
"""Rows that are encoded at once: bounds the memory."""

_KINDS = {
    "integer": "numeric",
    "float": "numeric",
    "boolean": "boolean",
    "category": "category",
    "date": "datetime",
    "datetime": "datetime",
}
_EXPECTED = {
    "numeric": "numbers",
    "boolean": "true/false values (or 0/1)",
    "category": "text",
    "datetime": "dates or instants",
}


def describe(frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of the model schema that ``encode`` needs, for a model trained on ``frame``.

    Args:
        columns: for each input its ``name``, ``type`` (of the table schema) and ``timezone``; if it was read from text,
            also ``reading``: its ``missing`` markers, ``decimal`` mark and ``format`` of dates; and ``monotone`` where
            predictions must not fall (increasing) or rise (decreasing) with it.

    Each input also keeps what training had, to which ``model_code.tabular.reading`` compares foreign values: the
    vocabulary of words, the ``range`` of numbers and dates, and the number of values that were ``missing``.
    """
    inputs = []
    for column in columns:
        kind, values = _KINDS[column["type"]], frame[column["name"]]
        entry = {"name": column["name"], "type": column["type"], "kind": kind, "missing": values.null_count()}
        if kind == "category":
            shared = pieces.describe(values)
            entry |= _vocabulary(values, once=not shared) | shared
        if kind == "datetime":
            entry["timezone"] = column.get("timezone")
        if kind in ("numeric", "datetime") and values.count():
            entry["range"] = _range(values)
        if column.get("monotone"):
            entry["monotone"] = column["monotone"]
        if reading := column.get("reading"):
            entry["reading"] = {**reading, "missing": list(reading["missing"])}
        inputs.append(entry)
    return {
        "inputs": inputs,
        "numeric": [entry["name"] for entry in inputs if entry["kind"] != "category"],
        "category": [entry["name"] for entry in inputs if entry["kind"] == "category"],
    }


def _range(values: pl.Series) -> list[Any]:
    """Return the least and the greatest value, dates in ISO 8601."""
    ends = values.min(), values.max()
    return [end.isoformat() if isinstance(end, date) else float(end) for end in ends]  # type: ignore[arg-type]


def _vocabulary(values: pl.Series, *, once: bool) -> dict[str, Any]:
    """Return the distinct values in alphabetical order; of many, the frequent ones, and how many others there are.

    Args:
        once: whether values of a single row are of use, unless they are very many.
    """
    counts = values.rename("value").cast(pl.String).drop_nulls().value_counts(name="rows")
    frequent = counts.sort(["rows", "value"], descending=[True, False]).head(LARGEST_VOCABULARY)
    if frequent.height > MANY_VALUES or not once:
        frequent = frequent.filter((pl.col("rows") > 1) | (pl.int_range(pl.len()) < once * MANY_VALUES))
    rarer = counts.height - frequent.height
    return {"vocabulary": sorted(frequent["value"].to_list()), **({"rarer": rarer} if rarer else {})}


def check_columns(frame: pl.DataFrame, schema: Schema) -> None:
    """Check that ``frame`` has every input column with a fitting type; other columns are ignored.

    Raises:
        ValueError: a column is missing or of the wrong type; the message names each and what it should be.
    """
    problems = []
    types = frame.schema
    for entry in schema["inputs"]:
        name = entry["name"]
        if name not in types:
            problems.append(f"column {name!r} is missing; wanted {_EXPECTED[entry['kind']]} ({entry['type']})")
        elif not _fits(types[name], entry["kind"]):
            problems.append(f"column {name!r} holds {types[name]}; wanted {_EXPECTED[entry['kind']]} ({entry['type']})")
    if problems:
        columns = ", ".join(frame.columns[:20]) + (" ..." if len(frame.columns) > 20 else "")
        raise ValueError("; ".join(problems) + f" (columns found: {columns or 'none'})")


def _fits(dtype: pl.DataType, kind: str) -> bool:
    if dtype == pl.Null:
        return True
    if kind in {"numeric", "boolean"}:
        return dtype.is_numeric() or dtype == pl.Boolean
    if kind == "datetime":
        return dtype == pl.Date or isinstance(dtype, pl.Datetime)
    return dtype.is_integer() or dtype == pl.Boolean or isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def encode(frame: pl.DataFrame, schema: Schema) -> tuple[Array, Array]:
    """Turn rows into (numeric float64[n, a], category int64[n, b]), columns in the order of the schema's two lists.

    The pieces of values, where the schema has some, follow as further columns of ``category``.

    Instants become seconds since 1970 on the clock of the column's time zone (UTC where it has none), so that the
    calendar features derived in the graph mean local hours and days.

    Raises:
        ValueError: a column is missing or of the wrong type.
    """
    check_columns(frame, schema)
    numeric = np.empty((frame.height, len(schema["numeric"])), dtype=np.float64)
    category = np.empty((frame.height, _width(schema)), dtype=np.int64)
    places = {name: (numeric, i) for i, name in enumerate(schema["numeric"])}
    places |= {name: (category, i) for i, name in enumerate(schema["category"])}
    entries = {entry["name"]: entry for entry in schema["inputs"]}
    encoders = [
        _ENCODERS[entry["kind"]](pl.col(name), entry, frame.schema[name]).alias(name) for name, entry in entries.items()
    ]
    for start in range(0, frame.height, _ROWS):  # one query for all columns, which for one row is most of the time
        for column in frame[start : start + _ROWS].select(encoders):
            array, position = places[column.name]
            array[start : start + _ROWS, position] = column.to_numpy()
    with_pieces = [entry for name in schema["category"] if "pieces" in (entry := entries[name])]
    for entry, block in zip(with_pieces, pieces.blocks(schema)[1], strict=True):
        category[:, block.columns] = pieces.positions(frame[entry["name"]], entry)
    return numeric, category


def _width(schema: Schema) -> int:
    """Return the columns of the array of categories."""
    return sum(block.width for part in pieces.blocks(schema) for block in part)


def _numbers(values: pl.Expr, entry: Mapping[str, Any], dtype: pl.DataType) -> pl.Expr:
    return values.cast(pl.Float64).fill_null(float("nan"))


def _instants(values: pl.Expr, entry: Mapping[str, Any], dtype: pl.DataType) -> pl.Expr:
    if dtype != pl.Null:
        zone = getattr(dtype, "time_zone", None)
        values = values.cast(pl.Datetime("us", zone))
        if zone is not None:
            values = values.dt.convert_time_zone(entry.get("timezone") or "UTC").dt.replace_time_zone(None)
    return values.cast(pl.Int64).cast(pl.Float64).fill_null(float("nan")) / 1e6


def _positions(values: pl.Expr, entry: Mapping[str, Any], dtype: pl.DataType) -> pl.Expr:
    vocabulary = pl.Series(entry["vocabulary"], dtype=pl.String)
    positions = values.cast(pl.String).replace_strict(
        vocabulary, pl.Series(range(len(vocabulary)), dtype=pl.Int64), default=UNKNOWN, return_dtype=pl.Int64
    )
    return positions.fill_null(UNKNOWN)


_ENCODERS = {"numeric": _numbers, "boolean": _numbers, "datetime": _instants, "category": _positions}


def random_inputs(schema: Schema, rows: int) -> tuple[Array, Array]:
    """Return random encoded rows with missing and infinite numbers and unknown categories among them."""
    generator = np.random.default_rng(0)
    numeric = generator.standard_normal((rows, len(schema["numeric"])))
    numeric *= 10.0 ** generator.integers(0, 10, numeric.shape)
    numeric[generator.random(numeric.shape) < 0.2] = np.nan
    numeric[generator.random(numeric.shape) < 0.02] = np.inf
    return numeric, generator.integers(-1, 6, (rows, _width(schema)))
