"""A training job, run as SageMaker runs one: channels, checkpoints, model, spot interruptions.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information", "How Amazon SageMaker
Processes Training Output", "Use Checkpoints", "Managed Spot Training Lifecycle"; API Reference, CreateTrainingJob.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.emulator.fault_injection import take
from infra.emulator.jobs import DAY, Job, JobFailed, files_below

FAILURE = "/opt/ml/output/failure"
CONFIG = "/opt/ml/input/config"
INTERRUPTED = "Interrupted"
STATUSES = {"exit": "Completed", "stop": "Stopped", "limit": "MaxRuntimeExceeded", "wait": "MaxWaitTimeExceeded"}
"""Why the last attempt ended -> the job's secondary status."""


def run(job: Job) -> None:
    """Run the job until it completes or is stopped.

    Raises:
        JobFailed: it fails.
    """
    stopping, checkpoints = job.request.get("StoppingCondition", {}), Checkpoints(job)
    patience = time.monotonic() + stopping.get("MaxWaitTimeInSeconds", float("inf"))
    cause = INTERRUPTED
    while cause == INTERRUPTED:
        cause = _attempt(job, checkpoints, stopping.get("MaxRuntimeInSeconds", DAY), patience)
        if cause == INTERRUPTED and time.monotonic() > patience:
            cause = "wait"
    if cause == "exit":
        _enter(job, "Uploading")
    output = job.request["OutputDataConfig"]
    if output.get("CompressionType") != "NONE":
        raise JobFailed(
            "ClientError: the local cloud keeps models as files: OutputDataConfig.CompressionType is not NONE"
        )
    uri = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output/model/"
    job.upload("/opt/ml/model", uri)
    close(job, STATUSES[cause], {"ModelArtifacts": {"S3ModelArtifacts": uri}})


def _attempt(job: Job, checkpoints: Checkpoints, limit: float, patience: float) -> str:
    """Run the job once on new instances; return why that ended."""
    _enter(job, "Starting")
    job.make_containers()
    _enter(job, "Downloading")
    _lay_down(job)
    checkpoints.restore()
    _enter(job, "Training")
    started = time.monotonic()
    before = job.record.get("TrainingTimeInSeconds", 0)
    remaining = min(limit - before, patience - started)
    environment = {"TRAINING_JOB_NAME": job.name, "TRAINING_JOB_ARN": job.arn, **job.request.get("Environment", {})}
    tick = _interruption(job, checkpoints, started)
    cause, code = job.run_containers(job.request["AlgorithmSpecification"], environment, remaining, tick)
    if cause != "exit":
        _enter(job, INTERRUPTED if cause == INTERRUPTED else "Stopping")
    job.end_containers(grace=cause != "exit")
    seconds = before + max(1, round(time.monotonic() - started))
    job.update(TrainingTimeInSeconds=seconds, BillableTimeInSeconds=seconds)
    checkpoints.save()
    if code:
        reason = f"AlgorithmError: {job.read_reason(FAILURE) or 'See job logs for more information'}"
        ending = f", exit code: {code}"
        raise JobFailed(reason[: 1024 - len(ending)] + ending)
    return "wait" if cause == "limit" and time.monotonic() >= patience else cause


def _lay_down(job: Job) -> None:
    request, hosts = job.request, job.hosts
    for container, host in zip(job.containers, hosts, strict=True):
        for inside in ("/opt/ml/model", "/opt/ml/output/data", "/opt/ml/input/data"):
            container.path(inside).mkdir(parents=True)
        channels = {channel["ChannelName"]: {"TrainingInputMode": "File"} for channel in request["InputDataConfig"]}
        container.write_json(f"{CONFIG}/hyperparameters.json", request.get("HyperParameters", {}))
        container.write_json(f"{CONFIG}/inputdataconfig.json", channels)
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
        container.write_json(f"{CONFIG}/resourceconfig.json", resources)
        for channel in request["InputDataConfig"]:
            inside = f"/opt/ml/input/data/{channel['ChannelName']}"
            job.download(channel["DataSource"]["S3DataSource"], inside, container)


def _interruption(job: Job, checkpoints: Checkpoints, started: float) -> Callable[[], str | None]:
    """Return what is called while the containers run: it saves checkpoints and says when the instance goes."""
    spot = job.request.get("EnableManagedSpotTraining", False)
    fault = take(job.machine.faults, job.step, interruption=True) if spot else None
    before = checkpoints.changes

    def tick() -> str | None:
        checkpoints.save()
        if fault is None:
            return None
        if fault.after_seconds is not None:
            return INTERRUPTED if time.monotonic() - started >= fault.after_seconds else None
        return INTERRUPTED if checkpoints.changes - before >= fault.after_checkpoints else None

    return tick


def _enter(job: Job, secondary: str, status: str = "InProgress", **fields: Any) -> None:
    """Note that the job enters a secondary status."""
    now = time.time()
    earlier = [{"EndTime": now, **transition} for transition in job.record.get("SecondaryStatusTransitions", [])]
    fields["SecondaryStatusTransitions"] = [
        *earlier,
        {"Status": secondary, "StartTime": now, "StatusMessage": secondary},
    ]
    if secondary == "Training":
        fields["TrainingStartTime"] = job.record.get("TrainingStartTime", now)
    job.update(SecondaryStatus=secondary, TrainingJobStatus="Stopping" if secondary == "Stopping" else status, **fields)


def close(job: Job, secondary: str, fields: dict[str, Any]) -> None:
    """Note how the job ended."""
    job.remove_containers()
    status = secondary if secondary in ("Completed", "Failed") else "Stopped"
    _enter(job, secondary, status, TrainingEndTime=time.time(), **fields)


class Checkpoints:
    """The checkpoint directory and its copy in S3: restored before the start, uploaded while the job runs."""

    def __init__(self, job: Job) -> None:
        config = job.request.get("CheckpointConfig", {})
        self.job, self.uri = job, config.get("S3Uri", "")
        self.inside = config.get("LocalPath", "/opt/ml/checkpoints")
        self.versions: dict[Path, tuple[int, int]] = {}
        self.changes = 0
        """How often an upload brought something new."""

    def restore(self) -> None:
        for container in self.job.containers if self.uri else ():
            place = container.path(self.inside)
            self.job.copy_objects(self.uri.rstrip("/") + "/", place)
            for path in files_below(place):
                self.versions[path] = (path.stat().st_mtime_ns, path.stat().st_size)

    def save(self) -> None:
        """Upload what has changed since the last time."""
        before = dict(self.versions)
        if self.uri:
            self.job.upload(self.inside, self.uri, self.versions)
        self.changes += self.versions != before
