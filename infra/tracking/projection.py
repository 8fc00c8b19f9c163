"""One run in MLflow, written from its run file and journals; projecting twice writes nothing twice.

    parent run   tag fourscore.run; the problem as parameters, the last value of each metric, the documents
    child runs   01-define ... 08-register; tags layer, step, key, cached; what the step's journal says

Exactly once rests on: one lock per workspace and server, a search by tag before a run is created, the journal's own
times on the metrics (MLflow keeps one row per name, time, step and value), and artifacts that are written whole.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.runs.tail import Tail
from infra.secrets import credentials_in
from infra.store.manifest import JOURNAL, CorruptExecution
from infra.store.store import Store
from infra.tracking import descriptions
from infra.tracking.descriptions import Outcome
from infra.tracking.mlflow_client import (
    ServerAway,
    artifact_root,
    connect,
    lock_projection,
    translate_mlflow_errors,
    without_secrets,
)
from infra.tracking.mlflow_run import NOTE, MlflowRun, Trashed, allowed_name, metric, milliseconds
from infra.tracking.stage_run import PUBLISHED, StageRun
from infra.tracking.state import (
    SETTLED,
    OpenStore,
    TrackingState,
    TrackingStatus,
    has_report,
    identity_of,
    read_state,
    registered_model,
    stored_uri,
    write_state,
)
from steps import documents
from steps.errors import FourscoreError
from steps.evaluation.document import Evaluation

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT_STATUS = {"running": "RUNNING", "pass": "FINISHED", "rejected": "FAILED", "error": "FAILED"}
ENDED_JOBS = ("Succeeded", "Failed", "Stopped")
"""Statuses of a job in the run's record that will not change."""
KIND = "mlflow.experimentKind"
"""Tag of an experiment by which MLflow's page opens its view of models, not that of language models."""
FIRST = "Promised"
"""What comes before the layers in the order of letters, capitals first."""
CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
"""Variables by which a person signs in to a server; jobs have none of them."""


