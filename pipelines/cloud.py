"""A problem on SageMaker, or on what stands for it here: its stack and store, what it would cost, and runs that were detached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.runs.records import RunRecord
from infra.sagemaker import stack as stacks
from infra.sagemaker.stack import Stack
from steps.errors import InputError

if TYPE_CHECKING:
    from infra.runs.plan import Plan
    from infra.sagemaker.backend import SageMakerBackend
    from infra.store.s3 import S3Store
    from pipelines.problem.definition import Problem


@dataclass(frozen=True)
class Site:
    """Where jobs run and results lie."""

    on: str
    stack: Stack
    store: S3Store

    def backend(self) -> SageMakerBackend:
        """Return the backend that follows what was started there."""
        from infra.sagemaker.backend import SageMakerBackend
        from infra.sagemaker.config import SageMakerConfig

        return SageMakerBackend(self.store, self.stack, SageMakerConfig())


def site(on: str, name: str, workspace: Path, tracking_uri: str | None = None) -> Site:
    """The stack of that name; on sagemaker-local the one that is always there.

    Args:
        tracking_uri: where the run is tracked, if the stack's own server is not what is wanted; jobs track there
            themselves if it is a server.

    Raises:
        InputError: the stack was not made, or the extra for AWS is missing.
    """
    from infra.store.s3 import S3Store

    if on == "sagemaker-local":
        from infra.emulator.local_stack import local_stack

        stack: Stack = local_stack(workspace)
    else:
        stack = stacks.load(workspace, name)
    if tracking_uri:
        reachable = tracking_uri.startswith(("http://", "https://", "arn:"))
        stack = replace(stack, tracking_uri=tracking_uri if reachable else None)
    store = S3Store(workspace, stack.root, kms_key=stack.kms_key, client=partial(stack.client, "s3"))
    return Site(on, stack, store)


def site_of(workspace: Path, record: RunRecord) -> Site:
    """Where a run was started.

    Raises:
        InputError: it ran in this process.
    """
    if record.execution is None:
        raise InputError(
            f"run {record.run} started no execution on SageMaker: it ran {record.on}, or found everything in the store"
        )
    return site(record.on, record.stack or "", workspace)


def stop(workspace: Path, run: str) -> None:
    """Ask a run's execution to stop."""
    record = records.load(workspace, run)
    site_of(workspace, record).backend().stop(record)


def estimate(plan: Plan, problem: Problem, there: Site) -> dict[str, Any]:
    """The jobs of a plan, checked as if they were sent: what they hold, where they run, how long and for how much."""
    from infra.sagemaker.backend import SageMakerBackend

    return SageMakerBackend(there.store, there.stack, problem.sagemaker).estimate(plan, problem.name)
