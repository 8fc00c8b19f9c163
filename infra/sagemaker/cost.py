"""Minutes and dollars of each job before it starts: expected, at worst, and the cap; as numbers and as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.sagemaker import prices
from infra.sagemaker.config import SageMakerConfig, TrainJobConfig
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


@dataclass(frozen=True)
class JobCost:
    """Minutes and dollars of one job of a plan; None stands for what is unknown."""

    job: str
    stages: tuple[str, ...]
    instance: str
    instances: int
    spot: bool
    limit: int
    """Minutes after which the job is stopped."""
    warm: int
    """Minutes for which its instances are kept, and paid for, after the job."""
    minutes: float | None
    """Expected minutes, start-up included; None if one of its stages never ran."""
    hour: float | None
    """The price of an hour on the preferred type."""
    expected: float | None
    """Expected dollars."""
    worst: float | None
    """Dollars if it takes all its minutes, as often as it may be started again, and spot saves nothing."""
    prices: tuple[Price, ...]
    """The known prices of the types that it may run on."""
    unknown: tuple[str, ...]
    """The prices that the table does not have, as half sentences."""

    @property
    def dearest(self) -> Price:
        return max(self.prices, key=lambda price: price.dollars)


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
    return [_job_cost(job, config, region, seconds or {}, table or prices.load()) for job in jobs]


def _job_cost(job: Job, config: SageMakerConfig, region: str, seconds: Mapping[str, float], table: Prices) -> JobCost:
    machine, training = config.jobs[job.name], None
    if isinstance(machine, TrainJobConfig):
        training = machine
    kind: prices.Job = "training" if training else "processing"
    instances, warm = (training.instances, training.warm_minutes) if training else (1, 0)
    listed = [table.find(region, instance, kind) for instance in machine.types]
    priced = tuple(price for price in listed if price)
    stages = tuple(planned.step.name for planned in job.steps)
    minutes = sum(seconds[stage] for stage in stages) / 60 if set(stages) <= set(seconds) else None
    first, share = listed[0], table.spot_share if training and training.spot else 1.0

    def dollars(price: Price, paid: float) -> float:
        return price.dollars * instances * (paid + warm) / 60

    expected = dollars(first, share * (PAID_STARTUP_MINUTES + minutes)) if first and minutes is not None else None
    dearest = max(priced, key=lambda price: price.dollars) if len(priced) == len(listed) else None
    return JobCost(
        job=job.name,
        stages=stages,
        instance=machine.instance,
        instances=instances,
        spot=bool(training and training.spot),
        limit=machine.minutes,
        warm=warm,
        minutes=None if minutes is None else STARTUP_MINUTES + minutes,
        hour=first.dollars if first else None,
        expected=expected,
        worst=dollars(dearest, ATTEMPTS * (PAID_STARTUP_MINUTES + machine.minutes)) if dearest else None,
        prices=priced,
        unknown=tuple(
            table.unknown(region, instance, kind)
            for instance, price in zip(machine.types, listed, strict=True)
            if price is None
        ),
    )


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
    total, cap = round(sum(cost.worst or 0 for cost in costs), 4), config.max_dollars
    if total <= cap:
        return total
    costs.sort(key=lambda cost: cost.worst or 0, reverse=True)
    fewer = ", sagemaker.train.instances" if costs[0].instances > 1 else ""
    raise InputError(
        f"the run could cost ${total:.2f}, more than sagemaker.max_dollars (${cap:.2f}); nothing was started:\n"
        + "".join(_worst_in_words(cost) for cost in costs if cost.worst is not None)
        + f"raise sagemaker.max_dollars to {math.ceil(100 * total) / 100:.2f}, or lower "
        f"sagemaker.{costs[0].job}.minutes{fewer} or take a smaller sagemaker.{costs[0].job}.instance"
    )


def _worst_in_words(cost: JobCost) -> str:
    warm = f", then kept warm for {cost.warm}" if cost.warm else ""
    return (
        f"  {cost.job}: ${cost.worst:.2f} for up to {cost.limit} minutes on {_times(cost.instances)}"
        f"{cost.dearest.instance} at ${cost.dearest.dollars:.4g} an hour, {ATTEMPTS} times if SageMaker itself breaks it"
        f"{warm}\n"
    )


def _times(instances: int) -> str:
    return f"{instances} x " if instances > 1 else ""


def require_prices(jobs: Sequence[Job], config: SageMakerConfig, region: str, table: Prices | None = None) -> None:
    """Check that every price is known, without which nobody can say that a run stays below its cap.

    Raises:
        InputError: the price of a type that a job may run on is unknown.
    """
    unknown = sorted({text for cost in estimate(jobs, config, region, table=table) for text in cost.unknown})
    if unknown:
        cap = f"sagemaker.max_dollars (${config.max_dollars:.2f}) cannot be checked; nothing was started"
        raise InputError("\n  ".join([f"{cap}:", *unknown]) + f"\n{prices.renewal(region)}")


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
    oldest = min((price for cost in costs for price in cost.prices), key=lambda price: price.date, default=None)
    return {
        "jobs": [
            {
                "job": cost.job,
                "stages": list(cost.stages),
                "instance": cost.instance,
                "instances": cost.instances,
                "spot": cost.spot,
                "minutes": {"expected": _sum([cost.minutes]), "startup": STARTUP_MINUTES, "limit": cost.limit},
                "dollars": {"hour": cost.hour, "expected": _sum([cost.expected]), "worst": _sum([cost.worst])},
            }
            for cost in costs
        ],
        "minutes": {"expected": _sum(cost.minutes for cost in costs), "limit": sum(cost.limit for cost in costs)},
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


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum, or None if one of the values is unknown."""
    listed = list(values)
    return None if None in listed else round(sum(value or 0 for value in listed), 4)


