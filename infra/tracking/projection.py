"""One run in MLflow, made from its run file and journals; projecting twice writes nothing twice.

    parent run   tag fourscore.run; the problem as parameters, the last value of each metric, the documents
    child runs   01-define ... 08-register; tags layer, step, key, cached; what the step's journal says

Exactly once rests on: one lock per workspace and server, runs found by tag before they are made, the journal's own
times on the metrics (MLflow keeps one row per name, time, step and value), and artifacts that are written whole.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.local import JOURNAL, CorruptExecution, store_of
from infra.tracking.events import Tail, allowed_name, flat, key_of, last_values
from infra.tracking.mlflow_client import artifact_root
from infra.tracking.mlflow_run import log_datasets, log_files, log_metrics, log_parameters, log_tags, metric
from steps.errors import FourscoreError
from steps.journal import Event

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT_STATUS = {"running": "RUNNING", "pass": "FINISHED", "rejected": "FINISHED", "error": "FAILED"}
DONE = ("ran", "cached", "refused", "failed")
PUBLISHED = ("ran", "cached", "refused")


class Trashed(FourscoreError):
    """Someone deleted the run in MLflow; it is left alone."""


def milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


@dataclass
class Child:
    """A step's run and how much of its journal has been projected."""

    run_id: str
    start: int
    tail: Tail = field(default_factory=Tail)
    events: list[Event] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    opened: bool = False
    closed: bool = False


def _is_ours(record: RunRecord, stage: StageRecord) -> bool:
    """Whether nobody else projects the stage at this moment: a job that tracks does so until it is over."""
    if not record.tracked_by_jobs or stage.status == "cached" or record.status in records.FINAL:
        return True
    from infra.sagemaker.service import ENDED

    return record.jobs.get(stage.job) in ENDED


