"""What 'fourscore infra up' made, as the compiler and the backend need it: one small JSON file in the workspace."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from infra.aws_errors import ATTEMPTS, translate_aws_errors
from infra.files import write_json
from infra.s3 import client as s3_client
from infra.sagemaker.config import JOBS
from steps.errors import InputError

ROLES = ("pipeline", *JOBS)


@dataclass(frozen=True)
class Stack:
    """The resources of one account and region that belong together."""

    name: str
    region: str
    account: str
    bucket: str
    prefix: str
    """Below which everything lies in the bucket, without slashes at its ends; may be empty."""
    roles: dict[str, str]
    """ARN of the pipeline's role and of each job's."""
    images: dict[str, str]
    """'cpu' and, where there is one, 'gpu': image URIs pinned by digest."""
    package_group: str
    """What the names of model package groups start with."""
    kms_key: str | None = None
    """ARN of the key that data is encrypted with; None: the service's own."""
    tracking_uri: str | None = None
    """MLflow as the jobs reach it."""
    endpoint: str | None = None
    """Where the API listens when it is not AWS's own."""

    def client(self, service: str) -> Any:
        """Return a client of an AWS service in the stack's region, with the credentials of the environment.

        Raises:
            InputError: botocore is missing, or the environment names a profile that does not exist.
        """
        if service == "s3":
            return s3_client.client(self.root, self.region)
        with translate_aws_errors(service):
            from botocore.config import Config
            from botocore.session import get_session

            retries = Config(retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS})
            return get_session().create_client(service, self.region, config=retries)

    @property
    def root(self) -> str:
        """``s3://BUCKET/PREFIX/``, which all keys are below."""
        return f"s3://{self.bucket}/{self.prefix}/" if self.prefix else f"s3://{self.bucket}/"


def path_of(workspace: Path, name: str) -> Path:
    return workspace / "stacks" / f"{name}.json"


def save(workspace: Path, stack: Stack) -> Path:
    """Write the stack down for :func:`load`."""
    path = path_of(workspace, stack.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(stack))
    return path


def load(workspace: Path, name: str) -> Stack:
    """The stack of that name.

    Raises:
        InputError: it was not made here, or its file is not one.
    """
    path = path_of(workspace, name)
    again = f"'fourscore infra up --stack {name}' makes it"
    try:
        stack = _parse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        known = sorted(each.stem for each in path.parent.glob("*.json"))
        there = f"; there is: {', '.join(known)}" if known else ""
        raise InputError(f"no stack {name!r} in {path.parent}{there}; {again}") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"stack file {path} cannot be read: {error}; {again} anew") from None
    if "cpu" not in stack.images:
        raise InputError(f"stack {name} has no image 'cpu' yet: 'fourscore infra image --stack {name}' builds one")
    return stack


def _parse(values: dict[str, Any]) -> Stack:
    known = {each.name for each in fields(Stack)}
    stack = Stack(**{name: value for name, value in values.items() if name in known})
    if wrong := [name for name, value in asdict(stack).items() if not _fits(name, value)]:
        raise TypeError(f"{', '.join(wrong)} not as wanted")
    if missing := [role for role in ROLES if role not in stack.roles]:
        raise ValueError(f"no role for {', '.join(missing)}")
    if unpinned := [uri for uri in stack.images.values() if "@sha256:" not in uri]:
        raise ValueError(f"image {', '.join(unpinned)} is not pinned by a digest")
    return stack


def _fits(name: str, value: Any) -> bool:
    if name in ("roles", "images"):
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    optional = name in ("kms_key", "tracking_uri", "endpoint")
    return isinstance(value, str) or (optional and value is None)