def bill(estimate: Mapping[str, Any]) -> str:
    """Return a :func:`document` as text: one line per job, the total beside the cap, the age of the prices."""
    if not estimate["jobs"]:
        return "no job is started: everything is in the store already"
    rows = [("job", "stages", "on", "minutes", "dollars")]
    for job in estimate["jobs"]:
        machine = f"{_times(job['instances'])}{job['instance']}{' (spot)' if job['spot'] else ''}"
        rows.append((job["job"], ", ".join(job["stages"]), machine, *_ranges(job)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    minutes, dollars = _ranges(estimate)
    cap = f"cap {estimate['dollars']['cap']:.2f} dollars (sagemaker.max_dollars)"
    return "\n".join([*lines, f"total: {minutes} minutes; {dollars} dollars; {cap}", *_remarks(estimate)])


def _ranges(part: Mapping[str, Any]) -> tuple[str, str]:
    minutes, dollars = part["minutes"], part["dollars"]
    return _range(minutes["expected"], minutes["limit"], ".0f"), _range(dollars["expected"], dollars["worst"], ".2f")


def _range(expected: float | None, most: float | None, form: str) -> str:
    upper = "unknown" if most is None else f"at most {most:{form}}"
    return upper if expected is None else f"about {expected:{form}}, {upper}"


def _remarks(estimate: Mapping[str, Any]) -> Iterator[str]:
    table = estimate["prices"]
    renewal = f"; {prices.renewal(table['region'])}"
    if table["oldest"]:
        old = renewal if table["days"] > prices.OLD else ""
        yield f"prices: {table['region']}, {table['days']} days old ({table['source']}){old}"
    for unknown in table["unknown"]:
        yield f"{unknown}{renewal}"
    if table["spot_share"] is not None:
        share = f"{table['spot_share']:.0%} of the price on demand"
        yield f"spot is assumed to cost {share}; at most includes all of it"
    for job in estimate["jobs"]:
        expected, limit = job["minutes"]["expected"], job["minutes"]["limit"]
        if expected is not None and expected > limit:
            took = f"{job['job']} took {expected:.0f} minutes before and is stopped after {limit}"
            yield f"{took}: raise sagemaker.{job['job']}.minutes, unless its machine is that much faster"
    if estimate["minutes"]["expected"] is None:
        yield "minutes are unknown until each stage has run once; the limits stand for them"
    else:
        yield f"minutes are those of earlier executions, plus {STARTUP_MINUTES:g} for each job to start"
