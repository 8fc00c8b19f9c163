"""The curve of a column is that of the model: straight for a linear one, flat for a column without effect."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from formulas import noise, predictor, probability

from steps.evaluation import dependence as module
from steps.evaluation.dependence import dependence
from steps.evaluation.document import ColumnImportance, Estimate, Importance


def drawn(model, table, names, classes=()):
    columns = tuple(ColumnImportance(columns=(name,), fall=Estimate(value=1 / (1 + i))) for i, name in enumerate(names))
    listed = dependence(model, table, Importance(metric="r2", rows=9, repeats=1, columns=columns), classes, seed=0)
    return {part.column: part for part in listed}


@pytest.mark.parametrize("rows", [20, 2_000])
def test_of_a_linear_model_the_mean_and_each_row_are_straight_lines(rows):
    table = noise(rows, "x", "y")
    parts = drawn(predictor(["x", "y"], lambda x, _: 3 * x[:, 0] - 2 * x[:, 1] + 5), table, ["x", "y"])
    for name, slope in (("x", 3), ("y", -2)):
        part = parts[name]
        assert len(part.numbers) == module.POINTS
        for line in (part.lines[0].y, *part.single):
            np.testing.assert_allclose(np.diff(line) / np.diff(part.numbers), slope, rtol=0.02)
    assert len(parts["x"].single) == min(rows, module.SINGLE)
    low, high = np.quantile(table["x"], module._ENDS)
    assert (parts["x"].numbers[0], parts["x"].numbers[-1]) == pytest.approx((low, high))


def test_categories_are_drawn_by_their_frequency_and_the_rare_ones_left_out():
    table = pl.DataFrame({"rows": ["a"] * 30 + ["b"] * 50 + ["c"] * 3 + [None] * 17}, schema={"rows": pl.String})
    model = predictor([], lambda _, places: places[:, 0].astype(float), ["rows"])
    part = drawn(model, table, ["rows"])["rows"]
    assert part.values == ("b", "a")
    assert part.lines[0].y[0] - part.lines[0].y[1] == 1
    assert part.numbers == ()


def test_truth_values_and_few_whole_numbers_are_taken_as_they_are():
    table = pl.DataFrame({"flag": [True, False] * 50, "n": [1, 2, 5, 5] * 25})
    parts = drawn(predictor(["flag", "n"], lambda x, _: x[:, 0] + x[:, 1]), table, ["flag", "n"])
    assert set(parts["flag"].values) == {"true", "false"}
    assert parts["n"].numbers == (1, 2, 5)


@pytest.mark.parametrize("start", [date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)])
def test_dates_are_drawn_in_seconds(start):
    table = pl.DataFrame({"day": [start + timedelta(days=i) for i in range(100)]})
    schema = {"inputs": [{"name": "day", "kind": "datetime", "type": "datetime", "timezone": None}]}
    model = predictor(["day"], lambda x, _: x[:, 0])
    model.schema |= schema
    part = drawn(model, table, ["day"])["day"]
    assert part.is_date
    np.testing.assert_allclose(part.lines[0].y, part.numbers, rtol=1e-4)
    assert datetime(2024, 1, 2, tzinfo=UTC).timestamp() < part.numbers[0] < part.numbers[-1]


def test_missing_values_are_allowed_and_columns_that_do_not_vary_are_left_out():
    table = pl.DataFrame(
        {
            "x": [None if i % 2 else float(i) for i in range(40)],
            "same": [2.0] * 40,
            "none": pl.Series([None] * 40, dtype=pl.Float64),
            "endless": [float("inf"), 1.0] * 20,
        }
    )
    parts = drawn(predictor(table.columns, lambda x, _: x[:, 0]), table, table.columns)
    assert "x" in parts
    assert not {"same", "none"} & set(parts)
    assert np.isfinite([number for part in parts.values() for number in part.numbers]).all()
    assert drawn(predictor(table.columns, lambda x, _: x[:, 0] * np.nan), table, ["x"]) == {}


def test_two_classes_have_the_second_and_several_those_that_move_most():
    table = noise(300, "x")
    (two,) = drawn(predictor(["x"], lambda x, _: probability(x[:, 0])), table, ["x"], ("no", "yes")).values()
    assert [line.name for line in two.lines] == ["yes"]
    assert two.lines[0].y[0] < two.lines[0].y[-1]

    def answer(x, _):
        scores = np.concatenate([np.zeros((len(x), 4)), x * [3, -3]], axis=1)
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    (several,) = drawn(predictor(["x"], answer), table, ["x"], tuple("abcdef")).values()
    assert {line.name for line in several.lines[:2]} == {"e", "f"}
    assert len(several.lines) == 4
    assert several.single == ()


def test_only_the_foremost_columns_that_are_worth_something_are_drawn():
    names = [f"c{i}" for i in range(9)]
    table = noise(100, *names)
    model = predictor(names, lambda x, _: x.sum(axis=1))
    assert list(drawn(model, table, names)) == names[: module.COLUMNS]
    worthless = Importance(
        metric="r2", rows=9, repeats=1, columns=(ColumnImportance(columns=("c0",), fall=Estimate(value=-0.1)),)
    )
    assert dependence(model, table, worthless, (), 0) == ()
