"""Minutes and dollars of each job before it starts: expected, at worst, and the cap; as numbers and as text."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.sagemaker import prices
from infra.sagemaker.config import JobConfig, SageMakerConfig, TrainJobConfig
from infra.sagemaker.jobs import Job
from infra.sagemaker.prices import Price, Prices
from infra.sagemaker.requests import INTERNAL_RETRIES
from infra.store.manifest import Manifest
from steps.errors import InputError

STARTUP_MINUTES = 3.0
"""From the request for a job to the first line of our code, while instances are prepared and inputs and image fetched.

The median of eight training jobs whose logs with times are public (ml.c4 to ml.p2 and ml.g4dn, 2019 to 2022): 138 to
270 seconds. Not measured with our image.
"""
PAID_STARTUP_MINUTES = 1.0
"""The part of it that is billed: from TrainingStartTime on, while inputs and image are fetched (DescribeTrainingJob).

The median of the six of those jobs that show it: 43 to 177 seconds.
"""
ATTEMPTS = 1 + INTERNAL_RETRIES

Estimate = Mapping[str, Any]
"""Jobs, minutes, dollars and prices as ``plan --json`` has them; None stands for what is unknown."""


def estimate(
    jobs: Sequence[Job],
    config: SageMakerConfig,
    region: str,
    seconds: Mapping[str, float] | None = None,
    table: Prices | None = None,
) -> Estimate:
    """Return what the jobs are expected to take and cost, and at worst.

    Args:
        seconds: stage -> how long it took before (:func:`history`).
    """
    table, seconds = table or prices.load(), seconds or {}
    entries, priced, unknown = [], list[Price](), set[str]()
    for job in jobs:
        machine = config.jobs[job.name]
        kind: prices.Job = "training" if isinstance(machine, TrainJobConfig) else "processing"
        if price := table.find(region, machine.instance, kind):
            priced.append(price)
        else:
            unknown.add(table.unknown(region, machine.instance, kind))
        entries.append(_entry(job, machine, price.dollars if price else None, seconds, table.spot_share))
    oldest = min(priced, key=lambda price: price.date, default=None)
    return {
        "jobs": entries,
        "minutes": {
            "expected": _sum(entry["minutes"]["expected"] for entry in entries),
            "limit": sum(entry["minutes"]["limit"] for entry in entries),
        },
        "dollars": {
            "expected": _sum(entry["dollars"]["expected"] for entry in entries),
            "worst": _sum(entry["dollars"]["worst"] for entry in entries),
            "cap": config.max_dollars,
        },
        "prices": {
            "region": region,
            "oldest": oldest.date if oldest else None,
            "days": oldest.age() if oldest else None,
            "source": oldest.source if oldest else None,
            "unknown": sorted(unknown),
            "spot_share": table.spot_share if any(entry["spot"] for entry in entries) else None,
        },
    }


def _entry(
    job: Job, machine: JobConfig, hour: float | None, seconds: Mapping[str, float], spot_share: float
) -> dict[str, Any]:
    """Return the minutes and dollars of one job, by the hourly price of its instances."""
    instances, spot = (machine.instances, machine.spot) if isinstance(machine, TrainJobConfig) else (1, False)
    stages = [planned.step.name for planned in job.steps]
    minutes = sum(seconds[stage] for stage in stages) / 60 if set(stages) <= set(seconds) else None
    expected = worst = None
    if hour and minutes is not None:
        paid = (PAID_STARTUP_MINUTES + minutes) * (spot_share if spot else 1)
        expected = round(hour * instances * paid / 60, 4)
    if hour:  # every attempt takes all its minutes, and spot saves nothing
        worst = round(hour * instances * ATTEMPTS * (PAID_STARTUP_MINUTES + machine.minutes) / 60, 4)
    return {
        "job": job.name,
        "stages": stages,
        "instance": machine.instance,
        "instances": instances,
        "spot": spot,
        "minutes": {
            "expected": None if minutes is None else round(STARTUP_MINUTES + minutes, 4),
            "startup": STARTUP_MINUTES,
            "limit": machine.minutes,
        },
        "dollars": {"hour": hour, "expected": expected, "worst": worst},
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None if one of the values is unknown."""
    listed = list(values)
    return None if None in listed else round(sum(value or 0 for value in listed), 4)


def history(
    workspace: Path, problem: str, find: Callable[[str], Manifest | None], *, smoke: bool = False
) -> dict[str, float]:
    """Return stage -> seconds of its newest execution, wherever it ran; a stage that never ran is not in it.

    Args:
        find: the store's.
        smoke: whether to look at smoke runs, whose times say nothing of a whole run, or at all others.
    """
    seconds: dict[str, float] = {}
    for record in records.every(workspace):
        if record.problem_name != problem or record.smoke != smoke:
            continue
        for stage in record.stages:
            if stage.name not in seconds and (manifest := find(stage.key)):
                seconds[stage.name] = manifest.seconds
        if seconds and len(seconds) >= len(record.stages):
            break
    return seconds


def check_cap(estimate: Estimate) -> None:
    """Check the worst case against the problem's cap; unknown prices count nothing (:func:`require_prices`).

    Raises:
        InputError: the run could cost more; the message says which jobs cost so much and what to change.
    """
    cap = estimate["dollars"]["cap"]
    jobs = sorted(estimate["jobs"], key=lambda job: job["dollars"]["worst"] or 0, reverse=True)
    total = sum(job["dollars"]["worst"] or 0 for job in jobs)
    if total <= cap:
        return
    lines = [
        f"  {job['job']}: ${job['dollars']['worst']:.2f} for up to {job['minutes']['limit']} minutes on {machine(job)}, "
        f"{ATTEMPTS} times if SageMaker itself breaks it"
        for job in jobs
        if job["dollars"]["worst"]
    ]
    first, fewer = jobs[0]["job"], ", sagemaker.train.instances" if jobs[0]["instances"] > 1 else ""
    raise InputError(
        f"the run could cost ${total:.2f}, more than sagemaker.max_dollars (${cap:.2f}); nothing was started:\n"
        + "\n".join(lines)
        + f"\nraise sagemaker.max_dollars to {math.ceil(100 * total) / 100:.2f}, or lower sagemaker.{first}.minutes"
        f"{fewer} or take a smaller sagemaker.{first}.instance"
    )


def require_prices(estimate: Estimate) -> None:
    """Check that every price is in the table, without which nobody can say that a run stays below its cap.

    Raises:
        InputError: the price of a type that a job may run on is unknown.
    """
    if unknown := estimate["prices"]["unknown"]:
        cap = f"sagemaker.max_dollars (${estimate['dollars']['cap']:.2f}) cannot be checked; nothing was started"
        raise InputError("\n  ".join([f"{cap}:", *unknown]) + f"\n{prices.renewal(estimate['prices']['region'])}")


def machine(job: Mapping[str, Any]) -> str:
    """Return the instances of a job in words."""
    return f"{job['instances']} x {job['instance']}" if job["instances"] > 1 else str(job["instance"])
