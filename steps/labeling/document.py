"""What the label stage publishes: where labels come from, how many rows have one, how classes are balanced."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from steps.documents import Document, Section


class ClassShare(Section):
    """A class with its rows and their share."""

    name: str = Field(alias="class")
    rows: int
    share: float


class PositiveClass(Section):
    """The class that metrics of a binary classification speak of, and how it was chosen."""

    name: str = Field(alias="class")
    how: str


class LabelReport(Document):
    """How the rows were labelled; classes of a classification, a summary of a regression's target."""

    artifact: ClassVar[str] = "labeled"
    file: ClassVar[str] = "labels.json"

    target: str
    task: str
    source: str
    """``rule``, or ``column:`` and the column's name."""
    rule: str | None = None
    rows: int
    rows_labeled: int
    rows_unlabeled: int
    unlabeled: str
    """What happens to rows without a label: drop or refuse."""
    unlabeled_rows: tuple[int, ...] = ()
    """The numbers of the first rows without a label."""
    coverage: float
    provenance: dict[str, int] = Field(default={})
    classes: tuple[ClassShare, ...] = ()
    positive: PositiveClass | None = None
    summary: dict[str, float | None] | None = None
    left_out: dict[str, int] = Field(default={})
    """The rows of each class that was left out; they count as labelled, and no later stage sees them."""
    notes: tuple[str, ...] = ()
