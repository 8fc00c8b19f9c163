"""Parts of the test rows by the values of a column: categories as they are, numbers and times in quarters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, Any]

MOST_VALUES = 20
"""Of one column; the rarest values beyond are pooled."""
SMALL = 30
"""A slice with fewer rows gets no interval: it would look more certain than it is."""
MISSING, OTHER = "(missing)", "(other)"
"""What is no value itself; marked with a * where a value is written so, and with another where that is one too."""


@dataclass(frozen=True)
class Part:
    """The rows (int64[m], positions in the test table) that share a value of a column."""

    column: str
    value: str
    rows: Array
    pooled: bool = False
    """Whether it holds what other values are too rare for; no threshold can speak of it."""

    @property
    def small(self) -> bool:
        return len(self.rows) < SMALL


def parts(values: pl.Series, reference: pl.Series) -> list[Part]:
    """Every row is in exactly one part; the largest first, quarters in their order.

    Args:
        reference: the same column of the training rows: where numbers are cut does not depend on the sealed rows.
    """
    ordered = values.dtype.is_numeric() or values.dtype.is_temporal()
    if ordered and pl.concat([values, reference]).drop_nulls().n_unique() > MOST_VALUES:
        return _quarters(values, reference)
    listed = [Part(values.name, text, rows) for text, rows in _by_text(values).items()]
    listed.sort(key=lambda part: (-len(part.rows), part.value))
    return _pool(listed)


def select(table: pl.DataFrame, by_column: Mapping[str, Sequence[Part]], text: str, kind: str = "test") -> Part | str:
    """The rows of the slice written ``column=value``, or in words why there are none.

    Args:
        kind: of the rows of the table, for those words.
    """
    for column, value in readings(text):
        if column not in table.columns:
            continue
        by_text = _by_text(table[column])
        matching = [part for part in by_column.get(column, ()) if part.value == value and not part.pooled]
        if matching:
            return matching[0]
        if value in by_text:
            return Part(column, value, by_text[value])
        offered = [part.value for part in by_column.get(column, ()) if not part.pooled] or sorted(by_text)
        offered_text = ", ".join(offered[:MOST_VALUES]) + (" ..." if len(offered) > MOST_VALUES else "")
        return f"no {kind} row has {value!r} in column {column!r}; there are: {offered_text}"
    return f"there is no column for slice {text!r} in the {kind} set"


def of_threshold(text: str | None, table: pl.DataFrame, reference: pl.DataFrame, kind: str) -> Part | str | None:
    """Return the rows of a threshold's slice, or in words why there are none; None for all rows.

    Args:
        reference: the training rows, which say where numbers are cut into quarters.
        kind: of the rows of the table, for those words.
    """
    if text is None:
        return None
    columns = {column for column, _ in readings(text) if column in table.columns}
    return select(table, {column: parts(table[column], reference[column]) for column in columns}, text, kind)


def readings(text: str) -> Iterator[tuple[str, str]]:
    """Every way to read ``column=value``; either side may hold a = of its own."""
    for match in re.finditer("=", text):
        yield text[: match.start()], text[match.end() :]


def _by_text(values: pl.Series) -> dict[str, Array]:
    """The positions of each distinct value, by the value as people write it."""
    numbers = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    distinct, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    texts = _texts([values[int(position)] for position in first])
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(distinct) + 1))
    return {text: order[start:end] for text, start, end in zip(texts, bounds[:-1], bounds[1:], strict=True)}


def _texts(values: Sequence[Any]) -> list[str]:
    """Values as people write them; numbers short where that keeps them apart."""
    present = [value for value in values if value is not None]
    texts = [_text(value) for value in present]
    if len(set(texts)) < len(present):
        texts = [str(value) for value in present]
    missing, texts_left = _unused(MISSING, texts), iter(texts)
    return [missing if value is None else next(texts_left) for value in values]


def _unused(name: str, values: Collection[str]) -> str:
    """The name, marked until no value is called so."""
    while name in values:
        name += "*"
    return name


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _pool(listed: list[Part]) -> list[Part]:
    if len(listed) <= MOST_VALUES:
        return listed
    largest, rest = listed[: MOST_VALUES - 1], listed[MOST_VALUES - 1 :]
    rows = np.sort(np.concatenate([part.rows for part in rest]))
    other = _unused(OTHER, {part.value for part in listed})
    return [*largest, Part(listed[0].column, other, rows, pooled=True)]


def _quarters(values: pl.Series, reference: pl.Series) -> list[Part]:
    ordered_values = reference.drop_nulls().sort() if reference.drop_nulls().len() else values.drop_nulls().sort()
    edges = ordered_values.gather([len(ordered_values) * quarter // 4 for quarter in (1, 2, 3)]).unique().sort()
    edges = edges.filter(edges < ordered_values.max())
    names = _texts(edges.to_list())
    labels = (
        [
            f"up to {names[0]}",
            *(f"{low} to {high}" for low, high in pairwise(names)),
            f"above {names[-1]}",
        ]
        if names
        else ["all"]
    )
    quarter = np.zeros(len(values), dtype=np.int64)
    for edge in edges:
        quarter += (values > edge).fill_null(value=False).to_numpy()
    quarter[values.is_null().to_numpy()] = len(labels)
    listed = [
        Part(values.name, label, np.flatnonzero(quarter == index)) for index, label in enumerate([*labels, MISSING])
    ]
    return [part for part in listed if len(part.rows)]
