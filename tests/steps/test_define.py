"""What cannot be measured is refused before anything looks at the data."""

import json

import pytest

from steps.core import execute, step
from steps.define import DefineConfig, define
from steps.errors import GateRefused, InputError
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal, read_events

WORDS = {
    "name": "flights",
    "question": "Will it be <late> | or *not*?",
    "decision": "Whom to warn.",
    "owner": "Head of operations",
    "cost_of_error": "A false alarm costs a call,\n# a miss a connection.",
    "target": "late",
}


def run(directory, *success, task="binary-classification", **words):
    config = DefineConfig(task=task, success=success, **{**WORDS, **words})
    card = directory / "card"
    card.mkdir(exist_ok=True)
    with Journal(directory / "journal.jsonl") as log:
        execute(step(define), {"card": card}, config, log)
    return card


def refused(directory, *success, **fields):
    with pytest.raises(GateRefused) as caught:
        run(directory, *success, **fields)
    return caught.value.reasons


def test_the_problem_is_frozen_with_its_thresholds(tmp_path):
    thresholds = Threshold(metric="roc_auc", at_least=0.7, slice="origin=JFK")
    card = run(tmp_path, thresholds)
    frozen = json.loads((card / "problem.json").read_text())
    assert frozen["success"] == [thresholds.model_dump(mode="json")]
    assert frozen["owner"] == "Head of operations"


def test_the_card_shows_words_as_words(tmp_path):
    text = (run(tmp_path, Threshold(metric="roc_auc", at_least=0.7)) / "card.md").read_text()
    assert "&lt;late&gt; \\| or \\*not\\*?" in text
    assert "\n# a miss" not in text
    assert "| roc_auc | &gt;= 0.7 | the lower end of the 95 % interval | all rows |" in text


def test_the_same_problem_gives_the_same_bytes(tmp_path):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        card = run(tmp_path / name, Threshold(metric="f1", at_least=0.5))
        contents.append([path.read_bytes() for path in sorted(card.iterdir())])
    assert contents[0] == contents[1]


def test_no_threshold_is_refused_and_the_card_is_there_to_read(tmp_path):
    reasons = refused(tmp_path)
    assert "no threshold" in reasons[0]
    assert "Why the run stopped here" in (tmp_path / "card" / "card.md").read_text()
    assert (tmp_path / "card" / "problem.json").exists()
    verdicts = [event for event in read_events(tmp_path / "journal.jsonl") if event["kind"] == "verdict"]
    assert [event["verdict"] for event in verdicts] == ["refused"]


@pytest.mark.parametrize(
    ("task", "threshold", "words"),
    [
        (
            "binary-classification",
            Threshold(metric="roc_auc", at_least=1.2),
            "no model can reach it: roc_auc lies between 0 and 1",
        ),
        ("binary-classification", Threshold(metric="roc_auc", at_least=0), "every model meets it"),
        ("binary-classification", Threshold(metric="roc_auc", at_most=0.9), "use at_least"),
        ("binary-classification", Threshold(metric="log_loss", at_least=0.3), "use at_most"),
        (
            "binary-classification",
            Threshold(metric="log_loss", at_most=-0.1),
            "no model can reach it: log_loss lies at or above 0",
        ),
        ("binary-classification", Threshold(metric="brier", at_most=1), "every model meets it"),
        ("regression", Threshold(metric="model_mb", at_most=3, slice="a=b"), "leave slice out"),
        ("regression", Threshold(metric="r2", at_least=1.5), "no model can reach it: r2 lies at or below 1"),
        ("binary-classification", Threshold(metric="recall", at_least=1.1), "recall lies between 0 and 1"),
        ("binary-classification", Threshold(metric="false_positive_rate", at_least=0.1), "use at_most"),
        ("binary-classification", Threshold(metric="cost_per_1000_rows", at_most=9), "it needs the costs of errors"),
        ("regression", Threshold(metric="within_5_percent", at_least=2), "within_5_percent lies between 0 and 1"),
    ],
)
def test_a_threshold_that_cannot_decide_anything_is_refused(tmp_path, task, threshold, words):
    (reason,) = refused(tmp_path, threshold, task=task)
    assert words in reason


@pytest.mark.parametrize(
    ("task", "threshold"),
    [
        ("binary-classification", Threshold(metric="accuracy", at_least=1)),
        ("regression", Threshold(metric="r2", at_least=-0.5)),
        ("regression", Threshold(metric="rmse", at_most=1e6)),
        ("multiclass-classification", Threshold(metric="f1_macro", at_least=0.5, on="value")),
    ],
)
def test_a_threshold_at_the_edge_of_the_possible_is_allowed(tmp_path, task, threshold):
    run(tmp_path, threshold, task=task)


def test_thresholds_that_are_doubled_or_contradict_are_all_named(tmp_path):
    reasons = refused(
        tmp_path,
        Threshold(metric="roc_auc", at_least=0.7),
        Threshold(metric="roc_auc", at_least=0.8),
        Threshold(metric="f1", at_least=0.5),
        Threshold(metric="f1", at_least=0.5),
    )
    assert "two bounds for the same number" in reasons[0]
    assert "declared twice" in reasons[1]


def test_a_value_and_an_interval_bound_may_be_asked_for_together(tmp_path):
    thresholds = [
        Threshold(metric="roc_auc", at_least=bound, on=on) for bound, on in ((0.7, "interval"), (0.75, "value"))
    ]
    run(tmp_path, *thresholds, Threshold(metric="roc_auc", at_least=0.6, slice="origin=JFK"))


def test_a_metric_of_another_task_is_the_users_error_and_the_choices_are_shown(tmp_path):
    with pytest.raises(
        InputError,
        match=r"'rmse' is not a metric of binary-classification \(it is a metric of regression\); its metrics are: roc_auc",
    ):
        run(tmp_path, Threshold(metric="rmse", at_most=1))
    with pytest.raises(InputError, match="unknown task 'ranking'; known are: binary-classification"):
        run(tmp_path, Threshold(metric="roc_auc", at_least=0.5), task="ranking")


def test_the_names_that_hold_a_number_are_shown_among_the_choices(tmp_path):
    with pytest.raises(InputError, match=r"'precision_at_5' is not a metric.*, precision_at_top_N_percent"):
        run(tmp_path, Threshold(metric="precision_at_5", at_least=0.5))
    run(tmp_path, Threshold(metric="precision_at_top_5_percent", at_least=0.5))
    run(tmp_path, Threshold(metric="lift_at_top_2.5_percent", at_least=3))


def test_only_two_classes_have_a_threshold_that_decides(tmp_path):
    promise = Threshold(metric="accuracy", at_least=0.7)
    run(tmp_path, promise, decision_threshold=0.3)
    (reason,) = refused(tmp_path, promise, task="multiclass-classification", decision_threshold=0.3)
    assert reason.startswith("decision_threshold: a probability decides between two classes")


def test_blank_words_are_refused_by_name(tmp_path):
    (reason,) = refused(tmp_path, Threshold(metric="roc_auc", at_least=0.7), owner="  ")
    assert reason.startswith("owner:")
