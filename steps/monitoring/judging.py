"""The state of each window: quiet, watch or alarm, with a controlled rate of false alarms over all columns and windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from steps.monitoring.document import Comparison, Day, Episode, Finding, Judgement, Series, State
from steps.monitoring.significance import rejected
from steps.wording import isolate, number, percent

Array = np.ndarray[Any, Any]

QUARTER = 365.25 * 24 / 4
"""Hours."""
PAUSE = 3
"""So many windows without a finding end an episode."""
RANK: dict[State, int] = {"quiet": 0, "watch": 1, "alarm": 2}


def level_of(hours: float, alarms_per_quarter: float) -> float:
    """Return the chance of a false alarm that a window may have, so that a quarter's expected number is as allowed.

    An expected number is a sum, whatever the windows have to do with one another (Bonferroni's argument over time).
    """
    return min(0.5, alarms_per_quarter * hours / QUARTER)


def judge(comparison: Comparison, alarms_per_quarter: float, broken: Sequence[str] = ()) -> Judgement:
    """Return the states. Within a window Holm's procedure shares the level between all measures of all columns.

    Alarm: an effect is clearly above its margin. Watch: it is clearly above half of it.

    Args:
        broken: what labels say of broken promises.
    """
    level = level_of(comparison.hours, alarms_per_quarter)
    days = []
    for position, window in enumerate(comparison.windows):
        findings = tuple(_findings(comparison.series, position, level))
        state = max((finding.state for finding in findings), key=RANK.__getitem__, default="quiet")
        days.append(Day(start=window.start, rows=window.rows, state=state, findings=findings))
    return Judgement(
        state="alarm" if broken else days[-1].state if days else "quiet",
        broken=tuple(broken),
        days=tuple(days),
        episodes=tuple(episodes(days)),
        level=level,
        alarms_per_quarter=alarms_per_quarter,
    )


def _findings(measures: Sequence[Series], position: int, level: float) -> Iterator[Finding]:
    """Yield what differs in a window, the largest effect in its margin's unit first; of a column and measure one finding."""
    present = [entry for entry in measures if entry.beyond[position] is not None]
    if not present:
        return
    loud = rejected(np.array([entry.beyond[position] for entry in present], float), level)
    notable = rejected(np.array([entry.half[position] for entry in present], float), level)
    hits = [
        (entry, is_loud)
        for entry, is_loud, is_notable in zip(present, loud, notable, strict=True)
        if is_loud or is_notable
    ]
    hits.sort(key=lambda hit: (not hit[1], -abs(_effect(hit[0], position)) / hit[0].margin))
    subjects = set()
    for entry, is_loud in hits:
        if (entry.measure, entry.column) not in subjects:
            subjects.add((entry.measure, entry.column))
            effect = _effect(entry, position)
            state: State = "alarm" if is_loud else "watch"
            yield Finding(
                state=state,
                measure=entry.measure,
                column=entry.column,
                role=entry.role,
                memory=entry.memory,
                effect=effect,
                text=sentence(entry, effect),
            )


def _effect(entry: Series, position: int) -> float:
    effect = entry.effects[position]
    assert effect is not None
    return effect


def sentence(entry: Series, effect: float) -> str:
    """Return in a sentence what differs and by how much."""
    column = isolate(entry.column) if entry.column else ""
    over = ", counting the windows before" if entry.memory else ""
    match entry.measure:
        case "distribution":
            what = f"The answers in {column} are" if entry.role == "answer" else f"{column} is"
            than = "on the test rows" if entry.role == "answer" else "in training"
            return f"{what} distributed differently than {than}: effect size {number(effect, 2)}, margin {number(entry.margin, 2)}{over}."
        case "missing":
            direction = "more" if effect > 0 else "fewer"
            points = number(abs(100 * effect), 1)
            return f"{column} is missing in {direction} rows than in training: by {points} percentage points{over}."
        case "new values":
            return f"{percent(effect)} of the rows have a value of {column} that training did not have{over}."
        case "unreadable":
            return f"{percent(effect)} of the rows have values that the model cannot read; {percent(entry.margin)} are allowed."
        case "errors":
            return (
                f"The server failed to answer {percent(effect)} of the requests; {percent(entry.margin)} are allowed."
            )
        case "slow":
            return f"{percent(effect)} of the requests took too long; {percent(entry.margin)} may."


def episodes(days: Sequence[Day]) -> Iterable[Episode]:
    """Return what lasted how long: findings about the same thing, with pauses of fewer than ``PAUSE`` windows."""
    entries = [
        ((finding.measure, finding.column), position, finding)
        for position, day in enumerate(days)
        for finding in day.findings
    ]
    entries.sort(key=lambda entry: (entry[0][0], entry[0][1] or "", entry[1]))
    result = []
    for _, group in groupby(entries, key=lambda entry: entry[0]):
        run: list[tuple[int, Finding]] = []
        for _, position, finding in group:
            if run and position - run[-1][0] > PAUSE:
                result.append(_episode(run, days))
                run = []
            run.append((position, finding))
        result.append(_episode(run, days))
    return sorted(result, key=lambda episode: (episode.since, episode.measure, episode.column or ""))


def _episode(run: Sequence[tuple[int, Finding]], days: Sequence[Day]) -> Episode:
    worst = max(run, key=lambda entry: (RANK[entry[1].state], abs(entry[1].effect)))[1]
    alarm = next((days[position].start for position, finding in run if finding.state == "alarm"), None)
    return Episode(
        state=worst.state,
        measure=worst.measure,
        column=worst.column,
        role=worst.role,
        since=days[run[0][0]].start,
        alarm=alarm,
        until=days[run[-1][0]].start,
        ongoing=run[-1][0] >= len(days) - PAUSE,
        effect=worst.effect,
        text=worst.text,
    )
