"""Windows are judged by what is clearly larger than its margin, and by sentences that say so."""

import numpy as np
import polars as pl

from steps.monitoring.comparing import Margins, Tally, series_of
from steps.monitoring.document import Comparison, Window
from steps.monitoring.judging import judge, level_of
from steps.monitoring.reference import reference_of


def judged(days, training=None, rate=0.25):
    """Return the judgement of days of one column ``x``."""
    random = np.random.default_rng(0)
    tally = Tally(reference_of(training if training is not None else pl.Series("x", random.normal(size=5000))))
    for position, values in enumerate(days):
        tally.add(values, np.full(len(values), position))
    windows = tuple(Window(start=f"2026-01-{day + 1:02d}", rows=len(values)) for day, values in enumerate(days))
    series = tuple(series_of(tally, len(days), Margins()))
    return judge(Comparison(hours=24, windows=windows, series=series), rate)


def normal(seed, shift=0.0, rows=2000):
    return pl.Series("x", np.random.default_rng(100 + seed).normal(shift, 1, rows))


def states(judgement):
    return [day.state for day in judgement.days]


def test_days_like_training_are_quiet():
    assert states(judged([normal(day) for day in range(10)])) == ["quiet"] * 10


def test_a_shift_is_an_alarm_on_its_day_and_an_episode_until_it_ends():
    judgement = judged([normal(day, 0.8 * (3 <= day < 6), 10_000) for day in range(12)])
    assert [position for position, state in enumerate(states(judgement)) if state == "alarm"] == [3, 4, 5]
    (episode,) = judgement.episodes
    assert (episode.since, episode.alarm, episode.until) == ("2026-01-04", "2026-01-04", "2026-01-06")
    assert not episode.ongoing
    assert "is distributed differently than in training: effect size" in episode.text


def test_an_effect_between_half_of_the_margin_and_the_margin_is_to_be_watched():
    assert states(judged([normal(0, 0.19, 20_000)], pl.Series("x", np.random.default_rng(7).normal(size=40_000)))) == [
        "watch"
    ]


def test_a_small_shift_of_few_rows_a_day_shows_in_their_sum():
    judgement = judged([normal(day, 0.5, 60) for day in range(30)])
    alarms = [finding for day in judgement.days for finding in day.findings if finding.state == "alarm"]
    assert alarms
    assert any(finding.memory for finding in alarms)


def test_missing_and_new_values_are_named_with_their_share():
    training = pl.Series("x", ["a", "b"] * 2500)
    tally = Tally(reference_of(training), ["a", "b"])
    tally.add(pl.Series("x", ["a", "b"] * 400 + ["c"] * 100 + [None] * 100), np.zeros(1000, int))
    comparison = Comparison(
        hours=24, windows=(Window(start="2026-01-01", rows=1000),), series=tuple(series_of(tally, 1, Margins()))
    )
    texts = {finding.measure: finding.text for finding in judge(comparison, 0.25).days[0].findings}
    assert "is missing in more rows than in training: by 10.0 percentage points." in texts["missing"]
    assert "11 % of the rows have a value of" in texts["new values"]


def test_rows_of_one_request_that_are_alike_are_worth_less_than_their_number():
    """Forty requests of fifty rows a day, half of the variance between requests: as many rows of their own would be news."""
    random = np.random.default_rng(3)
    tallies = [Tally(reference_of(pl.Series("x", random.normal(size=5000)))) for _ in range(2)]
    for day in range(20):
        senders = np.repeat(np.arange(40), 50)
        values = pl.Series("x", (random.normal(size=40)[senders] + random.normal(size=2000)) / np.sqrt(2))
        tallies[0].add(values, np.full(2000, day), senders)
        tallies[1].add(values, np.full(2000, day))
    windows = tuple(Window(start=f"2026-01-{day + 1:02d}", rows=2000) for day in range(20))
    alike, independent = (
        judge(Comparison(hours=24, windows=windows, series=tuple(series_of(tally, 20, Margins()))), 0.25)
        for tally in tallies
    )
    assert set(states(alike)) == {"quiet"}
    assert set(states(independent)) > {"quiet"}


def test_rows_that_are_no_more_alike_than_others_are_worth_their_number():
    random = np.random.default_rng(4)
    tally = Tally(reference_of(pl.Series("x", random.normal(size=5000))))
    tally.add(pl.Series("x", random.normal(size=10_000)), np.zeros(10_000, int), np.repeat(np.arange(1000), 10))
    assert 1 <= tally.effects(1)[0] < 1.1


def test_a_window_without_rows_is_quiet():
    assert states(judged([normal(0), normal(1, rows=0), normal(2)])) == ["quiet"] * 3


def test_the_level_of_a_window_adds_up_to_the_alarms_of_a_quarter():
    assert level_of(24, 1) * 365.25 / 4 == 1
    assert level_of(24 * 365, 10) == 0.5
