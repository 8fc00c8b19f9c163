"""The review page as HTML: the report's decision first, then what is asked of the approver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.approvals.standing import Standing
from pipelines.pages.report.gather import Facts
from pipelines.pages.report.page import context_of, environment


@dataclass(frozen=True)
class Form:
    """What an approver has written so far."""

    reason: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Question -> answer."""
    fault: str = ""
    """Why nothing was signed."""


def render(
    facts: Facts,
    current: Standing,
    *,
    approver: str,
    problem_of_signer: str,
    questions: tuple[str, ...],
    reservations: list[str],
    csrf: str,
    form: Form | None = None,
    outcome: str = "",
    next_step: str = "",
) -> str:
    """Return the page.

    Args:
        approver: the name of who signs here.
        problem_of_signer: why nobody can; empty if somebody can.
        csrf: the value that the form sends back.
        outcome: what was signed; the page then asks nothing more.
    """
    form = form or Form()
    page = environment(Path(__file__).parent).get_template("review.html")
    text = page.render(
        context_of(facts),
        review={
            "standing": current,
            "approver": approver,
            "problem_of_signer": problem_of_signer,
            "questions": questions,
            "reservations": reservations,
            "csrf": csrf,
            "form": form,
            "outcome": outcome,
            "next_step": next_step,
        },
    )
    return text.encode("utf-8", "replace").decode("utf-8")
