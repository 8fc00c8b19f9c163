"""SageMaker's API for our pipelines, and the logs of their jobs: the operations that infra/sagemaker/service.py calls.

All of it is in memory. When the process ends it is forgotten; the same command starts another execution, which goes on
from the store's results and from checkpoints.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from infra.emulator.definition import read
from infra.emulator.executions import STEP_FAILURE, Execution
from infra.emulator.jobs import Machine
from infra.emulator.local_cloud import ACCOUNT, REGION
from steps.errors import InputError

Fields = Mapping[str, Any]
Thing = TypeVar("Thing")


@dataclass
class ApiError(Exception):
    """An error as the API returns it."""

    code: str
    message: str
    status: int = 400

    @property
    def document(self) -> Fields:
        return {"__type": self.code, "message": self.message}


class Api:
    """Pipelines, executions, jobs, model packages and logs."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.pipelines: dict[str, Fields] = {}
        self.executions: dict[str, Execution] = {}
        self.packages: dict[str, list[Fields]] = {}
        """Model package group -> its versions, the oldest first."""
        self.lock = threading.RLock()
        self.operations: Mapping[str, Callable[[Fields], Fields]] = {
            "CreatePipeline": self.put_pipeline,
            "UpdatePipeline": self.put_pipeline,
            "DescribePipeline": self.describe_pipeline,
            "StartPipelineExecution": self.start_execution,
            "RetryPipelineExecution": self.retry_execution,
            "StopPipelineExecution": self.stop_execution,
            "DescribePipelineExecution": self.describe_execution,
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "DescribeProcessingJob": self.describe_job,
            "DescribeTrainingJob": self.describe_job,
            "CreateModelPackageGroup": self.create_group,
            "ListModelPackages": self.list_packages,
            "DescribeModelPackage": self.describe_package,
            "DescribeLogStreams": self.describe_log_streams,
            "GetLogEvents": self.get_log_events,
        }

    def call(self, operation: str, request: Fields) -> Fields:
        """Answer an operation.

        Raises:
            ApiError: the answer is an error.
        """
        if operation not in self.operations:
            raise ApiError("UnknownOperationException", f"the local cloud does not know {operation}")
        try:
            with self.lock:
                return self.operations[operation](request)
        except InputError as error:
            raise _invalid(str(error)) from None

    def busy(self) -> bool:
        return any(not execution.outcome for execution in list(self.executions.values()))

    def kill_jobs(self) -> None:
        """End every job at once."""
        for execution in self.executions.values():
            execution.kill()

    # pipelines and executions

    def put_pipeline(self, request: Fields) -> Fields:
        """Create the pipeline or change it to another definition."""
        read(request["PipelineDefinition"])
        arn = _arn("pipeline", request["PipelineName"])
        content = {key: request[key] for key in ("PipelineName", "PipelineDefinition", "RoleArn")}
        self.pipelines[request["PipelineName"]] = {**content, "PipelineArn": arn, "PipelineStatus": "Active"}
        return {"PipelineArn": arn}

    def describe_pipeline(self, request: Fields) -> Fields:
        return _existing(self.pipelines, request["PipelineName"])

    def start_execution(self, request: Fields) -> Fields:
        """Start an execution; the same token again answers with the execution that it started."""
        pipeline = self.describe_pipeline(request)
        for earlier in self.executions.values():
            if earlier.request["ClientRequestToken"] == request["ClientRequestToken"]:
                if earlier.request != request:
                    raise ApiError("ConflictException", "this token started an execution with another request")
                return {"PipelineExecutionArn": earlier.arn}
        arn = f"{pipeline['PipelineArn']}/execution/{secrets.token_hex(6)}"
        execution = Execution(arn, pipeline["PipelineDefinition"], request, self.machine, self._register)
        self.executions[arn] = execution
        execution.start()
        return {"PipelineExecutionArn": arn}

    def retry_execution(self, request: Fields) -> Fields:
        """Go on with an execution from the steps that did not succeed."""
        execution = self._execution(request)
        if execution.outcome not in ("Failed", "Stopped"):
            raise _invalid(f"only a failed or stopped execution can be retried; this one is {execution.status}")
        execution.start()
        return {"PipelineExecutionArn": execution.arn}

    def stop_execution(self, request: Fields) -> Fields:
        execution = self._execution(request)
        execution.stopping.set()
        return {"PipelineExecutionArn": execution.arn}

    def _execution(self, request: Fields) -> Execution:
        return _existing(self.executions, request["PipelineExecutionArn"])

    def describe_execution(self, request: Fields) -> Fields:
        execution = self._execution(request)
        reason = {"FailureReason": STEP_FAILURE} if execution.outcome == "Failed" else {}
        return {**_summary(execution), **reason}

    def list_executions(self, request: Fields) -> Fields:
        """List the executions of a pipeline, the newest first."""
        name = self.describe_pipeline(request)["PipelineName"]
        executions = [execution for execution in self.executions.values() if execution.request["PipelineName"] == name]
        return {"PipelineExecutionSummaries": [_summary(execution) for execution in executions[::-1]]}

    def list_steps(self, request: Fields) -> Fields:
        """List the steps that were started, the earliest first."""
        return {"PipelineExecutionSteps": list(self._execution(request).states.values())}

    def list_parameters(self, request: Fields) -> Fields:
        values = self._execution(request).scope.parameters
        return {"PipelineParameters": [{"Name": name, "Value": str(value)} for name, value in values.items()]}

    def describe_definition(self, request: Fields) -> Fields:
        return {"PipelineDefinition": self._execution(request).definition}

    def describe_job(self, request: Fields) -> Fields:
        (name,) = request.values()
        jobs = {job.name: job for execution in self.executions.values() for job in list(execution.jobs.values())}
        return _existing(jobs, name).record

    # model packages

    def create_group(self, request: Fields) -> Fields:
        name = request["ModelPackageGroupName"]
        if name in self.packages:
            raise _invalid(f"Model Package Group already exists: {name}")
        self.packages[name] = []
        return {"ModelPackageGroupArn": _arn("model-package-group", name)}

    def _register(self, request: Fields) -> str:
        """Add a version to the group and return its ARN."""
        with self.lock:
            versions = _existing(self.packages, request["ModelPackageGroupName"])
            arn = _arn("model-package", f"{request['ModelPackageGroupName']}/{len(versions) + 1}")
            more = {"ModelPackageArn": arn, "ModelPackageVersion": len(versions) + 1, "CreationTime": time.time()}
            versions.append({**request, **more, "ModelPackageStatus": "Completed"})
            return arn

    def list_packages(self, request: Fields) -> Fields:
        """List the versions of a group, the newest first."""
        return {"ModelPackageSummaryList": _existing(self.packages, request["ModelPackageGroupName"])[::-1]}

    def describe_package(self, request: Fields) -> Fields:
        packages = {package["ModelPackageArn"]: package for group in self.packages.values() for package in group}
        return _existing(packages, request["ModelPackageName"])

    # logs

    def describe_log_streams(self, request: Fields) -> Fields:
        """List the logs of a job; the prefix of a stream's name is the job's name and a slash."""
        paths = sorted((self.machine.directory / "logs" / request["logStreamNamePrefix"]).glob("*"))
        streams = [
            {"logStreamName": f"{path.parent.name}/{path.name}", "creationTime": int(path.stat().st_mtime * 1000)}
            for path in paths
        ]
        return {"logStreams": streams}

    def get_log_events(self, request: Fields) -> Fields:
        """Return the last lines of a log."""
        path = self.machine.directory / "logs" / request["logStreamName"]
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-request["limit"] :]
        return {"events": [{"timestamp": 0, "message": line} for line in lines]}


def _existing(things: Mapping[str, Thing], name: str) -> Thing:
    if name not in things:
        raise ApiError("ResourceNotFound", f"{name} does not exist")
    return things[name]


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def _summary(execution: Execution) -> Fields:
    return {
        "PipelineArn": execution.arn.partition("/execution/")[0],
        "PipelineExecutionArn": execution.arn,
        "PipelineExecutionStatus": execution.status,
        "PipelineExecutionDisplayName": execution.request["PipelineExecutionDisplayName"],
        "PipelineExecutionDescription": execution.request["PipelineExecutionDescription"],
    }
