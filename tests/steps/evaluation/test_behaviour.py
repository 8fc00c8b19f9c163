"""Rules of behaviour are tried on rows and cases, and each says how many follow it and which do not."""

import numpy as np
import polars as pl
import pytest

from model_code import tasks
from model_code.serving import Predictor
from steps.errors import InputError
from steps.evaluation.behaviour import Behaviour, check, reasons, robustness
from steps.tables.names import ROW

INPUTS = [
    {"name": "x", "type": "float", "kind": "numeric"},
    {"name": "n", "type": "integer", "kind": "numeric"},
    {"name": "place", "type": "category", "kind": "category", "vocabulary": ["a", "b", "c"]},
]
BASE = {"format": 1, "target": "y", "inputs": INPUTS, "numeric": ["x", "n"], "category": ["place"]}
ROWS = pl.DataFrame(
    {
        ROW: np.arange(1, 201),
        "x": np.linspace(-2, 2, 200),
        "n": np.arange(200) % 10,
        "place": np.array(["a", "b", "c"])[np.arange(200) % 3],
    }
)


def numbers(function):
    """A model of numbers."""
    return Predictor({**BASE, "task": "regression", "classes": []}, function)


def classes(function):
    """A model of two classes, by the probability of the second."""

    def graph(numeric, category):
        chance = function(numeric, category)
        return np.stack([1 - chance, chance], axis=1)

    return Predictor({**BASE, "task": "binary-classification", "classes": ["no", "yes"]}, graph)


def tried(predictor, **rule):
    (result,) = check([Behaviour(**rule)], predictor, ROWS, ROWS)
    return result


def test_an_answer_that_changes_with_a_column_breaks_its_invariance():
    by_place = classes(lambda numeric, category: np.where((category[:, 0] == 2) & (numeric[:, 0] > 1.9), 0.9, 0.1))
    broken = tried(by_place, invariant_to="place")
    assert (broken.rows, broken.followed, broken.met) == (200, 195, False)
    assert broken.against == (196, 197, 198, 199, 200)
    (reason,) = reasons([broken])
    assert reason == (
        "behaviour: another value of place leaves the answer as it is: 195 of 200 rows follow it, all must; against it: rows "
        "196, 197, 198, 199, 200"
    )
    assert tried(by_place, invariant_to="place", at_least=0.95).met
    assert tried(by_place, invariant_to="n").met


def test_a_predicted_number_may_move_within_the_tolerance():
    slight = numbers(lambda numeric, category: numeric[:, 0] + 0.01 * category[:, 0])
    assert not tried(slight, invariant_to="place").met
    assert tried(slight, invariant_to="place", tolerance=0.05).met


@pytest.mark.parametrize(("column", "by"), [("x", None), ("n", None), ("n", 3)])
def test_a_prediction_that_rises_with_a_column_does_not_fall_with_it(column, by):
    place = ["x", "n"].index(column)
    rising = classes(lambda numeric, category: 1 / (1 + np.exp(-numeric[:, place])))
    assert tried(rising, rises_with=column, by=by).followed == 200
    assert tried(rising, falls_with=column, by=by).followed == 0
    assert tried(rising, falls_with=column, by=by, tolerance=1).met


def test_rows_without_a_number_are_left_out_and_none_at_all_is_no_success():
    rising = numbers(lambda numeric, category: numeric[:, 0])
    holes = ROWS.with_columns(x=pl.when(pl.col(ROW) > 50).then("x"))
    (some,) = check([Behaviour(rises_with="x")], rising, holes, holes)
    assert (some.rows, some.met) == (150, True)
    empty = ROWS.with_columns(x=pl.lit(None, dtype=pl.Float64))
    (none,) = check([Behaviour(rises_with="x")], rising, empty, empty)
    assert not none.met
    assert [*reasons([none])] == [
        "behaviour: a larger x does not lower the prediction: no row has a value to try it with"
    ]


def test_cases_are_read_as_foreign_rows_and_each_has_its_right_answer():
    positive = classes(lambda numeric, category: (numeric[:, 0] > 0).astype(float))
    cases = [{"x": 1.5, "n": 1, "place": "a", "y": "yes"}, {"x": "-1", "n": "2", "place": None, "y": "yes"}]
    result = tried(positive, cases=cases)
    assert (result.rows, result.followed, result.against, result.of_cases) == (2, 1, (2,), True)
    double = numbers(lambda numeric, category: 2 * numeric[:, 0])
    near = [{"x": 1, "n": 1, "place": "a", "y": 2.4}, {"x": 2, "n": 1, "place": "a", "y": 5}]
    assert tried(double, cases=near, tolerance=0.5).against == (2,)
    with pytest.raises(InputError, match=r"evaluate\.behaviour\.0\.cases: .*'?x"):
        tried(positive, cases=[{"x": "much", "n": 1, "place": "a", "y": "yes"}])


@pytest.mark.parametrize("rule", [{}, {"rises_with": "x", "falls_with": "x"}, {"invariant_to": "x", "cases": "a.csv"}])
def test_a_rule_is_one_of_four(rule):
    with pytest.raises(ValueError, match="exactly one"):
        Behaviour(**rule)


def test_what_a_missing_column_does_to_the_metric_is_measured():
    def graph(numeric, category):
        return 1 / (1 + np.exp(-np.nan_to_num(numeric[:, 0])))

    truth = (ROWS["x"].to_numpy() > 0).astype(int)
    model = classes(graph)
    measured = robustness(model, tasks.get("binary-classification"), ROWS, truth, ["x", "n"], 0)
    off, without_x, without_n = measured.changes
    assert (measured.value, without_n.value, without_n.other_decisions) == (1, 1, 0)
    assert (without_x.missing, without_x.value, without_x.other_decisions) == ("x", 0.5, 0.5)
    assert off.missing is None
    assert off.value > 0.99
