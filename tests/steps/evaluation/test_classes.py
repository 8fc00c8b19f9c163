"""Classes one by one are scored as scikit-learn does, with the intervals of the evaluation, and abstaining buys accuracy."""

import numpy as np
import pytest
import sklearn.metrics

from model_code import metrics
from steps.evaluation.classes import LEVELS, document
from steps.evaluation.document import Evaluation
from steps.evaluation.sentences import of_classes
from steps.evaluation.statistics import Measure, Resampling, bootstrap, by_row

NAMES = ("a", "b", "c", "d")


def draw(rows=600, seed=0, classes=4):
    """Truth and probabilities that know something of it; the last class is never true."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes - 1, rows)
    raw = random.random((rows, classes)) + 0.6 * (np.arange(classes) == truth[:, None])
    return truth, (raw / raw.sum(axis=1, keepdims=True)).round(3)


@pytest.mark.parametrize("seed", range(5))
def test_scores_and_means_are_those_of_scikit_learn(seed):
    truth, prediction = draw(seed=seed)
    fields = document(truth, prediction, NAMES, by_row(600, 100, 0))
    report = sklearn.metrics.classification_report(
        truth, prediction.argmax(axis=1), labels=range(4), target_names=NAMES, output_dict=True, zero_division=0
    )
    scores = {result.name: result for result in fields["per_class"]} | {
        f"{name} avg": value for name, value in fields["class_averages"].items()
    }
    for name, result in scores.items():
        for field, label in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert (getattr(result, field).value or 0) == pytest.approx(report[name][label]), (name, field)
    assert [result.rows for result in fields["per_class"]] == np.bincount(truth, minlength=4).tolist()
    assert fields["per_class"][3].recall.value is None


@pytest.mark.parametrize("clusters", [None, np.arange(600) // 12])
def test_intervals_are_those_of_the_bootstrap_of_each_class(clusters):
    truth, prediction = draw()
    resampling = Resampling(600, 400, 3, clusters=clusters)
    fields = document(truth, prediction, NAMES, resampling)
    right, of_class = prediction.argmax(axis=1) == truth, truth == 1
    alone = bootstrap({"": Measure(metrics.share(right, of_class))}, resampling)[""].estimate()
    recall = fields["per_class"][1].recall
    assert (recall.value, recall.low, recall.high) == pytest.approx((alone.value, alone.low, alone.high))
    f1 = bootstrap({"": Measure(metrics.f1_macro(truth, prediction))}, resampling)[""].estimate()
    assert fields["class_averages"]["macro"].f1.low == pytest.approx(f1.low)


def test_the_most_frequent_mistakes_come_first_with_their_share_of_the_true_class():
    truth, prediction = draw()
    pairs = document(truth, prediction, NAMES, by_row(600, 100, 0))["confused"]
    matrix = sklearn.metrics.confusion_matrix(truth, prediction.argmax(axis=1), labels=range(4))
    assert [pair.rows for pair in pairs] == sorted((pair.rows for pair in pairs), reverse=True)
    assert sum(pair.rows for pair in pairs) == 600 - np.trace(matrix)
    for pair in pairs:
        actual, answer = NAMES.index(pair.truth), NAMES.index(pair.predicted)
        assert pair.rows == matrix[actual, answer]
        assert pair.share == pytest.approx(matrix[actual, answer] / matrix[actual].sum())


@pytest.mark.parametrize("seed", range(3))
def test_abstaining_leaves_rows_to_a_person_and_the_model_is_right_more_often_on_the_others(seed):
    truth, prediction = draw(2000, seed)
    points = document(truth, prediction, NAMES, by_row(2000, 100, 0))["abstention"]
    chance, right = prediction.max(axis=1), prediction.argmax(axis=1) == truth
    for point in points:
        decides = chance >= point.threshold - 1e-12
        assert point.abstained == pytest.approx(1 - decides.mean())
        assert point.accuracy.value == pytest.approx(right[decides].mean())
    curve = [point for point in points if point.level is None]
    assert curve[0].abstained == 0
    assert curve[-1].accuracy.value > curve[0].accuracy.value + 0.1
    levels = [point for point in points if point.level is not None]
    assert [point.level for point in levels] == [level for level in LEVELS if right.mean() < level][: len(levels)]
    for point in levels:
        assert point.accuracy.value >= point.level
        more = chance >= np.sort(chance[chance < point.threshold - 1e-12])[-1]
        assert right[more].mean() < point.level  # nobody has to see fewer rows, but for a lucky cut further down


def test_two_classes_numbers_and_broken_predictions_have_none():
    truth, prediction = draw()
    rows = by_row(600, 100, 0)
    assert document(truth, prediction[:, :2], NAMES[:2], rows) == {}
    assert document(truth, prediction[:, 0], (), rows) == {}
    assert document(truth, prediction * np.nan, NAMES, rows) == {}


def test_sentences_say_which_classes_are_weak_and_how_many_rows_a_person_must_see():
    truth, prediction = draw(2000)
    fields = document(truth, prediction, NAMES, by_row(2000, 100, 0))
    weak, abstaining, *_ = of_classes(Evaluation.model_construct(**fields))
    assert weak.startswith("Recall is lowest for ")
    assert "To be right on 90 % of the rows that it decides, the model leaves " in abstaining
    assert "% of all rows to a person, those whose most probable class has less than 0." in abstaining
    assert of_classes(Evaluation.model_construct()) == []
