"""The next steps for a rejected model are those that promise most, each with its evidence; most come from what was measured."""

from reported import evaluation, training

from steps.evaluation.diagnosis import steps
from steps.evaluation.document import Evaluation, LearningCurve, SuspectedLabels
from steps.splitting.document import ColumnProfiles
from steps.training.document import TrainingRecord
from steps.wording import unmarked

BROKEN = {
    "metric": "roc_auc",
    "wanted": "roc_auc >= 0.8",
    "at_least": 0.8,
    "met": False,
    "value": 0.75,
    "low": 0.73,
    "high": 0.77,
    "rows": 5000,
}


def curve(low, high):
    points = [{"rows": 100 * 2**step, "value": 0.7 + step / 100} for step in range(3)]
    return LearningCurve(name="trees", points=points, gain={"value": (low + high) / 2, "low": low, "high": high})


def advised(record=None, learned=None, suspected=None, profiles=None, **changes):
    """Return the next steps for an evaluation with these changes."""
    broken = {"verdict": "rejected", "thresholds": [BROKEN], "slices": {}, "comparisons": {}}
    document = Evaluation(**evaluation(**{**broken, **changes}))
    record = TrainingRecord(**{**training(), "metric": "roc_auc", **(record or {})})
    listed = steps(document, record, profiles, suspected, learned)
    return [(step.advice, unmarked(step.evidence)) for step in listed]


def test_where_only_the_interval_breaks_the_promises_more_test_rows_come_first():
    near = {**BROKEN, "value": 0.81, "low": 0.79, "high": 0.83, "rows_to_decide": 21_000}
    advice, evidence = advised(thresholds=[near])[0]
    assert advice == "Judge it on more test rows, about 21,000, before changing anything."
    assert "ROC AUC is 0.810 (0.790 to 0.830), promised is at least 0.8" in evidence
    assert "more test rows" not in advised(thresholds=[near, BROKEN])[0][0]


def test_steps_are_ordered_by_what_they_might_take_away_of_the_error():
    weak = [{"where": {"origin": "JFK"}, "rows": 20_000, "estimate": {"value": 0.6, "low": 0.58, "high": 0.62}}]
    search = {"metric": "roc_auc", "columns": 2, "paired": 2, "tried": 9, "least_rows": 50, "weak": weak}
    better = {"metric": "roc_auc", "difference": {"value": -0.05, "low": -0.06, "high": -0.04}, "better": "trees"}
    listed = advised(search=search, comparisons={"trees": better}, learned=curve(0.002, 0.006))
    assert [advice.split()[0] for advice, _ in listed] == ["Let", "Look", "Collect"]
    assert listed[0][1].startswith("Worse than gradient boosting: ROC AUC")
    assert listed[1][1] == "origin = JFK (20,000 rows): ROC AUC 0.600 (0.580 to 0.620)."


def test_more_rows_are_advised_only_where_the_last_doubling_helped():
    assert "Collect more training rows." in dict(advised(learned=curve(0.002, 0.02)))
    listed = dict(advised(learned=curve(-0.002, 0.02)))
    assert "Collect more training rows." not in listed
    evidence = next(text for advice, text in listed.items() if advice.startswith("Look for columns"))
    assert "Gradient boosting has ROC AUC 0.710 with 200 rows and 0.720 with 400" in evidence
    assert "the model's loss is" in evidence


def test_a_fall_from_the_folds_to_the_test_rows_names_the_columns_that_drifted():
    candidates = [
        {**training()["candidates"][0], "name": "mlp", "status": "chosen", "score": 0.8, "low": 0.79, "high": 0.81}
    ]
    columns = [{"name": name, "drift": drift, "noise": 0.02} for name, drift in (("a", 0.05), ("b", 0.3), ("c", 0.01))]
    profiles = ColumnProfiles(rows=(100, 100), columns=columns)
    listed = advised(record={"chosen": "mlp", "candidates": candidates}, profiles=profiles)
    advice, evidence = listed[0]
    assert advice.startswith("Find out what changed")
    assert evidence.endswith("The parts differ beyond chance in b (30 % of the rows) and a (5.0 % of the rows).")
    candidates[0] |= {"score": 0.7, "low": 0.68, "high": 0.72}
    assert "changed" not in advised(record={"chosen": "mlp", "candidates": candidates})[0][0]


def test_suspected_labels_are_named_by_row_numbers_only():
    listed = dict(advised(suspected=SuspectedLabels(rows=40, among=1000, listed=(7, 9, 3))))
    evidence = listed["Check the labels of the rows that are listed in evaluation.json under diagnosis."]
    assert evidence.startswith("On the folds, 40 rows of 1,000 (4.0 %) belong to another class with confidence")
    assert evidence.endswith("rows 7, 9, 3.")
