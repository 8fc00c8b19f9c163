"""Where runs run: local, sagemaker or sagemaker-local. The only module that chooses a place, opens stores, makes backends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs.records import RunRecord
from infra.store.local import LocalStore
from infra.store.store import Store
from steps.errors import InputError

if TYPE_CHECKING:
    from infra.backends.backend import Backend, Detached
    from infra.emulator.local_stack import LocalStack
    from infra.sagemaker.stack import Stack
    from infra.store.s3 import S3Store

LOCAL, SAGEMAKER, SAGEMAKER_LOCAL = PLACES = ("local", "sagemaker", "sagemaker-local")


@dataclass(frozen=True)
class Place:
    """A store and the backend that fills it."""

    on: str
    store: Store
    backend: Backend
    stack: str | None = None
    """Name of the stack that executions run in."""
    tracking_uri: str | None = None
    """Where runs are tracked that do not say otherwise; None: in the workspace."""

    @property
    def detached(self) -> Detached | None:
        """The backend, if its runs outlive this process."""
        from infra.backends.backend import Detached

        return self.backend if isinstance(self.backend, Detached) else None


def local(workspace: Path, uri: str | None = None) -> Place:
    """Return this process with the workspace's store, or with the store at ``s3://bucket/prefix/``."""
    from infra.backends.local import LocalBackend  # a prediction, which opens a store alone, starts without it

    store = open_store(workspace, uri)
    return Place(LOCAL, store, LocalBackend(store))


def sagemaker(on: str, workspace: Path, stack_name: str, section: dict[str, Any] | None = None) -> Place:
    """Return a stack on AWS, or the one of the workspace's local cloud.

    Args:
        section: the problem's section ``sagemaker``.

    Raises:
        InputError: there is no such stack, or the extra for AWS is missing.
    """
    from infra.sagemaker.backend import SageMakerBackend
    from infra.sagemaker.config import SageMakerConfig
    from infra.store.s3 import S3Store

    stack: Stack
    if on == SAGEMAKER_LOCAL:
        stack, store = _local_cloud(workspace)
    else:
        from infra.sagemaker.stack import load

        stack = load(workspace, stack_name)
        store = S3Store(workspace, stack.root, kms_key=stack.kms_key, client=partial(stack.client, "s3"))
    config = SageMakerConfig.model_validate(section or {})
    return Place(on, store, SageMakerBackend(store, stack, config), stack.name, stack.tracking_uri)


def place_of(workspace: Path, record: RunRecord) -> Place:
    """Return where a run was started as an execution.

    Raises:
        InputError: it started none.
    """
    if record.execution is None:
        raise InputError(
            f"run {record.run} started no execution on SageMaker: it ran {record.on}, or found everything in the store"
        )
    return sagemaker(record.on, workspace, record.stack or "", record.problem.get("sagemaker"))


def open_store(workspace: Path, uri: str | None = None) -> Store:
    """Return the store in the workspace, or the one at ``s3://bucket/prefix/`` with the workspace as its cache.

    Raises:
        InputError: no store can be at the URI.
    """
    if uri is None:
        return LocalStore(workspace)
    from infra.store.s3 import S3Store

    return S3Store(workspace, uri)


def store_of(workspace: Path, record: RunRecord) -> Store:
    """Return the store with a run's results."""
    if record.on != SAGEMAKER_LOCAL or not record.store:
        return open_store(workspace, record.store)
    return _local_cloud(workspace)[1]


def _local_cloud(workspace: Path) -> tuple[LocalStack, S3Store]:
    """Return the stack and the store of the workspace's local cloud."""
    from infra.emulator.local_stack import local_objects, local_stack
    from infra.store.s3 import S3Store

    stack = local_stack(workspace)
    return stack, S3Store(workspace, stack.root, objects=local_objects(stack))
