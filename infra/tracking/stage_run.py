"""The MLflow run of one stage: what its journal says, then its tables, notes and status."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from infra.runs.records import RunRecord, StageRecord
from infra.runs.tail import Tail
from infra.tracking.events import allowed_name, last_values
from infra.tracking.mlflow_run import (
    log_datasets,
    log_files,
    log_metrics,
    log_parameters,
    log_tags,
    metric,
    milliseconds,
)
from steps.journal import Event

if TYPE_CHECKING:
    from mlflow import MlflowClient

PUBLISHED = ("ran", "cached", "refused")
"""Statuses of a stage whose results are in the store."""


class MlflowStatus(StrEnum):
    """Statuses of runs in MLflow."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass
class StageRun:
    """A stage's run in MLflow and how much of its journal has been projected."""

    client: MlflowClient
    run_id: str
    start: int
    """Start in milliseconds since 1970."""
    parameters: set[str]
    """Names of the parameters that the run has; MLflow refuses to change one."""
    tail: Tail = field(default_factory=Tail)
    events: list[Event] = field(default_factory=list)
    is_open: bool = False
    is_closed: bool = False

    def advance(self, journal: Path) -> None:
        """Project the new events of the journal."""
        events = self.tail.read(journal)
        self.events += events
        parameters: dict[str, str] = {}
        for event in events:
            if event["kind"] == "parameter" and (name := allowed_name(event["name"])) not in self.parameters:
                parameters.setdefault(name, event["value"])
        metrics = [metric(event, event["step"]) for event in events if event["kind"] == "metric"]
        log_metrics(self.client, self.run_id, metrics)
        log_parameters(self.client, self.run_id, parameters)
        log_datasets(self.client, self.run_id, events)
        self.parameters |= set(parameters)

    def open(self) -> None:
        """Mark the run as running; an earlier attempt of the same run may have left it failed."""
        if not self.is_open:
            self.client.update_run(self.run_id, MlflowStatus.RUNNING)
            log_tags(self.client, self.run_id, {"fourscore.status": "running"})
            self.is_open = True

    def close(self, record: RunRecord, stage: StageRecord, parent: str) -> None:
        """Log the stage's outcome, its tables and notes, and its headline metrics on the parent; end the run."""
        log_tags(self.client, self.run_id, self._outcome(stage))
        notes = [event for event in self.events if event["kind"] == "note"]
        tables = {
            f"tables/{allowed_name(event['name'])}.json": event["rows"]
            for event in self.events
            if event["kind"] == "table"
        }
        parameters = {event["name"]: event["value"] for event in self.events if event["kind"] == "parameter"}
        log_files(self.client, self.run_id, {**tables, "notes.json": notes, "parameters.json": parameters})
        log_metrics(self.client, parent, [metric(event) for event in last_values(self.events).values()])
        log_datasets(self.client, parent, self.events)
        self.client.set_terminated(self.run_id, _status(record, stage), self._end(record, stage))
        self.is_closed = True
        self.events = []

    def _outcome(self, stage: StageRecord) -> dict[str, str]:
        """Return the tags that say how the stage ended."""
        warnings = [event["text"] for event in self.events if event["kind"] == "note" and event["level"] == "warning"]
        verdicts = [event for event in self.events if event["kind"] == "verdict"]
        reasons = verdicts[-1]["reasons"] if verdicts else []
        tags = {
            "fourscore.status": stage.status,
            "cached": str(stage.status == "cached").lower(),
            "seconds": f"{stage.seconds:g}",
            "reason": stage.reason,
            "warnings": str(len(warnings)),
        }
        if verdicts:
            tags |= {"verdict": verdicts[-1]["verdict"], "reasons": "\n".join(reasons)}
        if text := "\n".join([*reasons, *warnings]):
            tags["mlflow.note.content"] = text
        return tags

    def _end(self, record: RunRecord, stage: StageRecord) -> int:
        """Return when the stage ended; a cached one took no time in this run."""
        if stage.status in ("failed", "stopped") and record.finished:
            return max(self.start, milliseconds(record.finished))
        return self.start + round(stage.seconds * 1000)


def _status(record: RunRecord, stage: StageRecord) -> MlflowStatus:
    if stage.status in PUBLISHED:
        return MlflowStatus.FINISHED
    return MlflowStatus.FAILED if record.status == "error" else MlflowStatus.KILLED