class Projection:
    """A run on its way to MLflow; remembers what this process has projected, and holds the lock only while it writes."""

    def __init__(self, workspace: Path, run: str, uri: str, open_store: OpenStore) -> None:
        self.workspace, self.run, self.uri, self.open_store = workspace, run, uri, open_store
        self.experiment = ""
        self.parent: MlflowRun | None = None
        self.children: dict[str, StageRun] = {}
        self.damage: dict[str, None] = {}
        """What in the store differs from what was published, once each; none of it goes to MLflow."""
        self.is_shared = False
        """Whether the jobs of the run know where it is tracked, and project their own stages."""
        self._evaluation: Evaluation | None = None
        self._parent_tags: dict[str, str] = {}

    @cached_property
    def client(self) -> MlflowClient:
        return connect(self.workspace, self.uri)

    @cached_property
    def store(self) -> Store:
        return self.open_store(self.workspace, records.load(self.workspace, self.run))

    def advance(self, *, final: bool) -> TrackingState:
        """Project what is new and write the state; whatever fails becomes its status and message, never an error."""
        record = records.load(self.workspace, self.run)
        status, message, model = TrackingStatus.RUNNING, "", None
        try:
            with translate_mlflow_errors(self.uri):
                assert self.client  # first, since connecting may take seconds that the lock need not be held for
                with lock_projection(self.workspace, self.uri):
                    parent = self._project(record)
                    if final:
                        model = self._finish(record, parent)
                        if record.status in records.FINAL:
                            status = TrackingStatus.COMPLETE
        except ServerAway as error:
            status, message = TrackingStatus.AWAY, str(error)
        except Trashed as error:
            status, message = TrackingStatus.TRASHED, str(error)
        except CorruptExecution as error:
            status = TrackingStatus.ERROR
            message = f"{error}; nothing was registered: move that execution away and run again"
        except Exception as error:  # noqa: BLE001  a failure of tracking is recorded and never ends a run
            status = TrackingStatus.ERROR
            message = without_secrets(f"{type(error).__name__}: {error}", self.uri)[:2000]
        before = read_state(self.workspace, self.run)
        is_elsewhere = before.get("status") in SETTLED and before.get("uri") != stored_uri(self.workspace, self.uri)
        if status == TrackingStatus.AWAY and self.parent is None and is_elsewhere:
            return {**before, "status": str(status), "message": message}  # it stays tracked where it was
        complete = status == TrackingStatus.COMPLETE
        if model is None and not complete:  # a version that was registered before stays registered
            model = registered_model(self.workspace, self.run, self.uri)
        return write_state(
            self.workspace,
            record,
            self.uri,
            status,
            message,
            experiment=self.experiment or None,
            parent=self.parent.id if self.parent else None,
            children={name: child.run.id for name, child in self.children.items()},
            model=model,
            report=complete and has_report(self.workspace, self.run),
        )

    def _project(self, record: RunRecord) -> MlflowRun:
        """Project what is new in the journals and the record, and return the parent."""
        parent = self.parent = self.parent or self._open_parent(record)
        for number, stage in enumerate(record.stages, 1):
            left_to_job = self.is_shared and is_job_active(record, stage)
            if stage.status in (*PUBLISHED, "failed", "stopped", "running") and not left_to_job:
                self._advance_stage(record, number, stage, parent)
        self._advance_parent(record, parent)
        return parent

    def _finish(self, record: RunRecord, parent: MlflowRun) -> dict[str, Any] | None:
        """Log the documents, register the model, and return its version."""
        from infra.tracking import versions

        self._log_promises(record, parent)
        self._log_documents(record, parent)
        return versions.register(self.client, self.store, self._outcome(record), self.experiment, parent.id)

    def _outcome(self, record: RunRecord) -> Outcome:
        """Return what the run has come to, with its evaluation as soon as that is published."""
        stage = record.producer(Evaluation.artifact)
        if self._evaluation is None and stage and stage.status in PUBLISHED:
            with contextlib.suppress(FourscoreError, OSError):  # what is damaged is reported where the files are read
                self._evaluation = documents.read(Evaluation, self.store.open(stage.key, Evaluation.artifact))
        return Outcome(record, self._evaluation)

    def _log_promises(self, record: RunRecord, parent: MlflowRun) -> None:
        """Log the promised metrics a second time under names that MLflow's lists and charts sort before all others."""
        evaluation = self._outcome(record).evaluation
        if evaluation is None or record.smoke or record.finished is None:
            return
        values: dict[str, float | None] = {}
        for promise in evaluation.thresholds:
            name = f"{FIRST}/{promise.metric}" + (f".{promise.slice}" if promise.slice else "")
            values |= {name: promise.value, f"{name}_low": promise.low, f"{name}_high": promise.high}
        time = milliseconds(record.finished)
        events = [
            {"name": name, "value": value, "step": None, "time": time}
            for name, value in values.items()
            if value is not None
        ]
        parent.log([metric(event) for event in events])

    def _log_documents(self, record: RunRecord, parent: MlflowRun) -> None:
        """Log the files that a person looks for; those that differ from what was published are named at the end."""
        files: dict[str, Any] = {"problem.json": record.problem}
        files["report.html"] = self.workspace / "reports" / f"{self.run}.html"
        for stage in record.stages:
            for name in stage.documents if stage.status in PUBLISHED else ():
                artifact, _, file = name.partition("/")
                try:
                    files[file] = self.store.open(stage.key, artifact) / file
                except CorruptExecution as error:
                    self.damage[str(error)] = None
        problem = Path(record.problem_path)
        if problem.is_file() and problem.stat().st_mtime * 1000 <= milliseconds(record.started) + 1000:
            files["problem.yaml"] = problem  # edited since, it is another problem
        parent.log_files(files)
        if self.damage:
            raise CorruptExecution("; ".join(self.damage))

    def _open_experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return str(self.client.create_experiment(name, artifact_root(self.workspace, self.uri)))
        if experiment.lifecycle_stage == "deleted":
            raise Trashed(
                f"the MLflow experiment {name!r} is in the trash; restore it there, or give the problem another name"
            )
        return str(experiment.experiment_id)

    def _describe_experiment(self, problem: Mapping[str, Any]) -> None:
        """Say of the experiment what its runs are about; a description that a person wrote stays."""
        current = self.client.get_experiment(self.experiment).tags
        holds = "Each run is an attempt to answer it; its name begins with the verdict."
        text = descriptions.of_problem(problem, holds)
        tags = descriptions.tags_of_problem(problem) | {KIND: "custom_model_development"}
        if descriptions.may_replace(current.get(NOTE), current):
            tags |= {NOTE: text, descriptions.SIGNATURE: descriptions.digest(text)}
        for name, value in tags.items():
            if current.get(name) != value:
                self.client.set_experiment_tag(self.experiment, name, value)

    def _open_parent(self, record: RunRecord) -> MlflowRun:
        self.experiment = self._open_experiment(record.problem_name)
        self._describe_experiment(record.problem)
        identity = {"fourscore.run": record.run, "fourscore.workspace": identity_of(self.workspace)}
        tags, start = {"smoke": str(record.smoke).lower()}, milliseconds(record.started)
        parent = MlflowRun.open(self.client, self.experiment, record.run, identity, tags, start)
        parent.log(parameters=_parameters(record.problem))
        if record.stack is not None:
            with contextlib.suppress(FourscoreError):  # of a person who may only read: jobs do without
                self.is_shared = share_place(self.store, record, self.uri, parent.id)
        return parent

    def _advance_stage(self, record: RunRecord, number: int, stage: StageRecord, parent: MlflowRun) -> None:
        child = self.children.get(stage.name)
        if child is None:
            identity = {"mlflow.parentRunId": parent.id, "step": stage.name}
            tags = {"layer": stage.layer, "key": stage.key}
            before = (earlier.run.start for earlier in self.children.values())
            start = max(self._start(record, stage), *before, 0) + 1  # manifests know seconds: the order is the stages'
            name = f"{number:02}-{stage.name}"
            child = StageRun(MlflowRun.open(self.client, self.experiment, name, identity, tags, start))
            self.children[stage.name] = child
        if child.is_closed:
            return
        if self._is_intact(stage):
            child.advance(self.workspace / stage.journal)
        if stage.status != "running" or record.status != "running":
            child.close(record, stage, parent)
        else:
            child.open()

    def _start(self, record: RunRecord, stage: StageRecord) -> int:
        """Return when the stage began within this run, as far as it is known."""
        start = milliseconds(record.started)
        if stage.status in ("ran", "refused"):
            with contextlib.suppress(CorruptExecution):  # reported where its files are read
                manifest = self.store.look(stage.key)
                return max(start, milliseconds(manifest.started)) if manifest and manifest.started else start
        if stage.status == "running":
            events = Tail().read(self.workspace / stage.journal)
            return int(events[0]["time"]) if events else milliseconds(records.now())
        return start

    def _is_intact(self, stage: StageRecord) -> bool:
        """Return whether a published journal is the one that was published; other journals are still being written."""
        try:
            if stage.status in PUBLISHED and (manifest := self.store.look(stage.key)):
                self.store.verify(manifest, JOURNAL)
        except CorruptExecution as error:
            self.damage[str(error)] = None
            return False
        return bool(stage.journal)

    def _advance_parent(self, record: RunRecord, parent: MlflowRun) -> None:
        outcome = self._outcome(record)
        report = descriptions.report_address(self.experiment, parent.id)
        tags = {
            "verdict": outcome.verdict,
            "fourscore.status": record.status,
            "fourscore.on": record.on,
            "stages": ", ".join(f"{stage.name} {stage.status}" for stage in record.stages),
            **{f"override.{allowed_name(name)}": value for name, value in record.overrides.items()},
            **({"rejected_by": record.fault()} if record.fault() else {}),
            **({"message": record.message} if record.message else {}),
            "mlflow.runName": descriptions.run_name(outcome),
            NOTE: descriptions.of_run(outcome, report),
        }
        if tags == self._parent_tags:
            return
        parent.log(tags=tags)
        status = PARENT_STATUS.get(record.status, "KILLED")
        if record.status in records.FINAL:
            end = milliseconds(record.finished) if record.finished else None
            self.client.set_terminated(parent.id, status, end)
        else:
            self.client.update_run(parent.id, status)
        self._parent_tags = tags


