"""Scores on validation folds and the choice between candidates."""

import numpy as np
import polars as pl
import pytest

from model_code import tasks
from steps.evaluation import slices
from steps.evaluation.statistics import by_group, by_row, by_time
from steps.evaluation.thresholds import Goal, Threshold
from steps.training.selection import Validated, better_by, score, unmet

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=400)
CLOSE, FAR = TRUTH + RNG.normal(size=400) * 0.1, TRUTH + RNG.normal(size=400) * 0.5
TASK = tasks.get("regression")


def validated(truth, resampling, folds=None):
    return Validated(truth, np.zeros(len(truth), dtype=np.int64) if folds is None else folds, resampling)


def goal(success, task=TASK.name, **fields):
    return Goal(task=task, success=tuple(success), **fields)


ROWS = validated(TRUTH, by_row(400, 400, 0))


def test_the_interval_holds_the_value_and_the_same_seed_gives_the_same_draws():
    first, second = (score(TASK.metrics["rmse"], ROWS, FAR) for _ in range(2))
    estimate = first.estimate()
    assert estimate.low < first.value < estimate.high
    assert np.array_equal(first.samples, second.samples)


def test_better_is_better_in_the_direction_of_the_metric():
    for name in ("rmse", "r2"):
        metric = TASK.metrics[name]
        gain, error = better_by(metric, score(metric, ROWS, CLOSE), score(metric, ROWS, FAR))
        assert gain > 5 * error > 0


def test_thresholds_are_measured_on_their_slice_and_on_the_unfavourable_bound():
    frame = pl.DataFrame({"region": ["n"] * 200 + ["s"] * 200})
    prediction = np.concatenate([CLOSE[:200], FAR[200:]])
    success = [Threshold(metric="rmse", at_most=0.15, slice=f"region={r}") for r in "nsx"]
    reasons = unmet(goal(success), ROWS, prediction, frame)
    assert len(reasons) == 2
    assert reasons[0].startswith(
        "rmse <= 0.15 (95 % bound) on region=s: not met on the validation folds, the value is 0."
    )
    assert "no validation row has 'x'" in reasons[1]


SLICED = pl.DataFrame(
    {
        "g": [0.0] * 200 + [1.0] * 200,
        "m": ["x"] * 200 + [None] * 200,
        "big": range(400, 0, -1),
        "a=b": ["c=d"] * 200 + ["e"] * 200,
        "vip": [False] * 200 + [True] * 200,
    }
)
HALF_WRONG = np.concatenate([FAR[:200], CLOSE[200:]])


@pytest.mark.parametrize("text", ["g=1", "m=(missing)", "big=up to 101", "a=b=e", "vip=true"])
def test_a_slice_is_read_on_the_folds_as_it_is_in_the_evaluation(text):
    threshold = Threshold(metric="rmse", at_most=0.15, slice=text)
    assert unmet(goal([threshold]), ROWS, HALF_WRONG, SLICED) == []
    swapped = np.concatenate([CLOSE[:200], FAR[200:]])
    assert "the value is 0." in unmet(goal([threshold]), ROWS, swapped, SLICED)[0]
    parts = {name: slices.parts(SLICED[name], SLICED[name]) for name in SLICED.columns}
    assert isinstance(slices.select(SLICED, parts, text), slices.Part)


@pytest.mark.parametrize("text", ["a=b=z", "z=1", "g=2", "=", "a=b"])
def test_a_slice_that_is_not_there_is_never_measured_on_all_rows(text):
    (reason,) = unmet(goal([Threshold(metric="rmse", at_most=9, slice=text)]), ROWS, CLOSE, SLICED)
    assert "not met on the validation folds, " in reason
    assert "there is no column" in reason or "no validation row" in reason


def test_quarters_are_cut_where_the_whole_training_part_says():
    whole = pl.concat([SLICED, SLICED.with_columns(pl.col("big") + 400)])
    threshold = Threshold(metric="rmse", at_most=0.15, slice="big=up to 201")
    assert "no validation row" in unmet(goal([threshold]), ROWS, HALF_WRONG, SLICED)[0]
    assert unmet(goal([threshold]), ROWS, np.append(FAR[:199], CLOSE[199:]), SLICED, whole) == []


def test_a_slice_of_few_rows_has_no_interval_on_the_folds_either():
    frame = pl.DataFrame({"region": ["few"] * 29 + ["many"] * 371})
    success = [Threshold(metric="rmse", at_most=9, slice="region=few", on=on) for on in ("interval", "value")]
    (reason,) = unmet(goal(success), ROWS, CLOSE, frame)
    assert reason.startswith("rmse <= 9 (95 % bound) on region=few: not met on the validation folds, the value is 0.")
    assert reason.endswith("but 29 rows are too few for an interval")


