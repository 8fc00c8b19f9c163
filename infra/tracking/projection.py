"""One run in MLflow, written from its run file and journals; projecting twice writes nothing twice.

    parent run   tag fourscore.run; the problem as parameters, the last value of each metric, the documents
    child runs   01-define ... 08-register; tags layer, step, key, cached; what the step's journal says

Exactly once rests on: one lock per workspace and server, a search by tag before a run is created, the journal's own
times on the metrics (MLflow keeps one row per name, time, step and value), and artifacts that are written whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.runs.tail import Tail
from infra.store.manifest import JOURNAL, CorruptExecution
from infra.store.store import Store
from infra.tracking.events import allowed_name, flat, key_of
from infra.tracking.mlflow_client import artifact_root
from infra.tracking.mlflow_run import log_files, log_parameters, log_tags, milliseconds
from infra.tracking.stage_run import PUBLISHED, MlflowStatus, StageRun
from steps.errors import FourscoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

OpenStore = Callable[[Path, RunRecord], Store]
"""Opens the store that holds a run's results, given the workspace and the run's record."""

PARENT_STATUS = {
    "running": MlflowStatus.RUNNING,
    "pass": MlflowStatus.FINISHED,
    "rejected": MlflowStatus.FINISHED,
    "error": MlflowStatus.FAILED,
}
VERDICTS = {"running": "pending", "interrupted": "error", "killed": "error"}
"""The verdict of a run by its status, where the status is none itself."""
ENDED_JOBS = ("Succeeded", "Failed", "Stopped")
"""Statuses of a job in the run's record that will not change."""
SOURCE_TAGS = {"mlflow.source.name": "fourscore", "mlflow.source.type": "PROJECT"}


class Trashed(FourscoreError):
    """A person deleted the run in MLflow; it stays as it is."""


