"""Whether to train again: what the labels say comes first, then what has drifted and goes on."""

from __future__ import annotations

from collections.abc import Iterator

from steps.monitoring.document import Block, Episode, Judgement, Performance, PromiseInUse, Proposal
from steps.wording import count, isolate, number

DATA_FAULTS = ("missing", "unreadable")
SERVICE = ("errors", "slow")


def propose(judgement: Judgement, performance: Performance) -> Proposal:
    """Return the proposal: to train again where a promise is broken, or where drift goes on and labels do not say that all is well."""
    ongoing = [episode for episode in judgement.episodes if episode.ongoing and episode.state == "alarm"]
    drifted = [episode for episode in ongoing if episode.measure not in (*DATA_FAULTS, *SERVICE)]
    latest = performance.blocks[-1] if performance.blocks else None
    broken = [promise for promise in latest.promises if promise.outcome == "broken"] if latest else []
    is_well = (
        bool(latest and latest.promises) and all(promise.outcome == "kept" for promise in latest.promises)
        if latest
        else False
    )
    retrain = bool(broken) or (bool(drifted) and not is_well)
    reasons = [*_of_labels(latest), *(_of_drift(episode) for episode in drifted)]
    advice = [_first(episode) for episode in ongoing if episode.measure in DATA_FAULTS]
    if drifted and is_well:
        advice.append(
            "The model keeps its promises on the labelled rows of these days, so drift alone is no reason to train again."
        )
    if not reasons:
        reasons.append("No column and no answer is clearly different from training now.")
    return Proposal(
        retrain=retrain,
        columns=tuple(dict.fromkeys(episode.column for episode in drifted if episode.column)),
        since=min((episode.since for episode in drifted), default=None),
        reasons=tuple(reasons),
        advice=tuple(advice),
    )


def _of_labels(latest: Block | None) -> Iterator[str]:
    if latest is None:
        return
    for promise in latest.promises:
        yield f"{sentence(promise)} on {count(latest.rows, 'labelled row')} from {latest.first} to {latest.last}."


def sentence(promise: PromiseInUse) -> str:
    """Return what became of a promise, without a full stop."""
    result, quoted = (
        promise.result,
        f"\N{LEFT DOUBLE QUOTATION MARK}{promise.result.wanted}\N{RIGHT DOUBLE QUOTATION MARK}",
    )
    ends = (
        f" ({number(result.low, 3)} to {number(result.high, 3)})"
        if result.low is not None and result.high is not None
        else ""
    )
    return f"The promise {quoted} is {promise.outcome}: {number(result.value, 3)}{ends}"


def _of_drift(episode: Episode) -> str:
    return f"Since {episode.since[:10]}: {episode.text}"


def _first(episode: Episode) -> str:
    subject = isolate(episode.column) if episode.column else "the rows"
    return f"Look at the source of {subject} first: {episode.text} A model that is trained on faulty data learns the fault."
