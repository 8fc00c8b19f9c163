"""SageMaker as the SDK's resources show it (sagemaker.core), with errors that a person can act on.

Some things are asked of the SDK's own client instead of its resources (sagemaker-core 2.27): starting, whose method gives
no ARN back; stopping, whose method reads an attribute that the resource has not; an execution's parameters and definition.
Telemetry does not arise: the SDK's resources send none, its job classes would.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.sagemaker.stack import Stack
from steps.errors import FourscoreError, InputError, install

LOOKS, PAUSE = 60, 0.5
"""How often, and after how many seconds, it is asked whether a retry has begun."""
ENDED = ("Succeeded", "Failed", "Stopped")
MISSING_EXTRA = f"running on SageMaker needs more packages; {install('aws')}"
_ADVICE = {
    "AccessDenied": "the credentials in use may not do this; see docs/aws.md for the rights that are needed",
    "AccessDeniedException": "the credentials in use may not do this; see docs/aws.md for the rights that are needed",
    "ExpiredToken": "sign in again, for instance with 'aws sso login'",
    "ExpiredTokenException": "sign in again, for instance with 'aws sso login'",
    "UnrecognizedClientException": "the credentials are not valid in this region; check AWS_PROFILE and the region",
    "InvalidClientTokenId": "the credentials are not valid; check AWS_PROFILE",
    "ResourceLimitExceeded": "ask for a higher quota in the AWS console (Service Quotas), or choose another instance type",
}


class Gone(FourscoreError):
    """AWS does not know it, or not any more."""


@dataclass(frozen=True)
class StepState:
    """One step of an execution."""

    name: str
    status: str
    failure: str
    job: str | None
    """ARN of the processing or training job."""
    package: str | None
    """ARN of the model package that it registered."""


@dataclass(frozen=True)
class ExecutionState:
    """An execution as it is now."""

    arn: str
    status: str
    """Executing | Stopping | Stopped | Failed | Succeeded"""
    failure: str
    steps: tuple[StepState, ...]

    @property
    def over(self) -> bool:
        return self.status in ENDED

    def step(self, name: str) -> StepState | None:
        return next((each for each in self.steps if each.name == name), None)


@contextlib.contextmanager
def said_plainly(what: str) -> Iterator[None]:
    """Turn what boto raises into a message that says what to do.

    Raises:
        InputError: the extra, the region or the credentials are missing or wrong.
        FourscoreError: AWS refused, or cannot be reached.
    """
    try:
        import botocore.exceptions as errors
    except ImportError:
        raise InputError(f"{what}: {MISSING_EXTRA}") from None
    try:
        yield
    except ImportError as error:
        raise InputError(f"{what}: {error}; {MISSING_EXTRA}") from None
    except (errors.NoCredentialsError, errors.PartialCredentialsError, errors.ProfileNotFound) as error:
        raise InputError(
            f"{what}: {error}; sign in ('aws sso login'), or set AWS_PROFILE, or use --on sagemaker-local without AWS"
        ) from None
    except errors.NoRegionError:
        raise InputError(f"{what}: no region is set; set AWS_REGION, such as eu-west-1") from None
    except errors.ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFound":
            raise Gone(f"{what}: AWS answered {code}: {error.response['Error'].get('Message', '')}") from None
        advice = _ADVICE.get(code)
        said = f"{what}: AWS answered {code}: {error.response['Error'].get('Message', '')}"
        raise (InputError if advice else FourscoreError)(f"{said}; {advice}" if advice else said) from None
    except errors.BotoCoreError as error:
        raise FourscoreError(f"{what}: {error}") from None


class Service:
    """Pipelines, executions and model packages of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.region = stack.region
        with said_plainly("SageMaker"):
            os.environ.setdefault(
                "AWS_DEFAULT_REGION", stack.region
            )  # sagemaker.core does without a region, parts of it do not
            import boto3
            import sagemaker.core.resources
            from sagemaker.core.utils.utils import SageMakerClient

            self.session = boto3.Session(region_name=stack.region)
            self.resources: Any = sagemaker.core.resources
            self.client: Any = SageMakerClient(self.session, stack.region).sagemaker_client
        self.at = {"session": self.session, "region": stack.region}

    def upsert(self, name: str, definition: str, role: str, tags: Mapping[str, str], token: str) -> None:
        """Make the pipeline be this definition."""
        from sagemaker.core.shapes import Tag

        with said_plainly(f"pipeline {name}"):
            try:
                pipeline = self.resources.Pipeline.get(pipeline_name=name, **self.at)
            except Exception as error:
                if _code(error) not in ("ResourceNotFound", "ValidationException"):
                    raise
            else:
                if pipeline.pipeline_definition != definition or pipeline.role_arn != role:
                    pipeline.update(pipeline_definition=definition, role_arn=role)
                return
            self.resources.Pipeline.create(
                pipeline_name=name,
                client_request_token=token,
                role_arn=role,
                pipeline_definition=definition,
                tags=[Tag(key=key, value=value) for key, value in tags.items()],
                **self.at,
            )

    def start(self, name: str, parameters: Mapping[str, str], token: str, shown: str) -> str:
        """Start an execution, or find the one that this token started; returns its ARN."""
        with said_plainly(f"starting pipeline {name}"):
            answer = self.client.start_pipeline_execution(
                PipelineName=name,
                PipelineExecutionDisplayName=shown,
                PipelineParameters=[{"Name": key, "Value": value} for key, value in parameters.items()],
                ClientRequestToken=token,
            )
        return str(answer["PipelineExecutionArn"])

    def execution(self, arn: str) -> ExecutionState:
        """The execution and its steps, in the order in which they began.

        Raises:
            FourscoreError: there is no such execution.
        """
        with said_plainly(f"execution {arn}"):
            found = self._execution(arn)
            steps = tuple(_step(each) for each in found.get_all_steps(sort_order="Ascending", **self.at))
        return ExecutionState(arn, str(found.pipeline_execution_status), _text(found.failure_reason), steps)

    def definition_of(self, arn: str) -> str:
        """The definition that the execution works on."""
        with said_plainly(f"execution {arn}"):
            return str(
                self.client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"]
            )

    def parameters_of(self, arn: str) -> dict[str, str]:
        with said_plainly(f"execution {arn}"):
            pages = self.client.get_paginator("list_pipeline_parameters_for_execution").paginate(
                PipelineExecutionArn=arn
            )
            return {each["Name"]: each["Value"] for page in pages for each in page["PipelineParameters"]}

    def stop(self, arn: str) -> None:
        with said_plainly(f"stopping {arn}"):
            self.client.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)

    def retry(self, arn: str, token: str) -> None:
        """Go on with an execution from the steps that failed."""
        with said_plainly(f"retrying {arn}"):
            self._execution(arn).retry(client_request_token=token, **self.at)

    def wait_until_begun(self, arn: str) -> None:
        """What was asked is not at once to be read: until then an execution that is retried shows how it ended before."""
        for _ in range(LOOKS):
            if not self.execution(arn).over:
                return
            time.sleep(PAUSE)

    def packages(self, group: str) -> Sequence[Any]:
        """The model packages of a group, the newest first; none where there is no such group."""
        with said_plainly(f"model package group {group}"):
            try:
                return list(
                    self.resources.ModelPackage.get_all(
                        model_package_group_name=group, sort_order="Descending", **self.at
                    )
                )
            except Exception as error:
                if _code(error) in ("ResourceNotFound", "ValidationException"):
                    return []
                raise

    def package(self, arn: str) -> Any:
        with said_plainly(f"model package {arn}"):
            return self.resources.ModelPackage.get(model_package_name=arn, **self.at)

    def exit_message(self, job_arn: str) -> str:
        """What a processing job's container said of its failure, which its step does not repeat; '' where it said nothing."""
        kind, _, job = _resource(job_arn)
        if kind != "processing-job":
            return ""
        with contextlib.suppress(Exception):  # a help beside the reason; its absence must not hide the reason
            return str(self.client.describe_processing_job(ProcessingJobName=job).get("ExitMessage", ""))
        return ""

    def log_tail(self, job_arn: str, lines: int = 20) -> list[str]:
        """The last lines of a job's newest log; none where it wrote none, or may not be read."""
        kind, _, job = _resource(job_arn)
        group = {"processing-job": "/aws/sagemaker/ProcessingJobs", "training-job": "/aws/sagemaker/TrainingJobs"}.get(
            kind
        )
        if group is None:
            return []
        logs = self.session.client("logs")
        with contextlib.suppress(Exception):  # as above
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
            newest = max(streams, key=lambda stream: stream.get("lastEventTimestamp", stream["creationTime"]))
            events = logs.get_log_events(
                logGroupName=group, logStreamName=newest["logStreamName"], limit=lines, startFromHead=False
            )["events"]
            return [str(event["message"]).rstrip() for event in events]
        return []

    def _execution(self, arn: str) -> Any:
        return self.resources.PipelineExecution.get(pipeline_execution_arn=arn, **self.at)


def _resource(arn: str) -> tuple[str, str, str]:
    """Kind and name out of ``arn:aws:sagemaker:REGION:ACCOUNT:KIND/NAME``."""
    return arn.partition(":sagemaker:")[2].split(":", 2)[-1].partition("/")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", type(error).__name__))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _step(each: Any) -> StepState:
    metadata = each.metadata
    jobs = [getattr(metadata, kind, None) for kind in ("processing_job", "training_job")]
    job = next((_text(getattr(found, "arn", "")) for found in jobs if _text(getattr(found, "arn", ""))), None)
    package = _text(getattr(getattr(metadata, "register_model", None), "arn", "")) or None
    return StepState(each.step_name, str(each.step_status), _text(each.failure_reason), job, package)
