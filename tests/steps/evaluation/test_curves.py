"""Curves agree with the metrics that they draw, hold no single row, and exist for small, tied and one-sided rows."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code import metrics
from steps.evaluation import curves
from steps.evaluation.document import Stretch


def two(chance):
    chance = np.asarray(chance, dtype=float)
    return np.stack([1 - chance, chance], axis=1)


def ranked(rows, seed=0, ties=None):
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < 0.3).astype(np.int64)
    chance = 1 / (1 + np.exp(1.2 - 1.5 * truth - random.normal(size=rows)))
    return truth, two(chance if ties is None else chance.round(ties))


def drawn(truth, prediction, names=("no", "yes"), times=None):
    return curves.document(truth, prediction, names, times)["curves"]


@pytest.mark.parametrize(("rows", "ties"), [(20, None), (20, 1), (300, None), (5_000, None), (5_000, 1)])
def test_the_area_under_the_drawn_roc_curve_is_the_metric(rows, ties):
    truth, prediction = ranked(rows, ties=ties)
    (roc,) = drawn(truth, prediction).roc
    assert roc.area == pytest.approx(metrics.roc_auc(truth, prediction)(np.ones(rows)), abs=1e-9)
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(roc.area, abs=0.005)
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert len(roc.x) == len(roc.y) <= curves.POINTS


def test_the_area_under_the_drawn_precision_is_the_average_precision():
    truth, prediction = ranked(5_000)
    (line,) = drawn(truth, prediction).precision_recall
    area = np.sum(np.diff(line.x, prepend=0) * np.array(line.y))
    assert area == pytest.approx(line.area, abs=0.01)
    assert line.area == pytest.approx(metrics.average_precision(truth, prediction)(np.ones(5_000)), abs=1e-9)
    assert line.x[-1] == 1
    assert line.y[-1] >= truth.mean()


@pytest.mark.parametrize("ties", [None, 1])
@pytest.mark.parametrize("percent", [1, 10, 40])
def test_the_gain_at_a_share_of_rows_is_the_recall_of_the_top(percent, ties):
    truth, prediction = ranked(3_000, ties=ties)
    gain = drawn(truth, prediction).gain
    assert gain.x[percent] == percent / 100
    expected = metrics.recall_at_top(truth, prediction, percent=percent)(np.ones(3_000))
    assert gain.y[percent] == pytest.approx(expected, abs=1e-4)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_curves_of_any_rows_rise_and_count_every_row(rows):
    chance, happened = (np.array(column) for column in zip(*rows, strict=True))
    fields = drawn(happened.astype(np.int64), two(chance))
    assert sum(map(sum, fields.outcomes.counts)) == len(rows)
    assert bool(fields.roc) == bool(fields.gain) == (len(set(happened)) == 2)
    for line in (*fields.roc, *filter(None, [fields.gain])):
        assert all(np.diff(line.x) >= 0)
        assert all(np.diff(line.y) >= 0)


def test_of_many_classes_those_that_are_ranked_worst_are_drawn():
    random = np.random.default_rng(1)
    truth = random.integers(0, 26, 2_000)
    noise = random.random((2_000, 26))
    noise[:, 7] += random.normal(scale=9, size=2_000)
    prediction = np.exp(3 * np.eye(26)[truth] + noise)
    fields = drawn(truth, prediction / prediction.sum(axis=1, keepdims=True), [f"class {i}" for i in range(26)])
    assert len(fields.roc) == len(fields.precision_recall) == curves.MOST_LINES
    assert fields.roc[0].name == "class 7"
    assert fields.gain is None
    assert fields.outcomes.names == (curves.RIGHT, curves.WRONG)


@pytest.mark.parametrize("rows", [1, 19, 20, 1_000])
def test_the_mean_of_the_errors_along_predictions_is_the_bias(rows):
    random = np.random.default_rng(2)
    prediction = random.normal(size=rows)
    truth = prediction + 0.7 + random.normal(size=rows)
    listed = curves.document(truth, prediction, (), None)["by_prediction"]
    assert sum(part.rows for part in listed) == rows
    bias = sum(part.rows * (part.actual - part.predicted) for part in listed) / rows
    assert bias == pytest.approx((truth - prediction).mean(), abs=1e-6)
    assert all(before.at < after.at for before, after in pairwise(listed))


def test_a_constant_prediction_is_one_stretch():
    listed = curves.document(np.arange(40.0), np.full(40, 3.0), (), None)["by_prediction"]
    assert listed == (Stretch(at=3, rows=40, actual=19.5, predicted=3, low=0.9, high=32.1),)


def test_rows_are_followed_in_time_whatever_their_order_and_those_without_time_are_left_out():
    truth, prediction = ranked(400)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    order = np.random.default_rng(3).permutation(400)
    times = pl.Series("day", [None if i < 10 else start + timedelta(days=int(i)) for i in order])
    fields = curves.document(truth, prediction, ("no", "yes"), times)
    assert (fields["time_column"], fields["time_is_date"]) == ("day", True)
    assert sum(part.rows for part in fields["over_time"]) == 390
    late = order >= 10
    actual = sum(part.rows * part.actual for part in fields["over_time"]) / 390
    assert actual == pytest.approx(truth[late].mean(), abs=1e-6)
    assert start.timestamp() < fields["over_time"][0].at < fields["over_time"][-1].at


def test_a_time_that_does_not_pass_is_not_drawn():
    truth, prediction = ranked(50)
    assert "over_time" not in curves.document(truth, prediction, ("no", "yes"), pl.Series("t", [4] * 50))
    assert "over_time" not in curves.document(truth, prediction, ("no", "yes"), pl.Series("t", [None] * 50, pl.Date))


def test_predictions_that_are_no_numbers_have_no_curves():
    assert curves.document(np.array([0, 1]), np.full((2, 2), np.nan), ("no", "yes"), None) == {}
