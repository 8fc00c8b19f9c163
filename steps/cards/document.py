"""What the first and the last stage publish: the problem as it was frozen, and the request to register the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from steps.cards.review import Review
from steps.documents import Document
from steps.evaluation.thresholds import Costs, Threshold
from steps.training.document import ModelColumn

TO_BE_WRITTEN = "to be written"
"""How the fields begin that `fourscore new` leaves to a person."""
ANSWERS = {"question": "Question", "decision": "Decision", "owner": "Owner", "cost_of_error": "Cost of errors"}
"""The fields that a person answers for, and their titles."""
USES = {
    "intended_users": "Intended users",
    "out_of_scope": "Out of scope",
    "data_license": "Licence of the data",
}
"""The fields that say who may use what for what, and their titles."""


def unwritten(problem: Mapping[str, Any]) -> list[str]:
    """Return the fields of a problem that a person still has to write."""
    return [name for name in ANSWERS if str(problem.get(name, "")).strip().lower().startswith(TO_BE_WRITTEN)]


class ProblemCard(Document):
    """The question and what counts as an answer, frozen before anything looks at the data."""

    artifact: ClassVar[str] = "card"
    file: ClassVar[str] = "problem.json"

    name: str
    question: str
    decision: str
    owner: str
    cost_of_error: str
    intended_users: str | None = None
    out_of_scope: str | None = None
    data_license: str | None = None
    task: str
    target: str
    success: tuple[Threshold, ...] = ()
    costs: Costs | None = None
    decision_threshold: float | None = None
    review: Review = Review()


class Registration(Document):
    """The request to register the model, which the tracker carries out."""

    artifact: ClassVar[str] = "registration"
    file: ClassVar[str] = "registration.json"

    name: str
    verdict: Literal["pass", "rejected"]
    alias: str | None
    """``candidate``, or None for a model that may not be used: rejected, of a smoke run, or nobody answers for it."""
    smoke: bool = False
    tags: dict[str, str]
    metrics: dict[str, float]
    inputs: tuple[ModelColumn, ...]
    outputs: tuple[ModelColumn, ...]
    description: str
