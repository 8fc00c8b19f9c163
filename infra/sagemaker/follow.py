"""Following an execution: its steps, what its jobs say and what they publish become the run's record, here, while it goes on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.files import write_atomically
from infra.runs import records
from infra.runs.plan import Reporter
from infra.runs.records import RunRecord, StageRecord
from infra.sagemaker.definition import step_names
from infra.sagemaker.service import ENDED, ExecutionState, Service
from infra.store.local import JOURNAL, Manifest
from infra.tracking.events import Tail

if TYPE_CHECKING:
    from infra.s3.objects import Listed
    from infra.store.s3 import S3Store

DONE = ("ran", "cached", "refused", "skipped")


class Following:
    """One execution on its way into one record."""

    def __init__(self, service: Service, store: S3Store, record: RunRecord, reporter: Reporter) -> None:
        assert record.execution is not None
        self.service, self.store, self.record, self.reporter = service, store, record, reporter
        self.arn = record.execution
        self.run = service.parameters_of(self.arn).get("Run", record.run)
        """The name that the execution's jobs know: of two who asked for the same work, the first one's."""
        self.steps = list(step_names(json.loads(service.definition_of(self.arn))["Steps"]))
        self.manifests: dict[str, Manifest] = {}
        self._tails = {stage.name: Tail() for stage in record.stages}
        self._seen: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._now: dict[str, dict[str, Any]] = {}

    def until_over(self, poll: float) -> ExecutionState:
        """Look, note, wait; returns the execution's last state, which the record holds too."""
        while True:
            state = self.service.execution(self.arn)
            self.note(state)
            if state.over:
                self.close(state)
                return state
            time.sleep(poll)

    def note(self, state: ExecutionState) -> None:
        """Bring the record up to what is known now."""
        live = self.store.objects.list(f"runs/{self.run}/live/")
        for stage in self.record.stages:
            if stage.status in DONE:
                continue
            job = state.step(stage.job)
            if job is None:
                continue
            told = self._told(stage, live)
            over = job.status in ENDED or told.get("status") in ("ran", "refused")
            if over and (manifest := self.store.find(stage.key)):
                self._published(stage, manifest)
            elif told.get("status") in ("running", "failed"):
                self._heard(stage, told, live)
        for step in state.steps:
            if step.package:
                self.record.package = step.package
        self.record.jobs = dict.fromkeys(self.steps, "NotExecuted") | {step.name: step.status for step in state.steps}
        records.save(self.store.workspace, self.record)

    def _published(self, stage: StageRecord, manifest: Manifest) -> None:
        cached = manifest.finished < self.record.started
        self.manifests[stage.name] = manifest
        stage.status = "refused" if manifest.verdict == "refused" else "cached" if cached else "ran"
        stage.seconds = 0.0 if cached else manifest.seconds
        stage.journal = str((self.store.directory(stage.key) / JOURNAL).relative_to(self.store.workspace))
        self._tell_journal(stage)
        self._tell(stage)
        self._kept(stage).unlink(missing_ok=True)

    def _kept(self, stage: StageRecord) -> Path:
        """Where the journal of a stage lies here until it is published."""
        return self.store.workspace / "runs" / f"{self.record.run}.{stage.name}.journal.jsonl"

    def _told(self, stage: StageRecord, live: Mapping[str, Listed]) -> dict[str, Any]:
        """What the job last said of the stage: its status and progress; nothing if it said nothing."""
        now = self._new(f"{stage.name}.now.json", live)
        if now is not None:
            self._now[stage.name] = json.loads(now)
        return self._now.get(stage.name, {})

    def _new(self, name: str, live: Mapping[str, Listed]) -> bytes | None:
        """The content of a live object, if it changed since it was last asked for."""
        if name not in live or self._tags.get(name) == live[name].tag:
            return None
        self._tags[name] = live[name].tag
        return self.store.objects.get(live[name].name)

    def _heard(self, stage: StageRecord, told: Mapping[str, Any], live: Mapping[str, Listed]) -> None:
        """What the running job sent of the stage."""
        stage.status = "running"
        self._tell(stage)
        if journal := self._new(f"{stage.name}.jsonl", live):
            kept = self._kept(stage)
            write_atomically(kept, journal)
            stage.journal = str(kept.relative_to(self.store.workspace))
            self._tell_journal(stage)
        if told["progress"]:
            self.reporter(stage.name, {"kind": "progress", **told["progress"]})

    def _tell(self, stage: StageRecord) -> None:
        if self._seen.get(stage.name) != stage.status:
            self._seen[stage.name] = stage.status
            self.reporter(stage.name, {"kind": "stage", "status": stage.status, "seconds": stage.seconds})

    def _tell_journal(self, stage: StageRecord) -> None:
        for event in self._tails[stage.name].read(self.store.workspace / stage.journal):
            self.reporter(stage.name, event)

    def close(self, state: ExecutionState) -> None:
        """The execution is over: decide what it came to, in the run's own words."""
        record = self.record
        record.finished = records.now()
        verdicts = [manifest for stage in record.stages if (manifest := self.store.find(stage.key))]
        refused = [each for each in verdicts if each.verdict == "refused"]
        rejected = [each for each in verdicts if each.verdict == "rejected"]
        if refused or (rejected and not record.smoke):
            record.status = "rejected"
            record.message = "\n".join((refused or rejected)[-1].reasons)
        elif state.status == "Succeeded":
            record.status, record.message = "pass", ""
            missing = [stage.name for stage in record.stages if stage.status not in DONE]
            if missing:
                record.status = "error"
                record.message = f"the execution succeeded, and {', '.join(missing)} did not publish anything"
        elif state.status == "Stopped":
            record.status = "interrupted"
            record.message = (
                f"stopped; 'fourscore retry {record.run}' goes on from the last published stage and checkpoint"
            )
        else:
            record.status, record.message = "error", self._why(state)
        if not refused and record.status in ("pass", "rejected"):
            for stage in record.stages:
                if stage.status == "pending" and (manifest := self.store.find(stage.key)):
                    self._published(stage, manifest)
        self._mark_unfinished(state)
        self.store.exchange_readings()  # jobs opened the test set, too
        records.save(self.store.workspace, record)

    def _why(self, state: ExecutionState) -> str:
        """The step that failed, its own reason, and the last lines of its log."""
        for step in state.steps:
            if step.status == "Failed":
                said = self.service.exit_message(step.job) if step.job else ""
                reason = said or _plainly(step.failure) or state.failure or "no reason was given"
                whole = reason.startswith(("stage ", "the container "))  # told by our own job
                tail = self.service.log_tail(step.job) if step.job and not whole else []
                log = ["  the end of its log:", *(f"    {line}" for line in tail)] if tail else []
                return "\n".join([f"job {step.name} failed: {reason}", *log])
        return state.failure or "the execution failed and gave no reason"

    def _mark_unfinished(self, state: ExecutionState) -> None:
        for stage in self.record.stages:
            if stage.status in DONE:
                continue
            job = state.step(stage.job)
            failed = stage.status == "running" or (job is not None and job.status == "Failed" and self._is_first(stage))
            stage.status = "failed" if failed else "skipped"
            stage.reason = self.record.message.partition("\n")[0] if failed else stage.reason
            self._tell(stage)

    def _is_first(self, stage: StageRecord) -> bool:
        """Whether nothing before it in the run is unfinished."""
        before = self.record.stages[: self.record.stages.index(stage)]
        return all(each.status in DONE for each in before)


def _plainly(failure: str) -> str:
    """The job's own words, without what SageMaker puts around them."""
    return re.sub(r"^(ClientError: )?(AlgorithmError: )?|,? ?exit code: \d+$", "", failure)


def exit_code(state: ExecutionState) -> int:
    """That of the job that failed, where SageMaker says it; 1 where it does not."""
    found = [re.search(r"exit code: (\d+)$", step.failure) for step in state.steps if step.status == "Failed"]
    return next((int(match[1]) for match in found if match), 1)


def stages_again(record: RunRecord) -> list[StageRecord]:
    """The stages of a record whose execution is tried again: what is not done waits."""
    return [
        stage if stage.status in ("ran", "cached") else replace(stage, status="pending", seconds=0.0, journal="")
        for stage in record.stages
    ]
