"""One run in MLflow, made from its run file and journals; projecting twice writes nothing twice.

    parent run   tag fourscore.run; the problem as parameters, each metric's last value, documents
    parent run   tag fourscore.run; the problem as parameters, the last value of each metric, the documents

Exactly once rests on: one lock per workspace and server, runs found by tag before they are made, the journal's own
times on the metrics (MLflow keeps one row per name, time, step and value), and artifacts that are written whole.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import runs
from infra.events import Tail, allowed_name, flat, key_of, last_values
from infra.mlflow_server import artifact_root
from infra.runs import RunRecord, StageRecord
from steps.errors import FourscoreError
from steps.journal import Event

if TYPE_CHECKING:
    from mlflow import MlflowClient

LAYERS = {"ingest": "data", "validate": "data", "label": "data", "split": "data", "train": "model", "evaluate": "model"}
PARENT_STATUS = {"running": "RUNNING", "pass": "FINISHED", "rejected": "FINISHED", "error": "FAILED"}
DONE = ("ran", "cached", "refused", "failed")
DOCUMENTS = {
    "define": ("card/card.md",),
    "validate": ("validation/results.json",),
    "split": ("division/split.json",),
    "evaluate": ("evaluation/evaluation.json",),
    "register": ("registration/model_card.md", "registration/registration.json"),
}
"""Of each stage the files that a person looks for beside the numbers; they hang on the parent."""

METRICS, PARAMETERS, TAGS = 1000, 20, 50
"""What one log_batch takes: MLflow allows 1,000 metrics, 100 parameters and tags, and one megabyte."""
LONGEST_PARAMETER, LONGEST_TAG, LONGEST_DIGEST = 6000, 5000, 36


class Trashed(FourscoreError):
    """Someone deleted the run in MLflow; it is left alone."""


def milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


@dataclass
class Child:
    """A step's run and how much of its journal has been projected."""

    run_id: str
    tail: Tail = field(default_factory=Tail)
    events: list[Event] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    opened: bool = False
    closed: bool = False


