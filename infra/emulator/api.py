"""SageMaker's API for our pipelines, and the logs of their jobs.

Executions are kept as JSON. Jobs and model packages are part of the executions that made them; pipelines are forgotten
when the process ends, since every run sends its own definition first.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from infra.emulator.definition import Definition, read
from infra.emulator.executions import NOT_EXECUTED, Execution, Running, StepFailed, StepState, load_executions
from infra.emulator.jobs import JobFailed, Machine, split_uri
from infra.emulator.responses import ApiError, Response, invalid, make_arn
from infra.emulator.step_handlers import StepHandlers
from infra.emulator.values import Scope, parameter_values
from steps.errors import InputError

Fields = Mapping[str, Any]
LAST_SECONDS = 2.0
"""How long jobs may take to end when the local cloud ends."""


class Api:
    """Pipelines, executions, jobs, model packages and logs."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.directory = machine, machine.directory / "executions"
        self.executions = load_executions(self.directory)
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.groups: set[str] = set()
        self.running: dict[str, Running] = {}
        self.handlers = StepHandlers(machine, self._register)
        self.lock = threading.RLock()
        self.calls: Mapping[str, Callable[[Fields], Response]] = {
            "CreatePipeline": self.put_pipeline,
            "UpdatePipeline": self.put_pipeline,
            "DescribePipeline": self._pipeline,
            "StartPipelineExecution": self.start,
            "RetryPipelineExecution": self.retry,
            "StopPipelineExecution": self.stop,
            "DescribePipelineExecution": self.describe_execution,
            "ListPipelineExecutions": self.list_executions,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "DescribeProcessingJob": partial(self.describe_job, "Processing"),
            "DescribeTrainingJob": partial(self.describe_job, "Training"),
            "CreateModelPackageGroup": self.create_group,
            "ListModelPackages": self.list_packages,
            "DescribeModelPackage": self.describe_package,
            "DescribeLogStreams": self.describe_log_streams,
            "GetLogEvents": self.get_log_events,
        }
        """Operation of the API -> the method that answers it."""

    def busy(self) -> bool:
        return any(running.thread.is_alive() for running in self.running.values())

    def shut_down(self) -> None:
        """End every job at once; the next process finds their executions failed."""
        for running in self.running.values():
            running.abandon()
        until = time.monotonic() + LAST_SECONDS
        while self.busy() and time.monotonic() < until:
            time.sleep(0.02)

    # pipelines

    def put_pipeline(self, request: Fields) -> Response:
        """Create the pipeline or change it to another definition."""
        try:
            read(request["PipelineDefinition"])
        except InputError as error:
            raise invalid(error) from None
        name = request["PipelineName"]
        content = {key: request[key] for key in ("PipelineName", "PipelineDefinition", "RoleArn")}
        self.pipelines[name] = {**content, "PipelineArn": make_arn("pipeline", name), "PipelineStatus": "Active"}
        return {"PipelineArn": self.pipelines[name]["PipelineArn"]}

    def _pipeline(self, request: Fields) -> dict[str, Any]:
        name = request["PipelineName"].rpartition("/")[2]
        if name not in self.pipelines:
            raise ApiError("ResourceNotFound", f"Pipeline '{name}' does not exist.")
        return self.pipelines[name]

    # executions

    def start(self, request: Fields) -> Response:
        """Start an execution; the same token again answers with the execution that it started."""
        pipeline, token = self._pipeline(request), request.get("ClientRequestToken")
        name, parameters = pipeline["PipelineName"], [dict(item) for item in request.get("PipelineParameters", [])]
        with self.lock:
            for earlier in self.executions.values():
                if token and (earlier.token, earlier.pipeline) == (token, name):
                    if earlier.parameters != parameters:
                        raise ApiError("ConflictException", "this token started an execution with other parameters")
                    return {"PipelineExecutionArn": earlier.arn}
            execution = Execution(
                arn=f"{pipeline['PipelineArn']}/execution/{secrets.token_hex(6)}",
                pipeline=name,
                definition=pipeline["PipelineDefinition"],
                parameters=parameters,
                created=time.time(),
                token=token,
                display_name=request.get("PipelineExecutionDisplayName"),
                description=request.get("PipelineExecutionDescription"),
            )
            self._run(execution)
            return {"PipelineExecutionArn": execution.arn}

    def retry(self, request: Fields) -> Response:
        """Go on with an execution from the steps that did not succeed."""
        with self.lock:
            execution = self._execution(request)
            if execution.status not in ("Failed", "Stopped"):
                raise invalid(f"only a failed or stopped execution can be retried; this one is {execution.status}")
            if before := self.running.get(execution.arn):
                before.thread.join()
            execution.prepare_retry()
            self._run(execution)
            return {"PipelineExecutionArn": execution.arn}

    def _run(self, execution: Execution) -> None:
        definition = read(execution.definition)
        try:
            values = parameter_values(definition.parameters, execution.parameters)
        except InputError as error:
            raise invalid(error) from None
        scope = Scope(values, partial(self._property_file, execution, definition))
        running = Running(
            execution,
            lambda running, step: self.handlers.run(running, step, scope),
            lambda execution: execution.save(self.directory),
        )
        running.save()
        self.executions[execution.arn], self.running[execution.arn] = execution, running
        running.thread.start()

    def _property_file(self, execution: Execution, definition: Definition, step: str, name: str) -> Any:
        """Return the JSON of a property file that a step wrote to one of its outputs."""
        files = definition.steps[step].raw["PropertyFiles"]
        declared = next(file for file in files if file["PropertyFileName"] == name)
        outputs = execution.steps[step].record["ProcessingOutputConfig"]["Outputs"]
        uri = next(
            (output["S3Output"]["S3Uri"] for output in outputs if output["OutputName"] == declared["OutputName"]), ""
        )
        try:
            bucket, key = split_uri(f"{uri.rstrip('/')}/{declared['FilePath']}")
            return json.loads(self.machine.buckets.path(bucket, key).read_bytes())
        except (JobFailed, ApiError, OSError, ValueError) as error:
            raise StepFailed(f"ClientError: property file {name} of step {step}: {error}") from None

    def stop(self, request: Fields) -> Response:
        execution = self._execution(request)
        if running := self.running.get(execution.arn):
            running.ask_to_stop()
        return {"PipelineExecutionArn": execution.arn}

    def _execution(self, request: Fields) -> Execution:
        arn = request.get("PipelineExecutionArn", "")
        if arn not in self.executions:
            raise ApiError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
        return self.executions[arn]

    def describe_execution(self, request: Fields) -> Response:
        execution = self._execution(request)
        pipeline = execution.arn.partition("/execution/")[0]
        times = {"CreationTime": execution.created, "LastModifiedTime": execution.modified}
        return {"PipelineArn": pipeline, **_summary(execution), **times, **_if_any("FailureReason", execution.reason)}

    def list_executions(self, request: Fields) -> Response:
        """List the executions of a pipeline, the newest first."""
        name = request["PipelineName"].rpartition("/")[2]
        executions = [execution for execution in self.executions.values() if execution.pipeline == name]
        summaries = [{**_summary(execution), "StartTime": execution.created} for execution in executions]
        return {"PipelineExecutionSummaries": summaries[::-1]}

    def list_steps(self, request: Fields) -> Response:
        """List the steps that were started, the earliest first."""
        states = sorted(self._execution(request).steps.items(), key=lambda item: item[1].started or 0)
        steps = [
            {
                "StepName": name,
                "StartTime": state.started,
                "StepStatus": state.status,
                "Metadata": state.metadata,
                "AttemptCount": state.attempts,
                **_if_any("EndTime", state.ended),
                **_if_any("FailureReason", state.reason),
            }
            for name, state in states
            if state.status != NOT_EXECUTED
        ]
        return {"PipelineExecutionSteps": steps}

    def list_parameters(self, request: Fields) -> Response:
        execution = self._execution(request)
        values = parameter_values(read(execution.definition).parameters, execution.parameters)
        return {"PipelineParameters": [{"Name": name, "Value": str(value)} for name, value in values.items()]}

    def describe_definition(self, request: Fields) -> Response:
        execution = self._execution(request)
        return {"PipelineDefinition": execution.definition, "CreationTime": execution.created}

    def describe_job(self, kind: str, request: Fields) -> Response:
        for state in self._states():
            if state.record.get(f"{kind}JobName") == request[f"{kind}JobName"]:
                return state.record
        raise invalid("Requested resource not found.")

    def _states(self) -> Iterator[StepState]:
        for execution in list(self.executions.values()):
            yield from list(execution.steps.values())

    # model packages

    def create_group(self, request: Fields) -> Response:
        name = request["ModelPackageGroupName"]
        if name in self.groups or self._packages(name):
            raise invalid(f"Model Package Group already exists: {name}")
        self.groups.add(name)
        return {"ModelPackageGroupArn": make_arn("model-package-group", name)}

    def _packages(self, group: str) -> list[dict[str, Any]]:
        """Return the model packages of a group, the oldest first."""
        packages = [state.record for state in self._states() if state.record.get("ModelPackageGroupName") == group]
        return sorted(packages, key=lambda package: package["ModelPackageVersion"])

    def _register(self, request: Fields) -> dict[str, Any]:
        """Return the record of a new version in the group."""
        with self.lock:
            group = request["ModelPackageGroupName"]
            versions = [package["ModelPackageVersion"] for package in self._packages(group)]
            version = max(versions, default=0) + 1
            return {
                **request,
                "ModelPackageVersion": version,
                "ModelPackageArn": make_arn("model-package", f"{group}/{version}"),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "CreationTime": time.time(),
            }

    def list_packages(self, request: Fields) -> Response:
        packages = self._packages(request["ModelPackageGroupName"].rpartition("/")[2])
        names = ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageStatus",
                 "ModelApprovalStatus", "CreationTime")  # fmt: skip
        summaries = [{name: package[name] for name in names if name in package} for package in packages[::-1]]
        return {"ModelPackageSummaryList": summaries}

    def describe_package(self, request: Fields) -> Response:
        arn = request["ModelPackageName"]
        for state in self._states():
            if state.record.get("ModelPackageArn") == arn:
                return {"ModelPackageName": arn, **state.record}
        raise invalid(f"ModelPackage {arn} does not exist.")

    # logs

    def describe_log_streams(self, request: Fields) -> Response:
        """List the logs of a job; the prefix of a stream's name is the job's name and a slash."""
        job = request.get("logStreamNamePrefix", "").partition("/")[0]
        streams = []
        for path in sorted((self.machine.directory / "logs" / job).glob("*.log")) if job else ():
            created = int(path.stem.rpartition("-")[2])
            last = {"lastEventTimestamp": int(path.stat().st_mtime * 1000)}
            streams.append({"logStreamName": f"{job}/{path.stem}", "creationTime": created, **last})
        return {"logStreams": streams}

    def get_log_events(self, request: Fields) -> Response:
        job, _, name = request["logStreamName"].partition("/")
        lines: list[str] = []
        with contextlib.suppress(OSError):
            path = self.machine.directory / "logs" / job / f"{name}.log"
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        most = request.get("limit", 10_000)
        lines = lines[:most] if request.get("startFromHead") else lines[-most:]
        return {"events": [{"timestamp": 0, "message": line} for line in lines]}


def _summary(execution: Execution) -> Response:
    return {
        "PipelineExecutionArn": execution.arn,
        "PipelineExecutionStatus": execution.status,
        **_if_any("PipelineExecutionDisplayName", execution.display_name),
        **_if_any("PipelineExecutionDescription", execution.description),
    }


def _if_any(name: str, value: Any) -> Response:
    return {} if value is None else {name: value}