def test_a_metric_that_is_undefined_is_an_unmet_threshold():
    one_class = np.zeros(20, dtype=np.int64)
    reasons = unmet(
        goal([Threshold(metric="roc_auc", at_least=0.5)], "binary-classification"),
        validated(one_class, by_row(20, 400, 0)),
        np.tile([0.6, 0.4], (20, 1)),
        pl.DataFrame({"a": range(20)}),
    )
    assert "roc_auc is not defined on these rows" in reasons[0]


def test_rows_that_belong_together_make_the_choice_less_sure():
    """Twenty groups, each twenty times the same row: as much is known as of twenty rows."""
    error = np.repeat(np.random.default_rng(1).normal(size=(2, 20)), 20, axis=1)
    frame = pl.DataFrame({"team": [f"t{i // 20}" for i in range(400)], "day": [i // 20 for i in range(400)]})
    metric, ratios = TASK.metrics["rmse"], {}
    drawn = {"row": ROWS.resampling, "group": by_group(frame["team"], 400, 0), "time": by_time(frame["day"], 400, 0)}
    for by, resamples in drawn.items():
        worse, better = (
            score(metric, validated(TRUTH, resamples), TRUTH + shift) for shift in (error[0], error[1] * 0.9)
        )
        estimate = worse.estimate()
        ratios[by] = (estimate.high - estimate.low, better_by(metric, better, worse)[1])
    for by in ("group", "time"):
        assert all(clustered > 3 * alone for clustered, alone in zip(ratios[by], ratios["row"], strict=True))


def test_one_group_gives_no_interval_and_so_reaches_no_bound_and_beats_nobody():
    one = validated(TRUTH, by_group(pl.Series("team", ["a"] * 400), 400, 0))
    success = [Threshold(metric="rmse", at_most=100)]
    assert "the value is 0.1" in unmet(goal(success), one, CLOSE, pl.DataFrame({"a": range(400)}))[0]
    metric = TASK.metrics["rmse"]
    gain, error = better_by(metric, score(metric, one, CLOSE), score(metric, one, FAR))
    assert not gain > error


BINARY = tasks.get("binary-classification")


def two_folds():
    """Rows of two folds, the second with more positives and lower predictions: each fold is ranked rather well."""
    random = np.random.default_rng(2)
    folds = np.repeat([0, 1], [300, 100])
    truth = (random.random(400) < np.where(folds, 0.7, 0.2)).astype(np.int64)
    positive = np.clip(0.4 + 0.2 * truth - 0.3 * folds + random.normal(size=400) * 0.1, 0.01, 0.99)
    return truth, folds, np.stack([1 - positive, positive], axis=1)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_a_ranking_is_measured_in_each_fold_and_averaged_by_rows(name):
    truth, folds, prediction = two_folds()
    metric = BINARY.metrics[name]
    alone = [metric.bind(truth[folds == i], prediction[folds == i])(np.ones((folds == i).sum())) for i in (0, 1)]
    sampled = score(metric, validated(truth, by_row(400, 400, 0), folds), prediction)
    assert sampled.value == pytest.approx((300 * alone[0] + 100 * alone[1]) / 400)
    assert sampled.value > metric.bind(truth, prediction)(np.ones(400)) + 0.05
    assert sampled.estimate().low < sampled.value < sampled.estimate().high
    second = score(metric, validated(truth, by_row(400, 400, 0), folds), prediction, np.arange(300, 400))
    assert second.value == pytest.approx(alone[1])


def test_a_fold_with_one_class_says_nothing_about_a_ranking_and_a_prediction_that_is_no_number_everything():
    truth, folds, prediction = two_folds()
    metric, rows = BINARY.metrics["roc_auc"], by_row(400, 400, 0)
    first = metric.bind(truth[:300], prediction[:300])(np.ones(300))
    assert score(metric, validated(np.where(folds, 1, truth), rows, folds), prediction).value == pytest.approx(first)
    prediction[-1] = np.nan
    assert np.isnan(score(metric, validated(truth, rows, folds), prediction).value)


def test_other_metrics_are_measured_on_all_rows_at_once():
    truth, folds, prediction = two_folds()
    for name in ("log_loss", "f1"):
        metric = BINARY.metrics[name]
        sampled = score(metric, validated(truth, by_row(400, 400, 0), folds), prediction)
        assert sampled.value == metric.bind(truth, prediction)(np.ones(400))


def test_promises_about_decisions_are_judged_at_the_threshold_that_is_chosen_for_them():
    random = np.random.default_rng(4)
    chance = random.random(2000)
    truth = (random.random(2000) < chance**3).astype(np.int64)
    prediction, frame = np.stack([1 - chance**3, chance**3], axis=1), pl.DataFrame({"a": range(2000)})
    rows, promise = validated(truth, by_row(2000, 400, 0)), Threshold(metric="recall", at_least=0.85)
    assert "recall >= 0.85" in unmet(goal([promise], BINARY.name, decision_threshold=0.5), rows, prediction, frame)[0]
    assert unmet(goal([promise], BINARY.name), rows, prediction, frame) == []
