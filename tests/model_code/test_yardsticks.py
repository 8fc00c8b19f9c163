"""Yardsticks on disk: written, found by name, read without trusting more than a short list."""

import numpy as np
import polars as pl
import pytest

from model_code import tasks, yardsticks
from model_code.encoding import encode, model_schema

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


def written(folder, task):
    columns = [{"name": "x", "type": "float"}, {"name": "c", "type": "category"}, {"name": "empty", "type": "float"}]
    schema = model_schema(FRAME, columns, task=task, target="t", classes=CLASSES[task], architecture="")
    folder.mkdir(exist_ok=True)
    yardsticks.fit_hgb(folder, *encode(FRAME, schema), TRUTH[task], schema)
    yardsticks.write_constant(folder, tasks.get(task).constant(TRUTH[task], CLASSES[task]))
    return folder


@pytest.mark.parametrize("task", tasks.names())
def test_each_yardstick_predicts_in_the_form_of_the_task(tmp_path, task):
    folder = written(tmp_path, task)
    assert yardsticks.names(folder) == ("constant", "hgb")
    shape = (300, len(CLASSES[task])) if CLASSES[task] else (300,)
    for name in yardsticks.names(folder):
        found = yardsticks.predict(folder, name, FRAME)
        assert found.shape == shape
        assert yardsticks.predict(folder, name, FRAME.head(0)).shape == (0, *shape[1:])
        if CLASSES[task]:
            assert np.allclose(found.sum(axis=1), 1)
    if CLASSES[task]:
        assert (found.argmax(axis=1) == TRUTH[task]).mean() > 0.95
    else:
        assert np.corrcoef(found, TRUTH[task])[0, 1] > 0.95


def test_the_same_training_gives_the_same_bytes(tmp_path):
    first, second = (written(tmp_path / name, "binary-classification") / "hgb.skops" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_a_yardstick_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no yardstick 'linear'.* there are: constant, hgb"):
        yardsticks.predict(written(tmp_path, "regression"), "linear", FRAME)
