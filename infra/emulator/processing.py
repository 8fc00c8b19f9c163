"""A processing job, run as SageMaker runs one.

Source: Amazon SageMaker Developer Guide, "Build Your Own Processing Container"; API Reference, CreateProcessingJob.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from infra.emulator.cloud import DataFailure
from infra.emulator.container import Container
from infra.emulator.jobs import CUT, Job, JobFailed, end, failure_text, wait

MESSAGE = "/opt/ml/output/message"
DAY = 86400
INPUT_DEFAULTS = {"S3DataType": "S3Prefix", "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated",
                  "S3CompressionType": "None"}  # fmt: skip


def run(job: Job) -> None:
    """Run the job to its end, whatever that is; the record says which."""
    try:
        final = _run(job)
    except (JobFailed, DataFailure) as error:
        final = {"ProcessingJobStatus": "Failed", "FailureReason": str(error)[:CUT]}
    except Exception as error:
        logging.getLogger(__name__).exception("processing job %s", job.name)
        reason = f"InternalServerError: {type(error).__name__}: {error}"
        final = {"ProcessingJobStatus": "Failed", "FailureReason": reason[:CUT]}
    job.clear()
    job.note(ProcessingEndTime=time.time(), **final)


def _run(job: Job) -> dict[str, Any]:
    """Everything but the end; returns what the record says then."""
    request = job.request
    app, network = request["AppSpecification"], request.get("NetworkConfig", {})
    containers = job.make_containers(1)
    lay_down(job, containers)
    command = [*app["ContainerEntrypoint"], *app.get("ContainerArguments", [])]
    continuous = [each for each in _outputs(job) if each["S3Output"].get("S3UploadMode") == "Continuous"]
    known: dict[Any, tuple[int, int]] = {}

    def tick() -> None:
        for container in containers:
            _upload(job, container, continuous, known)

    limit = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DAY)
    isolated = network.get("EnableNetworkIsolation", False)
    job.note(ProcessingStartTime=time.time())
    with job.follower():
        job.start(containers, command, request.get("Environment", {}), isolated=isolated)
        said, code = wait(job, containers, limit=limit, tick=tick)
        if said != "exit":
            job.note(ProcessingJobStatus="Stopping")
            end(job, containers)
        for container in containers:
            container.kill()
    if message := failure_text(containers, MESSAGE):
        job.note(ExitMessage=message)
    if said == "exit" and code:
        # FailureReason of a processing job does not hold what the container wrote; ExitMessage does
        raise JobFailed(f"AlgorithmError: See job logs for more information, exit code: {code}")
    for container in containers:
        _upload(job, container, _outputs(job))
    if said == "exit":
        return {"ProcessingJobStatus": "Completed"}
    reason = {} if said == "stop" else {"FailureReason": f"MaxRuntimeExceeded: the job ran longer than {limit} s"}
    return {"ProcessingJobStatus": "Stopped", **reason}


def lay_down(job: Job, containers: list[Container]) -> None:
    """Everything that is below /opt/ml before the container starts."""
    hosts = job.hosts
    for number, container in enumerate(containers):
        container.make("/opt/ml/config", "/opt/ml/output", "/opt/ml/processing")
        container.write_json("/opt/ml/config/processingjobconfig.json", _config(job))
        container.write_json("/opt/ml/config/resourceconfig.json", {"current_host": hosts[number], "hosts": hosts})
        for each in _outputs(job):
            container.make(each["S3Output"]["LocalPath"])
        for each in job.request.get("ProcessingInputs", []):
            source = each["S3Input"]
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            shard = (number, len(hosts)) if sharded else (0, 1)
            try:
                found = job.cloud.download(source["S3Uri"], container.path(source["LocalPath"]), shard)
            except DataFailure as error:
                raise JobFailed(f"ClientError: Failed to download data. {error}") from None
            if not found:
                raise JobFailed(
                    f"ClientError: Failed to download data. S3 key: {source['S3Uri']} matched no files on s3"
                )


def _config(job: Job) -> dict[str, Any]:
    """The request as the container finds it, with what was left out filled in."""
    request = job.request
    app = {"ContainerEntrypoint": None, "ContainerArguments": None, **request["AppSpecification"]}
    inputs = [{**each, "S3Input": INPUT_DEFAULTS | each["S3Input"]} for each in request.get("ProcessingInputs", [])]
    return {
        "ProcessingJobArn": job.arn,
        "ProcessingJobName": job.name,
        "AppSpecification": app,
        "Environment": request.get("Environment", {}),
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"KmsKeyId": None, **request.get("ProcessingOutputConfig", {"Outputs": []})},
        "ProcessingResources": request["ProcessingResources"],
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request.get("StoppingCondition", {"MaxRuntimeInSeconds": DAY}),
    }


def _outputs(job: Job) -> list[dict[str, Any]]:
    outputs = job.request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [each for each in outputs if "S3Output" in each]


def _upload(
    job: Job, container: Container, outputs: list[dict[str, Any]], known: dict[Any, tuple[int, int]] | None = None
) -> None:
    for each in outputs:
        output = each["S3Output"]
        job.cloud.upload_directory(container.path(output["LocalPath"]), output["S3Uri"], known)