class Projection:
    """A run on its way to MLflow; remembers what this process has projected already."""

    def __init__(self, client: MlflowClient, workspace: Path, uri: str, run: str) -> None:
        self.client, self.workspace, self.uri, self.run = client, workspace, uri, run
        self.experiment = ""
        self.parent = ""
        self.children: dict[str, Child] = {}
        self.store = store_of(workspace, records.load(workspace, run))
        self.rot: list[str] = []
        """What is in the store and is not what was published; none of it goes to MLflow."""
        self._said: dict[str, str] = {}

    def advance(self, record: RunRecord) -> None:
        """Project what is new; on a finished record, everything that is left, and the run ends in MLflow too.

        Raises:
            Trashed: the run was deleted in MLflow.
        """
        if not self.parent and record.mlflow_run:
            self.parent = record.mlflow_run
            self.experiment = str(self.client.get_run(self.parent).info.experiment_id)
        elif not self.parent:
            self.experiment = self._experiment(record.problem_name)
            self.parent = self._parent(record)
        for number, stage in enumerate(record.stages, 1):
            if stage.status in (*DONE, "running") and _is_ours(record, stage):
                self._advance_stage(record, number, stage)
        if record.mlflow_run is None:
            self._advance_parent(record)

    def counts(self) -> dict[str, int]:
        """Events projected, by step."""
        return {name: child.tail.count for name, child in self.children.items()}

    def documents(self, record: RunRecord) -> None:
        """The files that a person looks for, on the parent; written again they are the same.

        Raises:
            CorruptExecution: some are not what was published; the others are there.
        """
        files: dict[str, Any] = {"problem.json": record.problem}
        files["report.html"] = self.workspace / "reports" / f"{self.run}.html"
        for stage in record.stages:
            for name in stage.documents if stage.status in PUBLISHED else ():
                artifact, _, file = name.partition("/")
                try:
                    files[file] = self.store.open(stage.key, artifact) / file
                except CorruptExecution as rot:
                    self._note_rot(rot)
        problem = Path(record.problem_path)
        if problem.is_file() and problem.stat().st_mtime * 1000 <= milliseconds(record.started) + 1000:
            files["problem.yaml"] = problem  # edited since, it is another problem
        log_files(self.client, self.parent, files)
        if self.rot:
            raise CorruptExecution("; ".join(self.rot))

    def _note_rot(self, rot: CorruptExecution) -> None:
        if str(rot) not in self.rot:
            self.rot.append(str(rot))

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_root(self.workspace, self.uri)))
        if found.lifecycle_stage == "deleted":
            raise Trashed(
                f"the MLflow experiment {name!r} is in the trash; restore it there, or give the problem another name"
            )
        return str(found.experiment_id)

    def _find(self, tags: dict[str, str]) -> Any:
        from mlflow.entities import ViewType

        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        found = self.client.search_runs(
            [self.experiment], wanted, ViewType.ALL, max_results=1, order_by=["attributes.start_time ASC"]
        )
        return found[0] if found else None

    def _parent(self, record: RunRecord) -> str:
        identity = {"fourscore.run": record.run, "fourscore.workspace": key_of(self.workspace)}
        found = self._find(identity)
        if found is None:
            tags = identity | {
                "smoke": str(record.smoke).lower(),
                "mlflow.source.name": "fourscore",
                "mlflow.source.type": "PROJECT",
            }
            found = self.client.create_run(self.experiment, milliseconds(record.started), tags, record.run)
        if found.info.lifecycle_stage == "deleted":
            raise Trashed(
                f"the MLflow run {found.info.run_id} of {record.run} is in the trash and stays as it is; "
                "restore it there to project again"
            )
        known = set(found.data.params)
        parameters = {name: value for name, value in flat(record.problem).items() if name not in known}
        log_parameters(self.client, found.info.run_id, parameters)
        return str(found.info.run_id)

    def _child(self, record: RunRecord, number: int, stage: StageRecord) -> Child:
        if stage.name not in self.children:
            found = self._find({"mlflow.parentRunId": self.parent, "step": stage.name})
            if found is None:
                tags = {
                    "mlflow.parentRunId": self.parent,
                    "step": stage.name,
                    "layer": stage.layer,
                    "key": stage.key,
                    "mlflow.source.name": "fourscore",
                    "mlflow.source.type": "PROJECT",
                }
                start = self._start(record, stage) + number  # of equal times, in the order of the stages
                found = self.client.create_run(self.experiment, start, tags, f"{number:02}-{stage.name}")
            self.children[stage.name] = Child(
                found.info.run_id, found.info.start_time, parameters=set(found.data.params)
            )
        return self.children[stage.name]

    def _start(self, record: RunRecord, stage: StageRecord) -> int:
        """When the stage began within this run, as near as is known."""
        begin = milliseconds(record.started)
        if stage.status in ("ran", "refused"):
            with contextlib.suppress(CorruptExecution):  # said where its files are read
                manifest = self.store.look(stage.key)
                return max(begin, milliseconds(manifest.started)) if manifest and manifest.started else begin
        if stage.status == "running":
            events = Tail().read(self.workspace / stage.journal)
            return int(events[0]["time"]) if events else milliseconds(records.now())
        return begin

    def _end(self, record: RunRecord, stage: StageRecord, child: Child) -> int:
        """When it ended; a cached one took no time in this run."""
        if stage.status == "failed" and record.finished:
            return max(child.start, milliseconds(record.finished))
        return child.start + round(stage.seconds * 1000)

    def _advance_stage(self, record: RunRecord, number: int, stage: StageRecord) -> None:
        child = self._child(record, number, stage)
        if child.closed:
            return
        new = child.tail.read(self.workspace / stage.journal) if self._is_whole(stage) else []
        child.events += new
        self._project_events(child, new)
        if stage.status != "running" or record.status != "running":
            self._close(record, stage, child)
        elif not child.opened:  # an earlier attempt of the same run may have left it failed
            self.client.update_run(child.run_id, "RUNNING")
            log_tags(self.client, child.run_id, {"fourscore.status": "running"})
            child.opened = True

    def _is_whole(self, stage: StageRecord) -> bool:
        """Whether the journal of a published stage is the one that was published; others are still being written."""
        try:
            if stage.status in PUBLISHED and (manifest := self.store.look(stage.key)):
                self.store.verify(manifest, JOURNAL)
        except CorruptExecution as rot:
            self._note_rot(rot)
            return False
        return bool(stage.journal)

    def _project_events(self, child: Child, events: list[Event]) -> None:
        parameters: dict[str, str] = {}
        for event in events:
            if event["kind"] == "parameter" and (name := allowed_name(event["name"])) not in child.parameters:
                parameters.setdefault(name, event["value"])
        metrics = [metric(event, event["step"]) for event in events if event["kind"] == "metric"]
        log_metrics(self.client, child.run_id, metrics)
        log_parameters(self.client, child.run_id, parameters)
        log_datasets(self.client, child.run_id, events)
        child.parameters |= set(parameters)

    def _close(self, record: RunRecord, stage: StageRecord, child: Child) -> None:
        """The stage is over: its tables and notes, its headline on the parent, its status."""
        notes = [event for event in child.events if event["kind"] == "note"]
        verdicts = [event for event in child.events if event["kind"] == "verdict"]
        warnings = [event["text"] for event in notes if event["level"] == "warning"]
        tags = {
            "fourscore.status": stage.status,
            "cached": str(stage.status == "cached").lower(),
            "seconds": f"{stage.seconds:g}",
            "reason": stage.reason,
            "warnings": str(len(warnings)),
        }
        if verdicts:
            tags |= {"verdict": verdicts[-1]["verdict"], "reasons": "\n".join(verdicts[-1]["reasons"])}
        if text := "\n".join([*(verdicts[-1]["reasons"] if verdicts else []), *warnings]):
            tags["mlflow.note.content"] = text
        log_tags(self.client, child.run_id, tags)
        tables = {
            f"tables/{allowed_name(each['name'])}.json": each["rows"]
            for each in child.events
            if each["kind"] == "table"
        }
        parameters = {each["name"]: each["value"] for each in child.events if each["kind"] == "parameter"}
        log_files(self.client, child.run_id, {**tables, "notes.json": notes, "parameters.json": parameters})
        log_metrics(self.client, self.parent, [metric(each) for each in last_values(child.events).values()])
        log_datasets(self.client, self.parent, child.events)
        status = (
            "FINISHED"
            if stage.status in ("ran", "cached", "refused")
            else "FAILED"
            if record.status == "error"
            else "KILLED"
        )
        self.client.set_terminated(child.run_id, status, self._end(record, stage, child))
        child.closed = True
        child.events = []

    def _advance_parent(self, record: RunRecord) -> None:
        tags = {
            "verdict": {"running": "pending", "interrupted": "error", "killed": "error"}.get(
                record.status, record.status
            ),
            "fourscore.status": record.status,
            "fourscore.on": record.on,
            "stages": ", ".join(f"{stage.name} {stage.status}" for stage in record.stages),
        }
        tags |= {f"override.{allowed_name(name)}": value for name, value in record.overrides.items()}
        if record.message:
            tags["message"] = record.message
        question = record.problem.get("question", "")
        tags["mlflow.note.content"] = "\n\n".join(
            part for part in (str(question), f"**{tags['verdict']}**", record.message) if part
        )
        if tags == self._said:
            return
        log_tags(self.client, self.parent, tags)
        status = PARENT_STATUS.get(record.status, "KILLED")
        if record.status in records.FINAL:
            end = milliseconds(record.finished) if record.finished else None
            self.client.set_terminated(self.parent, status, end)
        else:
            self.client.update_run(self.parent, status)
        self._said = tags
