"""The arguments of each step: what CreateProcessingJob, CreateTrainingJob and CreateModelPackage are asked.

Strings stay within 256 characters; config travels as a file in S3 under its digest. A version in a model package group
takes the group's tags and must not bring its own; its metadata says the rest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from infra.runs.plan import PlannedStep
from infra.sagemaker.config import JobConfig, SageMakerConfig, TrainJobConfig, has_gpu, has_local_disk
from infra.sagemaker.jobs import Job
from infra.sagemaker.stack import Stack
from steps.errors import InputError
from steps.train import TrainConfig

Arguments = dict[str, Any]

PROJECT = "fourscore"
LONGEST = 256
"""Characters of a string in arguments."""
INTERNAL_RETRIES = 1
"""How often a job that SageMaker itself broke is started again; each may be paid for."""

CALLS: Arguments = {
    "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
    "IntervalSeconds": 5,
    "BackoffRate": 2.0,
    "MaxAttempts": 6,
}
BROKEN: Arguments = {
    "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"],
    "IntervalSeconds": 30,
    "BackoffRate": 2.0,
    "MaxAttempts": INTERNAL_RETRIES,
}
CAPACITY: Arguments = {
    "ExceptionType": ["SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"],
    "IntervalSeconds": 60,
    "BackoffRate": 1.5,
    "ExpireAfterMin": 20,
}
"""Ends early, so that the driver can start again with the next type of the fallback list.

