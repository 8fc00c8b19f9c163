"""Columns as trees take them: shrunk means of the target by category, out of fold where values are many."""

import numpy as np
import pytest
import torch

from model_code.tabular.target_statistics import PRIOR, Columns


def schema(sizes, classes=(), dates=0):
    names = [f"c{i}" for i in range(len(sizes))]
    inputs = [
        {"name": name, "kind": "category", "vocabulary": range(size)} for name, size in zip(names, sizes, strict=True)
    ]
    inputs += [{"name": f"d{i}", "kind": "datetime"} for i in range(dates)]
    return {"inputs": inputs, "numeric": [f"d{i}" for i in range(dates)], "category": names, "classes": classes}


def look_up(columns, numeric, category):
    (values,) = columns(torch.from_numpy(numeric), torch.from_numpy(category))
    return values.numpy()


def test_a_category_is_the_mean_of_its_rows_drawn_towards_that_of_all_and_its_share():
    category = np.array([[0]] * 30 + [[1]] * 10)
    target = np.r_[np.ones(30), np.zeros(10)]
    columns = Columns(np.empty((40, 0)), category, target, schema([2]))
    values = look_up(columns, np.empty((3, 0)), np.array([[0], [1], [-1]]))
    mean = 0.75
    np.testing.assert_allclose(
        values,
        [[(30 + PRIOR * mean) / (30 + PRIOR), 0.75], [PRIOR * mean / (10 + PRIOR), 0.25], [mean, 0]],
    )


def test_an_index_beyond_the_vocabulary_is_unknown_and_reads_no_other_column():
    category = np.array([[0, 0], [1, 1]] * 20)
    columns = Columns(np.empty((40, 0)), category, np.arange(40) % 2.0, schema([2, 2]))
    unknown, beyond = look_up(columns, np.empty((2, 0)), np.array([[-1, -1], [2, 99]]))
    np.testing.assert_array_equal(unknown, beyond)


def test_in_a_column_of_many_names_a_training_row_does_not_see_its_own_target():
    category = np.arange(1_000)[:, None]
    target = np.random.default_rng(0).integers(0, 2, 1_000).astype(float)
    columns = Columns(np.empty((1_000, 0)), category, target, schema([1_000]))
    training = columns.out_of_fold(np.empty((1_000, 0)), category, target, seed=0)[:, 0]
    assert len(np.unique(training)) == 5  # the mean of the four other folds, since each name has one row
    assert abs(np.corrcoef(training, target)[0, 1]) < 0.15


def test_each_of_the_most_frequent_classes_has_a_mean():
    category = np.array([[0]] * 20 + [[1]] * 20 + [[0]] * 20)
    target = np.repeat([0, 1, 2], 20)
    values = look_up(
        Columns(np.empty((60, 0)), category, target, schema([2], "abc")), np.empty((1, 0)), np.array([[1]])
    )
    assert values.shape == (1, 4)
    assert values[0, 1] > 0.7 > values[0, 0] > 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_missing_number_is_the_usual_one_where_training_had_none_and_stays_missing_elsewhere(wrong):
    numeric = np.array([[1.0, 1.0], [3.0, np.nan], [5.0, 2.0]])
    names = {
        "inputs": [{"name": n, "kind": "numeric"} for n in "ab"],
        "numeric": list("ab"),
        "category": [],
        "classes": (),
    }
    columns = Columns(numeric, np.empty((3, 0), np.int64), np.arange(3.0), names)
    values = look_up(columns, np.array([[wrong, wrong]]), np.empty((1, 0), np.int64))
    np.testing.assert_array_equal(values, [[3.0, np.nan]])


def test_an_instant_keeps_its_number_and_gets_its_place_in_day_week_and_year():
    numeric = np.array([[0.0], [86_400.0 * 0.25]])
    columns = Columns(numeric, np.empty((2, 0), np.int64), np.arange(2.0), schema([], dates=1))
    values = look_up(columns, numeric, np.empty((2, 0), np.int64))
    assert values.shape == (2, 7)
    np.testing.assert_allclose(values[1, :3], [21_600, 1, 0], atol=1e-9)  # six o'clock is a quarter of the circle


def test_weekdays_whose_waves_mirror_each_other_are_equal_there_in_every_runtime():
    days = np.arange(28.0)[:, None] * 86_400
    columns = Columns(days, np.empty((28, 0), np.int64), np.arange(28.0), schema([], dates=1))
    values = look_up(columns, days, np.empty((28, 0), np.int64))
    cosines = values[:, 4]  # behind the instant: two waves of the hour, two of the weekday
    assert len(np.unique(cosines)) == 4
    np.testing.assert_array_equal(values[:, 1:].astype(np.float32), values[:, 1:])


def test_trees_get_the_time_between_two_dates():
    numeric = np.array([[0.0, 10.0], [5.0, 25.0], [np.nan, 3.0]])
    category = np.empty((3, 0), np.int64)
    columns = Columns(numeric, category, np.arange(3.0), schema([], dates=2))
    values = look_up(columns, numeric, category)
    np.testing.assert_array_equal(values[:, 2], [10, 20, np.nan])
    np.testing.assert_array_equal(columns.out_of_fold(numeric, category, np.arange(3.0), seed=0), values)
