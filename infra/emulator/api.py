"""SageMaker's API for our pipelines, and the logs of their jobs: the operations that infra/sagemaker/service.py calls.

All of it is in files, which the processes of executions share; one process at a time has the lock of the folder.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from infra.emulator import local_cloud
from infra.emulator.executions import Execution
from infra.emulator.local_cloud import ACCOUNT, REGION
from infra.files import is_locked, locked, write_json
from steps.errors import InputError

Fields = Mapping[str, Any]
Thing = TypeVar("Thing")


@dataclass
class ApiError(Exception):
    """An error as the API returns it."""

    code: str
    message: str


class Api:
    """Pipelines, executions, jobs, model packages and logs in a folder; operations have the names that a client has.

    Args:
        begin: starts the process of the execution in a folder.
    """

    def __init__(self, directory: Path, begin: Callable[[Path], None] = local_cloud.begin) -> None:
        self.directory, self.begin = directory, begin

    def call(self, operation: str, request: Fields) -> Fields:
        """Answer an operation.

        Raises:
            ApiError: the answer is an error.
        """
        from botocore import xform_name

        method = getattr(self, xform_name(operation), None)
        if method is None:
            raise ApiError("UnknownOperationException", f"the local cloud does not know {operation}")
        try:
            with locked(self.directory / "lock"):
                answer: Fields = method(request)
                return answer
        except InputError as error:
            raise _invalid(str(error)) from None

    # pipelines and executions

    def create_pipeline(self, request: Fields) -> Fields:
        """Create the pipeline or change it to another definition."""
        arn = _arn("pipeline", request["PipelineName"])
        content = {key: request[key] for key in ("PipelineName", "PipelineDefinition", "RoleArn")}
        self._write("pipelines", request["PipelineName"], {**content, "PipelineArn": arn, "PipelineStatus": "Active"})
        return {"PipelineArn": arn}

    update_pipeline = create_pipeline

    def describe_pipeline(self, request: Fields) -> Fields:
        pipeline: Fields = self._read("pipelines", request["PipelineName"])
        return pipeline

    def start_pipeline_execution(self, request: Fields) -> Fields:
        """Start an execution; the same token again answers with the execution that it started."""
        pipeline = self.describe_pipeline(request)
        earlier = list(self._executions())
        for execution in earlier:
            if execution.request["ClientRequestToken"] == request["ClientRequestToken"]:
                if execution.request != request:
                    raise ApiError("ConflictException", "this token started an execution with another request")
                return {"PipelineExecutionArn": execution.arn}
        if not any(execution.alive for execution in earlier):
            shutil.rmtree(self.directory / "containers", ignore_errors=True)  # of executions that were killed
        folder = self.directory / "executions" / f"{time.time_ns() >> 16:012x}"
        arn = f"{pipeline['PipelineArn']}/execution/{folder.name}"
        Execution.create(folder, arn, pipeline["PipelineDefinition"], request)
        self.begin(folder)
        return {"PipelineExecutionArn": arn}

    def retry_pipeline_execution(self, request: Fields) -> Fields:
        """Go on with an execution from the steps that did not succeed."""
        execution = self._execution(request)
        if execution.outcome not in ("Failed", "Stopped"):
            raise _invalid(f"only a failed or stopped execution can be retried; this one is {execution.status}")
        execution.reset()
        self.begin(execution.folder)
        return {"PipelineExecutionArn": execution.arn}

    def stop_pipeline_execution(self, request: Fields) -> Fields:
        execution = self._execution(request)
        (execution.folder / "stop").touch()
        return {"PipelineExecutionArn": execution.arn}

    def _executions(self) -> Iterator[Execution]:
        """Yield the executions, the newest first."""
        for folder in sorted((self.directory / "executions").glob("*"), reverse=True):
            yield Execution(folder, alive=is_locked(folder / "alive"))

    def _execution(self, request: Fields) -> Execution:
        arn = request["PipelineExecutionArn"]
        return _existing({execution.arn: execution for execution in self._executions()}, arn)

    def describe_pipeline_execution(self, request: Fields) -> Fields:
        execution = self._execution(request)
        return {**_summary(execution), **({"FailureReason": execution.failure} if execution.failure else {})}

    def list_pipeline_executions(self, request: Fields) -> Fields:
        """List the executions of a pipeline, the newest first."""
        arn = self.describe_pipeline(request)["PipelineArn"]
        executions = [execution for execution in self._executions() if execution.arn.startswith(f"{arn}/")]
        return {"PipelineExecutionSummaries": [_summary(execution) for execution in executions]}

    def list_pipeline_execution_steps(self, request: Fields) -> Fields:
        """List the steps that were started, the earliest first."""
        return {"PipelineExecutionSteps": list(self._execution(request).states.values())}

    def list_pipeline_parameters_for_execution(self, request: Fields) -> Fields:
        values = self._execution(request).parameters
        return {"PipelineParameters": [{"Name": name, "Value": str(value)} for name, value in values.items()]}

    def describe_pipeline_definition_for_execution(self, request: Fields) -> Fields:
        return {"PipelineDefinition": self._execution(request).definition}

    def describe_processing_job(self, request: Fields) -> Fields:
        ((field, name),) = request.items()
        jobs = [job for execution in self._executions() for job in execution.jobs.values()]
        return _existing({job.get(field, ""): job for job in jobs}, name)

    describe_training_job = describe_processing_job

    # model packages

    def create_model_package_group(self, request: Fields) -> Fields:
        name = request["ModelPackageGroupName"]
        if (self.directory / "packages" / f"{name}.json").exists():
            raise _invalid(f"Model Package Group already exists: {name}")
        self._write("packages", name, [])
        return {"ModelPackageGroupArn": _arn("model-package-group", name)}

    def register(self, request: Fields) -> str:
        """Add a version to the group and return its ARN."""
        group = request["ModelPackageGroupName"]
        with locked(self.directory / "lock"):
            versions: list[Fields] = self._read("packages", group)
            arn = _arn("model-package", f"{group}/{len(versions) + 1}")
            more = {"ModelPackageArn": arn, "ModelPackageVersion": len(versions) + 1, "CreationTime": time.time()}
            self._write("packages", group, [*versions, {**request, **more, "ModelPackageStatus": "Completed"}])
            return arn

    def list_model_packages(self, request: Fields) -> Fields:
        """List the versions of a group, the newest first."""
        return {"ModelPackageSummaryList": self._read("packages", request["ModelPackageGroupName"])[::-1]}

    def describe_model_package(self, request: Fields) -> Fields:
        arn = request["ModelPackageName"]
        versions: list[Fields] = self._read("packages", arn.split("/")[-2])
        return _existing({package["ModelPackageArn"]: package for package in versions}, arn)

    def _read(self, kind: str, name: str) -> Any:
        path = self.directory / kind / f"{name}.json"
        if not path.exists():
            raise ApiError("ResourceNotFound", f"{name} does not exist")
        return json.loads(path.read_bytes())

    def _write(self, kind: str, name: str, content: object) -> None:
        (self.directory / kind).mkdir(exist_ok=True)
        write_json(self.directory / kind / f"{name}.json", content)

    # logs

    def describe_log_streams(self, request: Fields) -> Fields:
        """List the logs of a job; the prefix of a stream's name is the job's name and a slash."""
        paths = sorted((self.directory / "logs" / request["logStreamNamePrefix"]).glob("*"))
        streams = [
            {"logStreamName": f"{path.parent.name}/{path.name}", "creationTime": int(path.stat().st_mtime * 1000)}
            for path in paths
        ]
        return {"logStreams": streams}

    def get_log_events(self, request: Fields) -> Fields:
        """Return the last lines of a log."""
        path = self.directory / "logs" / request["logStreamName"]
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
