"""What the ingest stage publishes beside the table: how each file was read."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from steps.documents import Document, Section


class FileReport(Section):
    """One file and its format, given or detected; None where the format has no such property."""

    file: str
    format: str
    bytes: int
    member: str | None = None
    """The file inside of an archive."""
    layout: str | None = None
    """Where a JSON file holds the table, if it is not a list of objects."""
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    decimal: str | None = None
    header: bool | None = None
    renamed: tuple[str, ...] | None = None
    """New names of columns that had none."""
    titles: tuple[str, ...] | None = None
    """Lines above the table that were taken for comments or titles."""
    trailing_delimiter: bool | None = None
    """Whether every line ends with a delimiter, behind which there is no column."""
    lone_returns: bool | None = None
    """Whether some lines end with a carriage return alone."""
    foreign: bool | None = None
    """Whether the text is hardly western European, though it was read as such."""
    errors: int | None = None
    """The cells of a workbook that hold errors, such as #DIV/0!, and are missing values."""
    suffixed: tuple[str, ...] | None = None
    """New names of columns whose names the header repeats."""


class NearlyType(Section):
    """The type that nearly all values of a column of text have."""

    type: str
    format: str | None
    values: int
    """The number of values of the column, odd ones included."""
    odd: int
    """The number of values that are not of the type."""
    words: tuple[str, ...]
    """The first different ones of them."""
    rows: tuple[int, ...]
    """The records of the first ones."""

    def note(self) -> str:
        """Return the finding as the rest of a sentence about the column."""
        rows = ", ".join(map(str, self.rows)) + (" ..." if self.odd > len(self.rows) else "")
        words = ", ".join(repr(word[:40]) for word in self.words)
        kind = {"integer": "whole numbers", "float": "numbers", "date": "dates", "datetime": "dates with times"}[
            self.type
        ]
        return (
            f"is taken as text, but all but {self.odd:,} of its {self.values:,} values are {kind}: {words} "
            f"(row{'' if self.odd == 1 else 's'} {rows})"
        )


class ColumnType(Section):
    """The type that the values of a column were read as."""

    type: str | None
    format: str | None = None
    """How dates are written, as strftime codes."""
    almost: NearlyType | None = None


class SourceReport(Section):
    """One source: its files and what was read from them."""

    files: tuple[FileReport, ...]
    rows: int
    decimal: str | None = None
    types: dict[str, ColumnType] = Field(default={})
    blank_records: int | None = None
    """Records without any value, which were left out."""


class IngestReport(Document):
    """How the sources became one table."""

    artifact: ClassVar[str] = "table"
    file: ClassVar[str] = "ingest.json"

    sources: dict[str, SourceReport]
    query: str | None = None
    sample_rows: int | None = None
