import numpy as np
import polars as pl
import pytest

from pipelines.propose import codes

ROWS = 2000


def judged(name, target, **features):
    return codes.evidence(name, pl.Series(target), pl.DataFrame(features))


@pytest.fixture(scope="module")
def covers():
    """Seven kinds of forest: where each grows has nothing to do with its number."""
    random = np.random.default_rng(0)
    kind = random.choice(7, ROWS, p=[0.36, 0.48, 0.06, 0.01, 0.02, 0.03, 0.04])
    height = np.array([3100, 2900, 2400, 2200, 2750, 2420, 3350])[kind] + random.normal(size=ROWS) * 150
    return kind, {"height": height, "slope": random.normal(size=ROWS)}


@pytest.fixture(scope="module")
def scores():
    """Scores of wine around a middle, which rise with alcohol."""
    random = np.random.default_rng(0)
    score = np.clip(np.round(random.normal(2, 0.9, ROWS)), 0, 4).astype(int)
    return score, {"alcohol": score + random.normal(size=ROWS), "sugar": random.normal(size=ROWS)}


def test_kinds_that_other_columns_do_not_follow_are_classes_for_sure(covers):
    evidence = judged("y", covers[0] + 1, **covers[1])
    assert evidence.are_codes
    assert evidence.is_sure
    assert evidence.in_words == "counted from 1 on, frequent in no order, other columns do not follow their order"


@pytest.mark.parametrize(("name", "first"), [("y", 1), ("y", 3), ("quality", 1), ("rating", 0)])
def test_scores_that_other_columns_rise_with_are_amounts_for_sure(scores, name, first):
    evidence = judged(name, scores[0] + first, **scores[1])
    assert not evidence.are_codes
    assert evidence.is_sure


def test_three_ordered_kinds_may_be_either():
    random = np.random.default_rng(0)
    kind = random.choice(3, ROWS, p=[0.24, 0.21, 0.55])
    evidence = judged("y", kind + 1, fare=random.normal(size=ROWS) - kind)
    assert evidence.are_codes
    assert not evidence.is_sure
    assert evidence.in_words == "counted from 1 on; yet other columns rise or fall with them"
    assert judged("species", kind, fare=random.normal(size=ROWS) - kind).is_sure


def test_without_other_columns_name_and_gaps_decide():
    cylinders = np.repeat([3, 4, 5, 6, 8], 20)
    assert not judged("cylinders", cylinders).are_codes
    assert judged("engine_type", np.repeat([0, 1, 2, 3], 20)).is_sure


@pytest.mark.parametrize("values", [[0, 1], [0.5, 1, 2], range(11), [0, 1, None, 2][:2]])
def test_there_is_no_question_about_other_values(values):
    assert judged("y", [*values] * 10) is None
    assert judged("y", ["a", "b", "c"] * 10) is None


def test_straightness_is_that_of_the_means_and_none_where_nothing_differs():
    random = np.random.default_rng(0)
    target = random.integers(0, 5, ROWS).astype(float)
    line, bent = target + random.normal(size=ROWS), (target - 2) ** 2 + random.normal(size=ROWS)
    assert codes.straightness(target, pl.DataFrame({"x": line})) > 0.95
    assert codes.straightness(target, pl.DataFrame({"x": bent})) < 0.1
    assert codes.straightness(target, pl.DataFrame({"x": random.normal(size=ROWS), "one": np.ones(ROWS)})) is None
