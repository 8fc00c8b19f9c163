"""Minutes and dollars of each job before it starts: expected, at worst, and the cap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class JobCost:
    """Minutes and dollars of one job of a plan."""

    job: str
    stages: tuple[str, ...]
    machine: JobConfig
    work: float | None
    """Minutes that its stages took before; None if one of them never ran."""
    prices: tuple[Price | None, ...]
    """The price of each type that it may run on, the preferred one first; None where the table has none."""
    unknown: tuple[str, ...]
    """The prices that the table does not have, as half sentences."""
    spot_share: float

    @property
    def instances(self) -> int:
        return self.machine.instances if isinstance(self.machine, TrainJobConfig) else 1

    @property
    def spot(self) -> bool:
        return isinstance(self.machine, TrainJobConfig) and self.machine.spot

    @property
    def warm(self) -> int:
        """Minutes for which its instances are kept, and paid for, after the job."""
        return self.machine.warm_minutes if isinstance(self.machine, TrainJobConfig) else 0

    @property
    def dearest(self) -> Price | None:
        """The highest price of all its types; None if the price of one of them is unknown."""
        listed = [price for price in self.prices if price]
        return max(listed, key=lambda price: price.dollars) if len(listed) == len(self.prices) else None

    @property
    def minutes(self) -> float | None:
        """Expected minutes, start-up included."""
        return None if self.work is None else STARTUP_MINUTES + self.work

    @property
    def expected(self) -> float | None:
        """Expected dollars."""
        if self.work is None or self.prices[0] is None:
            return None
        share = self.spot_share if self.spot else 1.0
        return self._dollars(self.prices[0], share * (PAID_STARTUP_MINUTES + self.work) + self.warm)

    @property
    def worst(self) -> float | None:
        """Dollars if it takes all its minutes, as often as it may be started again, and spot saves nothing."""
        if self.dearest is None:
            return None
        attempts = 1 + INTERNAL_RETRIES
        return self._dollars(self.dearest, attempts * (PAID_STARTUP_MINUTES + self.machine.minutes) + self.warm)

    def _dollars(self, price: Price, minutes: float) -> float:
        return price.dollars * self.instances * minutes / 60


def estimate(
    jobs: Sequence[Job],
    config: SageMakerConfig,
    region: str,
    seconds: Mapping[str, float] | None = None,
    table: Prices | None = None,
) -> list[JobCost]:
    """Return the minutes and dollars of each job.

    Args:
        seconds: stage -> how long it took before (:func:`history`).
    """
    table, seconds = table or prices.load(), seconds or {}
    costs = []
    for job in jobs:
        machine = config.jobs[job.name]
        stages = tuple(planned.step.name for planned in job.steps)
        kind: prices.Job = "training" if isinstance(machine, TrainJobConfig) else "processing"
        types = {instance: table.find(region, instance, kind) for instance in machine.types}
        costs.append(
            JobCost(
                job=job.name,
                stages=stages,
                machine=machine,
                work=sum(seconds[stage] for stage in stages) / 60 if set(stages) <= set(seconds) else None,
                prices=tuple(types.values()),
                unknown=tuple(table.unknown(region, name, kind) for name, price in types.items() if price is None),
                spot_share=table.spot_share,
            )
        )
    return costs


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


def worst_case(jobs: Sequence[Job], config: SageMakerConfig, region: str, table: Prices | None = None) -> float:
    """Return the dollars if every job takes all its minutes; unknown prices count nothing (:func:`require_prices`).

    Raises:
        InputError: that is more than the problem's cap; the message says which jobs cost so much and what to change.
    """
    costs = estimate(jobs, config, region, table=table)
    total = round(sum(cost.worst or 0 for cost in costs), 4)
    if total > config.max_dollars:
        raise InputError(_over_cap(costs, total, config.max_dollars))
    return total


def _over_cap(costs: Sequence[JobCost], total: float, cap: float) -> str:
    lines = [f"the run could cost ${total:.2f}, more than sagemaker.max_dollars (${cap:.2f}); nothing was started:"]
    ordered = sorted(costs, key=lambda cost: cost.worst or 0, reverse=True)
    attempts = f", {1 + INTERNAL_RETRIES} times if SageMaker itself breaks it"
    for cost in ordered:
        if cost.dearest is not None:
            machines = f"{cost.instances} x " if cost.instances > 1 else ""
            warm = f", then kept warm for {cost.warm}" if cost.warm else ""
            lines.append(
                f"  {cost.job}: ${cost.worst:.2f} for up to {cost.machine.minutes} minutes on {machines}"
                f"{cost.dearest.instance} at ${cost.dearest.dollars:.4g} an hour{attempts}{warm}"
            )
    fewer = ", sagemaker.train.instances" if ordered[0].instances > 1 else ""
    lines.append(
        f"raise sagemaker.max_dollars to {math.ceil(100 * total) / 100:.2f}, or lower "
        f"sagemaker.{ordered[0].job}.minutes{fewer} or take a smaller sagemaker.{ordered[0].job}.instance"
    )
    return "\n".join(lines)


def require_prices(jobs: Sequence[Job], config: SageMakerConfig, region: str, table: Prices | None = None) -> None:
    """Check that every price is known, without which nobody can say that a run stays below its cap.

    Raises:
        InputError: the price of a type that a job may run on is unknown.
    """
    unknown = sorted({text for cost in estimate(jobs, config, region, table=table) for text in cost.unknown})
    if unknown:
        listed = "\n".join(f"  {text}" for text in unknown)
        cap = f"sagemaker.max_dollars (${config.max_dollars:.2f}) cannot be checked; nothing was started"
        raise InputError(f"{cap}:\n{listed}\n{prices.renewal(region)}")


def document(
    jobs: Sequence[Job],
    config: SageMakerConfig,
    region: str,
    seconds: Mapping[str, float] | None = None,
    table: Prices | None = None,
) -> dict[str, Any]:
    """Return what ``plan --json`` shows of jobs, minutes and dollars; None stands for what is unknown."""
    table = table or prices.load()
    costs = estimate(jobs, config, region, seconds, table)
    used = [price for cost in costs for price in (cost.prices[0], cost.dearest) if price]
    oldest = min(used, key=lambda price: price.date, default=None)
    limit = sum(cost.machine.minutes for cost in costs)
    return {
        "jobs": [_of_job(cost) for cost in costs],
        "minutes": {"expected": _sum(cost.minutes for cost in costs), "limit": limit},
        "dollars": {
            "expected": _sum(cost.expected for cost in costs),
            "worst": _sum(cost.worst for cost in costs),
            "cap": config.max_dollars,
        },
        "prices": {
            "region": region,
            "oldest": oldest.date if oldest else None,
            "days": oldest.age() if oldest else None,
            "source": oldest.source if oldest else None,
            "unknown": sorted({text for cost in costs for text in cost.unknown}),
            "spot_share": table.spot_share if any(cost.spot for cost in costs) else None,
        },
    }


def _of_job(cost: JobCost) -> dict[str, Any]:
    minutes = {"expected": _sum([cost.minutes]), "startup": STARTUP_MINUTES, "limit": cost.machine.minutes}
    hour = cost.prices[0].dollars if cost.prices[0] else None
    return {
        "job": cost.job,
        "stages": list(cost.stages),
        "instance": cost.machine.instance,
        "instances": cost.instances,
        "spot": cost.spot,
        "minutes": minutes,
        "dollars": {"hour": hour, "expected": _sum([cost.expected]), "worst": _sum([cost.worst])},
    }


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None if one of the values is unknown."""
    listed = list(values)
    return None if None in listed else round(sum(value or 0 for value in listed), 4)
