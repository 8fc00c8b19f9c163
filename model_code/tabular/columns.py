"""One input of a model as it was read, and the cleaned text of foreign values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from model_code.tabular import MISSING
from model_code.tabular.values import canonical_text, cleaned

PANDAS_MISSING = frozenset(
    {
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
"""Words that ``pandas.read_csv`` takes for missing values where it is not told otherwise."""


@dataclass(frozen=True)
class Column:
    """One input as it was read."""

    entry: Mapping[str, Any]
    values: pl.Series
    original: pl.Series
    """The values as the client wrote them: text, or the same as ``values``."""
    wrong: pl.Series
    """The rows whose value cannot be read."""
    why: str = ""
    """A reason beside the usual one."""
    spellings: Mapping[str, str] | None = None
    """Words of the client and the words of training that stand for them."""

    @property
    def name(self) -> str:
        name: str = self.entry["name"]
        return name


def evaluate(expression: pl.Expr) -> pl.Series:
    return pl.select(expression).to_series()


def first_present(first: pl.Series, second: pl.Series) -> pl.Series:
    return evaluate(pl.coalesce(pl.lit(first), pl.lit(second)))


def clean_text(values: pl.Series, entry: Mapping[str, Any], more: Sequence[str] = ()) -> pl.Series:
    """Return values as cleaned text: what a CSV file would hold, without the words for missing values."""
    if isinstance(values.dtype, pl.Datetime):
        text = values.dt.cast_time_unit("us").dt.to_string("iso:strict")
    elif values.dtype == pl.Boolean:
        text = values.replace_strict({True: "True", False: "False"}, default=None, return_dtype=pl.String)
    else:
        text = values if values.dtype == pl.String else evaluate(canonical_text(pl.lit(values), values.dtype))
    markers = (entry.get("reading") or {}).get("missing")
    return evaluate(cleaned(pl.lit(text), {*(MISSING if markers is None else markers), *more})).alias(entry["name"])
