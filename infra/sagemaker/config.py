"""The section ``sagemaker`` of a problem file: machines, minutes and money of the jobs."""

import re
from functools import cache
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from steps.core import Config
from steps.errors import InputError
from steps.wording import near

_INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$"
_ACCELERATED = re.compile(r"ml\.[gp]\d")
_UNSUPPORTED = re.compile(r"ml\.(?:trn|inf)\d")
_LOCAL_DISK = re.compile(r"ml\.(?:[cmr]\d[a-z]*d[a-z]*|g[4-9][a-z]*|p3dn|p[4-9][a-z0-9-]*)\.")


def _instance(value: str) -> str:
    if not re.match(_INSTANCE, value):
        raise ValueError(f"{value!r} is not an instance type of SageMaker; an example is ml.m5.xlarge")
    return value


Instance = Annotated[str, AfterValidator(_instance), Field(json_schema_extra={"pattern": _INSTANCE})]
VpcId = Annotated[str, StringConstraints(pattern=r"^[-0-9a-zA-Z]{1,32}$")]


def has_gpu(instance: str) -> bool:
    """Return whether the type has NVIDIA GPUs, and so needs the image for them."""
    return bool(_ACCELERATED.match(instance))


def has_local_disk(instance: str) -> bool:
    """Return whether the type stores data on its own disk, which hardware encrypts: SageMaker then refuses a key.

    Source: CreateTrainingJob and CreateProcessingJob, VolumeKmsKeyId.
    """
    return bool(_LOCAL_DISK.match(instance))


class JobConfig(Config):
    """The machine of a processing job."""

    instance: Instance = Field(default="ml.m5.xlarge", description="Instance type (4 cores, 16 GiB when left out).")
    minutes: int = Field(default=60, ge=1, le=7200, description="The job is stopped after so many minutes.")
    volume_gb: int = Field(default=30, ge=1, le=16384, description="Size of the disk.")

    @model_validator(mode="after")
    def _runs_our_image(self) -> Self:
        if _UNSUPPORTED.match(self.instance):
            raise ValueError(
                f"{self.instance} has accelerators that the image cannot use; take a type such as ml.m5.xlarge or ml.g5.xlarge"
            )
        return self


class TrainJobConfig(JobConfig):
    """The machines of a training job."""

    instance: Instance = Field(
        default="ml.m5.xlarge",
        description="Instance type; one with a GPU is ml.g5.xlarge, one with four of them ml.g5.12xlarge.",
    )
    instances: int = Field(default=1, ge=1, le=64, description="How many of them train one model together.")
    minutes: int = Field(default=120, ge=1, le=7200, description="The job is stopped after so many minutes.")
    spot: bool = Field(
        default=False,
        description="Take spare capacity, at about half the price (assumed); an interrupted training goes on from its checkpoint.",
    )
    spot_wait_minutes: int = Field(
        default=60,
        ge=1,
        le=7200,
        description="Of a spot job: how long it may wait for capacity, on top of its minutes.",
    )


class SageMakerConfig(Config):
    """Stack, machines, minutes and money of a problem on Amazon SageMaker; nothing here changes a result."""

    stack: str = Field(
        default="dev",
        pattern=r"^[a-z][a-z0-9]{0,19}$",
        description="The stack to run in, as 'fourscore infra up --stack' named it.",
    )
    prepare: JobConfig = Field(default_factory=JobConfig, description="The job from define to split.")
    train: TrainJobConfig = Field(default_factory=TrainJobConfig, description="The job that trains.")
    assess: JobConfig = Field(default_factory=JobConfig, description="The job of evaluate and register.")
    max_dollars: float = Field(
        default=10,
        gt=0,
        le=1_000_000,
        description="The most that one run may cost; a run that could cost more is not started.",
    )
    subnets: tuple[VpcId, ...] = Field(
        default=(), max_length=16, description="Subnets of a network of your own for the jobs."
    )
    security_groups: tuple[VpcId, ...] = Field(
        default=(), max_length=5, description="Security groups in that network; given together with subnets."
    )

    @property
    def jobs(self) -> dict[str, JobConfig]:
        """The machine of each job, by the job's name."""
        return {name: value for name, value in self if isinstance(value, JobConfig)}

    @model_validator(mode="after")
    def _whole_network(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            present, missing = ("subnets", "security_groups") if self.subnets else ("security_groups", "subnets")
            raise ValueError(f"{present} without {missing}: a network needs both")
        return self


JOBS = tuple(
    name
    for name, field in SageMakerConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, JobConfig)
)
"""The names of the jobs that a run may consist of, in their order."""


def check_limits(config: SageMakerConfig) -> None:
    """Check what only the API's own model knows, before anything is compiled or sent.

    Raises:
        InputError: the message lists every value that SageMaker would refuse.
    """
    faults = []
    for job, machine in config.jobs.items():
        kind = "Training" if isinstance(machine, TrainJobConfig) else "Processing"
        if machine.instance not in (types := instance_types(kind)):
            hint = near(machine.instance, types) or "; if it is new, update boto3"
            name = f"sagemaker.{job}.instance: {machine.instance}"
            faults.append(f"{name} is not an instance type for {kind.lower()} jobs{hint}")
    if faults:
        raise InputError("\n".join(faults))


@cache
def instance_types(kind: str) -> list[str]:
    """Return the instance types of Training or Processing jobs, from the installed botocore's model of the API."""
    from botocore.loaders import Loader

    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    return list(shapes[f"{kind}InstanceType"]["enum"])
