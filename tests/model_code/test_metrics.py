"""The oracle is scikit-learn, on the rows that are left where a weight is zero."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_code import metrics, tasks

Array = np.ndarray[Any, Any]


REQUESTED = {
    "binary-classification": ("false_positive_rate",),
    "multiclass-classification": ("f1_weighted", "top_2_accuracy"),
    "regression": ("within_0.5", "within_20_percent"),
}


def _oracle(name: str, truth: Array, prediction: Array, weights: Array, threshold: float | None = None) -> float:
    """What scikit-learn says on the rows with weight; its answers for undefined cases are replaced by nan."""
    present = weights > 0
    truth, prediction, weights = truth[present], prediction[present], weights[present]
    if not len(truth):
        return math.nan
    labels = prediction.argmax(axis=1) if prediction.ndim > 1 else None
    if threshold is not None:
        labels = (prediction[:, 1] >= threshold).astype(int)
    arguments: dict[str, Any] = {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        match name:
            case "accuracy":
                return float(sklearn.metrics.accuracy_score(truth, labels, **arguments))
            case "balanced_accuracy":
                return float(sklearn.metrics.balanced_accuracy_score(truth, labels, **arguments))
            case "recall":
                return float(sklearn.metrics.recall_score(truth, labels, zero_division=math.nan, **arguments))
            case "precision":
                return float(sklearn.metrics.precision_score(truth, labels, zero_division=math.nan, **arguments))
            case "specificity":
                arguments |= {"pos_label": 0, "zero_division": math.nan}
                return float(sklearn.metrics.recall_score(truth, labels, **arguments))
            case "false_positive_rate":
                arguments |= {"pos_label": 0, "zero_division": math.nan}
                return 1 - float(sklearn.metrics.recall_score(truth, labels, **arguments))
            case "f1_weighted":
                return float(sklearn.metrics.f1_score(truth, labels, average="weighted", **arguments))
            case "top_2_accuracy":
                every = range(prediction.shape[1])
                return float(sklearn.metrics.top_k_accuracy_score(truth, prediction, k=2, labels=every, **arguments))
            case "within_0.5":
                return float(np.average(abs(truth - prediction) <= 0.5, weights=weights))
            case "within_20_percent":
                return float(np.average(abs(truth - prediction) <= 0.2 * abs(truth), weights=weights))
            case "f1":
                return float(sklearn.metrics.f1_score(truth, labels, zero_division=math.nan, **arguments))
            case "f1_macro":
                return float(sklearn.metrics.f1_score(truth, labels, average="macro", **arguments))
            case "roc_auc":
                one_class = len(np.unique(truth)) < 2
                return (
                    math.nan
                    if one_class
                    else float(sklearn.metrics.roc_auc_score(truth, prediction[:, 1], **arguments))
                )
            case "average_precision":
                return (
                    float(sklearn.metrics.average_precision_score(truth, prediction[:, 1], **arguments))
                    if truth.any()
                    else math.nan
                )
            case "log_loss":
                return float(
                    sklearn.metrics.log_loss(truth, prediction, labels=range(prediction.shape[1]), **arguments)
                )
            case "brier":
                return float(sklearn.metrics.brier_score_loss(truth, prediction[:, 1], pos_label=1, **arguments))
            case "r2":
                return (
                    math.nan if np.ptp(truth) == 0 else float(sklearn.metrics.r2_score(truth, prediction, **arguments))
                )
            case "rmse":
                return float(sklearn.metrics.root_mean_squared_error(truth, prediction, **arguments))
            case "mae":
                return float(sklearn.metrics.mean_absolute_error(truth, prediction, **arguments))
            case _:
                return float(sklearn.metrics.mean_absolute_percentage_error(truth, prediction, **arguments))


@st.composite
def _cases(draw: st.DrawFn, classes: int) -> tuple[Array, Array, Array]:
    """Truth, prediction and three rows of weights; few distinct scores (ties) or many, many zero weights or none."""
    rows, seed = draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    weights = draw(
        st.sampled_from([random.poisson(1, (3, rows)).astype(float), random.random((3, rows)), np.ones((3, rows))])
    )
    if not classes:
        truth = random.normal(size=rows) * draw(st.sampled_from([1e-3, 1.0, 1e6])) + draw(
            st.sampled_from([0.0, 5.0, -1e7])
        )
        return truth, truth + random.normal(size=rows), weights
    levels = draw(st.sampled_from([2, 5, 10**9]))
    raw = np.floor(random.random((rows, classes)) * levels) + draw(st.sampled_from([1e-12, 1.0]))
    return random.integers(0, draw(st.integers(1, classes)), rows), raw / raw.sum(axis=1, keepdims=True), weights


def _agrees(task: str, name: str, case: tuple[Array, Array, Array], threshold: float | None = None) -> None:
    truth, prediction, weights = case
    metric = tasks.get(task).metric(name)
    assert metric is not None
    prepared = metric.bind(truth, prediction, threshold)
    threshold = threshold if metric.decides else None
    expected = [_oracle(name, truth, prediction, row, threshold) for row in weights]
    np.testing.assert_allclose([prepared(row) for row in weights], expected, rtol=1e-7, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(prepared(weights), expected, rtol=1e-7, atol=1e-9, err_msg=f"{name} in a batch")


def _all_agree(task: str, case: tuple[Array, Array, Array], threshold: float | None = None) -> None:
    for name in (*tasks.get(task).metrics, *REQUESTED[task]):
        _agrees(task, name, case, threshold)


@given(_cases(classes=2), st.sampled_from([None, 0.2, 0.5, 0.9]))
@settings(max_examples=25, deadline=None)  # each calls scikit-learn some 50 times
def test_metrics_of_two_classes_are_those_of_scikit_learn(
    case: tuple[Array, Array, Array], threshold: float | None
) -> None:
    _all_agree("binary-classification", case, threshold)
    _agrees("multiclass-classification", "f1_macro", case)


@given(_cases(classes=4).filter(lambda case: len(case[0]) > 1))
@settings(max_examples=25, deadline=None)
def test_metrics_of_many_classes_are_those_of_scikit_learn(case: tuple[Array, Array, Array]) -> None:
    truth, prediction, weights = case
    prediction = (
        prediction + np.random.default_rng(0).random(prediction.shape) * 1e-9
    )  # its top_k breaks ties otherwise
    _all_agree("multiclass-classification", (truth, prediction / prediction.sum(axis=1, keepdims=True), weights))


@given(_cases(classes=0))
@settings(max_examples=60, deadline=None)
def test_metrics_of_a_number_are_those_of_scikit_learn(case: tuple[Array, Array, Array]) -> None:
    _all_agree("regression", case)


@given(_cases(classes=2), st.sampled_from(["5", "33.3", "90"]))
@settings(max_examples=60, deadline=None)
def test_the_top_of_the_ranking_takes_tied_rows_in_equal_parts(case: tuple[Array, Array, Array], percent: str) -> None:
    truth, prediction, weights = case
    task, top = tasks.get("binary-classification"), float(percent) / 100
    bound = {kind: task.metric(f"{kind}_at_top_{percent}_percent") for kind in ("precision", "recall", "lift")}
    for row in weights:
        room, hits = top * row.sum(), 0.0
        for score in np.unique(prediction[:, 1])[::-1]:
            tied = row * (prediction[:, 1] == score)
            share = min(1.0, room / tied.sum()) if tied.sum() else 0.0
            hits, room = hits + share * tied[truth == 1].sum(), room - share * tied.sum()
        positive, rows = row[truth == 1].sum(), row.sum()
        expected = {
            "precision": hits / (top * rows) if rows else math.nan,
            "recall": hits / positive if positive else math.nan,
            "lift": hits / (top * positive) if positive else math.nan,
        }
        for kind, value in expected.items():
            metric = bound[kind]
            assert metric is not None
            prepared = metric.bind(truth, prediction)
            np.testing.assert_allclose(prepared(row), value, rtol=1e-7, atol=1e-9, err_msg=kind)
            np.testing.assert_allclose(prepared(np.stack([row, row])), [value] * 2, rtol=1e-7, atol=1e-9)


def test_costs_are_those_of_misses_and_false_alarms() -> None:
    truth, chance = np.array([1, 1, 0, 0]), np.array([0.9, 0.1, 0.9, 0.1])
    prediction = np.stack([1 - chance, chance], axis=1)
    cost = metrics.cost_per_1000_rows(truth, prediction, 0.5, miss=50, false_alarm=2)
    assert [cost(row) for row in np.eye(4)] == [0, 50_000, 2000, 0]
    assert metrics.cost_per_1000_rows(truth, prediction, 0.05, miss=50, false_alarm=2)(np.ones(4)) == 1000


@pytest.mark.parametrize(
    ("task", "name", "label"),
    [
        ("binary-classification", "precision_at_top_5_percent", "precision in the top 5 %"),
        ("binary-classification", "lift_at_top_0.5_percent", "lift in the top 0.5 %"),
        ("binary-classification", "precision_at_top_100_percent", None),
        ("binary-classification", "precision_at_top_0_percent", None),
        ("binary-classification", "precision_at_top__percent", None),
        ("binary-classification", "within_5", None),
        ("regression", "within_5", "share within 5"),
        ("regression", "within_10_percent", "share within 10 %"),
        ("regression", "within_-1", None),
        ("multiclass-classification", "top_3_accuracy", "accuracy of the top 3"),
        ("multiclass-classification", "top_2.5_accuracy", None),
    ],
)
def test_a_number_in_a_name_is_a_part_of_the_metric(task: str, name: str, label: str | None) -> None:
    metric = tasks.get(task).metric(name)
    assert (metric and metric.label) == label
    assert metric is None or metric.name == name


@given(_cases(classes=2), st.sampled_from(sorted(tasks.get("binary-classification").metrics)))
@example((np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]), np.ones((3, 2))), "roc_auc")
@settings(max_examples=60, deadline=None)
def test_a_weight_of_two_is_the_row_twice(case: tuple[Array, Array, Array], name: str) -> None:
    truth, prediction, _ = case
    counts = np.arange(len(truth)) % 3
    twice = np.repeat(np.arange(len(truth)), counts)
    one = getattr(metrics, name)(truth, prediction)(counts.astype(float))
    other = getattr(metrics, name)(truth[twice], prediction[twice])(np.ones(len(twice)))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@given(st.data(), st.sampled_from(tasks.names()))
@settings(max_examples=60, deadline=None)
def test_weights_of_clusters_give_what_the_weights_of_their_rows_give(data: st.DataObject, name: str) -> None:
    task = tasks.get(name)
    truth, prediction, _ = data.draw(_cases(classes=(3 - task.has_positive) if task.has_classes else 0))
    random = np.random.default_rng(len(truth))
    clusters = random.integers(0, 5, len(truth))
    weights = random.poisson(1, (4, 5)).astype(float)
    tops = [f"{kind}_at_top_20_percent" for kind in ("precision", "recall", "lift")] if task.has_positive else []
    for metric in filter(None, map(task.metric, (*task.metrics, *REQUESTED[name], *tops))):
        function = metric.bind(truth, prediction)
        if isinstance(function, metrics.Poolable):
            expected = function(weights[:, clusters])
            pooled = function.pool(clusters, 5)(weights)
            np.testing.assert_allclose(pooled, expected, rtol=1e-7, atol=1e-9, err_msg=metric.name)
        else:
            assert np.isnan(function(weights[:, clusters])).all(), f"{metric.name} is defined and cannot be pooled"


def test_every_metric_that_a_task_names_is_here() -> None:
    for task in map(tasks.get, tasks.names()):
        for metric in (*task.metrics.values(), *task.on_request):
            assert callable(getattr(metrics, metric.function or metric.name)), metric.name


@pytest.mark.parametrize(
    "name", [*sorted(tasks.get("binary-classification").metrics), "recall_at_top_5_percent", "false_positive_rate"]
)
def test_no_rows_no_weight_and_a_prediction_of_nan_are_nan_without_a_warning(name: str) -> None:
    definition = tasks.get("binary-classification").metric(name)
    assert definition is not None
    metric = definition.bind
    truth, prediction = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    broken = prediction.copy()
    broken[1] = math.nan
    assert math.isnan(metric(truth, prediction)(np.zeros(3)))
    assert math.isnan(metric(truth[:0], prediction[:0])(np.zeros(0)))
    assert math.isnan(metric(truth, broken)(np.ones(3)))
    assert np.isnan(metric(truth, broken)(np.ones((2, 3)))).all()


@pytest.mark.parametrize("name", sorted(tasks.get("regression").metrics))
def test_a_number_that_is_not_finite_has_no_metric(name: str) -> None:
    metric = getattr(metrics, name)
    truth = np.array([1.0, 2.0, 4.0])
    for answer in (math.nan, math.inf):
        assert math.isnan(metric(truth, np.array([1.0, answer, 4.0]))(np.ones(3)))
    assert math.isnan(metric(truth, truth)(np.zeros(3)))
    assert math.isnan(metric(truth[:0], truth[:0])(np.zeros(0)))


def test_squares_that_overflow_are_undefined_and_not_a_warning() -> None:
    truth = np.array([1.0, 2.0, 4.0])
    for name in ("rmse", "r2"):
        assert math.isnan(getattr(metrics, name)(truth, truth * 1e200)(np.ones(3)))


def test_one_class_has_no_roc_auc_and_a_class_never_seen_no_f1() -> None:
    truth, prediction = np.zeros(3, dtype=np.int64), np.array([[0.9, 0.1]] * 3)
    for name in ("roc_auc", "average_precision", "f1"):
        assert math.isnan(getattr(metrics, name)(truth, prediction)(np.ones(3))), name
    assert metrics.accuracy(truth, prediction)(np.ones(3)) == 1


def test_a_constant_truth_has_no_r2_even_when_its_mean_is_rounded() -> None:
    truth = np.full(7, 0.1)
    assert math.isnan(metrics.r2(truth, truth + 1)(np.ones(7)))


def test_a_constant_score_is_worth_half_an_area() -> None:
    truth = np.array([0, 1, 0, 1, 1])
    assert metrics.roc_auc(truth, np.full((5, 2), 0.5))(np.ones(5)) == 0.5
