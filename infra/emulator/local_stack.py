"""The stack of --on sagemaker-local: the local cloud's bucket, and names for the roles and images that jobs do without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infra.sagemaker.stack import ROLES, Stack

if TYPE_CHECKING:
    from infra.store.s3 import S3Store

NAME = "local"


def stack_here(workspace: Path) -> Stack:
    """Return the stack of the workspace's local cloud, which is started if it does not run; from now on this process
    talks to it and to no other."""
    from infra.emulator import local_cloud
    from infra.emulator.responses import ACCOUNT, REGION
    from infra.emulator.server import BUCKET

    cloud = local_cloud.start(workspace)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(cloud.environment)
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fourscore-{NAME}@sha256:{'0' * 64}"
    return Stack(
        name=NAME,
        region=REGION,
        account=ACCOUNT,
        bucket=BUCKET,
        prefix="",
        roles={role: f"arn:aws:iam::{ACCOUNT}:role/fourscore-{NAME}-{role}" for role in ROLES},
        images={"cpu": image, "gpu": image},
        package_group=f"fourscore-{NAME}",
        endpoint=cloud.endpoint,
    )


def store_here(workspace: Path, root: str) -> S3Store:
    """Return the store in the local cloud, which is started only when something is not in the workspace already."""
    from infra.emulator import local_cloud
    from infra.store.s3 import S3Store

    return S3Store(workspace, root, client=lambda: local_cloud.start(workspace).client("s3"))
