"""An interval that says 95 % must hold the truth about 95 times in a hundred, also where rows are not independent."""

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code import metrics
from steps.evaluation import statistics
from steps.evaluation.document import Estimate
from steps.evaluation.statistics import (
    Measure,
    Resampling,
    Sampled,
    bootstrap,
    by_group,
    by_row,
    by_time,
    by_unit,
    compare,
)


def mean_of(values):
    """The weighted mean as a metric."""
    return metrics.mae(np.zeros(len(values)), np.abs(values))


def interval(measure, resampling):
    return bootstrap({"it": measure}, resampling)["it"].estimate()


def share_covered(simulate, truth, times=200):
    """In what share of simulated worlds the interval holds the truth."""
    estimates = [simulate(np.random.default_rng(seed)) for seed in range(times)]
    return sum(estimate.low <= truth <= estimate.high for estimate in estimates) / times


def test_the_interval_of_roc_auc_holds_the_truth_about_95_times_in_a_hundred():
    shift = 1.0
    truth = 0.5 * (1 + math.erf(shift / 2))  # P(N(shift, 1) > N(0, 1)), normal with variance 2

    def world(random):
        actual = (random.random(300) < 0.3).astype(np.int64)
        score = random.normal(size=300) + shift * actual
        return interval(Measure(metrics.roc_auc(actual, np.stack([-score, score], axis=1))), by_row(300, 300, 0))

    assert 0.91 <= share_covered(world, truth) <= 0.985


def test_rows_of_a_group_are_drawn_together_where_rows_alone_would_promise_too_much():
    def world(random, resample):
        group = np.repeat(np.arange(60), 20)
        values = 10 + random.normal(size=60)[group] + 0.5 * random.normal(size=1200)
        return interval(Measure(mean_of(values)), resample(pl.Series("team", group)))

    by_rows = share_covered(lambda random: world(random, lambda team: by_row(len(team), 200, 0)), 10)
    by_teams = share_covered(lambda random: world(random, lambda team: by_group(team, 200, 0)), 10)
    assert by_rows < 0.6
    assert 0.89 <= by_teams <= 0.985


def test_equal_rows_are_drawn_together_and_where_all_differ_nothing_changes():
    hashes = np.repeat(np.random.default_rng(0).integers(0, 2**63, 70).astype(np.uint64), 6)
    together = by_unit(hashes, "features", 50, 3)
    assert (together.count, together.resampled) == (70, "groups of rows with equal features")
    for row in np.concatenate([together.weights(draws) for draws in together.draws()]):
        assert (row.reshape(70, 6) == row.reshape(70, 6)[:, :1]).all()
    assert by_unit(np.arange(420).astype(np.uint64), "features", 50, 3) == by_row(420, 50, 3)


def test_blocks_of_time_hold_the_truth_in_a_series_that_remembers():
    def world(random, resample):
        shocks = random.normal(size=1600)
        values = np.empty(1600)
        values[0] = shocks[0]
        for moment in range(1, 1600):
            values[moment] = 0.8 * values[moment - 1] + shocks[moment]
        return interval(Measure(mean_of(values + 50)), resample(pl.Series("moment", np.arange(1600))))

    by_rows = share_covered(lambda random: world(random, lambda moment: by_row(len(moment), 200, 0)), 50)
    by_blocks = share_covered(lambda random: world(random, lambda moment: by_time(moment, 200, 0)), 50)
    assert by_rows < 0.7
    assert 0.86 <= by_blocks <= 0.99


def test_a_difference_is_taken_on_the_same_resamples():
    """Two models that err on the same rows differ by less than their own intervals suggest."""
    random = np.random.default_rng(0)
    truth = random.normal(size=500)
    error = random.normal(size=500)
    both = {"a": Measure(metrics.mae(truth, truth + error)), "b": Measure(metrics.mae(truth, truth + 1.05 * error))}
    result = bootstrap(both, by_row(500, 500, 0))
    difference = compare(result["a"], result["b"])
    assert difference.high < 0
    assert result["a"].estimate().high > result["b"].estimate().low
    assert difference.value == pytest.approx(result["a"].value - result["b"].value)
    assert compare(result["a"], result["a"]) == Estimate(value=0, low=0, high=0)


