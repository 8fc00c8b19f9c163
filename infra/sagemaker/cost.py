"""Minutes and dollars of each job before it starts: expected from earlier executions, at worst by its limits; and the money cap"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.sagemaker import prices
from infra.sagemaker.config import SageMakerConfig
from infra.sagemaker.jobs import Job
from infra.sagemaker.prices import Price, Prices
from infra.sagemaker.requests import INTERNAL_RETRIES
from infra.store.local import Manifest
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
    """One job of a plan."""

    job: str
    stages: tuple[str, ...]
    instance: str
    instances: int
    spot: bool
    limit: int
    """Minutes after which it is stopped."""
    warm: int
    """Minutes for which its instances are kept, and paid for, when it is done."""
    work: float | None
    """Minutes that its stages took before; None where that is unknown."""
    price: Price | None
    dearest: Price | None
    """Of all the types that it may run on; None where the price of one of them is unknown."""
    spot_share: float
    lacks: tuple[str, ...]
    """Prices that the table does not have, as half sentences."""

    @property
    def minutes(self) -> float | None:
        """Expected, start-up included."""
        return None if self.work is None else STARTUP_MINUTES + self.work

    @property
    def expected(self) -> float | None:
        """Dollars."""
        if self.work is None or self.price is None:
            return None
        share = self.spot_share if self.spot else 1.0
        return self._dollars(self.price, share * (PAID_STARTUP_MINUTES + self.work) + self.warm)

    @property
    def worst(self) -> float | None:
        """Dollars if it takes all the time that it may, as often as it may be started again, with spot saving nothing."""
        if self.dearest is None:
            return None
        attempts = 1 + INTERNAL_RETRIES
        return self._dollars(self.dearest, attempts * (PAID_STARTUP_MINUTES + self.limit) + self.warm)

    def _dollars(self, price: Price, minutes: float) -> float:
        return price.dollars * self.instances * minutes / 60


def estimate(
    jobs: Sequence[Job],
    config: SageMakerConfig,
    region: str,
    seconds: Mapping[str, float] | None = None,
    table: Prices | None = None,
) -> list[JobCost]:
    """What each job takes and costs.

    Args:
        seconds: stage -> how long it took before (:func:`history`).
    """
    return [_job(job, config, region, seconds or {}, table or prices.load()) for job in jobs]


def _job(job: Job, config: SageMakerConfig, region: str, seconds: Mapping[str, float], table: Prices) -> JobCost:
    stages = tuple(planned.step.name for planned in job.steps)
    training = job.name == "train"
    machine = config.train if training else config.assess if job.name == "assess" else config.prepare
    types = config.train.types if training else (machine.instance,)
    kind: prices.Job = "training" if training else "processing"
    found = [table.find(region, each, kind) for each in types]
    known = [each for each in found if each is not None]
    return JobCost(
        job=job.name,
        stages=stages,
        instance=machine.instance,
        instances=config.train.instances if training else 1,
        spot=training and config.train.spot,
        limit=machine.minutes,
        warm=config.train.warm_minutes if training else 0,
        work=sum(seconds[stage] for stage in stages) / 60 if all(stage in seconds for stage in stages) else None,
        price=found[0],
        dearest=max(known, key=lambda price: price.dollars) if len(known) == len(found) else None,
        spot_share=table.spot_share,
        lacks=tuple(
            table.unknown(region, each, kind) for each, price in zip(types, found, strict=True) if price is None
        ),
    )


def history(
    workspace: Path, problem: str, find: Callable[[str], Manifest | None], *, smoke: bool = False
) -> dict[str, float]:
    """Stage -> seconds that its newest execution took, wherever it ran; stages that never ran are not in it.

    Args:
        find: the store's.
        smoke: whether rehearsals on a sample are asked for, which say nothing of the whole.
    """
    found: dict[str, float] = {}
    for record in records.every(workspace):
        if record.problem_name != problem or record.smoke != smoke:
            continue
        for stage in record.stages:
            if stage.name not in found and (manifest := find(stage.key)):
                found[stage.name] = manifest.seconds
        if found and len(found) >= len(record.stages):
            break
    return found


def worst_case(jobs: Sequence[Job], config: SageMakerConfig, region: str, table: Prices | None = None) -> float:
    """Dollars if every job takes all the time that it may. A job of unknown price counts nothing: see :func:`require_prices`.

    Raises:
        InputError: that is more than the problem's cap; the message says what costs so much and what to change.
    """
    costs = estimate(jobs, config, region, table=table)
    total = round(sum(each.worst or 0 for each in costs), 4)
    if total > config.max_dollars:
        raise InputError(_too_much(costs, total, config.max_dollars))
    return total


def _too_much(costs: Sequence[JobCost], total: float, cap: float) -> str:
    lines = [f"the run could cost ${total:.2f}, more than sagemaker.max_dollars (${cap:.2f}); nothing was started:"]
    for each in sorted(costs, key=lambda cost: cost.worst or 0, reverse=True):
        if each.dearest is None or each.worst is None:
            continue
        where = f"{each.instances} x {each.dearest.instance}" if each.instances > 1 else each.dearest.instance
        again = f", {1 + INTERNAL_RETRIES} times if SageMaker itself breaks it" if INTERNAL_RETRIES else ""
        warm = f", then kept warm for {each.warm}" if each.warm else ""
        hour = f"${each.dearest.dollars:.4g} an hour"
        lines.append(
            f"  {each.job}: ${each.worst:.2f} for up to {each.limit} minutes on {where} at {hour}{again}{warm}"
        )
    dear = max(costs, key=lambda cost: cost.worst or 0)
    fewer = ", sagemaker.train.instances" if dear.instances > 1 else ""
    lines.append(
        f"raise sagemaker.max_dollars to {math.ceil(100 * total) / 100:.2f}, or lower sagemaker.{dear.job}.minutes{fewer} "
        f"or take a smaller sagemaker.{dear.job}.instance"
    )
    return "\n".join(lines)


def require_prices(jobs: Sequence[Job], config: SageMakerConfig, region: str, table: Prices | None = None) -> None:
    """Before money is spent: without prices nobody can say that a run stays below its cap.

    Raises:
        InputError: the price of a type that a job may run on is unknown.
    """
    lacks = sorted({lack for each in estimate(jobs, config, region, table=table) for lack in each.lacks})
    if lacks:
        listed = "\n".join(f"  {lack}" for lack in lacks)
        cap = f"sagemaker.max_dollars (${config.max_dollars:.2f}) cannot be checked; nothing was started"
        raise InputError(f"{cap}:\n{listed}\n{prices.renewal(region)}")


def document(
    jobs: Sequence[Job],
    config: SageMakerConfig,
    region: str,
    seconds: Mapping[str, float] | None = None,
    table: Prices | None = None,
) -> dict[str, Any]:
    """What ``plan --json`` says of jobs, minutes and dollars; None stands for what is unknown."""
    table = table or prices.load()
    costs = estimate(jobs, config, region, seconds, table)
    used = [price for each in costs for price in (each.price, each.dearest) if price]
    oldest = min(used, key=lambda price: price.date, default=None)
    lacks = sorted({lack for each in costs for lack in each.lacks})
    return {
        "jobs": [_as_document(each) for each in costs],
        "minutes": {"expected": _sum(each.minutes for each in costs), "limit": sum(each.limit for each in costs)},
        "dollars": {
            "expected": _sum(each.expected for each in costs),
            "worst": _sum(each.worst for each in costs),
            "cap": config.max_dollars,
        },
        "prices": {
            "region": region,
            "oldest": oldest.date if oldest else None,
            "days": oldest.age() if oldest else None,
            "source": oldest.source if oldest else None,
            "unknown": lacks,
            "spot_share": table.spot_share if any(each.spot for each in costs) else None,
        },
    }


def _sum(values: Any) -> float | None:
    """The sum, or None where one of them is unknown."""
    listed = list(values)
    return None if None in listed else round(sum(listed), 4)


def _as_document(cost: JobCost) -> dict[str, Any]:
    return {
        "job": cost.job,
        "stages": list(cost.stages),
        "instance": cost.instance,
        "instances": cost.instances,
        "spot": cost.spot,
        "minutes": {"expected": _sum([cost.minutes]), "startup": STARTUP_MINUTES, "limit": cost.limit},
        "dollars": {
            "hour": cost.price.dollars if cost.price else None,
            "expected": _sum([cost.expected]),
            "worst": _sum([cost.worst]),
        },
    }
