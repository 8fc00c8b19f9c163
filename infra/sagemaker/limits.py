"""Values of a person's that pass the problem file's types and that SageMaker would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from infra.sagemaker.config import SageMakerConfig, TrainJobConfig
from infra.sagemaker.stack import Stack
from steps.errors import InputError, near

LONGEST = 256
"""Characters of a value in a job's environment (CreateProcessingJob, Environment)."""
_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")


def check_limits(config: SageMakerConfig, stack: Stack) -> None:
    """Check everything that only the API's own model knows, before anything is compiled or sent.

    Raises:
        InputError: the message lists every value that SageMaker would refuse.
    """
    faults = [*_instance_types(config), *_tracking_uri(stack.tracking_uri or "")]
    if faults:
        raise InputError("\n".join(faults))


def _instance_types(config: SageMakerConfig) -> Iterator[str]:
    for job, machine in config.jobs.items():
        training = isinstance(machine, TrainJobConfig)
        types_of_api = instance_types()["TrainingInstanceType" if training else "ProcessingInstanceType"]
        fields = {"instance": (machine.instance,), "fallback": machine.types[1:]}
        for field, types in fields.items():
            for instance in types:
                if instance not in types_of_api:
                    kind = "training" if training else "processing"
                    hint = near(instance, types_of_api) or "; if it is new, update boto3"
                    yield f"sagemaker.{job}.{field}: {instance} is not an instance type for {kind} jobs{hint}"


def _tracking_uri(uri: str) -> Iterator[str]:
    if _PASSWORD.search(uri):
        yield (
            "tracking_uri contains a password, which everyone who may describe a job could read; use a URI without one, "
            "and let jobs reach the server through the network or a managed server's ARN"
        )
    if len(uri) > LONGEST:
        yield f"tracking_uri has {len(uri)} characters; a job's environment takes at most {LONGEST} in a value"


@cache
def instance_types() -> dict[str, list[str]]:
    """Return the instance types of each kind of job, from the installed botocore's model of the API."""
    from botocore.loaders import Loader

    shapes: dict[str, Any] = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    return {name: shapes[name]["enum"] for name in ("ProcessingInstanceType", "TrainingInstanceType")}
