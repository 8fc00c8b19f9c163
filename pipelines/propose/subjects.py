"""Repeating ids: which of them would keep the rows of one customer, patient or account together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from steps.errors import InputError
from steps.splitting.division import FEW_GROUPS, by_group
from steps.splitting.ids import names_id, names_subject
from steps.splitting.rowhash import row_hashes
from steps.tables.schema import Column
from steps.tables.truth import Array

_FEWEST = 3
"""A column with fewer values says yes or no rather than who."""


@dataclass(frozen=True)
class Subject:
    """A column that is named like an id and whose values repeat."""

    name: str
    values: int
    rows: int
    missing: int
    same_as: str | None = None
    """Another such column that divides the rows in the same way, or more coarsely."""

    @property
    def in_words(self) -> str:
        return f"{self.name!r} is named like an id and repeats ({self.values:,} values in {self.rows:,} rows)"


def subjects(data: pl.LazyFrame, columns: Sequence[Column], distinct: dict[str, int], rows: int) -> list[Subject]:
    """Return the repeating ids among the columns; those that name a person or a thing before others.

    Args:
        distinct: the number of different values of each column; 0 where it was not counted.
    """
    names = [
        column.name
        for column in columns
        if column.type in ("integer", "category", "text")
        and names_id(column.name)
        and (_FEWEST if names_subject(column.name) else FEW_GROUPS) <= distinct[column.name] < rows - column.missing
    ]
    missing = {column.name: column.missing for column in columns}
    names.sort(key=lambda name: not names_subject(name))
    coarser: dict[str, str] = {}
    for one, other in combinations(names, 2):
        together = data.select(pl.struct(one, other).n_unique()).collect(engine="streaming").item()
        if together == distinct[one] and one not in coarser and other not in coarser:
            # Each value of one has one value of the other. Where that holds both ways, the first stands for both.
            fine, coarse = (other, one) if together == distinct[other] else (one, other)
            coarser[fine] = coarse
        elif together == distinct[other] and other not in coarser:
            coarser[other] = one
    return [Subject(name, distinct[name], rows, missing[name], coarser.get(name)) for name in names]


def grouping(table: Path, ids: Sequence[Subject], features: Sequence[str], truth: Array, classes: int) -> str | None:
    """Return the column of a split by group that a run accepts; None where there is none, or a person has to choose.

    Args:
        ids: the repeating ids.
        truth: class index or number of each row of the table, NaN or -1 without one.
    """
    alone = [subject for subject in ids if subject.same_as is None]
    of_somebody = [subject for subject in alone if names_subject(subject.name)]
    if len(of_somebody or alone) != 1:
        return None
    subject = (of_somebody or alone)[0]
    if subject.missing or subject.values < FEW_GROUPS:
        return None
    data = table / "data.parquet"
    try:
        in_test = by_group(data, subject.name, 0.2, 0).in_test
    except InputError:
        return None
    if classes and min(len(np.unique(truth[part & (truth >= 0)])) for part in (in_test, ~in_test)) < 2:
        return None
    described = [name for name in features if name not in {other.name for other in ids}]
    if not described:
        return None
    hashes = row_hashes(data, described)
    equal = np.isin(hashes[in_test], hashes[~in_test]).mean()
    return subject.name if equal < 0.01 else None
