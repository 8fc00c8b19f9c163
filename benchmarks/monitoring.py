"""Monitoring of simulated years with planted drifts: days until each is detected, and false alarms per quarter.

    python benchmarks/monitoring.py [--seeds 5] [--days 365] [--rows 10000] [--training 20000]

Rows have five columns and an answer. Clean days are not all alike: weekends shift a mean by a twentieth of a standard deviation, and
each day moves it a little by chance. Aim: at most one false alarm a quarter, every planted drift detected within a week.
The slow drift counts from the day on which it is as large as its margin.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from steps.monitoring.comparing import Margins, Tally, series_of
from steps.monitoring.document import Comparison, Judgement, Window
from steps.monitoring.judging import judge
from steps.monitoring.reference import reference_of

WORDS = np.array(["red", "green", "blue", "white", "black", "violet"])
SHARES = np.array([0.4, 0.25, 0.2, 0.1, 0.05, 0.0])
WOBBLE, WEEKEND = 0.02, 0.05
ALARMS_PER_QUARTER = 0.25


@dataclass(frozen=True)
class Drift:
    """A planted drift, as shares of a year."""

    name: str
    subject: tuple[str, str]
    """The measure and the column in which it shows."""
    start: float
    end: float


DRIFTS = (
    Drift("mean shift of 0.4 standard deviations", ("distribution", "income"), 0.15, 0.22),
    Drift("a new category in 5 % of the rows", ("new values", "colour"), 0.30, 0.37),
    Drift("missing values in 5 % of the rows", ("missing", "age"), 0.45, 0.52),
    Drift("answers shifted by half a logit", ("distribution", "probability"), 0.60, 0.67),
    Drift("a slow drift: 0.01 standard deviations a day", ("distribution", "height"), 0.75, 1.0),
)
SLOW, SLOPE, REAL = DRIFTS[-1], 0.01, 0.2
"""A slow drift is real from its margin on."""


def table(rows: int, day: int, days: int, random: np.random.Generator) -> pl.DataFrame:
    """Return the rows of a day; those of training are day -1."""
    now = {drift.name: drift.start * days <= day < drift.end * days for drift in DRIFTS}
    usual = 0.0 if day < 0 else random.normal(0, WOBBLE) + WEEKEND * (day % 7 >= 5)
    income = random.normal(0.4 * now[DRIFTS[0].name] + usual, 1, rows)
    shares = SHARES if not now[DRIFTS[1].name] else np.append(0.95 * SHARES[:-1], 0.05)
    age = random.normal(40 + 10 * usual, 10, rows)
    if now[DRIFTS[2].name]:
        age[random.random(rows) < 0.05] = np.nan
    height = random.normal(usual + (SLOPE * (day - SLOW.start * days) if now[SLOW.name] else 0.0), 1, rows)
    logit = 0.8 * random.normal(size=rows) - 1 + 0.5 * now[DRIFTS[3].name]
    return pl.DataFrame(
        {
            "income": income,
            "colour": WORDS[random.choice(len(WORDS), rows, p=shares)],
            "age": age,
            "height": height,
            "visits": random.poisson(2, rows),
            "probability": 1 / (1 + np.exp(-logit)),
        },
        nan_to_null=True,
    )


def year(seed: int, days: int, rows: int, training: int) -> Judgement:
    """Return how a simulated year is judged, by the code of the pipeline."""
    random = np.random.default_rng(seed)
    trained = table(training, -1, days, random)
    tallies = [
        Tally(
            reference_of(trained[name], role="answer" if name == "probability" else "feature", vocabulary=WORDS[:-1]),
            WORDS[:-1],
        )
        for name in trained.columns
    ]
    for day in range(days):
        frame = table(rows, day, days, random)
        for tally in tallies:
            tally.add(frame[tally.reference.name], np.full(rows, day))
    series = tuple(entry for tally in tallies for entry in series_of(tally, days, Margins()))
    windows = tuple(Window(start=f"{day:04d}", rows=rows) for day in range(days))
    return judge(Comparison(hours=24, windows=windows, series=series), ALARMS_PER_QUARTER)


def delays(judgement: Judgement) -> dict[str, int | None]:
    """Return the days from the start of each drift to its first alarm, 1 for the same day; None where there was none."""
    days = len(judgement.days)
    result: dict[str, int | None] = {}
    for drift in DRIFTS:
        start = int(np.ceil(drift.start * days)) + (round(REAL / SLOPE) if drift is SLOW else 0)
        loud = [
            position
            for position, day in enumerate(judgement.days[: int(drift.end * days)])
            if position >= drift.start * days
            and any(
                finding.state == "alarm" and (finding.measure, finding.column) == drift.subject
                for finding in day.findings
            )
        ]
        result[drift.name] = max(1, loud[0] - start + 1) if loud else None
    return result


def false_alarms(judgement: Judgement) -> int:
    """Return how many episodes had an alarm that no planted drift explains; a memory may speak of one for three weeks more."""
    days = len(judgement.days)
    explained = {drift.subject[1]: (drift.start * days, drift.end * days + 21) for drift in DRIFTS}
    count = 0
    for episode in judgement.episodes:
        if episode.alarm is not None:
            start, end = explained.get(episode.column or "", (0.0, 0.0))
            count += not start <= int(episode.alarm) < end
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--training", type=int, default=20_000)
    options = parser.parse_args(arguments)
    started = time.process_time()
    years = [year(seed, options.days, options.rows, options.training) for seed in range(options.seeds)]
    print(
        f"{options.seeds} years of {options.days} days with {options.rows:,} rows; {time.process_time() - started:.0f} CPU s"
    )
    by_year = [delays(judgement) for judgement in years]
    for drift in DRIFTS:
        print(f"| {drift.name} | {', '.join(str(delay[drift.name]) for delay in by_year)} |")
    false = [false_alarms(judgement) for judgement in years]
    watched = [sum(day.state == "watch" for day in judgement.days) for judgement in years]
    quarters = options.days / 91.25
    print(f"| false alarms a quarter | {', '.join(f'{count / quarters:.2f}' for count in false)} |")
    print(f"| days to watch a year | {', '.join(map(str, watched))} |")


if __name__ == "__main__":
    main()
