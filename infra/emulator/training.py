"""A training job, run as SageMaker runs one: channels, hyperparameters, checkpoints, model, spot interruptions.

Source: Amazon SageMaker Developer Guide, "How Amazon SageMaker Provides Training Information", "How Amazon SageMaker
Processes Training Output", "Use Checkpoints", "Managed Spot Training Lifecycle"; API Reference, CreateTrainingJob.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from infra.emulator.cloud import DataFailure, files_of
from infra.emulator.container import Container
from infra.emulator.disturbances import INTERRUPTION, Disturbance
from infra.emulator.jobs import CUT, Job, JobFailed, end, failure_text, wait

FAILURE = "/opt/ml/output/failure"
CONFIG = "/opt/ml/input/config"
DAY = 86400
SAID = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "The spot instance was taken away",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


def run(job: Job, step: str = "") -> None:
    """Run the job to its end, whatever that is; the record says which."""
    attempt = Attempt(job, step)
    try:
        attempt.run()
    except (JobFailed, DataFailure) as error:
        attempt.close("Failed", FailureReason=str(error)[:CUT])
    except Exception as error:
        logging.getLogger(__name__).exception("training job %s", job.name)
        attempt.close("Failed", FailureReason=f"InternalServerError: {type(error).__name__}: {error}"[:CUT])


class Attempt:
    """The job's way through its secondary statuses; on spot instances through several rounds of them."""

    def __init__(self, job: Job, step: str) -> None:
        self.job, self.step, self.request = job, step, job.request
        self.containers: list[Container] = []
        stopping = self.request.get("StoppingCondition", {})
        self.runtime = stopping.get("MaxRuntimeInSeconds", DAY)
        self.waiting = stopping.get("MaxWaitTimeInSeconds", float("inf"))
        self.trained = 0.0
        self.checkpoints = Checkpoints(job) if "CheckpointConfig" in self.request else None

    def run(self) -> None:
        began, number, said = time.monotonic(), 0, INTERRUPTION
        while said == INTERRUPTION:
            number += 1
            said = self._one(number, began + self.waiting)
            if said == INTERRUPTION and time.monotonic() > began + self.waiting:
                said = "wait"
            if said == INTERRUPTION:
                self.job.clear()
        if said == "exit":
            self.say("Uploading")
        self._upload()
        self.close(
            {"exit": "Completed", "stop": "Stopped", "limit": "MaxRuntimeExceeded", "wait": "MaxWaitTimeExceeded"}[said]
        )

    def _one(self, number: int, patience: float) -> str:
        """One round on instances of its own; returns why it ended."""
        job, request = self.job, self.request
        self.say("Starting")
        self.containers = job.make_containers(number)
        self.say("Downloading")
        self._lay_down()
        if self.checkpoints:
            self.checkpoints.restore(self.containers)
        self.say("Training")
        algorithm = request["AlgorithmSpecification"]
        command = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
        job.record.setdefault("TrainingStartTime", time.time())
        started = time.monotonic()
        interrupted = self._interruption(started)
        with job.follower():
            job.start(
                self.containers, command, self._environment(), isolated=request.get("EnableNetworkIsolation", False)
            )
            limit = min(self.runtime - self.trained, patience - started)
            said, code = wait(job, self.containers, limit=limit, tick=interrupted)
            if said == "limit" and time.monotonic() >= patience:
                said = "wait"
            if said == INTERRUPTION:
                self.say("Interrupted")
            elif said != "exit":
                self.say("Stopping", "Stopping")
            if said != "exit":
                end(job, self.containers)
            for container in self.containers:
                container.kill()
        self.trained += time.monotonic() - started
        if self.checkpoints:
            self.checkpoints.save(self.containers)
        if said == "exit" and code:
            text = failure_text(self.containers, FAILURE) or ""
            raise JobFailed(f"AlgorithmError: {text[: CUT - 40]}, exit code: {code}")
        return said

    def _interruption(self, started: float) -> Any:
        """What to look for while the containers run: checkpoints to save, and the moment when the instance goes."""
        spot = self.request.get("EnableManagedSpotTraining", False)
        due: Disturbance | None = self.job.disturbances.take(self.step, INTERRUPTION) if spot else None
        seen = self.checkpoints.changes if self.checkpoints else 0

        def tick() -> str | None:
            if self.checkpoints:
                self.checkpoints.save(self.containers)
            if due is None:
                return None
            enough = due.after_checkpoints or (1 if due.after_seconds is None else None)
            changed = self.checkpoints.changes - seen if self.checkpoints else 0
            late = due.after_seconds is not None and time.monotonic() - started >= due.after_seconds
            return INTERRUPTION if late or (enough is not None and changed >= enough) else None

        return tick

    def _lay_down(self) -> None:
        job, request, hosts = self.job, self.request, self.job.hosts
        channels = {
            each["ChannelName"]: {
                **({"ContentType": each["ContentType"]} if "ContentType" in each else {}),
                "TrainingInputMode": "File",
                "S3DistributionType": each["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
            }
            for each in request.get("InputDataConfig", [])
        }
        for number, container in enumerate(self.containers):
            container.make("/opt/ml/model", "/opt/ml/output/data", "/opt/ml/input/data")
            container.write_json(f"{CONFIG}/hyperparameters.json", request.get("HyperParameters", {}))
            container.write_json(f"{CONFIG}/inputdataconfig.json", channels)
            container.write_json(f"{CONFIG}/resourceconfig.json", self._resources(hosts[number]))
            for each in request.get("InputDataConfig", []):
                source = each["DataSource"]["S3DataSource"]
                sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
                place = container.path(f"/opt/ml/input/data/{each['ChannelName']}")
                try:
                    found = job.cloud.download(source["S3Uri"], place, (number, len(hosts)) if sharded else (0, 1))
                except DataFailure as error:
                    raise JobFailed(f"ClientError: Data download failed: {error}") from None
                if not found:
                    raise JobFailed(f"ClientError: Data download failed: no objects under {source['S3Uri']}")

    def _resources(self, host: str) -> dict[str, Any]:
        kind = self.request["ResourceConfig"]["InstanceType"]
        hosts = self.job.hosts
        group = {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": hosts}
        return {"current_host": host, "current_instance_type": kind, "current_group_name": "homogeneousCluster",
                "hosts": hosts, "instance_groups": [group], "network_interface_name": "lo"}  # fmt: skip

    def _environment(self) -> dict[str, str]:
        job, request = self.job, self.request
        given: Mapping[str, str] = request.get("Environment", {})
        own = {"TRAINING_JOB_NAME": job.name, "TRAINING_JOB_ARN": job.arn}
        if job.options.toolkit:
            channels = [each["ChannelName"] for each in request.get("InputDataConfig", [])]
            own |= {
                "SM_MODEL_DIR": "/opt/ml/model",
                "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
                "SM_HPS": json.dumps(request.get("HyperParameters", {})),
                "SM_CHANNELS": json.dumps(channels),
                "SM_HOSTS": json.dumps(job.hosts),
                "SM_CURRENT_HOST": job.hosts[0],
                **{f"SM_CHANNEL_{name.upper()}": f"/opt/ml/input/data/{name}" for name in channels},
            }
        return own | dict(given)

    def _upload(self) -> None:
        """The model and what else the containers left, as one archive each or as they are."""
        output = self.request["OutputDataConfig"]
        place = f"{output['S3OutputPath'].rstrip('/')}/{self.job.name}/output"
        for container in self.containers:
            for inside, name in (("/opt/ml/model", "model"), ("/opt/ml/output/data", "output")):
                directory = container.path(inside)
                if not files_of(directory):
                    continue
                if output.get("CompressionType") == "NONE":
                    folder = f"{place}/{'model' if name == 'model' else 'data'}"
                    self.job.cloud.upload_directory(directory, folder)
                else:
                    self.job.cloud.upload_archive(directory, f"{place}/{name}.tar.gz", container.directory / "archive")
                    folder = f"{place}/{name}.tar.gz"
                if name == "model":
                    uri = folder if output.get("CompressionType") != "NONE" else f"{folder}/"
                    self.job.note(ModelArtifacts={"S3ModelArtifacts": uri})

    def say(self, secondary: str, status: str = "InProgress", ended: float | None = None) -> None:
        now = ended or time.time()
        transitions = self.job.record.setdefault("SecondaryStatusTransitions", [])
        if transitions:
            transitions[-1].setdefault("EndTime", now)
        over = {"EndTime": ended} if ended else {}
        transitions.append({"Status": secondary, "StartTime": now, **over, "StatusMessage": SAID[secondary]})
        self.job.note(SecondaryStatus=secondary, TrainingJobStatus=status)

    def close(self, secondary: str, **final: Any) -> None:
        """The end: the last secondary status, and all that is known then, at once."""
        job = self.job
        job.clear()
        now = time.time()
        status = secondary if secondary in ("Completed", "Failed") else "Stopped"
        seconds = max(1, round(self.trained)) if self.trained else 0
        job.record |= {
            "TrainingEndTime": now,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
        } | final
        self.say(secondary, status, ended=now)


class Checkpoints:
    """The checkpoint directory and its copy in S3: restored before the start, uploaded while the job runs."""

    def __init__(self, job: Job) -> None:
        config = job.request["CheckpointConfig"]
        self.job, self.uri = job, config["S3Uri"]
        self.inside = config.get("LocalPath", "/opt/ml/checkpoints").rstrip("/")
        self.known: dict[Any, tuple[int, int]] = {}
        self.changes = 0
        self.lock = threading.Lock()

    def restore(self, containers: list[Container]) -> None:
        for container in containers:
            place = container.path(self.inside)
            place.mkdir(parents=True, exist_ok=True)
            self.job.cloud.download(self.uri if self.uri.endswith("/") else f"{self.uri}/", place)
            for path in files_of(place):
                self.known[path] = (path.stat().st_mtime_ns, path.stat().st_size)

    def save(self, containers: list[Container]) -> None:
        """Upload what changed since the last look."""
        with self.lock:
            before = dict(self.known)
            for container in containers:
                self.job.cloud.upload_directory(container.path(self.inside), self.uri, self.known)
            self.changes += self.known != before
