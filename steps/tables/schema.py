"""The schema of a table on disk: the type, role and availability of each column.

A table is a directory with ``data.parquet`` and ``schema.json``. Every table has a first column ``_row`` (Int64), the
1-based number of the record as it was read, so that later stages can name rows without showing values.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Literal

from pydantic import Field

from steps.documents import Document, Section

Type = Literal["integer", "float", "boolean", "category", "text", "date", "datetime"]
Role = Literal["feature", "key", "group", "time", "ignore"]
Available = Literal["at-prediction", "later"]


def unused(name: str, names: Collection[str]) -> str:
    """Return ``name``, with underscores added until no column has it."""
    while name in names:
        name += "_"
    return name


Monotone = Literal["increasing", "decreasing"]


class Reading(Section):
    """How the text of a column became values, so that new data can be read alike."""

    missing: tuple[str, ...] = Field(description="Cells that mean 'no value'. Blank cells always mean that.")
    decimal: Literal[".", ","] | None = Field(default=None, description="The decimal mark of delimited text.")
    format: str | None = Field(default=None, description="How dates are written, as strftime codes.")
    thousands: str | None = Field(default=None, description="The sign between groups of three digits.")
    affixes: tuple[str, ...] = Field(default=(), description="What stands before or behind numbers, such as $ or %.")
    clock_change: Literal["earlier", "later", "missing"] | None = Field(
        default=None, description="What a local time means that comes twice when clocks are set back."
    )
    signs: bool = Field(
        default=False, description="Whether numbers have other minus signs than the hyphen, or parentheses."
    )


class Column(Section):
    """One column of the table."""

    name: str
    type: Type
    role: Role = "feature"
    available: Available = Field(
        default="at-prediction", description="'later': not known when the prediction is made, so never a feature."
    )
    timezone: str | None = Field(
        default=None, description="The timezone of a datetime, whose values are kept as instants."
    )
    monotone: Monotone | None = Field(
        default=None, description="Which way predictions may go at most while this number rises."
    )
    missing: int = Field(default=0, description="The number of rows without a value.")
    reading: Reading | None = Field(
        default=None,
        description="How the text of a source was read; None for values that a query made or a typed format holds.",
    )


class Target(Section):
    """The predicted column; present from the label stage on."""

    name: str
    task: str
    classes: tuple[str, ...] = Field(
        default=(), description="Class names in the order of their indices; the last of two is the positive one."
    )


class TableSchema(Document):
    """The document ``schema.json`` beside ``data.parquet``."""

    file: ClassVar[str] = "schema.json"

    rows: int
    digest: str = Field(
        description="The sha256 of the content (names, types, values in order), not of the Parquet bytes."
    )
    columns: tuple[Column, ...]
    target: Target | None = None
    layout: dict[str, Any] = Field(
        default={}, description="How the files of the only source are written, where its config says so."
    )

    def features(self) -> tuple[Column, ...]:
        """Return the columns that a model may use: role feature, known at prediction time, not the target, not free text."""
        name = self.target.name if self.target else None
        return tuple(
            c
            for c in self.columns
            if c.role == "feature" and c.available == "at-prediction" and c.name != name and c.type != "text"
        )

    def types(self) -> dict[str, str]:
        """Return the type of each column by its name."""
        return {column.name: column.type for column in self.columns}

    def of_role(self, role: Role) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.role == role)
