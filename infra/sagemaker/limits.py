"""Values of a person's that pass the problem file's types and that SageMaker would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from infra.sagemaker.config import SageMakerConfig, TrainJobConfig
from steps.errors import InputError
from steps.wording import near


def check_limits(config: SageMakerConfig) -> None:
    """Check what only the API's own model knows, before anything is compiled or sent.

    Raises:
        InputError: the message lists every value that SageMaker would refuse.
    """
    if faults := [*_faults(config)]:
        raise InputError("\n".join(faults))


def _faults(config: SageMakerConfig) -> Iterator[str]:
    for job, machine in config.jobs.items():
        kind = "Training" if isinstance(machine, TrainJobConfig) else "Processing"
        if machine.instance not in (types := instance_types(kind)):
            hint = near(machine.instance, types) or "; if it is new, update boto3"
            yield f"sagemaker.{job}.instance: {machine.instance} is not an instance type for {kind.lower()} jobs{hint}"


@cache
def instance_types(kind: str) -> list[str]:
    """Return the instance types of Training or Processing jobs, from the installed botocore's model of the API."""
    from botocore.loaders import Loader

    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    return list(shapes[f"{kind}InstanceType"]["enum"])
