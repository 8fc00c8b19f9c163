"""Jobs of a plan: consecutive steps with the same job are fused, and each job has a description.

A description (job.json, format 1) is canonical JSON in S3 under its own digest. It has the steps and their ingredients,
but not who started them, when, or on which machine: equal work has equal descriptions.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from infra.runs.plan import Plan, PlannedStep
from infra.sagemaker.config import JOBS
from infra.sources.source import describe
from infra.store.ledger import SEALED
from infra.store.manifest import Manifest
from steps.errors import FourscoreError

DECIDING = JOBS[-1]
"""The job that gives the verdict."""


@dataclass(frozen=True)
class Job:
    """Steps that run one after another on one machine."""

    name: str
    steps: tuple[PlannedStep, ...]
    spec: dict[str, Any]

    @property
    def text(self) -> str:
        """The content of job.json."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """The digest of that content, which names its place in S3."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Decision:
    """A decision that results in the store have made already."""

    verdict: Literal["pass", "rejected", "refused"]
    reasons: tuple[str, ...] = ()
    card: str = ""
    """The content of the model card of a model that passed."""


def fuse(plan: Plan) -> tuple[Job, ...]:
    """Return the jobs of the steps that are not cached, in order, without those that have no step left.

    Raises:
        FourscoreError: a stage has no job, or the order of stages would need one job twice.
    """
    waiting = [planned for planned in plan.steps if not planned.cached]
    jobs = tuple(_job(name, tuple(steps), plan) for name, steps in groupby(waiting, _job_of))
    if len({job.name for job in jobs}) < len(jobs):
        raise FourscoreError(f"stages of the same job are not consecutive: {', '.join(job.name for job in jobs)}")
    return jobs


def _job_of(planned: PlannedStep) -> str:
    if planned.step.job not in JOBS:
        raise FourscoreError(
            f"stage {planned.step.name!r} has the job {planned.step.job!r}; its pipeline gives it one of {', '.join(JOBS)}"
        )
    return planned.step.job


def _job(name: str, steps: tuple[PlannedStep, ...], plan: Plan) -> Job:
    inputs = {artifact for planned in steps for artifact in planned.step.inputs}
    sealed = {planned.inputs[SEALED] for planned in steps if SEALED in planned.inputs}
    spec = {
        "format": 1,
        "job": name,
        "steps": [_describe(planned) for planned in steps],
        "divided": {split: table for split, table in plan.divided.items() if split in sealed},
        "sources": {name: describe(source) for name, source in plan.sources.items() if name in inputs},
        "smoke": plan.smoke,
        "stages": [planned.step.name for planned in plan.stages],
    }
    return Job(name, steps, spec)


def _describe(planned: PlannedStep) -> dict[str, Any]:
    return {
        "step": planned.step.address,
        "layer": planned.step.layer,
        "key": planned.key,
        "config": planned.config.model_dump(mode="json"),
        "ingredients": planned.ingredients,
        "inputs": dict(planned.inputs),
    }


def decided(plan: Plan, find: Callable[[str], Manifest | None]) -> Decision | None:
    """Return the decision before anything runs: a gate that refused, or the verdict if the deciding job is cached.

    Args:
        find: the store's; called for cached steps only.
    """
    verdict: Decision | None = None
    for planned in plan.steps:
        manifest = find(planned.key) if planned.cached else None
        if manifest and manifest.verdict == "refused":
            return Decision("refused", tuple(manifest.reasons))
        if planned.step.job == DECIDING:
            if manifest is None:
                return None
            rejected = manifest.verdict == "rejected" or bool(verdict and verdict.verdict == "rejected")
            verdict = Decision("rejected" if rejected else "pass", tuple(manifest.reasons))
    return verdict