def test_a_slice_is_the_same_resample_seen_through_fewer_rows():
    values = np.random.default_rng(0).normal(size=90) + 20
    rows = np.arange(0, 90, 3)
    resampling = by_row(90, 120, 3)
    result = bootstrap({"slice": Measure(mean_of(values[rows]), rows)}, resampling)["slice"]
    weights = np.concatenate([resampling.weights(draws) for draws in resampling.draws()])[:, rows]
    np.testing.assert_allclose(result.samples, weights @ values[rows] / weights.sum(axis=1))
    assert result.value == pytest.approx(values[rows].mean())


def test_the_same_seed_gives_the_same_samples_whatever_the_chunk():
    values = np.random.default_rng(0).normal(size=50) + 9
    measures = {"all": Measure(mean_of(values)), "few": Measure(mean_of(values[:20]), np.arange(20))}
    whole = bootstrap(measures, by_row(50, 101, 5))
    other = bootstrap(measures, by_row(50, 101, 6))
    pieces = bootstrap(measures, replace(by_row(50, 101, 5), chunk=170), cached=60)
    for key in measures:
        np.testing.assert_allclose(whole[key].samples, pieces[key].samples, rtol=1e-14)
        assert not np.array_equal(whole[key].samples, other[key].samples)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_group_is_drawn_whole_and_resamples_draw_as_many_groups_as_there_are(names):
    resampling = by_group(pl.Series("team", names, dtype=pl.String), 20, 1)
    for row in np.concatenate([resampling.weights(draws) for draws in resampling.draws()]):
        draws = {
            name: {weight for other, weight in zip(names, row, strict=True) if other == name} for name in set(names)
        }
        assert all(len(weights) == 1 for weights in draws.values())
        assert sum(weights.pop() for weights in draws.values()) == len(set(names)) == resampling.count


@given(st.lists(st.integers(0, 15), min_size=2, max_size=120))
@settings(max_examples=60, deadline=None)
def test_blocks_of_time_keep_equal_moments_together_and_do_not_interleave(moments):
    clusters = by_time(pl.Series("t", moments), 10, 0).clusters
    by_moment = sorted(set(zip(moments, clusters.tolist(), strict=True)))
    assert len({moment for moment, _ in by_moment}) == len(by_moment)
    assert [block for _, block in by_moment] == sorted(block for _, block in by_moment)
    assert sorted(set(clusters.tolist())) == list(range(clusters.max() + 1))
    assert clusters.max() + 1 <= math.isqrt(len(moments)) + 1


def test_days_are_the_blocks_where_there_are_enough_and_not_too_many():
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    hours = pl.Series("when", [start + dt.timedelta(hours=hour) for hour in range(24 * 40)])
    many_per_day = pl.concat([hours] * 3)
    assert by_time(many_per_day, 10, 0).resampled == "days of when"
    assert by_time(many_per_day, 10, 0).count == 40
    assert by_time(hours, 10, 0).resampled == "blocks of time by when"
    assert by_time(hours[:48], 10, 0).count == 6


def test_undefined_resamples_leave_no_interval():
    samples = np.concatenate([np.full(10, math.nan), np.ones(90)])
    result = Sampled(1.0, samples, 100).estimate()
    assert result.value == 1
    assert (result.low, result.high) == (None, None)
    assert Sampled(1.0, samples[8:], 100).estimate() == Estimate(value=1, low=1, high=1)
    assert Sampled(math.nan, np.ones(100), 100).estimate() == Estimate()


def test_with_one_thing_to_draw_there_is_no_interval():
    values = np.arange(1.0, 9.0)
    one_group = by_group(pl.Series("team", ["only"] * 8), 50, 0)
    for resampling, rows in ((one_group, 8), (by_row(1, 50, 0), 1)):
        result = interval(Measure(mean_of(values[:rows])), resampling)
        assert result.value == pytest.approx(values[:rows].mean())
        assert result.low is None


def test_very_many_rows_are_resampled_fewer_times_but_never_too_few():
    assert statistics.affordable(70_000, 1000) == 1000
    assert statistics.affordable(1_000_000, 1000) == 200
    assert statistics.affordable(100_000_000, 1000) == 200
    assert statistics.affordable(100_000_000, 150) == 150
    assert by_row(10**9, 1000, 0).resamples == 200


def test_progress_is_told_to_the_end():
    calls = []
    bootstrap(
        {"it": Measure(mean_of(np.arange(1.0, 5.0)))}, Resampling(4, 120, 0), lambda *progress: calls.append(progress)
    )
    assert calls[-1] == (120, 120)