Source of the three: SageMaker Developer Guide, "Retry Policy for Pipeline Steps" (of MaxAttempts and ExpireAfterMin one).
"""


def parameter(name: str) -> Arguments:
    return {"Get": f"Parameters.{name}"}


def join(*values: Any) -> Arguments:
    """One string of several pieces, numbers among them."""
    return {"Std:Join": {"On": "", "Values": list(values)}}


def package_group(stack: Stack, model: str) -> str:
    """The model package group that versions of a registered model go to."""
    return fit(f"{stack.package_group}-{model}", 63)


def model_name(planned: PlannedStep) -> str:
    """Return the name under which the step registers its model."""
    return str(planned.config.model_dump()["name"])


def fit(name: str, longest: int) -> str:
    """A name of letters, digits and single hyphens; one that had to be changed gets a digest, so that two stay two."""
    fitted = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")
    if fitted == name and len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{fitted[: longest - 9].rstrip('-')}-{mark}"


def tags(problem: str, run: Any, stack: Stack) -> dict[str, Any]:
    """What costs are told apart by; a pipeline, which many runs share, has no run."""
    named = {"project": PROJECT, "problem": problem, "run": run, "stack": stack.name}
    return {f"fourscore:{name}": value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Site:
    """What all steps of one definition share."""

    problem: str
    config: SageMakerConfig
    stack: Stack
    code: str

    def job(self, job: Job) -> dict[str, Any]:
        """The step that runs a job."""
        machine = getattr(self.config, job.name)
        training = isinstance(machine, TrainJobConfig)
        step = {
            "Name": job.name,
            "Type": "Training" if training else "Processing",
            "Description": ", ".join(planned.step.name for planned in job.steps),
            "Arguments": self.training(job, machine) if training else self.processing(job, machine),
            "RetryPolicies": [CALLS, BROKEN, CAPACITY],
        }
        if job.name == "assess":
            step["PropertyFiles"] = [
                {"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}
            ]
        return step

    def processing(self, job: Job, machine: JobConfig) -> Arguments:
        cluster = {
            "InstanceType": parameter(f"{job.name.capitalize()}InstanceType"),
            "InstanceCount": 1,
            "VolumeSizeInGB": machine.volume_gb,
            **self.volume_key((machine.instance,)),
        }
        arguments = {
            "ProcessingResources": {"ClusterConfig": cluster},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60 * machine.minutes},
            "AppSpecification": {"ImageUri": self.image(machine.instance), **_command(job)},
            "RoleArn": self.stack.roles[job.name],
            "ProcessingInputs": [_processing_input(name, place) for name, place in self.inputs(job).items()],
            "Environment": self.environment("/opt/ml/processing/input/code"),
            "Tags": self.tags(),
        }
        if network := self.network():
            arguments["NetworkConfig"] = network
        if job.name == "assess":
            outputs = [_processing_output("result", join(f"{self.stack.root}runs/", parameter("Run"), "/result/"))]
            arguments["ProcessingOutputConfig"] = {"Outputs": outputs, **self.key("KmsKeyId")}
        return arguments

    def training(self, job: Job, machine: TrainJobConfig) -> Arguments:
        _check_budget(job, machine)
        resources = {
            "InstanceType": parameter("TrainInstanceType"),
            "InstanceCount": parameter("TrainInstanceCount"),
            "VolumeSizeInGB": machine.volume_gb,
            **self.volume_key(machine.types),
        }
        if machine.warm_minutes:
            resources["KeepAlivePeriodInSeconds"] = 60 * machine.warm_minutes
        stopping = {"MaxRuntimeInSeconds": 60 * machine.minutes}
        if machine.spot:
            stopping["MaxWaitTimeInSeconds"] = 60 * (machine.minutes + machine.spot_wait_minutes)
        algorithm = {"TrainingImage": self.image(machine.instance), "TrainingInputMode": "File", **_command(job)}
        output = join(f"{self.stack.root}runs/", parameter("Run"), "/output/")
        arguments = {
            "AlgorithmSpecification": algorithm,
            "RoleArn": self.stack.roles[job.name],
            "InputDataConfig": [_channel(name, place) for name, place in self.inputs(job).items()],
            "OutputDataConfig": {"S3OutputPath": output, "CompressionType": "NONE", **self.key("KmsKeyId")},
            "ResourceConfig": resources,
            "StoppingCondition": stopping,
            "EnableInterContainerTrafficEncryption": True,
            "Environment": self.environment("/opt/ml/input/data/code"),
            "Tags": self.tags(),
            **self.network(),
        }
        if machine.spot:
            arguments["EnableManagedSpotTraining"] = True
        if kept := next((planned.key for planned in job.steps if planned.step.scratch), None):
            place = f"{self.stack.root}checkpoints/{kept}/"
            arguments["CheckpointConfig"] = {"S3Uri": place, "LocalPath": "/opt/ml/checkpoints"}
        return arguments

    def package(self, planned: PlannedStep) -> Arguments:
        """The model as a version that waits for approval, where it lies in the store: that is addressed by content."""
        train, evaluate = planned.inputs["model"], planned.inputs["evaluation"]
        model = {"S3Uri": self.stored(train, "model"), "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": self.image(self.config.assess.instance), "ModelDataSource": {"S3DataSource": model}}
        metrics = {"ContentType": "application/json", "S3Uri": self.stored(evaluate, "evaluation") + "evaluation.json"}
        return {
            "ModelPackageGroupName": package_group(self.stack, model_name(planned)),
            "ModelApprovalStatus": parameter("ApprovalStatus"),
            "InferenceSpecification": {"Containers": [container]},
            "ModelMetrics": {"ModelQuality": {"Statistics": metrics}},
            "CustomerMetadataProperties": {
                "run": parameter("Run"),
                "mlflow_run_id": parameter("MlflowRunId"),
                "problem": self.problem,
                "problem_digest": planned.config.model_dump()["problem_digest"],
                "train_key": train,
                "evaluate_key": evaluate,
                "verdict": "pass",
            },
        }

    def stored(self, key: str, artifact: str) -> str:
        return f"{self.stack.root}store/{key}/{artifact}/"

    def inputs(self, job: Job) -> dict[str, str]:
        return {"code": f"{self.stack.root}code/{self.code}/", "job": f"{self.stack.root}jobs/{job.digest}/"}

    def environment(self, code: str) -> Arguments:
        uri = self.stack.tracking_uri
        tracking = {"FOURSCORE_TRACKING_URI": uri, "FOURSCORE_MLFLOW_RUN": parameter("MlflowRunId")} if uri else {}
        return {
            "PYTHONPATH": code,
            "FOURSCORE_BASE": "/opt/ml",
            "FOURSCORE_ROOT": self.stack.root,
            "FOURSCORE_RUN": parameter("Run"),
            **tracking,
            "AWS_REGION": self.stack.region,
            "AWS_DEFAULT_REGION": self.stack.region,
        }

    def tags(self) -> list[Arguments]:
        """For cost allocation, on everything that takes them."""
        return [{"Key": key, "Value": value} for key, value in tags(self.problem, parameter("Run"), self.stack).items()]

    def image(self, instance: str) -> str:
        kind = "gpu" if has_gpu(instance) else "cpu"
        if kind not in self.stack.images:
            raise InputError(
                f"stack {self.stack.name} has no {kind} image, which {instance} wants: "
                f"'fourscore infra image --stack {self.stack.name}' makes one, or choose a type without a GPU"
            )
        return self.stack.images[kind]

    def key(self, field: str) -> dict[str, str]:
        return {field: self.stack.kms_key} if self.stack.kms_key else {}

    def volume_key(self, types: tuple[str, ...]) -> dict[str, str]:
        return {} if any(map(has_local_disk, types)) else self.key("VolumeKmsKeyId")

    def network(self) -> Arguments:
        ours = self.config
        if not ours.subnets:
            return {}
        return {"VpcConfig": {"SecurityGroupIds": list(ours.security_groups), "Subnets": list(ours.subnets)}}


def _command(job: Job) -> Arguments:
    return {"ContainerEntrypoint": ["python", "-m", "infra.container"], "ContainerArguments": [job.name]}


def _processing_input(name: str, place: str) -> Arguments:
    local = f"/opt/ml/processing/input/{name}"
    source = {"S3Uri": place, "LocalPath": local, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}


def _processing_output(name: str, place: Arguments) -> Arguments:
    local = f"/opt/ml/processing/output/{name}"
    return {"OutputName": name, "S3Output": {"S3Uri": place, "LocalPath": local, "S3UploadMode": "EndOfJob"}}


def _channel(name: str, place: str) -> Arguments:
    source = {"S3DataType": "S3Prefix", "S3Uri": place, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _check_budget(job: Job, machine: TrainJobConfig) -> None:
    """A job that is stopped before its training may stop would be paid for and give nothing.

    Raises:
        InputError: it would be.
    """
    for planned in job.steps:
        if isinstance(planned.config, TrainConfig) and planned.config.budget.minutes >= machine.minutes:
            raise InputError(
                f"train.budget.minutes is {planned.config.budget.minutes:g}, and sagemaker.train.minutes stops the job "
                f"after {machine.minutes}; raise the latter (start-up and yardsticks take time, too) or lower the former"
            )
