"""Scores on validation folds and the choice between candidates."""

import numpy as np
import polars as pl

from model_code import tasks
from steps.selection import better_by, score, unmet
from steps.thresholds import Threshold

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=400)
CLOSE, FAR = TRUTH + RNG.normal(size=400) * 0.1, TRUTH + RNG.normal(size=400) * 0.5
TASK = tasks.get("regression")


def test_the_interval_holds_the_value_and_the_same_seed_gives_the_same_draws():
    first, second = (score(TASK.metrics["rmse"], TRUTH, FAR, 1) for _ in range(2))
    assert first.low < first.value < first.high
    assert np.array_equal(first.draws, second.draws)


def test_better_is_better_in_the_direction_of_the_metric():
    for name in ("rmse", "r2"):
        metric = TASK.metrics[name]
        gain, error = better_by(metric, score(metric, TRUTH, CLOSE, 0), score(metric, TRUTH, FAR, 0))
        assert gain > 5 * error > 0


def test_thresholds_are_measured_on_their_slice_and_on_the_unfavourable_bound():
    frame = pl.DataFrame({"region": ["n"] * 200 + ["s"] * 200})
    prediction = np.concatenate([CLOSE[:200], FAR[200:]])
    success = [Threshold(metric="rmse", at_most=0.15, slice=f"region={r}") for r in "nsx"]
    reasons = unmet(success, TASK, TRUTH, prediction, frame, 0)
    assert len(reasons) == 2
    assert reasons[0].startswith("rmse <= 0.15 (95 % bound) on region=s: found 0.")
    assert "can not be measured" in reasons[1]


def test_a_metric_that_is_undefined_is_an_unmet_threshold():
    task = tasks.get("binary-classification")
    one_class = np.zeros(20, dtype=np.int64)
    reasons = unmet(
        [Threshold(metric="roc_auc", at_least=0.5)],
        task,
        one_class,
        np.tile([0.6, 0.4], (20, 1)),
        pl.DataFrame({"a": range(20)}),
        0,
    )
    assert "found nan" in reasons[0]
