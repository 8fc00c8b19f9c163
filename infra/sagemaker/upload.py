"""Objects that jobs need in S3 before they start: our code, their descriptions, sources, results of this machine.

Our modules lie below ``code/<digest>/``, on the import path of jobs, so an image changes with its packages only.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from infra.files import sha256_of
from infra.runs.plan import Plan, Reporter
from infra.sagemaker.jobs import Job
from infra.store.s3 import S3Store

PACKAGES = ("infra", "steps", "model_code")
"""The packages that a job imports; the command line is not among them."""
COMPLETE = "COMPLETE"
"""The object that is written last: without it, an upload of the code was cut short."""


@cache
def modules() -> Mapping[str, Path]:
    """Return name below ``code/<digest>/`` -> file, in order."""
    top = Path(__file__).parents[2]
    paths = [path for package in PACKAGES for path in sorted((top / package).rglob("*"))]
    return {
        path.relative_to(top).as_posix(): path
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


@cache
def code_digest() -> str:
    """Return the digest of all names and contents of our modules."""
    total = hashlib.sha256()
    for name, path in modules().items():
        total.update(f"{name}\n{sha256_of(path)}\n".encode())
    return total.hexdigest()


def upload(store: S3Store, plan: Plan, jobs: tuple[Job, ...], reporter: Reporter) -> None:
    """Send everything under its digest; what S3 has is not sent again."""
    tasks: list[tuple[str, Callable[[], object]]] = [("code", partial(_send_code, store))]
    tasks += [(f"job {job.name}", partial(_send_description, store, job)) for job in jobs]
    inputs = {artifact for job in jobs for planned in job.steps for artifact in planned.step.inputs}
    tasks += [(name, partial(source.send, store)) for name, source in plan.sources.items() if name in inputs]
    tasks += [(f"result {key[:8]}", partial(store.push, key)) for key in _results_to_send(plan, jobs)]
    for number, (name, task) in enumerate(tasks):
        reporter("", {"kind": "progress", "done": number, "total": len(tasks), "what": f"sending {name}"})
        task()
    reporter("", {"kind": "progress", "done": len(tasks), "total": len(tasks), "what": "sent"})


def _send_code(store: S3Store) -> None:
    folder = f"code/{code_digest()}"
    if store.objects.get(f"{folder}/{COMPLETE}") is not None:
        return
    files = {f"{folder}/{name}": path for name, path in modules().items()}
    entries = {name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for name, path in files.items()}
    store.objects.upload(files, entries)
    store.objects.put(f"{folder}/{COMPLETE}", b"")


def _send_description(store: S3Store, job: Job) -> None:
    name = f"jobs/{job.digest}/job.json"
    if store.objects.get(name) is None:
        store.objects.put(name, job.text.encode())


def _results_to_send(plan: Plan, jobs: tuple[Job, ...]) -> list[str]:
    """Return the keys of finished executions that a job reads or a model package refers to."""
    steps = [planned for job in jobs for planned in job.steps]
    keys = {key for planned in steps for key in planned.inputs.values()}
    keys |= {
        planned.key for planned in plan.steps if planned.cached and {"model", "evaluation"} & set(planned.step.outputs)
    }
    return sorted(keys - {planned.key for planned in steps})
