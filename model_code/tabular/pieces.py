"""Pieces of the text of categories: words that values share, by which new values are answered.

An input of the model schema may list its ``pieces``; then each row has up to ``slots`` positions in that list beside the
position of its value in the vocabulary. Training and serving cut text by the same function.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]

PRIOR = 10.0
"""As if so many further rows of a value or a piece had the mean of all rows."""
MANY = 50
"""A column with fewer different values needs no pieces."""
MANY_CODES = 200
"""As many, where most values are one word, of which the first letters are pieces."""
LARGEST = 10_000
"""The most frequent pieces of a column that are kept."""
MOST_SLOTS = 12
"""The most pieces of one value."""
_FEWEST_ROWS = 3
_COMMON = 0.95
"""A piece of as large a share of the values says nothing."""
_SHARING = 0.5
"""The least share of the values that have a piece in common with another."""
_EQUAL_LENGTH = 0.95
"""The least share of values of one length that codes of digits have."""
_WORD = re.compile(r"[^\W_]+")
_PREFIXES = (1, 2, 3)
_ITERATIONS = 20
"""Of the conjugate gradients that solve the ridge regression, after which weights no longer change the trees."""


class Block(NamedTuple):
    """Columns of the array of categories that hold positions in one list: one for a value, several for its pieces."""

    start: int
    width: int
    size: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.width)


def blocks(schema: Mapping[str, Any]) -> tuple[list[Block], list[Block]]:
    """Return the blocks of values, in the order of the schema, and those of pieces, which follow them."""
    entries = {entry["name"]: entry for entry in schema["inputs"]}
    columns = [entries[name] for name in schema["category"]]
    values = [Block(place, 1, len(column["vocabulary"])) for place, column in enumerate(columns)]
    pieces, start = [], len(values)
    for column in columns:
        if "pieces" in column:
            pieces.append(Block(start, column["slots"], len(column["pieces"])))
            start += column["slots"]
    return values, pieces


def pieces_of(value: str) -> list[str]:
    """Return the words of a value in small letters, each once; of a single word also how it begins."""
    words = list(dict.fromkeys(_WORD.findall(value.lower())))
    if len(words) == 1:
        words += [f"{words[0][:length]}*" for length in _PREFIXES if length < len(words[0])]
    return words


def describe(values: pl.Series) -> dict[str, Any]:
    """Return the pieces that values share and the number of slots for them; nothing where they share too little."""
    counts = values.drop_nulls().cast(pl.String).rename("value").value_counts(name="rows")
    cut = [(pieces_of(value), rows) for value, rows in counts.iter_rows()]
    several = sum(len(_WORD.findall(value)) > 1 for value in counts["value"])
    if several <= len(cut) / 2 and (len(cut) <= MANY_CODES or _are_numbers(counts["value"])):
        return {}
    if len(cut) <= MANY:
        return {}
    values_with, rows_with = Counter[str](), Counter[str]()
    for pieces, rows in cut:
        values_with.update(pieces)
        rows_with.update(dict.fromkeys(pieces, rows))
    shared = [
        piece
        for piece, number in values_with.items()
        if 1 < number < _COMMON * len(cut) and rows_with[piece] >= _FEWEST_ROWS
    ]
    shared = sorted(sorted(shared, key=lambda piece: (-rows_with[piece], piece))[:LARGEST])
    familiar = frozenset(shared)
    numbers = [sum(piece in familiar for piece in pieces) for pieces, _ in cut]
    if sum(number > 0 for number in numbers) < _SHARING * len(cut):
        return {}
    return {"pieces": shared, "slots": min(max(int(np.quantile(numbers, 0.99)), 2), MOST_SLOTS)}


def _are_numbers(values: pl.Series) -> bool:
    """Return whether values are whole numbers of different lengths, the beginnings of which say nothing."""
    lengths = values.str.len_chars()
    equal = (lengths == lengths.mode()[0]).mean()
    return bool(values.str.contains(r"^\d+$").all()) and equal < _EQUAL_LENGTH


def positions(values: pl.Series, entry: Mapping[str, Any]) -> Array:
    """Return int64[n, slots]: the places of a value's known pieces in the list of its column, then -1."""
    place = {piece: position for position, piece in enumerate(entry["pieces"])}
    text = values.cast(pl.String)
    unique = text.unique().drop_nulls()
    table = np.full((len(unique) + 1, entry["slots"]), -1, np.int64)
    for row, value in enumerate(unique):
        places = [place[piece] for piece in pieces_of(value) if piece in place][: entry["slots"]]
        table[row, : len(places)] = places
    rows = text.replace_strict(unique, range(len(unique)), default=len(unique), return_dtype=pl.Int64)
    result: Array = table[rows.to_numpy()]
    return result


def unknown(values: Iterable[str], entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of which no piece is known."""
    familiar = frozenset(entry["pieces"])
    return (value for value in values if familiar.isdisjoint(pieces_of(value)))


def added(positions: Array, values: Array, size: int) -> Array:
    """Return the sum of the values of the rows that have each piece; 0 for the unknown."""
    sums = np.bincount(positions.ravel(), np.repeat(values, positions.shape[1]), minlength=size + 1)
    sums[0] = 0
    return sums


def weights(positions: Array, target: Array, count: Array) -> Array:
    """Return the weights of pieces, the sum of which is nearest to the target, by conjugate gradients scaled by counts."""
    scale = 1 / (count + PRIOR)
    result = np.zeros(len(count))
    rest = added(positions, target, len(count) - 1)
    direction = scale * rest
    size = float(rest @ direction)
    for _ in range(_ITERATIONS):
        if size <= 0:
            break
        image = added(positions, direction[positions].sum(axis=1), len(count) - 1) + PRIOR * direction
        step = size / float(direction @ image)
        result += step * direction
        rest = rest - step * image
        size, before = float(rest @ (scale * rest)), size
        direction = scale * rest + size / before * direction
    return result
