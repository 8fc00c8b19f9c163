"""A column is worth what the model makes of it: alone or with those that say the same, on few rows as on many."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from formulas import noise, predictor, probability

from model_code import tasks
from steps.evaluation import importance as module
from steps.evaluation import statistics
from steps.evaluation.importance import importance, together


def measured(model, table, truth, task="regression", clusters=None):
    drawing = statistics.by_row(len(truth), 200, 0)
    if clusters is not None:
        drawing = statistics.by_group(clusters, 200, 0)
    return importance(model, tasks.get(task), table, truth, drawing)


def falls(result):
    return {entry.columns: entry.fall for entry in result.columns}


@pytest.mark.parametrize("rows", [20, 500, 6_000])
@pytest.mark.parametrize("task", ["regression", "binary-classification"])
def test_a_column_that_is_used_falls_and_one_that_is_not_does_not(rows, task):
    table = noise(rows, "strong", "weak", "unused")
    score = table["strong"].to_numpy() * 2 + table["weak"].to_numpy() * 0.5
    truth = score + np.random.default_rng(1).normal(size=rows)
    two = task != "regression"

    def answer(x, _):
        score = 2 * x[:, 0] + 0.5 * x[:, 1]
        return probability(score) if two else score

    result = measured(predictor(table.columns, answer), table, (truth > 0).astype(int) if two else truth, task)
    by_columns = falls(result)
    assert result.columns[0].columns == ("strong",)
    assert by_columns["strong",].low > 0
    assert by_columns["unused",].low <= 0 <= by_columns["unused",].high
    assert result.rows == min(rows, module.ROWS)


def test_a_column_of_noise_that_the_model_learned_covers_nothing():
    table = noise(3_000, "x", "noise", "unused")
    truth = table["x"].to_numpy() + np.random.default_rng(1).normal(size=3_000)
    fall = falls(measured(predictor(table.columns, lambda x, _: x[:, 0] + 0.02 * x[:, 1]), table, truth))["noise",]
    assert fall.low < 0.002
    assert fall.high > -0.002


def test_two_copies_of_a_column_are_worth_together_what_the_one_was():
    table = noise(3_000, "x", "other").with_columns(copy=pl.col("x") * 3 + 1)
    truth = table["x"].to_numpy() + np.random.default_rng(1).normal(size=3_000)
    alone = falls(measured(predictor(["x", "other"], lambda x, _: x[:, 0]), table, truth))["x",]
    model = predictor(["x", "copy", "other"], lambda x, _: (x[:, 0] + (x[:, 1] - 1) / 3) / 2)
    both = falls(measured(model, table, truth))["x", "copy"]
    assert both.low > 0
    assert both.value == pytest.approx(alone.value, abs=0.1)


def test_columns_go_together_by_what_they_say_and_not_by_how_they_are_written():
    random = np.random.default_rng(0)
    place = random.integers(0, 6, 1_000)
    table = noise(1_000, "x", "y").with_columns(
        place=pl.Series([f"p{i}" for i in place]),
        town=pl.Series([f"town {(5 * i) % 6}" for i in place]),
        height=pl.Series([[3.0, 1.0, 7.0, 2.0, 9.0, 4.0][i] for i in place]),
        other=pl.Series([f"o{i}" for i in random.integers(0, 6, 1_000)]),
        square=pl.col("x") ** 3,
        day=pl.Series([date(2024, 1, 1) + timedelta(days=int(1e3 * v)) for v in random.random(1_000)]),
        single=pl.Series([str(i) for i in range(1_000)]),
        constant=pl.lit("same"),
        missing=pl.lit(None, pl.Float64),
    )
    groups = together(table, table.columns)
    assert ["x", "square"] in groups
    assert ["place", "town", "height"] in groups
    assert sorted(map(len, groups)) == [1] * 6 + [2, 3]


@pytest.mark.parametrize("rows", [1, 2, 20])
def test_hardly_any_rows_missing_values_and_constants_are_no_obstacle(rows):
    table = pl.DataFrame(
        {"x": [None if i % 3 else float(i) for i in range(rows)], "same": [1.0] * rows, "c": ["a"] * rows}
    )
    model = predictor(["x", "same"], lambda x, _: x[:, 0], ["c"])
    result = measured(model, table, np.arange(float(rows)))
    assert set(falls(result)) == {("x",), ("same",), ("c",)}
    assert falls(result)["same",].value in (0, None)


def test_of_rows_of_one_class_nothing_can_be_said():
    table = noise(100, "x", "y")
    result = measured(
        predictor(table.columns, lambda x, _: probability(x[:, 0])), table, np.ones(100, int), "binary-classification"
    )
    assert {fall.value for fall in falls(result).values()} == {None}


def test_a_rare_class_is_looked_at_more_often_than_it_comes():
    table = noise(50_000, "x", "y")
    truth = (np.random.default_rng(1).random(50_000) < 0.002).astype(int)
    table = table.with_columns(x=pl.col("x") + 2 * pl.Series(truth))
    model = predictor(table.columns, lambda x, _: probability(x[:, 0]))
    fall = falls(measured(model, table, truth, "binary-classification"))["x",]
    assert fall.value == pytest.approx(0.42, abs=0.05)
    assert fall.high - fall.low < 0.15


def test_intervals_follow_what_belongs_together():
    groups = np.repeat(np.arange(20), 50)
    x = np.repeat(np.random.default_rng(0).normal(size=20), 50)
    table = pl.DataFrame({"x": x})
    truth = x + np.repeat(np.random.default_rng(1).normal(size=20), 50)
    model = predictor(["x"], lambda x, _: x[:, 0])
    rows, clusters = (measured(model, table, truth, clusters=c) for c in (None, pl.Series("g", groups)))
    widths = [fall["x",].high - fall["x",].low for fall in map(falls, (rows, clusters))]
    assert widths[1] > 2 * widths[0]


def test_many_columns_stay_within_the_budget_and_those_that_matter_least_are_left_out():
    names = [f"c{i}" for i in range(140)]
    table = noise(600, *names)
    truth = table["c130"].to_numpy() + np.random.default_rng(1).normal(size=600)
    counted = []

    def answer(x, _):
        counted.append(len(x))
        return x[:, 130] + 1e-3 * x[:, 3]

    result = measured(predictor(names, answer), table, truth)
    assert sum(counted) <= module.PREDICTED + 600
    assert len(result.columns) == module.MOST
    assert len(result.left_out) == 140 - module.MOST
    assert result.columns[0].columns == ("c130",)


def test_the_same_rows_give_the_same_numbers():
    table = noise(5_000, "x", "y")
    truth = table["x"].to_numpy()
    model = predictor(table.columns, lambda x, _: x[:, 0] + 0.1 * x[:, 1])
    assert measured(model, table, truth) == measured(model, table, truth)


def test_a_slow_model_leaves_columns_out(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    table = noise(50, "x", "y")
    result = measured(predictor(table.columns, lambda x, _: x[:, 0]), table, table["x"].to_numpy())
    assert (result.columns, result.left_out) == ((), ("x", "y"))


def test_a_model_that_answers_no_numbers_or_names_no_columns_has_no_importance():
    table = noise(50, "x")
    assert measured(predictor(["x"], lambda x, _: x[:, 0] * np.nan), table, table["x"].to_numpy()) is None
    assert measured(predictor([], lambda x, _: np.zeros(len(x))), table, table["x"].to_numpy()) is None
