"""Pipelines, executions, model packages and logs of one stack, through SageMaker's API.

A plain client of botocore: the SDK's resources (sagemaker.core) cost 1.6 CPU seconds in every command that imports them.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.aws_errors import ignore_errors, listed, translate_aws_errors
from infra.sagemaker.stack import Stack

LOOKS, PAUSE = 60, 0.5
"""How often, and after how many seconds each, a retry is looked for."""
NEWEST_FIRST = {"SortBy": "CreationTime", "SortOrder": "Descending"}
ENDED = ("Succeeded", "Failed", "Stopped")
_MISSING = ("ResourceNotFound", "ValidationException")
"""How the API says that a pipeline or a group does not exist."""
_LOGS = {"processing-job": "/aws/sagemaker/ProcessingJobs", "training-job": "/aws/sagemaker/TrainingJobs"}


@dataclass(frozen=True)
class StepState:
    """A step of an execution."""

    name: str
    status: str
    failure: str
    job: str | None
    """The ARN of its processing or training job."""
    package: str | None
    """The ARN of the model package that it registered."""


@dataclass(frozen=True)
class ExecutionState:
    """An execution at one moment."""

    arn: str
    status: str
    """Executing | Stopping | Stopped | Failed | Succeeded"""
    failure: str
    steps: tuple[StepState, ...]

    @property
    def over(self) -> bool:
        return self.status in ENDED

    def step(self, name: str) -> StepState | None:
        return next((step for step in self.steps if step.name == name), None)


class Service:
    """Pipelines, executions and model packages of one stack."""

    def __init__(self, stack: Stack, api: Any = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.stack, self.sleep = stack, sleep
        self.api = api or stack.client("sagemaker")

    def upsert(self, name: str, definition: str, role: str, tags: Sequence[Mapping[str, str]], token: str) -> None:
        """Create the pipeline, or update it if its definition or role is another one."""
        from botocore.exceptions import ClientError

        content = {"PipelineName": name, "PipelineDefinition": definition, "RoleArn": role}
        with translate_aws_errors(f"pipeline {name}"):
            current = self._pipeline(name)
            if current is None:
                try:
                    self.api.create_pipeline(**content, ClientRequestToken=token, Tags=tags)
                except ClientError:
                    if self._pipeline(name) is None:  # else another process created it at this very moment
                        raise
                current = self._pipeline(name) or {}
            if any(current.get(field) != value for field, value in content.items()):
                self.api.update_pipeline(**content)

    def _pipeline(self, name: str) -> Mapping[str, Any] | None:
        with ignore_errors(*_MISSING):
            pipeline: Mapping[str, Any] = self.api.describe_pipeline(PipelineName=name)
            return pipeline
        return None

    def create_group(self, group: str, tags: Sequence[Mapping[str, str]]) -> None:
        """Create the group that model packages are registered in, unless it exists."""
        with translate_aws_errors(f"model package group {group}"), ignore_errors("already exists"):
            self.api.create_model_package_group(ModelPackageGroupName=group, Tags=tags)

    def start(self, name: str, parameters: Mapping[str, str], token: str, title: str, work: str) -> str:
        """Start an execution, or find the one that this token started; return its ARN.

        Args:
            work: the text that :meth:`latest` finds the execution by.
        """
        with translate_aws_errors(f"starting pipeline {name}"):
            response = self.api.start_pipeline_execution(
                PipelineName=name,
                PipelineExecutionDisplayName=title,
                PipelineExecutionDescription=work,
                PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
                ClientRequestToken=token,
            )
        return str(response["PipelineExecutionArn"])

    def latest(self, name: str, work: str) -> ExecutionState | None:
        """Return the newest execution of this work, without its steps; None if there is none."""
        with translate_aws_errors(f"pipeline {name}"), ignore_errors(*_MISSING):
            executions = "list_pipeline_executions", "PipelineExecutionSummaries"
            for summary in listed(self.api, *executions, PipelineName=name, **NEWEST_FIRST):
                if summary.get("PipelineExecutionDescription") == work:
                    return ExecutionState(summary["PipelineExecutionArn"], summary["PipelineExecutionStatus"], "", ())
        return None

    def execution(self, arn: str) -> ExecutionState:
        """Return the execution and its steps, in the order in which they began.

        Raises:
            ResourceNotFound: there is no such execution.
        """
        with translate_aws_errors(f"execution {arn}"):
            response = self.api.describe_pipeline_execution(PipelineExecutionArn=arn)
            order = {"PipelineExecutionArn": arn, "SortOrder": "Ascending"}
            steps = listed(self.api, "list_pipeline_execution_steps", "PipelineExecutionSteps", **order)
            states = tuple(_step(step) for step in steps)
        return ExecutionState(arn, response["PipelineExecutionStatus"], response.get("FailureReason", ""), states)

    def definition_of(self, arn: str) -> str:
        """Return the definition that the execution was started with."""
        with translate_aws_errors(f"execution {arn}"):
            response = self.api.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        return str(response["PipelineDefinition"])

    def parameters_of(self, arn: str) -> dict[str, str]:
        """Return the parameters that the execution was started with."""
        with translate_aws_errors(f"execution {arn}"):
            operation = "list_pipeline_parameters_for_execution"
            values = listed(self.api, operation, "PipelineParameters", PipelineExecutionArn=arn)
            return {value["Name"]: value["Value"] for value in values}

    def stop(self, arn: str) -> None:
        """Ask the execution to stop."""
        with translate_aws_errors(f"stopping {arn}"):
            self.api.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)

    def retry(self, arn: str, token: str) -> None:
        """Continue an execution from the steps that did not succeed, and wait until it has begun.

        The API answers before that: until then the execution still shows how it ended the last time.
        """
        with translate_aws_errors(f"retrying {arn}"):
            self.api.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
        for _ in range(LOOKS):
            if not self.execution(arn).over:
                return
            self.sleep(PAUSE)

    def packages(self, group: str) -> Iterator[Mapping[str, Any]]:
        """Yield the model packages of a group as DescribeModelPackage has them, the newest first."""
        with translate_aws_errors(f"model package group {group}"), ignore_errors(*_MISSING):
            packages = "list_model_packages", "ModelPackageSummaryList"
            for summary in listed(self.api, *packages, ModelPackageGroupName=group, **NEWEST_FIRST):
                yield self.api.describe_model_package(ModelPackageName=summary["ModelPackageArn"])

    def exit_message(self, job_arn: str) -> str:
        """Return what a processing job's container wrote about its failure, which its step does not repeat."""
        kind, job = _resource(job_arn)
        with contextlib.suppress(Exception):  # an addition to the reason; without it the reason still counts
            if kind == "processing-job":
                return str(self.api.describe_processing_job(ProcessingJobName=job).get("ExitMessage", ""))
        return ""

    def interruptions(self, job_arn: str) -> int:
        """Return how often spot capacity was taken away from a training job; 0 if it may not be described."""
        with contextlib.suppress(Exception):  # an addition, as above
            job = self.api.describe_training_job(TrainingJobName=_resource(job_arn)[1])
            return [change["Status"] for change in job["SecondaryStatusTransitions"]].count("Interrupted")
        return 0

    def log_tail(self, job_arn: str) -> list[str]:
        """Return the last 20 lines of a job's newest log; none if it wrote none, or they may not be read."""
        kind, job = _resource(job_arn)
        with contextlib.suppress(Exception):  # as above
            group, logs = _LOGS[kind], self.stack.client("logs")
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
            newest = max(streams, key=lambda stream: stream.get("lastEventTimestamp", stream["creationTime"]))
            log = {"logGroupName": group, "logStreamName": newest["logStreamName"]}
            events = logs.get_log_events(**log, limit=20, startFromHead=False)["events"]
            return [str(event["message"]).rstrip() for event in events]
        return []


def _resource(arn: str) -> tuple[str, str]:
    """Return kind and name out of ``arn:aws:sagemaker:REGION:ACCOUNT:KIND/NAME``."""
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    return kind, name


def _step(step: Mapping[str, Any]) -> StepState:
    arns = {kind: metadata.get("Arn") for kind, metadata in (step.get("Metadata") or {}).items()}
    job = arns.get("ProcessingJob") or arns.get("TrainingJob")
    return StepState(
        step["StepName"], step["StepStatus"], step.get("FailureReason", ""), job, arns.get("RegisterModel")
    )
