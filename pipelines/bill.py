"""What a run on SageMaker takes and costs, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.sagemaker import prices
from infra.sagemaker.cost import STARTUP_MINUTES, Estimate, machine
from pipelines.terminal import table


def bill(estimate: Estimate) -> str:
    """Return an estimate as text: one line per job, the total beside the cap, the age of the prices."""
    if not estimate["jobs"]:
        return "no job is started: everything is in the store already"
    rows = [("job", "stages", "on", "minutes", "dollars")]
    for job in estimate["jobs"]:
        instances = f"{machine(job)}{' (spot)' if job['spot'] else ''}"
        rows.append((job["job"], ", ".join(job["stages"]), instances, *_ranges(job)))
    minutes, dollars = _ranges(estimate)
    cap = f"cap {estimate['dollars']['cap']:.2f} dollars (sagemaker.max_dollars)"
    return "\n".join(
        [table(rows, indent=""), f"total: {minutes} minutes; {dollars} dollars; {cap}", *_remarks(estimate)]
    )


def _ranges(part: Mapping[str, Any]) -> tuple[str, str]:
    minutes, dollars = part["minutes"], part["dollars"]
    return _range(minutes["expected"], minutes["limit"], ".0f"), _range(dollars["expected"], dollars["worst"], ".2f")


def _range(expected: float | None, most: float | None, form: str) -> str:
    upper = "unknown" if most is None else f"at most {most:{form}}"
    return upper if expected is None else f"about {expected:{form}}, {upper}"


def _remarks(estimate: Estimate) -> Iterator[str]:
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
