"""What a backend is given and the one method in which backends differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra.runs.records import RunRecord
from infra.sources.files import ResolvedFile
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
    """Artifact -> key of the execution that makes it; artifacts from outside are in ``Plan.sources``."""
    cached: bool
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything that a backend needs to run a pipeline."""

    steps: tuple[PlannedStep, ...]
    raw: Mapping[str, tuple[ResolvedFile, ...]]
    champion: str | None
    """Key of the execution that trained the current champion, when there is one to compare with."""
    later: tuple[PlannedStep, ...] = ()
    """Steps that were not asked for now."""
    divided: Mapping[str, str] = field(default_factory=dict)
    """Of each split the key of the table that it divides (infra.store.ledger)."""


Reporter = Callable[[str, Event], None]
"""Hears (stage name, event) for everything that a stage says and for progress."""


class Backend(Protocol):
    """Where a plan runs."""

    def run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        """Run what is not cached, keeping ``record`` true on disk at every change; returns the finished record."""
