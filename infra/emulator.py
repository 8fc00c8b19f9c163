"""SageMaker pipelines on this machine: reads the compiled definition and runs its jobs under the container contract.

The emulator answers the API calls that have to do with executions of pipelines and with their jobs, in the shapes of
the API; everything else (S3, IAM, logs, the registry, pipelines themselves) it asks of a cloud by boto3. What it does
not simulate is listed in docs/emulator.md.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.emulation.cloud import Cloud
from infra.emulation.definition import read
from infra.emulation.disturbances import Disturbance, Disturbances
from infra.emulation.executions import ENDED, NOT_EXECUTED, Execution, Running, new_id, retried, scope_of
from infra.emulation.jobs import Job, Options
from infra.emulation.requests import faults_of_role, faults_of_shape
from infra.emulation.stepping import Stepping
from infra.files import write_json
from steps.errors import InputError

WAS_STOPPED = "The local cloud was stopped while the execution ran; retry goes on from what was finished."
Answer = dict[str, Any]


@dataclass
class ApiError(Exception):
    """An error as the API returns it."""

    code: str
    message: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid(message: object) -> ApiError:
    return ApiError("ValidationException", str(message))


class Emulator:
    """Executions of pipelines against one cloud, kept as JSON in a directory."""

    def __init__(self, cloud: Cloud, directory: Path, options: Options | None = None) -> None:
        self.cloud, self.directory, self.options = cloud, directory, options or Options()
        self.disturbances = Disturbances()
        self.lock = threading.RLock()
        self.executions: dict[str, Execution] = {}
        self.running: dict[str, Running] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.live: dict[tuple[str, str], Job] = {}
        self._load()

    # calls

    def calls(self) -> Mapping[str, Callable[[Mapping[str, Any]], Answer]]:
        """Operation of the API -> who answers it."""
        return {
            "StartPipelineExecution": self.start,
            "DescribePipelineExecution": self.describe,
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": self.list_steps,
            "StopPipelineExecution": self.stop,
            "RetryPipelineExecution": self.retry,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "ListPipelineParametersForExecution": self.list_parameters,
            "DescribeProcessingJob": lambda request: self.describe_job("Processing", request),
            "DescribeTrainingJob": lambda request: self.describe_job("Training", request),
            "StopProcessingJob": lambda request: self.stop_job("Processing", request),
            "StopTrainingJob": lambda request: self.stop_job("Training", request),
        }

    def start(self, request: Mapping[str, Any]) -> Answer:
        """StartPipelineExecution; the same token again answers with the execution that there is."""
        self._shape("StartPipelineExecution", request)
        name, token = request["PipelineName"].rpartition("/")[2], request.get("ClientRequestToken")
        for field in (
            "SelectiveExecutionConfig",
            "MlflowExperimentName",
            "PipelineVersionAlias",
            "RoleArn",
            "PipelineVersionId",
        ):
            if field in request:
                raise invalid(f"{field} is not simulated")
        pipeline = self._pipeline(name)
        given = [dict(each) for each in request.get("PipelineParameters", [])]
        with self.lock:
            for known in self.executions.values():
                if token and known.token == token and known.pipeline == name:
                    if known.parameters != given:
                        raise ApiError("ConflictException", "this token started an execution with other parameters")
                    return {"PipelineExecutionArn": known.arn}
            parallelism = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration") or {}
            execution = Execution(
                arn=f"{pipeline['PipelineArn']}/execution/{new_id()}",
                pipeline=name,
                definition=pipeline["PipelineDefinition"],
                parameters=given,
                role=pipeline["RoleArn"],
                created=time.time(),
                token=token,
                display_name=request.get("PipelineExecutionDisplayName", f"execution-{int(time.time() * 1000)}"),
                description=request.get("PipelineExecutionDescription"),
                parallel=parallelism.get("MaxParallelExecutionSteps"),
            )
            self._go(execution)
            return {"PipelineExecutionArn": execution.arn}

    def _go(self, execution: Execution) -> None:
        arn_of_pipeline = execution.arn.partition("/execution/")[0]
        try:
            scope = scope_of(execution, arn_of_pipeline, self._json_at)
            stepping = Stepping(self.cloud, self.disturbances, self._new_job)
            running = Running(execution, scope, stepping, self._save)
        except InputError as error:
            raise invalid(error) from None
        self.executions[execution.arn] = execution
        self.running[execution.arn] = running
        running.save()
        running.thread.start()

    def retry(self, request: Mapping[str, Any]) -> Answer:
        """RetryPipelineExecution: the same execution goes on with the steps that did not succeed."""
        self._shape("RetryPipelineExecution", request)
        with self.lock:
            execution = self._execution(request)
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

    def stop(self, request: Mapping[str, Any]) -> Answer:
        self._shape("StopPipelineExecution", request)
        execution = self._execution(request)
        running = self.running.get(execution.arn)
        if execution.status == "Executing" and running:
            with running.lock:
                execution.status = "Stopping"
                for state in execution.steps.values():
                    if state.status in ("Starting", "Executing"):
                        state.status = "Stopping"
                running.save()
            running.stop_all()
        return {"PipelineExecutionArn": execution.arn}

    # what there is

    def describe(self, request: Mapping[str, Any]) -> Answer:
        execution = self._execution(request)
        return _without_none({
            "PipelineArn": execution.arn.partition("/execution/")[0],
            "PipelineExecutionArn": execution.arn,
            "PipelineExecutionDisplayName": execution.display_name,
            "PipelineExecutionStatus": execution.status,
            "PipelineExecutionDescription": execution.description,
            "FailureReason": execution.reason,
            "CreationTime": execution.created,
            "LastModifiedTime": execution.modified,
            "CreatedBy": {},
            "LastModifiedBy": {},
            "ParallelismConfiguration": {"MaxParallelExecutionSteps": execution.parallel} if execution.parallel else None,
        })  # fmt: skip

    def list_executions(self, request: Mapping[str, Any]) -> Answer:
        self._shape("ListPipelineExecutions", request)
        name = request["PipelineName"].rpartition("/")[2]
        self._pipeline(name)
        found = [each for each in self.executions.values() if each.pipeline == name]
        found = [
            each
            for each in found
            if request.get("CreatedAfter", 0) <= each.created <= request.get("CreatedBefore", float("inf"))
        ]
        found.sort(key=lambda each: each.created, reverse=request.get("SortOrder", "Descending") == "Descending")
        return _page(request, "PipelineExecutionSummaries", [
            _without_none({
                "PipelineExecutionArn": each.arn,
                "StartTime": each.created,
                "PipelineExecutionStatus": each.status,
                "PipelineExecutionDescription": each.description,
                "PipelineExecutionDisplayName": each.display_name,
                "PipelineExecutionFailureReason": each.reason,
            })
            for each in found
        ])  # fmt: skip

    def list_steps(self, request: Mapping[str, Any]) -> Answer:
        """ListPipelineExecutionSteps: the steps that were started, and only those, as SageMaker lists them."""
        execution = self._execution(request)
        definition = read(execution.definition)
        listed = [(name, state) for name, state in execution.steps.items() if state.status != NOT_EXECUTED]
        listed.sort(
            key=lambda each: each[1].started or 0, reverse=request.get("SortOrder", "Ascending") == "Descending"
        )
        return _page(request, "PipelineExecutionSteps", [
            _without_none({
                "StepName": name,
                "StepDisplayName": definition.steps[name].raw.get("DisplayName"),
                "StepDescription": definition.steps[name].raw.get("Description"),
                "StartTime": state.started,
                "EndTime": state.ended,
                "StepStatus": state.status,
                "FailureReason": state.reason,
                "Metadata": state.metadata,
                "AttemptCount": state.attempts,
            })
            for name, state in listed
        ])  # fmt: skip

    def describe_definition(self, request: Mapping[str, Any]) -> Answer:
        execution = self._execution(request)
        return {"PipelineDefinition": execution.definition, "CreationTime": execution.created}

    def list_parameters(self, request: Mapping[str, Any]) -> Answer:
        execution = self._execution(request)
        given = {each["Name"]: each["Value"] for each in execution.parameters}
        declared = read(execution.definition).parameters
        values = [
            {"Name": each["Name"], "Value": given.get(each["Name"], str(each.get("DefaultValue", "")))}
            for each in declared
        ]
        return _page(request, "PipelineParameters", values)

    def describe_job(self, kind: str, request: Mapping[str, Any]) -> Answer:
        name = request.get(f"{kind}JobName", "")
        if (kind, name) not in self.jobs:
            raise invalid("Requested resource not found.")
        return dict(self.jobs[kind, name])

    def stop_job(self, kind: str, request: Mapping[str, Any]) -> Answer:
        self.describe_job(kind, request)
        if job := self.live.get((kind, request[f"{kind}JobName"])):
            job.stop.set()
        return {}

    def disturb(self, disturbance: Disturbance) -> None:
        """Have a misfortune happen to the next job that it is meant for."""
        self.disturbances.add(disturbance)

    # the cloud below

    def _pipeline(self, name: str) -> Mapping[str, Any]:
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

    def _json_at(self, uri: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return json.loads(self.cloud.read(uri))
        except ClientError as error:
            raise InputError(f"property file {uri}: {error.response['Error']['Code']}") from None
        except ValueError as error:
            raise InputError(f"property file {uri} is no JSON: {error}") from None

    # state

    def _new_job(self, kind: str, name: str, request: Mapping[str, Any]) -> Job:
        directory = self.directory / "jobs" / name
        job = Job(kind, name, request, self.cloud, directory, self.options, self.disturbances, self._save_job)
        self.live[kind, name] = job
        self._save_job(job)
        return job

    def _save_job(self, job: Job) -> None:
        self.jobs[job.kind, job.name] = job.record
        write_json(job.directory / "job.json", {"kind": job.kind, "record": job.record})

    def _save(self, execution: Execution) -> None:
        write_json(self.directory / "executions" / f"{execution.id}.json", execution.as_json())

    def _load(self) -> None:
        """What earlier processes left; what ran when they ended has failed, and can be retried."""
        (self.directory / "executions").mkdir(parents=True, exist_ok=True)
        for path in sorted(self.directory.glob("jobs/*/job.json")):
            saved = json.loads(path.read_text(encoding="utf-8"))
            kind, record = saved["kind"], saved["record"]
            if record[f"{kind}JobStatus"] in ("InProgress", "Stopping"):
                record |= {f"{kind}JobStatus": "Failed", "FailureReason": f"InternalServerError: {WAS_STOPPED}"}
            self.jobs[kind, record[f"{kind}JobName"]] = record
        for path in sorted(self.directory.glob("executions/*.json")):
            execution = Execution.of(json.loads(path.read_text(encoding="utf-8")))
            self.executions[execution.arn] = execution
            if execution.status not in ENDED:
                for state in execution.steps.values():
                    if state.status in ("Starting", "Executing", "Stopping"):
                        state.status, state.reason, state.ended = "Failed", WAS_STOPPED, time.time()
                execution.status, execution.reason = "Failed", WAS_STOPPED
                self._save(execution)

    def busy(self) -> bool:
        return any(each.thread.is_alive() for each in self.running.values())

    def shut_down(self) -> None:
        """End every job at once; what was under way is found as failed by whoever comes next."""
        for running in self.running.values():
            with running.lock:
                running.killed = running.thread.is_alive()
        for job in self.live.values():
            job.options = Options(grace=0.0)
            job.stop.set()

    def _execution(self, request: Mapping[str, Any]) -> Execution:
        arn = request.get("PipelineExecutionArn", "")
        found = self.executions.get(arn) or next((each for each in self.executions.values() if each.id == arn), None)
        if found is None:
            raise ApiError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
        return found

    def _shape(self, operation: str, request: Mapping[str, Any]) -> None:
        if faults := list(faults_of_shape(operation, request)):
            raise invalid("; ".join(faults))


def _without_none(fields: Mapping[str, Any]) -> Answer:
    return {name: value for name, value in fields.items() if value is not None}


def _page(request: Mapping[str, Any], name: str, items: list[Any]) -> Answer:
    """One page of a list, and the token of the next."""
    start, most = int(request.get("NextToken") or 0), request.get("MaxResults") or 100
    rest = {"NextToken": str(start + most)} if start + most < len(items) else {}
    return {name: items[start : start + most], **rest}
