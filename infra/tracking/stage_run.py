"""The MLflow run of one stage: what its journal says, then its tables, notes and status."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.runs.records import RunRecord, StageRecord
from infra.runs.tail import Tail
from infra.tracking.descriptions import REHEARSAL
from infra.tracking.mlflow_run import LOAD, NOTE, MlflowRun, allowed_name, metric, milliseconds
from steps.cards.markdown import bullets
from steps.journal import Event

ARTIFACTS = "mlflow.loggedArtifacts"
"""Tag with the artifacts that MLflow's page shows as tables."""
PART = re.compile(r"\.(fold\d+|whole)$")
"""The end of the names of one fit among many, which stay with the stage."""
PUBLISHED = ("ran", "cached", "refused")
"""Statuses of a stage whose results are in the store."""


@dataclass
class StageRun:
    """A stage's run in MLflow and how much of its journal has been projected."""

    run: MlflowRun
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
            if event["kind"] == "parameter":
                parameters.setdefault(allowed_name(event["name"]), event["value"])
        metrics = [metric(event) for event in events if event["kind"] == "metric"]
        self.run.log(metrics, parameters)
        self.run.log_datasets(events)

    def open(self) -> None:
        """Mark the run as running; an earlier attempt of the same run may have left it failed."""
        if not self.is_open:
            self.run.client.update_run(self.run.id, "RUNNING")
            self.run.log(tags={"fourscore.status": "running"})
            self.is_open = True

    def close(self, record: RunRecord, stage: StageRecord, parent: MlflowRun) -> None:
        """Log the stage's outcome, its tables and notes, and its headline metrics on the parent; end the run."""
        tables = {
            f"tables/{allowed_name(event['name'])}.json": columnar(event["rows"]) for event in self._events("table")
        }
        parameters = {event["name"]: event["value"] for event in self._events("parameter")}
        entries = [{"path": path, "type": "table"} for path in tables]
        self.run.log(tags=self._outcome(record, stage) | ({ARTIFACTS: json.dumps(entries)} if entries else {}))
        self.run.log_files({**tables, "notes.json": self._events("note"), "parameters.json": parameters})
        headlines = [event for event in self._events("metric") if not PART.search(event["name"])]
        if stage.status == "cached":  # the load was that of another run
            headlines = [event for event in headlines if not LOAD.search(event["name"])]
        parent.log([metric(event) for event in headlines])
        parent.log_datasets(self.events)
        end = self.run.start + round(stage.seconds * 1000)  # a cached stage took no time in this run
        if stage.status in ("failed", "stopped") and record.finished:
            end = max(self.run.start, milliseconds(record.finished))
        self.run.client.set_terminated(self.run.id, self._status(record, stage), end)
        self.is_closed = True
        self.events = []

    def _events(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["kind"] == kind]

    def _outcome(self, record: RunRecord, stage: StageRecord) -> dict[str, str]:
        """Return the tags that say how the stage ended."""
        warnings = [event["text"] for event in self._events("note") if event["level"] == "warning"]
        tags = {
            "fourscore.status": stage.status,
            "cached": str(stage.status == "cached").lower(),
            "seconds": f"{stage.seconds:g}",
            "reason": stage.reason,
            "warnings": str(len(warnings)),
        }
        reasons: list[str] = []
        for event in self._events("verdict")[-1:]:
            reasons = event["reasons"]
            rehearsed = record.smoke and stage.status != "refused"
            tags |= {"verdict": REHEARSAL if rehearsed else event["verdict"], "reasons": "\n".join(reasons)}
        if text := bullets([*reasons, *warnings]):
            tags[NOTE] = text
        return tags

    def _status(self, record: RunRecord, stage: StageRecord) -> str:
        """Return how a stage ends in MLflow, which has no other sign than failure for one that says no."""
        if stage.status not in PUBLISHED:
            return "FAILED" if record.status == "error" else "KILLED"
        verdicts = [event["verdict"] for event in self._events("verdict")]
        rejected = "evaluation" in stage.outputs and verdicts[-1:] == ["rejected"] and not record.smoke
        return "FAILED" if rejected or stage.status == "refused" else "FINISHED"


def columnar(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the rows of a table in the form in which MLflow's page shows one (``mlflow.log_table``)."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}
