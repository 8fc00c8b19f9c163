"""The stack of --on sagemaker-local: the local cloud with a bucket, roles that SageMaker may assume, and images by name only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.sagemaker.stack import ROLES, Stack

if TYPE_CHECKING:
    from infra.store.s3 import S3Store

NAME = "local"
BUCKET = "fourscore-local"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def stack_here(workspace: Path) -> Stack:
    """Start the workspace's local cloud if it does not run, and make what a stack has; from now on this process talks
    to it and to no other."""
    from infra.emulator import local_cloud

    cloud = local_cloud.start(workspace)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(cloud.environment)
    stack = Stack(
        name=NAME,
        region=cloud.region,
        account=cloud.account,
        bucket=BUCKET,
        prefix="",
        roles={role: f"arn:aws:iam::{cloud.account}:role/fourscore-{NAME}-{role}" for role in ROLES},
        images=dict.fromkeys(
            ("cpu", "gpu"), f"{cloud.account}.dkr.ecr.{cloud.region}.amazonaws.com/fourscore-{NAME}@sha256:{'0' * 64}"
        ),
        package_group=f"fourscore-{NAME}",
        endpoint=cloud.endpoint,
    )
    _make(stack)
    return stack


def store_here(workspace: Path, root: str) -> S3Store:
    """The store in the local cloud, which is started only when something is not in the workspace already."""
    from infra.emulator import local_cloud
    from infra.store.s3 import S3Store

    return S3Store(workspace, root, client=lambda: local_cloud.start(workspace).client("s3"))


def _make(stack: Stack) -> None:
    import boto3

    session = boto3.Session(region_name=stack.region)
    _once(session.client("s3"), "BucketAlreadyOwnedByYou", "create_bucket", Bucket=stack.bucket)
    iam = session.client("iam")
    for arn in stack.roles.values():
        name = arn.rpartition("/")[2]
        _once(iam, "EntityAlreadyExists", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))


def _once(client: Any, there: str, operation: str, **arguments: Any) -> None:
    """Make something that may be there already."""
    from botocore.exceptions import ClientError

    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in (there, "BucketAlreadyExists"):
            raise
