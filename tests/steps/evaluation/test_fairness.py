"""Gaps between groups are those of what was decided, have intervals for all pairs at once, and need rows enough."""

import numpy as np
import pytest
from reported import evaluation

from model_code import tasks
from steps.evaluation import fairness
from steps.evaluation.document import Evaluation
from steps.evaluation.remarks import clear_gaps, of_gaps
from steps.evaluation.slices import Part
from steps.evaluation.statistics import bootstrap, by_row
from steps.wording import unmarked

BINARY, SEVERAL, NUMBERS = (
    tasks.get(name) for name in ("binary-classification", "multiclass-classification", "regression")
)


def by_group(values):
    return {"sex": [Part("sex", str(value), np.flatnonzero(values == value)) for value in np.unique(values)]}


def compare(task, groups, truth, prediction, threshold=None, seed=0):
    compared = fairness.quantities(task, truth, prediction, threshold)
    parts = by_group(groups)
    sampled = bootstrap(fairness.measures(parts, compared), by_row(len(truth), 200, seed))
    return fairness.document(parts, compared, sampled)["sex"]


def drawn(random, groups, lift=0.0, hidden=0.0):
    """Return classes and probabilities of rows; the first group's are lifted, known to the model or hidden from it."""
    score = random.normal(size=len(groups)) + lift * (groups == "a")
    truth = (random.random(len(groups)) < 1 / (1 + np.exp(-score - hidden * (groups == "a")))).astype(np.int64)
    chance = 1 / (1 + np.exp(-score))
    return truth, np.stack([1 - chance, chance], axis=1)


def test_what_is_compared_is_counted_on_the_rows_of_each_group():
    random = np.random.default_rng(0)
    groups = random.choice(list("ab"), 2000)
    truth, prediction = drawn(random, groups, lift=0.8)
    result = compare(BINARY, groups, truth, prediction, threshold=0.4)
    acted, inside = prediction[:, 1] >= 0.4, groups == "a"
    values = {name: estimate.value for name, estimate in result.groups[0].measures.items()}
    assert values == pytest.approx(
        {
            "selection_rate": acted[inside].mean(),
            "recall": acted[inside & (truth == 1)].mean(),
            "false_positive_rate": acted[inside & (truth == 0)].mean(),
            "observed_minus_predicted": (truth - prediction[:, 1])[inside].mean(),
        }
    )
    gap = result.gaps["selection_rate"]
    assert (gap.highest, gap.lowest, gap.clear) == ("a", "b", True)
    assert gap.difference.value == pytest.approx(acted[inside].mean() - acted[~inside].mean())


def test_a_group_that_the_model_misjudges_has_a_gap_of_calibration():
    random = np.random.default_rng(1)
    groups = random.choice(list("abc"), 3000)
    gaps = compare(BINARY, groups, *drawn(random, groups, hidden=0.8)).gaps
    assert gaps["observed_minus_predicted"].highest == "a"
    assert gaps["observed_minus_predicted"].clear
    assert not gaps["selection_rate"].clear


def test_among_five_groups_that_are_alike_about_one_comparison_of_twenty_shows_a_gap():
    alarms = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        groups = random.choice(list("abcde"), 1500)
        truth, prediction = drawn(random, groups)
        alarms += compare(BINARY, groups, truth, prediction, seed=seed).gaps["selection_rate"].clear
    assert alarms <= 7  # of 60 at one in twenty, 7 or fewer come with a probability of 99 %


@pytest.mark.parametrize(
    ("task", "names"),
    [(SEVERAL, ["accuracy"]), (NUMBERS, ["mean_error", "mean_absolute_error"])],
)
def test_several_classes_and_numbers_are_compared_by_their_errors(task, names):
    random = np.random.default_rng(0)
    groups, truth = np.repeat(["a", "b"], 200), random.integers(0, 3, 400)
    prediction = truth + (groups == "a") * 2.0
    if task is SEVERAL:
        prediction = np.eye(3)[np.where(groups == "a", 0, truth)]
    result = compare(task, groups, truth, prediction)
    assert list(result.gaps) == names
    assert result.gaps[names[0]].highest == ("b" if task is SEVERAL else "a")


def test_where_rows_are_few_nothing_is_said_but_that():
    random = np.random.default_rng(0)
    groups = np.array(["a"] * 200 + ["b"] * 100 + ["tiny"] * 12)
    truth, prediction = drawn(random, groups)
    truth[groups == "b"] = 0
    result = compare(BINARY, groups, truth, prediction)
    assert result.gaps["recall"] is None
    assert result.gaps["selection_rate"] is not None
    assert result.groups[2].measures["selection_rate"].low is None
    document = Evaluation(**evaluation(fairness={"sex": result}))
    text = [unmarked(sentence) for sentence in of_gaps(document)]
    assert "Of recall by sex nothing can be said: fewer than two groups have rows enough." in text
    assert text[-1] == "Nothing can be said of sex = tiny (12 rows): the rows are too few."


def test_a_sentence_has_both_groups_and_the_interval_and_only_clear_gaps_are_limits():
    gap = {"highest": "a", "lowest": "b", "difference": {"value": 0.12, "low": 0.08, "high": 0.16}}
    alike = {**gap, "difference": {"value": 0.02, "low": -0.03, "high": 0.07}}
    groups = [
        {"value": name, "rows": 500, "measures": {key: {"value": value} for key in ("selection_rate", "recall")}}
        for name, value in (("a", 0.31), ("b", 0.19))
    ]
    result = {"groups": groups, "gaps": {"selection_rate": gap, "recall": alike}}
    document = Evaluation(**evaluation(fairness={"sex": result}))
    assert [unmarked(sentence) for sentence in clear_gaps(document)] == [
        "There is a gap in share acted on by sex: 0.310 for a and 0.190 for b, a difference of 0.120 (0.080 to 0.160)."
    ]
    assert any(sentence.startswith("No clear gap in recall") for sentence in of_gaps(document))
