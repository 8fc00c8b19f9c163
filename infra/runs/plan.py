"""Plans: the steps of a pipeline with their keys, and the sources from outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.runs.records import StageRecord
from infra.sources.source import Source
from steps.core import Config, Step
from steps.journal import Event

Ingredients = dict[str, Any]
"""The ingredients of a key, flat: 'code steps.split', 'config split.by', 'input labeled', 'package polars' -> value."""


@dataclass(frozen=True)
class PlannedStep:
    """One step with its key, which is known before anything runs."""

    step: Step
    config: Config
    key: str
    ingredients: Ingredients
    inputs: Mapping[str, str]
    """Artifact -> key of the execution that makes it; ``Plan.sources`` has those from outside."""
    cached: bool
    reason: str

    def record(self, status: str = "pending", reason: str = "") -> StageRecord:
        """Return the stage as a new run record has it."""
        step = self.step
        return StageRecord(
            step.name,
            self.key,
            status,
            reason=reason or self.reason,
            layer=step.layer,
            job=step.job,
            documents=list(step.documents),
            outputs=list(step.outputs),
            gate=step.gate,
        )


@dataclass(frozen=True)
class Plan:
    """Everything that a backend needs to run a pipeline."""

    steps: tuple[PlannedStep, ...]
    sources: Mapping[str, Source]
    """Artifact -> its source."""
    later: tuple[PlannedStep, ...] = ()
    """Steps after the last one requested."""
    divided: Mapping[str, str] = field(default_factory=dict)
    """Key of each split -> key of the table that it divides (infra.store.ledger)."""
    pipeline: str = ""
    """Name of the pipeline that was planned."""
    smoke: bool = False
    """True for a rehearsal on a sample, which decides nothing."""

    @property
    def stages(self) -> tuple[PlannedStep, ...]:
        """Every step of the pipeline in its order, requested or not."""
        return (*self.steps, *self.later)

    def producer(self, artifact: str) -> PlannedStep | None:
        """Return the step that writes the artifact, requested or not; None if the pipeline has no such artifact."""
        return next((planned for planned in self.stages if artifact in planned.step.outputs), None)


Reporter = Callable[[str, Event], None]
"""Receives (stage name, event) for every event and for progress."""
