"""The requests in a definition: arguments of CreateProcessingJob, CreateTrainingJob and CreateModelPackage.

Strings stay within 256 characters, but for a model card that is finished; config travels as a file in S3 under its
digest. A version in a model package group takes the group's tags and must not have its own; its metadata has the rest.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.runs.keys import scratch_key
from infra.runs.plan import PlannedStep
from infra.sagemaker.config import JobConfig, SageMakerConfig, TrainJobConfig, has_gpu, has_local_disk
from infra.sagemaker.jobs import DECIDING, Job
from infra.sagemaker.stack import Stack
from steps.errors import InputError

Arguments = dict[str, Any]
PROJECT = "fourscore"
LONGEST = 256
"""Greatest number of characters of a string in arguments."""
INTERNAL_RETRIES = 1
"""How often a job that SageMaker itself broke is started again; each attempt may be billed."""
TO_BE_WRITTEN = "to_be_written"
"""The property of a model package that lists the fields of the problem that nobody wrote yet."""
FILES = {"S3DataType": "S3Prefix", "S3InputMode": "File"}


def _retries(seconds: int, rate: float, end: Mapping[str, int], *types: str) -> dict[str, Any]:
    """Return a retry policy (SageMaker Developer Guide), which has one end: MaxAttempts or ExpireAfterMin."""
    return {"ExceptionType": list(types), "IntervalSeconds": seconds, "BackoffRate": rate, **end}


CALLS = _retries(5, 2.0, {"MaxAttempts": 6}, "Step.SERVICE_FAULT", "Step.THROTTLING")
BROKEN = _retries(30, 2.0, {"MaxAttempts": INTERNAL_RETRIES}, "SageMaker.JOB_INTERNAL_ERROR")
CAPACITY = _retries(60, 1.5, {"ExpireAfterMin": 20}, "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT")


def parameter(name: str) -> Arguments:
    """Return a reference to a parameter of the execution."""
    return {"Get": f"Parameters.{name}"}


def join(*values: Any) -> Arguments:
    """Return the expression that joins texts, numbers and references to one string."""
    return {"Std:Join": {"On": "", "Values": list(values)}}


def package_group(stack: Stack, model: str) -> str:
    """Return the model package group for the versions of a registered model."""
    return fit(f"{stack.package_group}-{model}", 63)


def model_name(planned: PlannedStep) -> str:
    """Return the name under which the step registers its model."""
    return str(planned.config.model_dump()["name"])


def fit(name: str, longest: int) -> str:
    """Return a name of letters, digits and single hyphens; a changed one has a digest, so that names stay different."""
    fitted = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")
    if fitted == name and len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{fitted[: longest - 9].rstrip('-')}-{mark}"


def tags(problem: str, run: Any, stack: Stack) -> list[Arguments]:
    """Return the tags for cost allocation; a pipeline, which many runs share, has no run."""
    values = {"project": PROJECT, "problem": problem, "run": run, "stack": stack.name}
    return [{"Key": f"fourscore:{name}", "Value": value} for name, value in values.items() if value is not None]


@dataclass(frozen=True)
class Requests:
    """The requests of one definition, whose steps share problem, stack and code."""

    problem: str
    config: SageMakerConfig
    stack: Stack
    code: str

    def job(self, job: Job) -> dict[str, Any]:
        """Return the step that runs a job."""
        machine = self.config.jobs[job.name]
        if isinstance(machine, TrainJobConfig):
            kind, arguments = "Training", self._training(job, machine)
        else:
            kind, arguments = "Processing", self._processing(job, machine)
        step = {
            "Name": job.name,
            "Type": kind,
            "Description": ", ".join(planned.step.name for planned in job.steps),
            "Arguments": arguments,
            "RetryPolicies": [CALLS, BROKEN, CAPACITY],
        }
        if job.name == DECIDING:
            file = {"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}
            step["PropertyFiles"] = [file]
        return step

    def _processing(self, job: Job, machine: JobConfig) -> Arguments:
        cluster = {"InstanceType": parameter(f"{job.name.capitalize()}InstanceType"), "InstanceCount": 1}
        local = "/opt/ml/processing/input"
        inputs = [
            {"InputName": name, "S3Input": {"S3Uri": uri, "LocalPath": f"{local}/{name}", **FILES}}
            for name, uri in self._inputs(job).items()
        ]
        arguments = {
            "ProcessingResources": {"ClusterConfig": cluster | self._disk(machine)},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60 * machine.minutes},
            "AppSpecification": {"ImageUri": self._image(machine.instance), **_command(job)},
            "RoleArn": self.stack.roles[job.name],
            "ProcessingInputs": inputs,
            "Environment": self._environment(f"{local}/code"),
            "Tags": tags(self.problem, parameter("Run"), self.stack),
        }
        if network := self._network():
            arguments["NetworkConfig"] = network
        if job.name == DECIDING:
            target = {"S3Uri": self._of_run("result"), "LocalPath": "/opt/ml/processing/output/result"}
            output = {"OutputName": "result", "S3Output": {**target, "S3UploadMode": "EndOfJob"}}
            arguments["ProcessingOutputConfig"] = {"Outputs": [output], **self._key("KmsKeyId")}
        return arguments

    def _training(self, job: Job, machine: TrainJobConfig) -> Arguments:
        _check_budget(job, machine)
        name, source = job.name.capitalize(), {"S3DataType": "S3Prefix"}
        resources = {
            "InstanceType": parameter(f"{name}InstanceType"),
            "InstanceCount": parameter(f"{name}InstanceCount"),
            **self._disk(machine),
        }
        stopping = {"MaxRuntimeInSeconds": 60 * machine.minutes}
        if machine.spot:
            stopping["MaxWaitTimeInSeconds"] = 60 * (machine.minutes + machine.spot_wait_minutes)
        channels = [
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": {**source, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}},
                "InputMode": "File",
            }
            for name, uri in self._inputs(job).items()
        ]
        image = {"TrainingImage": self._image(machine.instance), "TrainingInputMode": "File"}
        output = {"S3OutputPath": self._of_run("output"), "CompressionType": "NONE", **self._key("KmsKeyId")}
        arguments = {
            "AlgorithmSpecification": {**image, **_command(job)},
            "RoleArn": self.stack.roles[job.name],
            "InputDataConfig": channels,
            "OutputDataConfig": output,
            "ResourceConfig": resources,
            "StoppingCondition": stopping,
            "EnableInterContainerTrafficEncryption": True,
            "Environment": self._environment("/opt/ml/input/data/code"),
            "Tags": tags(self.problem, parameter("Run"), self.stack),
            **self._network(),
        }
        if machine.spot:
            arguments["EnableManagedSpotTraining"] = True
        if key := next((scratch_key(planned) for planned in job.steps if planned.step.scratch), None):
            uri = f"{self.stack.root}checkpoints/{key}/"
            arguments["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": "/opt/ml/checkpoints"}
        return arguments

    def package(self, planned: PlannedStep, missing: list[str], card: Any) -> Arguments:
        """Return the request for a version that waits for approval; it refers to the store, which is addressed by content.

        Args:
            missing: fields of the problem that nobody wrote yet. Such a model is registered as rejected.
            card: the content of the model card, or the reference to it.
        """
        train, evaluate = planned.inputs["model"], planned.inputs["evaluation"]
        store, config = f"{self.stack.root}store", planned.config.model_dump()
        model = {"S3Uri": f"{store}/{train}/model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        image = self._image(self.config.jobs[DECIDING].instance)
        status = "Draft" if missing else "PendingReview"
        metrics = {"ContentType": "application/json", "S3Uri": f"{store}/{evaluate}/evaluation/evaluation.json"}
        return {
            "ModelPackageGroupName": package_group(self.stack, model_name(planned)),
            **_approval(missing),
            "InferenceSpecification": {"Containers": [{"Image": image, "ModelDataSource": {"S3DataSource": model}}]},
            "ModelMetrics": {"ModelQuality": {"Statistics": metrics}},
            **({"ModelCard": {"ModelCardContent": card, "ModelCardStatus": status}} if card else {}),
            "CustomerMetadataProperties": {
                "run": parameter("Run"),
                "mlflow_run_id": parameter("MlflowRunId"),
                "problem": self.problem,
                "problem_digest": config["problem_digest"],
                "train_key": train,
                "evaluate_key": evaluate,
                "verdict": "pass",
                **({TO_BE_WRITTEN: " ".join(missing)} if missing else {}),
            },
        }

    def _of_run(self, folder: str) -> Arguments:
        return join(f"{self.stack.root}runs/", parameter("Run"), f"/{folder}/")

    def _inputs(self, job: Job) -> dict[str, str]:
        return {"code": f"{self.stack.root}code/{self.code}/", "job": f"{self.stack.root}jobs/{job.digest}/"}

    def _environment(self, code: str) -> Arguments:
        return {
            "PYTHONPATH": code,
            "FOURSCORE_BASE": "/opt/ml",
            "FOURSCORE_ROOT": self.stack.root,
            "FOURSCORE_RUN": parameter("Run"),
            "AWS_REGION": self.stack.region,
            "AWS_DEFAULT_REGION": self.stack.region,
        }

    def _image(self, instance: str) -> str:
        kind = "gpu" if has_gpu(instance) else "cpu"
        if kind not in self.stack.images:
            raise InputError(
                f"stack {self.stack.name} has no {kind} image, which {instance} needs: "
                f"'fourscore infra image --stack {self.stack.name}' builds one, or choose a type without a GPU"
            )
        return self.stack.images[kind]

    def _key(self, field: str) -> dict[str, str]:
        return {field: self.stack.kms_key} if self.stack.kms_key else {}

    def _disk(self, machine: JobConfig) -> Arguments:
        key = {} if has_local_disk(machine.instance) else self._key("VolumeKmsKeyId")
        return {"VolumeSizeInGB": machine.volume_gb, **key}

    def _network(self) -> Arguments:
        groups, subnets = list(self.config.security_groups), list(self.config.subnets)
        return {"VpcConfig": {"SecurityGroupIds": groups, "Subnets": subnets}} if subnets else {}


def _approval(missing: list[str]) -> Arguments:
    if not missing:
        return {"ModelApprovalStatus": "PendingManualApproval"}
    reason = f"nobody answers for this model yet: write {', '.join(missing)} in the problem file and run again"
    return {"ModelApprovalStatus": "Rejected", "ModelPackageDescription": reason}


def _command(job: Job) -> Arguments:
    return {"ContainerEntrypoint": ["python", "-m", "infra.container"], "ContainerArguments": [job.name]}


def _check_budget(job: Job, machine: TrainJobConfig) -> None:
    """Check that the job may run longer than its training: one that is stopped before costs money and gives nothing."""
    for planned in job.steps:
        budget = getattr(planned.config, "budget", None)
        if budget and budget.minutes >= machine.minutes:
            raise InputError(
                f"{planned.step.name}.budget.minutes is {budget.minutes:g}, and sagemaker.{job.name}.minutes stops the job "
                f"after {machine.minutes}; raise the latter (start-up and yardsticks take time, too) or lower the former"
            )
