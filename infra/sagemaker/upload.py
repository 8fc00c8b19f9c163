"""What jobs find in S3 before they start: our code, their descriptions, the raw files, and results that only this machine has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from infra.files import sha256_of
from infra.runs.plan import Plan
from infra.sagemaker import code
from infra.sagemaker.jobs import Job
from steps.core import Step

if TYPE_CHECKING:
    from infra.store.s3 import S3Store

Told = Callable[[int, int, str], None]
"""Hears (done, total, what)."""


def upload(store: S3Store, plan: Plan, jobs: tuple[Job, ...], told: Told) -> None:
    """Everything by its digest, so that what is there already is not sent again."""
    tasks: list[tuple[str, Callable[[], object]]] = [("code", partial(_code, store))]
    tasks += [(f"job {job.name}", partial(_job, store, job)) for job in jobs]
    read = {artifact for job in jobs for planned in job.steps for artifact in planned.step.inputs}
    tasks += [(name, partial(source.send, store)) for name, source in plan.sources.items() if name in read]
    tasks += [(f"result {key[:8]}", partial(store.push, key)) for key in _read(plan, jobs)]
    for done, (what, task) in enumerate(tasks):
        told(done, len(tasks), f"sending {what}")
        task()
    told(len(tasks), len(tasks), "sent")


def _code(store: S3Store) -> None:
    place = f"code/{code.digest()}"
    if store.objects.get(f"{place}/{code.COMPLETE}") is not None:
        return
    files = {f"{place}/{name}": path for name, path in code.modules().items()}
    entries = {name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for name, path in files.items()}
    store.objects.upload(files, entries)
    store.objects.put(f"{place}/{code.COMPLETE}", b"")


def _job(store: S3Store, job: Job) -> None:
    name = f"jobs/{job.digest}/job.json"
    if store.objects.get(name) is None:
        store.objects.put(name, job.text.encode())


def _read(plan: Plan, jobs: tuple[Job, ...]) -> list[str]:
    """Keys of finished executions that a job reads or that are registered."""
    made = {planned.key for job in jobs for planned in job.steps}
    wanted = {key for job in jobs for planned in job.steps for key in planned.inputs.values()}
    wanted |= {planned.key for planned in plan.steps if planned.cached and _registered(planned.step)}
    return sorted(wanted - made)


def _registered(step: Step) -> bool:
    """Whether a model package refers to its result."""
    return bool({"model", "evaluation"} & set(step.outputs))
