"""Rows of ordinary values as model inputs, without a table: microseconds for what ``reading`` and ``encoding`` take milliseconds.

A value is ordinary if it can be read in one way only and training had one like it: a number within the range, a word of the
vocabulary. Any other one is left to ``reading``, which alone says what values mean; of a single row it is asked for single
values, and its answers are remembered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from model_code.tabular import MISSING
from model_code.tabular.columns import PANDAS_MISSING, evaluate
from model_code.tabular.encoding import UNKNOWN, encode
from model_code.tabular.from_values import series_of
from model_code.tabular.reading import numeric_markers, read
from model_code.tabular.values import FALSE, LARGEST, PERCENT, TRUE, Form, cleaned

Array = np.ndarray[Any, Any]
Entry = Mapping[str, Any]
ReadValue = Callable[[Any], float | None]
"""Returns what the encoder makes of a value, or None for one that is not ordinary."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
"""Numbers as every program writes them; with others than the digits 0 to 9 ``float`` takes them too, so ASCII is asked for."""
_REMEMBERED = 4_096


def record_encoder(
    schema: Mapping[str, Any],
) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Array, Array] | None] | None:
    """Return a function from a few rows to encoded ones, or to None where a value is not ordinary.

    Columns with pieces of texts have no ordinary values, so a model with one has no such function.
    """
    if any("pieces" in entry for entry in schema["inputs"]):
        return None
    entries = {entry["name"]: entry for entry in schema["inputs"]}
    columns = [
        [(entries[name], _READERS[entries[name]["kind"]](entries[name])) for name in schema[part]] for part in _PARTS
    ]
    recall = lru_cache(maxsize=_REMEMBERED, typed=True)(partial(_value_of, entries))
    return partial(_encode, columns, recall)


_PARTS = ("numeric", "category")


def _encode(
    columns: Sequence[Sequence[tuple[Entry, ReadValue]]],
    recall: Callable[[str, Any], float | None],
    records: Sequence[Mapping[str, Any]],
) -> tuple[Array, Array] | None:
    arrays = []
    for part, dtype in zip(columns, (np.float64, np.int64), strict=True):
        array = np.empty((len(records), len(part)), dtype=dtype)
        for place, (entry, read_value) in enumerate(part):
            name = entry["name"]
            try:
                values = [record[name] for record in records]
            except KeyError:
                return None
            if len(values) > 1 and not _are_alike(values):
                return None
            for row, value in enumerate(values):
                number = read_value(value)
                if number is None and len(values) == 1:
                    number = recall(name, value) if isinstance(value, str | int | float) else None
                if number is None:
                    return None
                array[row, place] = number
        arrays.append(array)
    numeric, category = arrays
    return numeric, category


def _are_alike(values: Sequence[Any]) -> bool:
    """Return whether a column of these values would have one type; whole numbers may be among others."""
    kinds = {type(value) for value in values if value is not None}
    return len(kinds) <= 1 or kinds == {int, float}


def _value_of(entries: Mapping[str, Entry], name: str, value: Any) -> float | None:
    """Return what reading and encoding make of a column of this one value, or None if there is anything to say about it."""
    entry = entries[name]
    schema = {
        "inputs": [entry],
        "numeric": [],
        "category": [],
        ("category" if entry["kind"] == "category" else "numeric"): [name],
    }
    readout = read(pl.DataFrame([series_of(name, [value])]), schema, skip=True)
    if readout.faults or readout.remarks:
        return None
    numeric, category = encode(readout.frame, schema)
    return float(numeric[0, 0]) if schema["numeric"] else float(category[0, 0])


def _numbers(entry: Entry) -> ReadValue:
    form = Form.of(entry)
    low, high = entry.get("range") or (-LARGEST, LARGEST)
    is_whole, missing = entry["type"] == "integer", _missing(entry, math.nan)
    markers = _markers(entry)
    numeric = frozenset(numeric_markers(entry)) if entry.get("reading") else frozenset()
    is_text_plain = form.plain and form.decimal == "."
    is_number_plain = not set(form.affixes) & set(PERCENT)

    def read_value(value: Any) -> float | None:
        kind = type(value)
        if kind is str:
            if not value:
                return missing
            if not is_text_plain or value in markers or not value.isascii() or not _NUMBER.fullmatch(value):
                return None
        elif value is None:
            return missing
        elif (kind is not int and kind is not float) or not is_number_plain:
            return None
        number = float(value)
        if not low <= number <= high or (is_whole and number % 1) or number in numeric:
            return None
        return number

    return read_value


def _truth(entry: Entry) -> ReadValue:
    markers, missing = _markers(entry), _missing(entry, math.nan)
    words = {**dict.fromkeys(TRUE, 1.0), **dict.fromkeys(FALSE, 0.0)}
    words = {word: value for word, value in words.items() if word not in markers}

    def read_value(value: Any) -> float | None:
        if isinstance(value, bool):
            return float(value)
        return missing if value is None or value == "" else words.get(value) if isinstance(value, str) else None

    return read_value


def _instants(entry: Entry) -> ReadValue:
    missing = _missing(entry, math.nan)
    return lambda value: missing if value is None or value == "" else None


def _words(entry: Entry) -> ReadValue:
    vocabulary = pl.Series(entry["vocabulary"], dtype=pl.String)
    markers = (entry.get("reading") or {}).get("missing")
    stable = vocabulary == evaluate(cleaned(pl.lit(vocabulary), MISSING if markers is None else markers))
    places = {word: float(i) for i, (word, keep) in enumerate(zip(vocabulary, stable, strict=True)) if keep}
    missing = _missing(entry, UNKNOWN)

    def read_value(value: Any) -> float | None:
        if isinstance(value, str) and value:
            return places.get(value)
        return missing if value is None or value == "" else None

    return read_value


def _missing(entry: Entry, value: float) -> float | None:
    """Return what a missing value becomes, or None where training had none, which ``reading`` remarks on."""
    return None if entry.get("missing") == 0 else value


def _markers(entry: Entry) -> frozenset[str]:
    return frozenset({*MISSING, *PANDAS_MISSING, *((entry.get("reading") or {}).get("missing") or ())})


_READERS: Mapping[str, Callable[[Entry], ReadValue]] = {
    "numeric": _numbers,
    "boolean": _truth,
    "datetime": _instants,
    "category": _words,
}
