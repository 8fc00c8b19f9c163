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
