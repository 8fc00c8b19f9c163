"""Following an execution: its steps, and what its jobs send and publish, become the run's record while it is active."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.files import write_atomically
from infra.runs import records
from infra.runs.plan import Reporter
from infra.runs.records import RunRecord, StageRecord
from infra.runs.tail import Tail
from infra.s3.objects import Listed
from infra.sagemaker.definition import all_steps
from infra.sagemaker.service import ENDED, ExecutionState, Service, StepState
from infra.store.manifest import JOURNAL, Manifest
from infra.store.s3 import S3Store

FINISHED = ("ran", "cached", "refused", "skipped")
"""Statuses of a stage that do not change any more."""


class Following:
    """One execution that is followed into one record."""

    def __init__(self, service: Service, store: S3Store, record: RunRecord, reporter: Reporter) -> None:
        assert record.execution is not None
        self.service, self.store, self.record, self.reporter = service, store, record, reporter
        self.arn = record.execution
        self.run = service.parameters_of(self.arn).get("Run", record.run)
        """The run that the jobs know: of two who started the same work, the first one's."""
        steps = list(all_steps(json.loads(service.definition_of(self.arn))["Steps"]))
        self.steps = [step["Name"] for step in steps]
        self.spot = {step["Name"] for step in steps if step["Arguments"].get("EnableManagedSpotTraining")}
        self._interruptions: dict[str, int] = {}
        self._tails = {stage.name: Tail() for stage in record.stages}
        self._reported: dict[str, str] = {}
        """Stage -> the status that the reporter heard last."""

    def until_over(self, seconds: float) -> ExecutionState:
        """Update the record every so many seconds until the execution is over; return its last state."""
        while True:
            state = self.service.execution(self.arn)
            self.note(state)
            if state.over:
                self.close(state)
                return state
            time.sleep(seconds)

    def note(self, state: ExecutionState) -> None:
        """Bring the record up to the state of the execution and to what its jobs sent."""
        objects = self.store.objects.list(f"runs/{self.run}/live/")
        for stage in self.record.stages:
            step = state.step(stage.job)
            if stage.status in FINISHED or step is None:
                continue
            live = self._live(stage, objects)
            over = step.status in ENDED or live.get("status") in ("ran", "refused")
            if over and (manifest := self.store.find(stage.key)):
                self._note_published(stage, manifest)
            elif live.get("status") in ("running", "failed"):
                self._note_running(stage, live)
        for step in state.steps:
            self.record.package = step.package or self.record.package
            if step.job and step.name in self.spot:
                self._note_interruptions(step, step.job)
        self.record.jobs = dict.fromkeys(self.steps, "NotExecuted") | {step.name: step.status for step in state.steps}
        records.save(self.store.workspace, self.record)

    def close(self, state: ExecutionState) -> None:
        """Write into the record how the execution ended."""
        record = self.record
        record.finished = records.now()
        verdicts = [manifest for stage in record.stages if (manifest := self.store.find(stage.key))]
        refused = [manifest for manifest in verdicts if manifest.verdict == "refused"]
        rejected = [manifest for manifest in verdicts if manifest.verdict == "rejected"]
        is_rejected = bool(refused or (rejected and not record.smoke))
        if not refused and (is_rejected or state.status == "Succeeded"):  # what is cached has no job in the execution
            for stage in record.stages:
                if stage.status == "pending" and (manifest := self.store.find(stage.key)):
                    self._note_published(stage, manifest)
        if is_rejected:
            record.status = "rejected"
            record.message = "\n".join((refused or rejected)[-1].reasons)
        elif state.status == "Succeeded":
            record.status, record.message = "pass", ""
            missing = [stage.name for stage in record.stages if stage.status not in FINISHED]
            if missing:
                record.status = "error"
                record.message = f"the execution succeeded, but {', '.join(missing)} did not publish anything"
        elif state.status == "Stopped":
            record.status = "interrupted"
            record.message = f"stopped; 'fourscore retry {record.run}' continues from the last published stage and checkpoint"  # fmt: skip
        else:
            record.status, record.message = "error", self._failure(state)
        self._mark_unfinished(state)
        self.store.exchange_readings()  # jobs read the test set, too
        records.save(self.store.workspace, record)

    def _note_published(self, stage: StageRecord, manifest: Manifest) -> None:
        cached = manifest.finished < self.record.started
        stage.status = "refused" if manifest.verdict == "refused" else "cached" if cached else "ran"
        stage.seconds = 0.0 if cached else manifest.seconds
        stage.journal = str((self.store.directory(stage.key) / JOURNAL).relative_to(self.store.workspace))
        self._report_journal(stage)
        self._report_status(stage)
        self._journal_path(stage).unlink(missing_ok=True)

    def _note_running(self, stage: StageRecord, live: Mapping[str, Any]) -> None:
        stage.status = "running"
        self._report_status(stage)
        if journal := self.store.objects.get(f"runs/{self.run}/live/{stage.name}.jsonl"):
            path = self._journal_path(stage)
            write_atomically(path, journal)
            stage.journal = str(path.relative_to(self.store.workspace))
            self._report_journal(stage)
        if live["progress"]:
            self.reporter(stage.name, {"kind": "progress", **live["progress"]})

    def _note_interruptions(self, step: StepState, job: str) -> None:
        count = self.service.interruptions(job)
        if count > self._interruptions.get(step.name, 0):
            text = f"job {step.name}: AWS took the spot instance back; the training continues from its last checkpoint"
            self.reporter("", {"kind": "note", "level": "warning", "text": text})
        self._interruptions[step.name] = count

    def _journal_path(self, stage: StageRecord) -> Path:
        """Return where the journal of a stage lies on this machine until the stage is published."""
        return self.store.workspace / "runs" / f"{self.record.run}.{stage.name}.journal.jsonl"

    def _live(self, stage: StageRecord, objects: Mapping[str, Listed]) -> dict[str, Any]:
        """Return the status and progress that the stage's job sent last; nothing if it sent none."""
        listed = objects.get(f"{stage.name}.now.json")
        live: dict[str, Any] = json.loads((listed and self.store.objects.get(listed.name)) or b"{}")
        return live

    def _report_status(self, stage: StageRecord) -> None:
        if self._reported.get(stage.name) != stage.status:
            self._reported[stage.name] = stage.status
            self.reporter(stage.name, {"kind": "stage", "status": stage.status, "seconds": stage.seconds})

    def _report_journal(self, stage: StageRecord) -> None:
        for event in self._tails[stage.name].read(self.store.workspace / stage.journal):
            self.reporter(stage.name, event)

    def _failure(self, state: ExecutionState) -> str:
        """Return the step that failed, its reason, and the end of its log if our own code gave no reason."""
        step = next((step for step in state.steps if step.status == "Failed"), None)
        if step is None:
            return state.failure or "the execution failed and gave no reason"
        message = self.service.exit_message(step.job) if step.job else ""
        reason = message or _bare_reason(step.failure) or state.failure or "no reason was given"
        explained = reason.startswith(("stage ", "the container "))
        tail = self.service.log_tail(step.job) if step.job and not explained else []
        log = ["  the end of its log:", *(f"    {line}" for line in tail)] if tail else []
        return "\n".join([f"job {step.name} failed: {reason}", *log])

    def _mark_unfinished(self, state: ExecutionState) -> None:
        before = True  # no stage before this one was cut short
        for stage in self.record.stages:
            if stage.status in FINISHED:
                continue
            step = state.step(stage.job)
            cut = stage.status == "running" or (step is not None and step.status in ("Failed", "Stopped") and before)
            before = before and not cut
            stopped = self.record.status == "interrupted"
            stage.status = "skipped" if not cut else "stopped" if stopped else "failed"
            stage.reason = self.record.message.partition("\n")[0] if cut else stage.reason
            self._report_status(stage)


def _bare_reason(failure: str) -> str:
    """Return the job's own words, without what SageMaker puts around them."""
    return re.sub(r"^(ClientError: )?(AlgorithmError: )?|,? ?exit code: \d+$", "", failure)


def exit_code(state: ExecutionState) -> int:
    """Return the exit code of the job that failed; 1 if SageMaker does not say it."""
    matches = [re.search(r"exit code: (\d+)$", step.failure) for step in state.steps if step.status == "Failed"]
    return next((int(match[1]) for match in matches if match), 1)


def reset_stages(record: RunRecord) -> list[StageRecord]:
    """Return the stages of a record whose execution is started again: those that are to run and did not, wait."""
    return [
        stage
        if stage.status in ("ran", "cached") or stage.reason == records.NOT_REQUESTED
        else replace(stage, status="pending", seconds=0.0, journal="")
        for stage in record.stages
    ]