class JobProjection(Projection):
    """The stages of one job, below the parent that whoever follows the run opened and finishes."""

    def __init__(self, workspace: Path, run: str, uri: str, open_store: OpenStore, parent: str) -> None:
        super().__init__(workspace, run, uri, open_store)
        self.parent_id = parent

    def _open_parent(self, record: RunRecord) -> MlflowRun:
        info = self.client.get_run(self.parent_id).info
        self.experiment = str(info.experiment_id)
        return MlflowRun(self.client, self.parent_id, info.start_time, set())

    def _advance_parent(self, record: RunRecord, parent: MlflowRun) -> None:
        pass

    def _finish(self, record: RunRecord, parent: MlflowRun) -> None:
        pass


def place_for_jobs(run: str) -> str:
    """Return the name of the object that says to the jobs of a run where it is tracked."""
    return f"runs/{run}/tracking.json"


def share_place(store: Store, record: RunRecord, uri: str, parent: str) -> bool:
    """Write to the store where the run is tracked, if its jobs may know the server and can reach it; return whether."""
    from infra.store.s3 import S3Store

    is_server = uri.startswith(("http://", "https://", "arn:"))
    is_open = credentials_in(uri) is None and not any(name in os.environ for name in CREDENTIALS)
    is_reachable = record.on != "sagemaker" or urlsplit(uri).hostname not in ("localhost", "127.0.0.1", "::1")
    if not (isinstance(store, S3Store) and is_server and is_open and is_reachable):
        return False
    name, content = place_for_jobs(record.run), json.dumps({"uri": uri, "parent": parent}).encode()
    return store.objects.get(name) == content or store.objects.put(name, content)


def is_job_active(record: RunRecord, stage: StageRecord) -> bool:
    """Return whether the job of a stage has not ended; until then it projects the stage itself, followed or not."""
    ended = record.status in records.FINAL or record.jobs.get(stage.job) in ENDED_JOBS
    return stage.status != "cached" and not ended


def _parameters(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return a problem as parameters: one per field of each section, deeper values as JSON."""
    fields: dict[str, Any] = {}
    for name, value in problem.items():
        section = isinstance(value, Mapping)
        fields |= {f"{name}.{inner}": deeper for inner, deeper in value.items()} if section else {name: value}
    return {
        allowed_name(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in fields.items()
        if value not in (None, "", [], {})
    }
