"""The stack of --on sagemaker-local: the local cloud's bucket, and names of roles and images that its jobs do without."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.emulator import local_cloud
from infra.emulator.api import Api, ApiError
from infra.emulator.local_cloud import ACCOUNT, REGION
from infra.s3.folder import FolderObjects
from infra.sagemaker.stack import ROLES, Stack
from steps.errors import InputError
from steps.wording import install

NAME = "local"
BUCKET = "fourscore-local"


@dataclass(frozen=True)
class LocalStack(Stack):
    """The stack of a workspace's local cloud."""

    workspace: Path = Path()

    def client(self, service: str) -> Any:
        return client(Api(local_cloud.home(self.workspace)), service)


def client(api: Api, service: str) -> Any:
    """Return a client of botocore, which checks requests by AWS's model and is answered by the local cloud in this process.

    Raises:
        InputError: boto3 is not installed.
    """
    try:
        import botocore.session  # boto3 itself brings its transfers along, a fifth of a plan's time
        from botocore.awsrequest import AWSResponse
    except ImportError:
        raise InputError(f"the local cloud needs boto3; {install('aws')}") from None

    def answer(model: Any, params: Mapping[str, Any], **_: Any) -> tuple[Any, Mapping[str, Any]]:
        try:
            status, document = 200, api.call(model.name, json.loads(params["body"]))
        except ApiError as error:
            status, document = 400, {"Error": {"Code": error.code, "Message": error.message}}
        return AWSResponse("", status, {}, None), {**document, "ResponseMetadata": {"HTTPStatusCode": status}}

    # whatever the environment or the user's profile say
    profile = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    created = botocore.session.Session(profile).create_client(service, region_name=REGION, **keys)
    created.meta.events.register("before-call", answer)
    return created


def local_objects(stack: LocalStack) -> FolderObjects:
    """Return the objects of a workspace's local cloud, which need no process."""
    return FolderObjects(stack.root, stack.workspace.absolute() / "cloud" / "s3")


def local_stack(workspace: Path) -> LocalStack:
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fourscore-{NAME}@sha256:{'0' * 64}"
    return LocalStack(
        name=NAME,
        region=REGION,
        account=ACCOUNT,
        bucket=BUCKET,
        prefix="",
        roles={role: f"arn:aws:iam::{ACCOUNT}:role/fourscore-{NAME}-{role}" for role in ROLES},
        images={"cpu": image, "gpu": image},
        package_group=f"fourscore-{NAME}",
        endpoint="the local cloud",
        workspace=workspace,
    )
