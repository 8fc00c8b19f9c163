"""The linear architecture: as many steps on few rows as on many, and answers as good as those of an exact solver."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from model_code.fitting import Dataset, predict, train_on
from model_code.tabular.encoding import describe, encode
from model_code.tabular.linear import Linear
from model_code.tasks import heads
from model_code.training import Options


@pytest.mark.parametrize(("rows", "batch"), [(10, 8), (200, 10), (1_000, 50), (5_120, 256), (40_000, 625)])
def test_few_rows_get_small_batches_so_that_they_get_steps_enough(rows, batch):
    recipe = Linear(rows).recipe()
    assert recipe.batch_size == batch
    assert recipe.epochs <= 100
    assert rows < 160 or 1_900 <= recipe.epochs * -(-rows // batch) <= 2_100


@pytest.mark.parametrize("rows", [60, 150])
def test_few_rows_with_a_strong_effect_are_fitted_about_as_by_an_exact_solver(rows: int):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows + 2_000, 3))
    y = (x @ [3, -2, 1] + generator.logistic(size=len(x)) * 0.7 > 0).astype(np.int64)
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(3)})
    schema = describe(frame, [{"name": name, "type": "float"} for name in frame.columns])
    data = Dataset(encode(frame, schema), y, schema, heads.create("binary-classification", y, ["n", "y"]))
    training, later = np.arange(rows), np.arange(rows, len(x))
    fitted = train_on(data, Linear(rows), training, None, Options(seed=0, device=torch.device("cpu")))
    solved = LogisticRegression().fit(x[:rows], y[:rows]).predict_proba(x[rows:])
    assert log_loss(y[later], predict(data, fitted, later)) < log_loss(y[later], solved) + 0.05
