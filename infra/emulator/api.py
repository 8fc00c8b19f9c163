"""SageMaker pipelines on this machine: reads the compiled definition and runs its jobs under the container contract.

The emulator answers the API calls that have to do with executions of pipelines and with their jobs, in the shapes of
the API; everything else (S3, IAM, logs, the registry, pipelines themselves) it asks of a cloud by boto3. What it does
not simulate is listed in docs/emulator.md: capacity, prices and time of instances, images and what is in them, VPCs,
KMS, IAM but for roles that exist and may be passed, Pipe mode, and the other step types.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from infra.emulator import answers, processing, training
from infra.emulator.answers import Answer, ApiError, check_shape, invalid
from infra.emulator.cloud import Cloud
from infra.emulator.definition import read
from infra.emulator.disturbances import Disturbance, Disturbances
from infra.emulator.executions import Execution, Running, new_id, retried, scope_of
from infra.emulator.jobs import Job, Options
from infra.emulator.requests import Refused, check_processing, check_training
from infra.emulator.roles import faults_of_role
from infra.emulator.shelf import Shelf
from infra.emulator.stepping import Stepping
from steps.errors import FourscoreError, InputError

NOT_SIMULATED = ("SelectiveExecutionConfig", "MlflowExperimentName", "PipelineVersionAlias", "RoleArn")
"""Fields of StartPipelineExecution that are refused rather than passed over."""

AT_MOST = 2.0
"""Seconds that jobs are given to come to their end when the emulator goes down."""


class Emulator:
    """Executions of pipelines against one cloud, kept as JSON in a directory."""

    def __init__(self, cloud: Cloud, directory: Path, options: Options | None = None) -> None:
        self.cloud, self.options, self.shelf = cloud, options or Options(), Shelf(directory)
        self.disturbances = Disturbances()
        self.lock = threading.RLock()
        self.running: dict[str, Running] = {}
        self.live: dict[tuple[str, str], Job] = {}
        self.alone: list[threading.Thread] = []
        """Threads of the jobs that belong to no pipeline."""

    def calls(self) -> Mapping[str, Callable[[Mapping[str, Any]], Answer]]:
        """Operation of the API -> who answers it."""
        found: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "StartPipelineExecution": self.start,
            "RetryPipelineExecution": self.retry,
            "StopPipelineExecution": self.stop,
            "DescribePipelineExecution": lambda request: answers.of_execution(self.execution(request)),
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": lambda request: answers.of_steps(request, self.execution(request)),
            "ListPipelineParametersForExecution": lambda request: answers.of_parameters(
                request, self.execution(request)
            ),
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "ListPipelineVersions": self.list_versions,
        }
        for kind in ("Processing", "Training"):
            found[f"Create{kind}Job"] = partial(self.create_job, kind)
            found[f"Describe{kind}Job"] = partial(self.job, kind)
            found[f"Stop{kind}Job"] = partial(self.stop_job, kind)
            found[f"List{kind}Jobs"] = partial(self.list_jobs, kind)
        return found

    # executions

    def start(self, request: Mapping[str, Any]) -> Answer:
        """StartPipelineExecution; the same token again answers with the execution that there is.

        Raises:
            ApiError: there is no such pipeline, or its parameters are not given as it declares them.
        """
        check_shape("StartPipelineExecution", request)
        for field in NOT_SIMULATED:
            if field in request:
                raise invalid(f"{field} is not simulated")
        name, token = request["PipelineName"].rpartition("/")[2], request.get("ClientRequestToken")
        given = [dict(each) for each in request.get("PipelineParameters", [])]
        pipeline = self.pipeline(name)
        version = request.get("PipelineVersionId")
        parallelism = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration") or {}
        with self.lock:
            for known in self.shelf.executions.values():
                if token and known.token == token and known.pipeline == name:
                    if known.parameters != given:
                        raise ApiError("ConflictException", "this token started an execution with other parameters")
                    return {"PipelineExecutionArn": known.arn}
            execution = Execution(
                arn=f"{self.cloud.arn('pipeline', name)}/execution/{new_id()}",
                pipeline=name,
                definition=self.version(name, version) if version else pipeline["PipelineDefinition"],
                parameters=given,
                role=pipeline["RoleArn"],
                created=time.time(),
                token=token,
                display_name=request.get("PipelineExecutionDisplayName", f"execution-{int(time.time() * 1000)}"),
                description=request.get("PipelineExecutionDescription"),
                version=version or len(self.shelf.versions(name)) or None,
                parallel=parallelism.get("MaxParallelExecutionSteps"),
            )
            self._go(execution)
            return {"PipelineExecutionArn": execution.arn}

    def retry(self, request: Mapping[str, Any]) -> Answer:
        """RetryPipelineExecution: the same execution goes on with the steps that did not succeed.

        Raises:
            ApiError: it is not over, or there is nothing to retry.
        """
        check_shape("RetryPipelineExecution", request)
        with self.lock:
            execution = self.execution(request)
            if request["ClientRequestToken"] in execution.retries:
                return {"PipelineExecutionArn": execution.arn}
            if execution.status not in ("Failed", "Stopped"):
                raise invalid(f"only a failed or stopped execution can be retried; this one is {execution.status}")
            if before := self.running.get(execution.arn):
                before.thread.join()
            execution.retries.append(request["ClientRequestToken"])
            retried(execution)
            self._go(execution)
            return {"PipelineExecutionArn": execution.arn}

    def _go(self, execution: Execution) -> None:
        try:
            scope = scope_of(execution, self._json_at)
            stepping = Stepping(self.cloud, self.disturbances, self._new_job, self.options.haste)
            running = Running(execution, scope, stepping, self.shelf.save)
        except InputError as error:
            raise invalid(error) from None
        self.running[execution.arn] = running
        running.save()
        running.thread.start()

    def stop(self, request: Mapping[str, Any]) -> Answer:
        check_shape("StopPipelineExecution", request)
        execution = self.execution(request)
        if running := self.running.get(execution.arn):
            running.ask_to_stop()
        return {"PipelineExecutionArn": execution.arn}

    def execution(self, request: Mapping[str, Any]) -> Execution:
        arn = request.get("PipelineExecutionArn", "")
        found = self.shelf.executions.get(arn)
        found = found or next((each for each in self.shelf.executions.values() if each.id == arn), None)
        if found is None:
            raise ApiError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
        return found

    def list_executions(self, request: Mapping[str, Any]) -> Answer:
        check_shape("ListPipelineExecutions", {**request, "CreatedAfter": 0, "CreatedBefore": 0})
        name = request["PipelineName"].rpartition("/")[2]
        self.pipeline(name)
        return answers.of_executions(
            request, [each for each in self.shelf.executions.values() if each.pipeline == name]
        )

    def describe_definition(self, request: Mapping[str, Any]) -> Answer:
        execution = self.execution(request)
        return {"PipelineDefinition": execution.definition, "CreationTime": execution.created}

    # pipelines

    def pipeline(self, name: str) -> Mapping[str, Any]:
        from botocore.exceptions import ClientError

        try:
            found: Mapping[str, Any] = self.cloud.client("sagemaker").describe_pipeline(PipelineName=name)
        except ClientError:
            raise ApiError(
                "ResourceNotFound", f"Pipeline '{self.cloud.arn('pipeline', name)}' does not exist."
            ) from None
        return found

    def check_pipeline(self, request: Mapping[str, Any]) -> None:
        """What CreatePipeline and UpdatePipeline refuse: a definition with faults, a role that is none.

        Raises:
            ApiError: ValidationException with everything that is wrong.
        """
        try:
            if request.get("PipelineDefinition"):
                read(request["PipelineDefinition"])
        except InputError as error:
            raise invalid(error) from None
        if "RoleArn" in request and (faults := list(faults_of_role(request["RoleArn"], self.cloud))):
            raise invalid("; ".join(faults))

    def made_pipeline(self, name: str, *, first: bool) -> int:
        """A pipeline was made or changed; returns the number of the version that it now is."""
        return self.shelf.add_version(name, self.pipeline(name)["PipelineDefinition"], first=first)

    def version(self, name: str, number: int) -> str:
        known = self.shelf.versions(name)
        if not 1 <= number <= len(known):
            raise ApiError("ResourceNotFound", f"pipeline {name} has no version {number}")
        return str(known[number - 1]["definition"])

    def list_versions(self, request: Mapping[str, Any]) -> Answer:
        name = request["PipelineName"].rpartition("/")[2]
        self.pipeline(name)
        arn = self.cloud.arn("pipeline", name)
        known = [
            {"PipelineArn": arn, "PipelineVersionId": each["id"], "CreationTime": each["created"]}
            for each in self.shelf.versions(name)
        ]
        return answers.page(
            request, "PipelineVersionSummaries", known if request.get("SortOrder") == "Ascending" else known[::-1]
        )

    # jobs

    def create_job(self, kind: str, request: Mapping[str, Any]) -> Answer:
        """CreateProcessingJob or CreateTrainingJob, outside any pipeline."""
        name = str(request.get(f"{kind}JobName", ""))
        try:
            (check_processing if kind == "Processing" else check_training)(request, self.cloud)
        except (Refused, FourscoreError) as error:
            raise invalid(error) from None
        with self.lock:
            if (kind, name) in self.shelf.jobs:
                raise ApiError("ResourceInUse", f"Job name must be unique within an AWS account and region: {name}")
            job = self._new_job(kind, name, request)
        run = processing.run if kind == "Processing" else training.run
        thread = threading.Thread(target=run, args=(job,), name=name, daemon=True)
        self.alone.append(thread)
        thread.start()
        return {f"{kind}JobArn": job.arn}

    def job(self, kind: str, request: Mapping[str, Any]) -> Answer:
        name = str(request.get(f"{kind}JobName", ""))
        if (kind, name) not in self.shelf.jobs:
            raise invalid("Requested resource not found.")
        return self.shelf.jobs[kind, name]

    def list_jobs(self, kind: str, request: Mapping[str, Any]) -> Answer:
        records = [record for (each, _), record in self.shelf.jobs.items() if each == kind]
        return answers.of_jobs(kind, request, records)

    def stop_job(self, kind: str, request: Mapping[str, Any]) -> Answer:
        self.job(kind, request)
        if job := self.live.get((kind, request[f"{kind}JobName"])):
            job.stop.set()
        return {}

    def _new_job(self, kind: str, name: str, request: Mapping[str, Any]) -> Job:
        place = self.shelf.place_of_job(name)
        job = Job(kind, name, request, self.cloud, place, self.options, self.disturbances, self.shelf.save_job)
        self.live[kind, name] = job
        self.shelf.save_job(job)
        return job

    # the rest

    def disturb(self, disturbance: Disturbance) -> None:
        """Have a misfortune happen to the next job that it is meant for."""
        self.disturbances.add(disturbance)

    def busy(self) -> bool:
        threads = [each.thread for each in self.running.values()] + self.alone
        return any(each.is_alive() for each in threads)

    def shut_down(self) -> None:
        """End every job at once; what was under way is found as failed by whoever comes next."""
        for running in self.running.values():
            running.abandon()
        for job in self.live.values():
            job.abandon()
        until = time.monotonic() + AT_MOST
        while self.busy() and time.monotonic() < until:
            time.sleep(0.02)

    def _json_at(self, uri: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return json.loads(self.cloud.read(uri))
        except ClientError as error:
            raise InputError(f"property file {uri}: {error.response['Error']['Code']}") from None
        except ValueError as error:
            raise InputError(f"property file {uri} is no JSON: {error}") from None
