"""The yardstick hgb on disk: written, read without trusting more than a short list."""

import numpy as np
import polars as pl
import pytest

from model_code import tasks, yardsticks
from model_code.tabular.encoding import describe, encode
from model_code.tabular.hist_gradient_boosting import HistGradientBoosting

RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {"x": RNG.normal(size=300), "c": [f"v{i % 5}" for i in range(300)], "empty": [None] * 300},
    schema_overrides={"empty": pl.Float64},
)
TRUTH = {
    "regression": FRAME["x"].to_numpy() * 2,
    "binary-classification": (FRAME["x"].to_numpy() > 0).astype(np.int64),
    "multiclass-classification": np.digitize(FRAME["x"].to_numpy(), [-0.5, 0.5]) * 2,  # classes 1 and 3 have no rows
}
CLASSES = {"regression": [], "binary-classification": ["n", "y"], "multiclass-classification": list("abcde")}


def write_yardsticks(folder, task):
    columns = [{"name": "x", "type": "float"}, {"name": "c", "type": "category"}, {"name": "empty", "type": "float"}]
    schema = {"family": "tabular", "classes": CLASSES[task], **describe(FRAME, columns)}
    folder.mkdir(exist_ok=True)
    HistGradientBoosting().fit(folder, encode(FRAME, schema), TRUTH[task], schema)
    yardsticks.write_constant(folder, TRUTH[task], CLASSES[task])
    return folder


@pytest.mark.parametrize("task", tasks.names())
def test_each_yardstick_predicts_in_the_form_of_the_task(tmp_path, task):
    folder = write_yardsticks(tmp_path, task)
    assert yardsticks.names(folder) == ("constant", "hgb")
    shape = (300, len(CLASSES[task])) if CLASSES[task] else (300,)
    for name in yardsticks.names(folder):
        prediction = yardsticks.predict(folder, name, FRAME)
        assert prediction.shape == shape
        assert yardsticks.predict(folder, name, FRAME.head(0)).shape == (0, *shape[1:])
        if CLASSES[task]:
            assert np.allclose(prediction.sum(axis=1), 1)
    if CLASSES[task]:
        assert (prediction.argmax(axis=1) == TRUTH[task]).mean() > 0.95
    else:
        assert np.corrcoef(prediction, TRUTH[task])[0, 1] > 0.95


@pytest.mark.parametrize(
    "truth",
    [np.arange(10_500) == 0, np.arange(10_500) % 1_100],
    ids=["a class of one row", "more classes than a tenth of the rows"],
)
def test_many_rows_are_no_obstacle_where_no_part_of_them_can_have_every_class(tmp_path, truth):
    truth = truth.astype(np.int64)
    schema = {"classes": [f"c{i}" for i in range(truth.max() + 1)], "inputs": [], "numeric": ["x"], "category": []}
    numeric, category = np.arange(10_500.0)[:, None] % 7, np.zeros((10_500, 0), np.int64)
    HistGradientBoosting(most_trees=2, fewest_iterations=1).fit(tmp_path, (numeric, category), truth, schema)
    assert yardsticks.names(tmp_path) == ("hgb",)


def test_columns_with_a_value_in_one_of_many_rows_are_no_obstacle(tmp_path):
    numeric = np.full((10_500, 30), np.nan)
    numeric[np.arange(30) * 300, np.arange(30)] = 1
    schema = {"classes": [], "inputs": [], "numeric": [f"x{i}" for i in range(30)], "category": []}
    HistGradientBoosting().fit(tmp_path, (numeric, np.zeros((10_500, 0), np.int64)), np.arange(10_500.0), schema)
    assert yardsticks.names(tmp_path) == ("hgb",)


def test_the_same_training_gives_the_same_bytes(tmp_path):
    first, second = (
        write_yardsticks(tmp_path / name, "binary-classification") / "hgb.skops" for name in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()
