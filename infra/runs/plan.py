"""A plan: the steps of a pipeline with their keys, and what comes from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.runs.records import StageRecord
from infra.sources.source import Source
from steps.core import Config, Step
from steps.journal import Event

Ingredients = dict[str, Any]
"""What made a key, flat: 'code steps.split', 'config split.by', 'input labeled', 'package polars' -> value."""


@dataclass(frozen=True)
class PlannedStep:
    """One step with its key, which is known before anything runs."""

    step: Step
    config: Config
    key: str
    ingredients: Ingredients
    inputs: Mapping[str, str]
    """Artifact -> key of the execution that makes it; those from outside are in ``Plan.sources``."""
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
        )


@dataclass(frozen=True)
class Plan:
    """Everything that a backend needs to run a pipeline."""

    steps: tuple[PlannedStep, ...]
    sources: Mapping[str, Source]
    """Artifact -> what comes from outside under this name."""
    later: tuple[PlannedStep, ...] = ()
    """Steps that were not asked for now."""
    divided: Mapping[str, str] = field(default_factory=dict)
    """Of each split the key of the table that it divides (infra.store.ledger)."""
    pipeline: str = ""
    """Name of the pipeline that was planned."""
    smoke: bool = False
    """Whether the plan is a rehearsal on a sample, which decides nothing."""

    @property
    def stages(self) -> tuple[PlannedStep, ...]:
        """Every step of the pipeline in its order, asked for now or not."""
        return (*self.steps, *self.later)

    def producer(self, artifact: str) -> PlannedStep | None:
        """Return the step that writes the artifact, asked for now or not; None if the pipeline has no such artifact."""
        return next((planned for planned in self.stages if artifact in planned.step.outputs), None)


Reporter = Callable[[str, Event], None]
"""Hears (stage name, event) for everything that a stage says and for progress."""
