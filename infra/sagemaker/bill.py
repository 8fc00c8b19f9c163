"""The estimate of a plan as text: one line per job, the total beside the cap, the age of the prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.sagemaker import prices
from infra.sagemaker.cost import STARTUP_MINUTES


def bill(estimate: Mapping[str, Any]) -> str:
    """Return the text of an ``infra.sagemaker.cost.document``."""
    if not estimate["jobs"]:
        return "no job is started: everything is in the store already"
    rows = [("job", "stages", "on", "minutes", "dollars")]
    for job in estimate["jobs"]:
        count = f"{job['instances']} x " if job["instances"] > 1 else ""
        machine = f"{count}{job['instance']}{' (spot)' if job['spot'] else ''}"
        rows.append((job["job"], ", ".join(job["stages"]), machine, *_ranges(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    minutes, dollars = _ranges(estimate)
    cap = f"cap {estimate['dollars']['cap']:.2f} dollars (sagemaker.max_dollars)"
    return "\n".join([*lines, f"total: {minutes} minutes; {dollars} dollars; {cap}", *_remarks(estimate)])


def _ranges(part: Mapping[str, Any]) -> tuple[str, str]:
    minutes, dollars = part["minutes"], part["dollars"]
    return (
        _range(minutes["expected"], minutes["limit"], ".0f"),
        _range(dollars["expected"], dollars["worst"], ".2f"),
    )


def _range(expected: float | None, most: float | None, form: str) -> str:
    upper = "unknown" if most is None else f"at most {most:{form}}"
    return upper if expected is None else f"about {expected:{form}}, {upper}"


def _remarks(estimate: Mapping[str, Any]) -> list[str]:
    table, lines = estimate["prices"], []
    renewal = f"; {prices.renewal(table['region'])}"
    if table["oldest"]:
        old = renewal if table["days"] > prices.OLD else ""
        lines.append(f"prices: {table['region']}, {table['days']} days old ({table['source']}){old}")
    lines += [f"{unknown}{renewal}" for unknown in table["unknown"]]
    if table["spot_share"] is not None:
        lines.append(
            f"spot is assumed to cost {table['spot_share']:.0%} of the price on demand; at most includes all of it"
        )
    for job in estimate["jobs"]:
        expected, limit = job["minutes"]["expected"], job["minutes"]["limit"]
        if expected is not None and expected > limit:
            took = f"{job['job']} took {expected:.0f} minutes before and is stopped after {limit}"
            lines.append(f"{took}: raise sagemaker.{job['job']}.minutes, unless its machine is that much faster")
    if estimate["minutes"]["expected"] is None:
        lines.append("minutes are unknown until each stage has run once; the limits stand for them")
    else:
        lines.append(f"minutes are those of earlier executions, plus {STARTUP_MINUTES:g} for each job to start")
    return lines
