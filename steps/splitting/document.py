"""What the split stage publishes: how rows were divided and what the leak checks found."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from steps.documents import Document, Section

Level = Literal["refused", "allowed", "warning", "note"]


class Finding(Section):
    """What one leak check found."""

    check: str
    level: Level
    columns: tuple[str, ...] = ()
    text: str
    numbers: dict[str, float] = Field(default={})


class PartRows(Section):
    """The rows of the training or the test part, and the digest of their content."""

    rows: int
    digest: str


class Fraction(Section):
    """The share of the test part: as configured, as it came out, and the chance error of a division by hash."""

    wanted: float
    found: float
    standard_error: float | None = None


class Balance(Section):
    """A class's share (of a regression: the target's mean) in both parts."""

    name: str | None = Field(default=None, alias="class")
    train: float
    test: float
    standard_errors: float | None = None
    """How far the two are apart."""


class SplitReport(Document):
    """How the labelled rows were divided into a training part and a held-out test part."""

    artifact: ClassVar[str] = "division"
    file: ClassVar[str] = "split.json"

    by: Literal["row", "group", "time"]
    column: str | None = None
    hashed: tuple[str, ...] = ()
    stratify: str = "hash"
    seed: int = 0
    test_fraction: Fraction
    rows: dict[str, PartRows]
    """By part: train and test."""
    units: int | None = None
    boundary: str | None = None
    """The first moment of the test part of a split by time."""
    balance: tuple[Balance, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class ColumnProfile(Section):
    """How a column is distributed in the two parts; of a column that is not used, only how much of it is there."""

    name: str
    distinct: int | None = None
    missing: tuple[int, int] = (0, 0)
    """Rows without a value in the training and in the test part."""
    samples: tuple[str, ...] = ()
    """Values of training rows, where the problem allows it."""
    low: float | str | None = None
    """98 % of the values lie between ``low`` and ``high``; no value of a single row. Of categories there are none."""
    median: float | str | None = None
    high: float | str | None = None
    train: tuple[int, ...] = ()
    """Rows by bin: numbers from low to high, categories with the most frequent one first."""
    test: tuple[int, ...] = ()
    drift: float | None = None
    """The share of rows that would have to lie in other bins for both parts to look alike (total variation distance)."""
    noise: float | None = None
    """The drift that chance alone exceeds in no column of the table, in 19 of 20 divisions."""

    @property
    def has_drifted(self) -> bool:
        """Return whether the parts differ by more than chance explains."""
        return self.drift is not None and self.noise is not None and self.drift > self.noise


class Period(Section):
    """The first and the last day of a part."""

    first: str
    last: str


class ColumnProfiles(Document):
    """The columns in numbers, in the training part beside the test part; no value of a row but samples."""

    artifact: ClassVar[str] = "division"
    file: ClassVar[str] = "columns.json"

    rows: tuple[int, int]
    """Rows that were read of the training and of the test part."""
    every: int = 1
    """2 if every second row was read, and so on."""
    columns: tuple[ColumnProfile, ...]
    more: int = 0
    """How many columns are not among them."""
    time: str | None = None
    """The column that says when a row arose."""
    periods: dict[str, Period] = Field(default={})
    """By part: train and test."""
