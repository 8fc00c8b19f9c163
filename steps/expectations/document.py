"""What the validate stage publishes: the result of every expectation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from steps.documents import Document, Scalar, Section

Severity = Literal["critical", "warning", "info"]


class ExpectationResult(Section):
    """One expectation, what it wanted and what was observed."""

    type: str
    column: str | None = None
    kwargs: dict[str, Any] = Field(default={})
    severity: Severity = "critical"
    notes: str | tuple[str, ...] | None = None
    evaluated: bool = True
    success: bool
    wanted: str
    observed: Scalar = None
    failing: int = 0
    """How many rows fail."""
    rows: tuple[int, ...] = ()
    """The numbers of the first rows that fail."""
    values: tuple[str, ...] | None = None
    """Their values, where the problem file allows showing them."""

    @property
    def stops(self) -> bool:
        """Return whether the result stops the run: a critical failure, or an expectation that was not evaluated."""
        return not self.success and (self.severity == "critical" or not self.evaluated)


class ValidationResults(Document):
    """Whether the table meets the expectation suite."""

    artifact: ClassVar[str] = "validation"
    file: ClassVar[str] = "results.json"

    passed: bool
    rows: int
    expectations: int
    failed: dict[str, int]
    """How many expectations of each severity failed."""
    results: tuple[ExpectationResult, ...]
