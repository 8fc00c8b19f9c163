"""What the model card is written from, and what limits the numbers on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steps.cards.document import ProblemCard, Registration
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation
from steps.expectations.document import ValidationResults
from steps.splitting.document import SplitReport
from steps.training.document import ModelSchema, TrainingRecord
from steps.wording import number


@dataclass(frozen=True)
class CardFacts:
    """The documents that a card is written from."""

    problem: ProblemCard
    schema: ModelSchema
    training: TrainingRecord
    validation: ValidationResults
    split: SplitReport
    evaluation: Evaluation


def limits(request: Registration, facts: CardFacts) -> Iterator[str]:
    """Yield what a careful reader keeps in mind."""
    interval = facts.evaluation.interval
    yield f"Intervals: {interval.method}, {number(interval.resamples)} resamples of {interval.resampled}."
    if request.smoke:
        yield "A rehearsal on a sample with little training."
    yield from sentences.limits(facts.evaluation)
    yield from facts.split.notes
    yield from (finding.text for finding in facts.split.findings if finding.level != "refused")
    yield "It was evaluated on rows like those it was trained on; other places, times or ways of measuring were not tested."
