"""Values of a person's that pass the problem file's types and that SageMaker would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from infra.sagemaker.config import SageMakerConfig, TrainJobConfig
from infra.sagemaker.stack import Stack
from infra.secrets import credentials_in
from steps.errors import InputError
from steps.wording import near

LONGEST = 256
"""Characters of a value in a job's environment (CreateProcessingJob, Environment)."""


def check_limits(config: SageMakerConfig, stack: Stack) -> None:
    """Check what only the API's own model knows, before anything is compiled or sent.

    Raises:
        InputError: the message lists every value that SageMaker would refuse.
    """
    if faults := [*_faults(config, stack.tracking_uri or "")]:
        raise InputError("\n".join(faults))


def _faults(config: SageMakerConfig, tracking_uri: str) -> Iterator[str]:
    for job, machine in config.jobs.items():
        kind = "Training" if isinstance(machine, TrainJobConfig) else "Processing"
        if machine.instance not in (types := instance_types(kind)):
            hint = near(machine.instance, types) or "; if it is new, update boto3"
            yield f"sagemaker.{job}.instance: {machine.instance} is not an instance type for {kind.lower()} jobs{hint}"
    if secret := credentials_in(tracking_uri):
        yield (
            f"tracking_uri contains {secret}, which everyone who may describe a job could read; use a URI without one, "
            "and let jobs reach the server through the network or a managed server's ARN"
        )
    if len(tracking_uri) > LONGEST:
        yield f"tracking_uri has {len(tracking_uri)} characters; a job's environment takes at most {LONGEST} in a value"


@cache
def instance_types(kind: str) -> list[str]:
    """Return the instance types of Training or Processing jobs, from the installed botocore's model of the API."""
    from botocore.loaders import Loader

    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    return list(shapes[f"{kind}InstanceType"]["enum"])
