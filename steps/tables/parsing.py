"""The parse of a column: the form in which its values are written, and how that was decided.

``model_code.tabular.values`` turns text of a form into values, in training as in answering. ``steps.tables.optimistic`` lets
the CSV reader parse numbers instead. The reader accepts less than those expressions, never more and never with another value;
they decide about everything that it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from model_code.tabular.values import FALSE, TRUE, Form
from steps.tables.document import NearlyType
from steps.tables.schema import Type

_EXPECTED = {
    "integer": "an integer between -2^63 and 2^63-1",
    "float": "a number between -3.4e38 and 3.4e38",
    "boolean": f"one of {'/'.join(TRUE)} or {'/'.join(FALSE)}",
    "date": "a date",
    "datetime": "a date with a time",
    "category": "text",
    "text": "text",
}


@dataclass(frozen=True)
class Odd:
    """The values of a column that are not of the type of the others."""

    type: str
    words: tuple[str, ...]
    """The first different ones."""
    rows: tuple[int, ...]
    """The records of the first ones."""
    count: int


@dataclass(frozen=True)
class Parse(Form):
    """How the text of one column becomes values."""

    type: Type
    declared: bool = False
    """True if the problem file gives the type, False if it was inferred from the values."""
    note: str | None = None
    """A remark about the inference for the reader of the journal."""
    sure: bool = True
    """False if the note is a question that a person has to decide."""
    missing: tuple[str, ...] = ()
    """Cells that mean 'no value' in this column, beside those of the source."""
    almost: NearlyType | None = None
    """What the column would be without a few of its values."""

    @property
    def textual(self) -> bool:
        return self.type in ("category", "text")

    @property
    def expected(self) -> str:
        """The values that parse, in words, for messages."""
        return _EXPECTED[self.type] + (f" written as {self.format}" if self.format else "")


def natural_type(dtype: pl.DataType) -> Type | None:
    """Return the type of values that are not text; None for text and for values that a table cannot hold."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    types: dict[Any, Type] = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}
    return types.get(type(dtype))
