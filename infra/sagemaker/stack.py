"""The description of a stack that ``fourscore infra up`` created: one small JSON file in the workspace."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra import aws_errors
from infra.aws_errors import translate_aws_errors
from infra.files import make_workspace, write_json
from infra.sagemaker.config import JOBS
from steps.errors import InputError

ROLES = ("pipeline", *JOBS)
"""The roles of a stack: the pipeline's own and one for each job."""


@dataclass(frozen=True)
class Stack:
    """The resources of one account and region that belong together."""

    name: str
    region: str
    account: str
    bucket: str
    prefix: str
    """The prefix of everything in the bucket, without slashes at its ends; may be empty."""
    roles: dict[str, str]
    """The ARN of each role, by the names of ``ROLES``."""
    images: dict[str, str]
    """Image URIs pinned by digest: 'cpu', and 'gpu' if there is one."""
    package_group: str
    """The beginning of the names of model package groups."""
    kms_key: str | None = None
    """The ARN of the key that encrypts data; None: the service's own."""
    tracking_uri: str | None = None
    """The MLflow server that jobs reach, where its runs are tracked unless they say otherwise."""
    endpoint: str | None = None
    """The URL of the local cloud's API; None: AWS."""

    def client(self, service: str) -> Any:
        """Return a client of an AWS service in the stack's region, with the credentials of the environment.

        Raises:
            InputError: botocore is missing, or the environment names a profile that does not exist.
        """
        with translate_aws_errors(service):
            return aws_errors.client(service, self.region)

    @property
    def root(self) -> str:
        """The URI ``s3://BUCKET/PREFIX/`` that all objects are below."""
        return f"s3://{self.bucket}/{self.prefix}/" if self.prefix else f"s3://{self.bucket}/"


def path_of(workspace: Path, name: str) -> Path:
    return workspace / "stacks" / f"{name}.json"


def save(workspace: Path, stack: Stack) -> Path:
    """Write the stack's file, and return its path."""
    path = path_of(workspace, stack.name)
    make_workspace(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(stack))
    return path


def load(workspace: Path, name: str) -> Stack:
    """Return the stack of that name.

    Raises:
        InputError: the workspace has no file of it, or not a valid one; or the stack has no image yet.
    """
    path = path_of(workspace, name)
    remedy = f"'fourscore infra up --stack {name}' creates it"
    try:
        stack = TypeAdapter(Stack).validate_json(path.read_bytes())
    except FileNotFoundError:
        names = sorted(other.stem for other in path.parent.glob("*.json"))
        listed = f", which has {', '.join(names)}" if names else ""
        raise InputError(f"no stack {name!r} in {path.parent}{listed}; {remedy}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InputError(f"stack file {path} cannot be read: {faults}; {remedy} again") from None
    missing = [f"role of {role}" for role in ROLES if role not in stack.roles]
    unpinned = [f"digest of image {uri}" for uri in stack.images.values() if "@sha256:" not in uri]
    if missing or unpinned:
        raise InputError(f"stack file {path} lacks the {', '.join(missing + unpinned)}; {remedy} again")
    if "cpu" not in stack.images:
        raise InputError(f"stack {name} has no image 'cpu' yet: 'fourscore infra image --stack {name}' builds one")
    return stack
