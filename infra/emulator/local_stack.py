"""The stack of --on sagemaker-local: the local cloud's bucket, and names of roles and images that its jobs do without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.emulator import local_cloud
from infra.emulator.local_cloud import ACCOUNT, REGION
from infra.s3.folder import FolderObjects
from infra.sagemaker.stack import ROLES, Stack

NAME = "local"
BUCKET = "fourscore-local"


@dataclass(frozen=True)
class LocalStack(Stack):
    """The stack of a workspace's local cloud, which is started when the first client is needed."""

    workspace: Path = Path()

    def client(self, service: str) -> Any:
        return local_cloud.start(self.workspace).client(service)


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
