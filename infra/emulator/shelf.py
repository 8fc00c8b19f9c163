"""What the emulator keeps on the disk: executions, jobs with their logs, versions of pipelines; all of it plain JSON.

executions/<id>.json, jobs/<name>/job.json and <host>.log, pipelines/<name>.json
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from infra.emulator.container import kill_leftovers
from infra.emulator.executions import ENDED, Execution
from infra.emulator.jobs import Job
from infra.files import write_json

WAS_STOPPED = "The local cloud was stopped while the execution ran; retry goes on from what was finished."


class Shelf:
    """One directory; what is on it when it is opened was left by earlier processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.executions: dict[str, Execution] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.lock = threading.Lock()
        for name in ("executions", "jobs", "pipelines"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        kill_leftovers(directory / "jobs")
        self._load_jobs()
        self._load_executions()

    def place_of_job(self, name: str) -> Path:
        return self.directory / "jobs" / name

    def save(self, execution: Execution) -> None:
        self.executions[execution.arn] = execution
        write_json(self.directory / "executions" / f"{execution.id}.json", execution.as_json())

    def save_job(self, job: Job) -> None:
        self.jobs[job.kind, job.name] = job.record
        self.tags[job.arn] = tags = list(job.request.get("Tags", []))
        write_json(job.directory / "job.json", {"kind": job.kind, "record": job.record, "tags": tags})

    def versions(self, pipeline: str) -> list[dict[str, Any]]:
        """Every definition that the pipeline had, the first as version 1."""
        path = self.directory / "pipelines" / f"{pipeline}.json"
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return found

    def add_version(self, pipeline: str, definition: str, *, first: bool) -> int:
        with self.lock:
            known = [] if first else self.versions(pipeline)
            known.append({"id": len(known) + 1, "created": time.time(), "definition": definition})
            write_json(self.directory / "pipelines" / f"{pipeline}.json", known)
            return len(known)

    def _load_jobs(self) -> None:
        for path in sorted(self.directory.glob("jobs/*/job.json")):
            saved = json.loads(path.read_text(encoding="utf-8"))
            kind, record = saved["kind"], saved["record"]
            for left in path.parent.iterdir():
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
            if record[f"{kind}JobStatus"] in ("InProgress", "Stopping"):
                record |= {f"{kind}JobStatus": "Failed", "FailureReason": f"InternalServerError: {WAS_STOPPED}"}
                write_json(path, saved)
            self.jobs[kind, record[f"{kind}JobName"]] = record
            self.tags[record[f"{kind}JobArn"]] = saved["tags"]

    def _load_executions(self) -> None:
        """What ran when its process ended has failed, and can be retried."""
        for path in sorted(self.directory.glob("executions/*.json")):
            execution = Execution.of(json.loads(path.read_text(encoding="utf-8")))
            self.executions[execution.arn] = execution
            if execution.status not in ENDED:
                for state in execution.steps.values():
                    if state.status in ("Starting", "Executing", "Stopping"):
                        state.status, state.reason, state.ended = "Failed", WAS_STOPPED, time.time()
                execution.status, execution.reason = "Failed", WAS_STOPPED
                self.save(execution)