class Projection:
    """A run on its way to MLflow; remembers what this process has projected already."""

    def __init__(self, client: MlflowClient, workspace: Path, uri: str, run: str) -> None:
        self.client, self.workspace, self.uri, self.run = client, workspace, uri, run
        self.experiment = ""
        self.parent = ""
        self.children: dict[str, Child] = {}
        self._said: dict[str, str] = {}

    def advance(self, record: RunRecord) -> None:
        """Project what is new; on a finished record, everything that is left, and the run ends in MLflow too.

        Raises:
            Trashed: the run was deleted in MLflow.
        """
        if not self.parent:
            self.experiment = self._experiment(record.problem_name)
            self.parent = self._parent(record)
        for number, stage in enumerate(record.stages, 1):
            if stage.status in (*DONE, "running"):
                self._advance_stage(record, number, stage)
        self._advance_parent(record)

    def counts(self) -> dict[str, int]:
        """Events projected, by step."""
        return {name: child.tail.count for name, child in self.children.items()}

    def documents(self, record: RunRecord) -> None:
        """The files that a person looks for, on the parent; written again they are the same."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "problem.json").write_text(
                json.dumps(record.problem, indent=1, ensure_ascii=False), encoding="utf-8"
            )
            found = [(self.workspace / "reports" / f"{self.run}.html", "report.html")]
            for stage in record.stages:
                if stage.status in DONE:
                    found += [
                        (self.workspace / "store" / stage.key / name, Path(name).name)
                        for name in DOCUMENTS.get(stage.name, ())
                    ]
            problem = Path(record.problem_path)
            if problem.is_file() and problem.stat().st_mtime * 1000 <= milliseconds(record.started) + 1000:
                found.append((problem, "problem.yaml"))  # edited since, it is another problem
            for source, name in found:
                if source.is_file():
                    (folder / name).write_bytes(source.read_bytes())
            self.client.log_artifacts(self.parent, place)

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
        self._log(found.info.run_id, parameters=parameters)
        return str(found.info.run_id)

    def _child(self, record: RunRecord, number: int, stage: StageRecord) -> Child:
        if stage.name not in self.children:
            found = self._find({"mlflow.parentRunId": self.parent, "step": stage.name})
            if found is None:
                tags = {
                    "mlflow.parentRunId": self.parent,
                    "step": stage.name,
                    "layer": LAYERS.get(stage.name, "application"),
                    "key": stage.key,
                    "mlflow.source.name": "fourscore",
                    "mlflow.source.type": "PROJECT",
                }
                start = self._times(record, stage)[0] + number  # of equal times, in the order of the stages
                found = self.client.create_run(self.experiment, start, tags, f"{number:02}-{stage.name}")
            self.children[stage.name] = Child(found.info.run_id, parameters=set(found.data.params))
        return self.children[stage.name]

    def _times(self, record: RunRecord, stage: StageRecord) -> tuple[int, int]:
        """When the stage ran within this run; a cached one took no time in it."""
        begin = milliseconds(record.started)
        manifest = self.workspace / "store" / stage.key / "manifest.json"
        if stage.status in ("ran", "refused") and stage.seconds and manifest.is_file():
            began = max(begin, milliseconds(json.loads(manifest.read_bytes())["started"]))
            return began, began + round(stage.seconds * 1000)
        now = milliseconds(runs.now())
        if stage.status == "running":
            return max(begin, now), now
        end = milliseconds(record.finished) if record.finished else now
        return (begin, begin) if stage.status == "cached" else (begin, max(begin, end))

    def _advance_stage(self, record: RunRecord, number: int, stage: StageRecord) -> None:
        child = self._child(record, number, stage)
        if child.closed:
            return
        new = child.tail.read(self.workspace / stage.journal) if stage.journal else []
        child.events += new
        self._project_events(child, new)
        if stage.status != "running" or record.status != "running":
            self._close(record, stage, child)
        elif not child.opened:  # an earlier attempt of the same run may have left it failed
            self.client.update_run(child.run_id, "RUNNING")
            self._log(child.run_id, tags={"fourscore.status": "running"})
            child.opened = True

    def _project_events(self, child: Child, events: list[Event]) -> None:
        from mlflow.entities import Metric

        metrics: list[Metric] = []
        parameters: dict[str, str] = {}
        for event in events:
            if event["kind"] == "metric":
                metrics.append(Metric(allowed_name(event["name"]), event["value"], event["time"], event["step"] or 0))
            elif event["kind"] == "parameter" and (name := allowed_name(event["name"])) not in child.parameters:
                parameters.setdefault(name, event["value"])
        self._log(child.run_id, metrics, parameters)
        child.parameters |= set(parameters)
        self._datasets(child.run_id, events)

    def _log(
        self,
        run_id: str,
        metrics: list[Any] | None = None,
        parameters: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        params = [Param(name, cut(value, LONGEST_PARAMETER)) for name, value in (parameters or {}).items()]
        marks = [RunTag(name, cut(value, LONGEST_TAG)) for name, value in (tags or {}).items()]
        for start in range(0, len(metrics or ()), METRICS):
            self.client.log_batch(run_id, metrics=(metrics or [])[start : start + METRICS])
        for start in range(0, len(params), PARAMETERS):
            self.client.log_batch(run_id, params=params[start : start + PARAMETERS])
        for start in range(0, len(marks), TAGS):
            self.client.log_batch(run_id, tags=marks[start : start + TAGS])

    def _datasets(self, run_id: str, events: list[Event]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=event["name"],
                    digest=event["digest"][:LONGEST_DIGEST],
                    source_type="fourscore",
                    source=json.dumps({"sha256": event["digest"]}),
                    profile=json.dumps({"num_rows": event["rows"], "num_elements": event["rows"] * event["columns"]}),
                ),
                [InputTag("mlflow.data.context", event["context"])],
            )
            for event in events
            if event["kind"] == "dataset"
        ]
        if inputs:
            self.client.log_inputs(run_id, inputs)

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
        self._log(child.run_id, tags=tags)
        self._artifacts(child, notes)
        self._headline(child.events)
        self._datasets(self.parent, child.events)
        status = (
            "FINISHED"
            if stage.status in ("ran", "cached", "refused")
            else "FAILED"
            if record.status == "error"
            else "KILLED"
        )
        self.client.set_terminated(child.run_id, status, self._times(record, stage)[1])
        child.closed = True
        child.events = []

    def _artifacts(self, child: Child, notes: list[Event]) -> None:
        tables = {event["name"]: event["rows"] for event in child.events if event["kind"] == "table"}
        parameters = {event["name"]: event["value"] for event in child.events if event["kind"] == "parameter"}
        with tempfile.TemporaryDirectory() as place:
            for name, content in [
                *((f"tables/{allowed_name(n)}", rows) for n, rows in tables.items()),
                ("notes", notes),
                ("parameters", parameters),
            ]:
                if content:
                    path = Path(place) / f"{name}.json"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
            if any(Path(place).iterdir()):
                self.client.log_artifacts(child.run_id, place)

    def _headline(self, events: list[Event]) -> None:
        from mlflow.entities import Metric

        self._log(
            self.parent,
            [
                Metric(allowed_name(name), event["value"], event["time"], 0)
                for name, event in last_values(events).items()
            ],
        )

    def _advance_parent(self, record: RunRecord) -> None:
        tags = {
            "verdict": {"running": "pending", "interrupted": "error", "killed": "error"}.get(
                record.status, record.status
            ),
            "fourscore.status": record.status,
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
        self._log(self.parent, tags=tags)
        status = PARENT_STATUS.get(record.status, "KILLED")
        if record.status in runs.FINAL:
            end = milliseconds(record.finished) if record.finished else None
            self.client.set_terminated(self.parent, status, end)
        else:
            self.client.update_run(self.parent, status)
        self._said = tags


def cut(value: str, longest: int) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"