class Projection:
    """A run on its way to MLflow; remembers what this process has projected already."""

    def __init__(self, client: MlflowClient, workspace: Path, uri: str, run: str, store: Store) -> None:
        self.client, self.workspace, self.uri, self.run, self.store = client, workspace, uri, run, store
        self.experiment = ""
        self.parent = ""
        self.children: dict[str, StageRun] = {}
        self.damage: list[str] = []
        """What in the store differs from what was published; none of it goes to MLflow."""
        self._parent_tags: dict[str, str] = {}

    def advance(self, record: RunRecord) -> None:
        """Project what is new; for a finished record project the rest, and end the run in MLflow.

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
            if stage.status in (*PUBLISHED, "failed", "stopped", "running") and not _is_projected_by_job(record, stage):
                self._advance_stage(record, number, stage)
        if record.mlflow_run is None:
            self._advance_parent(record)

    def counts(self) -> dict[str, int]:
        """Return the number of projected events by stage."""
        return {name: child.tail.count for name, child in self.children.items()}

    def documents(self, record: RunRecord) -> None:
        """Log the files that a person looks for on the parent; written again they are the same.

        Raises:
            CorruptExecution: some differ from what was published; the others are logged.
        """
        files: dict[str, Any] = {"problem.json": record.problem}
        files["report.html"] = self.workspace / "reports" / f"{self.run}.html"
        for stage in record.stages:
            for name in stage.documents if stage.status in PUBLISHED else ():
                artifact, _, file = name.partition("/")
                try:
                    files[file] = self.store.open(stage.key, artifact) / file
                except CorruptExecution as error:
                    self._note_damage(error)
        problem = Path(record.problem_path)
        if problem.is_file() and problem.stat().st_mtime * 1000 <= milliseconds(record.started) + 1000:
            files["problem.yaml"] = problem  # edited since, it is another problem
        log_files(self.client, self.parent, files)
        if self.damage:
            raise CorruptExecution("; ".join(self.damage))

    def _note_damage(self, error: CorruptExecution) -> None:
        if str(error) not in self.damage:
            self.damage.append(str(error))

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return str(self.client.create_experiment(name, artifact_root(self.workspace, self.uri)))
        if experiment.lifecycle_stage == "deleted":
            raise Trashed(
                f"the MLflow experiment {name!r} is in the trash; restore it there, or give the problem another name"
            )
        return str(experiment.experiment_id)

    def _find(self, tags: dict[str, str]) -> Run | None:
        from mlflow.entities import ViewType

        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        runs = self.client.search_runs(
            [self.experiment], query, ViewType.ALL, max_results=1, order_by=["attributes.start_time ASC"]
        )
        return runs[0] if runs else None

    def _parent(self, record: RunRecord) -> str:
        identity = {"fourscore.run": record.run, "fourscore.workspace": key_of(self.workspace)}
        run = self._find(identity)
        if run is None:
            tags = {**identity, "smoke": str(record.smoke).lower(), **SOURCE_TAGS}
            run = self.client.create_run(self.experiment, milliseconds(record.started), tags, record.run)
        if run.info.lifecycle_stage == "deleted":
            raise Trashed(
                f"the MLflow run {run.info.run_id} of {record.run} is in the trash and stays as it is; "
                "restore it there to project again"
            )
        parameters = {name: value for name, value in flat(record.problem).items() if name not in run.data.params}
        log_parameters(self.client, run.info.run_id, parameters)
        return str(run.info.run_id)

    def _child(self, record: RunRecord, number: int, stage: StageRecord) -> StageRun:
        if stage.name not in self.children:
            identity = {"mlflow.parentRunId": self.parent, "step": stage.name}
            run = self._find(identity)
            if run is None:
                tags = {**identity, "layer": stage.layer, "key": stage.key, **SOURCE_TAGS}
                start = self._start(record, stage) + number  # of equal times, in the order of the stages
                run = self.client.create_run(self.experiment, start, tags, f"{number:02}-{stage.name}")
            info = run.info
            self.children[stage.name] = StageRun(self.client, info.run_id, info.start_time, set(run.data.params))
        return self.children[stage.name]

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

    def _advance_stage(self, record: RunRecord, number: int, stage: StageRecord) -> None:
        child = self._child(record, number, stage)
        if child.is_closed:
            return
        if self._is_intact(stage):
            child.advance(self.workspace / stage.journal)
        if stage.status != "running" or record.status != "running":
            child.close(record, stage, self.parent)
        else:
            child.open()

    def _is_intact(self, stage: StageRecord) -> bool:
        """Return whether a published journal is the one that was published; other journals are still being written."""
        try:
            if stage.status in PUBLISHED and (manifest := self.store.look(stage.key)):
                self.store.verify(manifest, JOURNAL)
        except CorruptExecution as error:
            self._note_damage(error)
            return False
        return bool(stage.journal)

    def _advance_parent(self, record: RunRecord) -> None:
        verdict = VERDICTS.get(record.status, record.status)
        tags = {
            "verdict": verdict,
            "fourscore.status": record.status,
            "fourscore.on": record.on,
            "stages": ", ".join(f"{stage.name} {stage.status}" for stage in record.stages),
            **{f"override.{allowed_name(name)}": value for name, value in record.overrides.items()},
        }
        if record.message:
            tags["message"] = record.message
        note = (str(record.problem.get("question", "")), f"**{verdict}**", record.message)
        tags["mlflow.note.content"] = "\n\n".join(filter(None, note))
        if tags == self._parent_tags:
            return
        log_tags(self.client, self.parent, tags)
        status = PARENT_STATUS.get(record.status, MlflowStatus.KILLED)
        if record.status in records.FINAL:
            end = milliseconds(record.finished) if record.finished else None
            self.client.set_terminated(self.parent, status, end)
        else:
            self.client.update_run(self.parent, status)
        self._parent_tags = tags


def _is_projected_by_job(record: RunRecord, stage: StageRecord) -> bool:
    """Return whether a job that tracks its own stages projects this one at the moment."""
    if not record.tracked_by_jobs or stage.status == "cached" or record.status in records.FINAL:
        return False
    return record.jobs.get(stage.job) not in ENDED_JOBS
