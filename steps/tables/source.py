"""The config of a source: where its files are and, where detection is not enough, how they are written."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from model_code.tabular import MISSING
from steps.core import Config


class Source(Config):
    """Where data comes from and, where detection is not enough, how it is written."""

    path: str | tuple[str, ...] = Field(
        description="A path relative to this file, a glob, package://NAME/file, https:// or s3://; or a list of them."
    )
    format: Literal["auto", "csv", "tsv", "ndjson", "json", "parquet", "excel"] = Field(
        default="auto", description="The format of the files; 'auto' goes by the file's name."
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="The character between the cells of a text file; detected when left out.",
    )
    quote: str | None = Field(
        default=None,
        max_length=1,
        description="The quote around cells; '' when quotes are ordinary characters; detected when left out.",
    )
    encoding: str | None = Field(
        default=None, description="utf-8, utf-16, latin-1, cp1252 ...; detected when left out."
    )
    decimal: Literal[".", ","] | None = Field(default=None, description="The decimal mark; detected when left out.")
    thousands: Literal[",", ".", "'", " ", ""] | None = Field(
        default=None, description="The sign between groups of three digits; '' for none; detected when left out."
    )
    header: bool | None = Field(
        default=None, description="Whether the first record names the columns; detected when left out."
    )
    names: tuple[str, ...] | None = Field(
        default=None, description="Names of the columns in order, instead of the header's or of column_1, column_2 ..."
    )
    skip: int | None = Field(
        default=None,
        ge=0,
        description="Lines of a text file, or rows of a workbook, above the header or first record; detected when left out.",
    )
    skip_footer: int = Field(
        default=0,
        ge=0,
        description="Lines at the end of a text file, or rows of a workbook, that hold totals or remarks.",
    )
    drop_rows: tuple[int, ...] = Field(
        default=(), description="Records that are left out, such as a row of units: their numbers, 1 below the header."
    )
    member: str | None = Field(
        default=None, description="The file of a zip archive, or the list of rows in a JSON object, that is read."
    )
    sheet: str | None = Field(
        default=None, description="The sheet of a workbook that is read; the first when left out."
    )
    missing: tuple[str, ...] = Field(
        default=MISSING, description="Cells that mean 'no value'. Blank cells always mean that."
    )

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_ascii_character(cls, mark: str | None) -> str | None:
        if mark is not None and (not mark.isascii() or mark in {"\n", "\r", "\0"}):
            raise ValueError(f"{mark!r} cannot separate or quote cells; use one ASCII character other than a line end")
        return mark

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.delimiter is not None and self.delimiter == ('"' if self.quote is None else self.quote):
            raise ValueError(
                f"the delimiter {self.delimiter!r} is also the quote around cells; give another quote, or ''"
            )
        return self

    @field_validator("missing")
    @classmethod
    def _without_blanks(cls, missing: tuple[str, ...]) -> tuple[str, ...]:
        """Cells are compared without surrounding blanks, so markers have none either."""
        return tuple(marker.strip() for marker in missing)
