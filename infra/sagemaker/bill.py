"""What a plan would take and cost, as a person reads it: one line a job, the total beside the cap, and how old the prices are"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.sagemaker import prices
from infra.sagemaker.cost import STARTUP_MINUTES


def bill(told: Mapping[str, Any]) -> str:
    """The text of an ``infra.sagemaker.cost.document``."""
    if not told["jobs"]:
        return "no job is started: everything is in the store already"
    rows = [("job", "stages", "on", "minutes", "dollars")]
    for each in told["jobs"]:
        count = f"{each['instances']} x " if each["instances"] > 1 else ""
        where = f"{count}{each['instance']}{' (spot)' if each['spot'] else ''}"
        minutes, dollars = each["minutes"], each["dollars"]
        ranges = (
            _range(minutes["expected"], minutes["limit"], ".0f"),
            _range(dollars["expected"], dollars["worst"], ".2f"),
        )
        rows.append((each["job"], ", ".join(each["stages"]), where, *ranges))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    minutes, dollars = told["minutes"], told["dollars"]
    lasts = _range(minutes["expected"], minutes["limit"], ".0f")
    costs = _range(dollars["expected"], dollars["worst"], ".2f")
    lines.append(f"total: {lasts} minutes; {costs} dollars; cap {dollars['cap']:.2f} dollars (sagemaker.max_dollars)")
    return "\n".join([*lines, *_remarks(told)])


def _range(expected: float | None, most: float | None, form: str) -> str:
    upper = "unknown" if most is None else f"at most {most:{form}}"
    return upper if expected is None else f"about {expected:{form}}, {upper}"


def _remarks(told: Mapping[str, Any]) -> list[str]:
    known = told["prices"]
    lines = []
    if known["oldest"]:
        old = f"; {prices.renewal(known['region'])}" if known["days"] > prices.OLD else ""
        lines.append(f"prices: {known['region']}, {known['days']} days old ({known['source']}){old}")
    lines += [f"{lack}; {prices.renewal(known['region'])}" for lack in known["unknown"]]
    if known["spot_share"] is not None:
        lines.append(
            f"spot is taken for {known['spot_share']:.0%} of the price on demand, which is an assumption; at most: all of it"
        )
    for each in told["jobs"]:
        expected, limit = each["minutes"]["expected"], each["minutes"]["limit"]
        if expected is not None and expected > limit:
            took = f"{each['job']} took {expected:.0f} minutes before and is stopped after {limit}"
            lines.append(f"{took}: raise sagemaker.{each['job']}.minutes, unless its machine is so much faster")
    if told["minutes"]["expected"] is None:
        lines.append("minutes are not known before a stage has run once; the limits stand for them")
    else:
        lines.append(f"minutes are those of earlier executions, and {STARTUP_MINUTES:g} for each job to start")
    return lines
