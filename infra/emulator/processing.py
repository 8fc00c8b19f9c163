"""A processing job, run as SageMaker runs one.

Source: Amazon SageMaker Developer Guide, "Build Your Own Processing Container"; API Reference, CreateProcessingJob.
"""

from __future__ import annotations

import time
from typing import Any

from infra.emulator.jobs import DAY, Job, JobFailed

MESSAGE = "/opt/ml/output/message"


def run(job: Job) -> None:
    """Run the job until it completes or is stopped.

    Raises:
        JobFailed: it fails.
    """
    request = job.request
    outputs = [output["S3Output"] for output in request.get("ProcessingOutputConfig", {}).get("Outputs", [])]
    for container, host in zip(job.make_containers(), job.hosts, strict=True):
        container.write_json("/opt/ml/config/processingjobconfig.json", job.record)
        container.write_json("/opt/ml/config/resourceconfig.json", {"current_host": host, "hosts": job.hosts})
        for inside in ("/opt/ml/output", *(output["LocalPath"] for output in outputs)):
            container.path(inside).mkdir(parents=True, exist_ok=True)
        for source in (item["S3Input"] for item in request.get("ProcessingInputs", [])):
            job.download(source, source["LocalPath"], container)
    job.update(ProcessingStartTime=time.time())
    limit = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DAY)
    cause, code = job.run_containers(request["AppSpecification"], request.get("Environment", {}), limit)
    job.update(ProcessingJobStatus="InProgress" if cause == "exit" else "Stopping")
    job.end_containers(grace=cause != "exit")
    if message := job.read_reason(MESSAGE):
        job.update(ExitMessage=message)
    if code:  # ExitMessage has what the container wrote, FailureReason of a processing job has not
        raise JobFailed(f"AlgorithmError: See job logs for more information, exit code: {code}")
    for output in outputs:
        job.upload(output["LocalPath"], output["S3Uri"])
    reason = {"FailureReason": f"MaxRuntimeExceeded: the job ran longer than {limit} s"} if cause == "limit" else {}
    close(job, "Completed" if cause == "exit" else "Stopped", reason)


def close(job: Job, status: str, fields: dict[str, Any]) -> None:
    """Note how the job ended."""
    job.remove_containers()
    job.update(ProcessingJobStatus=status, ProcessingEndTime=time.time(), **fields)
