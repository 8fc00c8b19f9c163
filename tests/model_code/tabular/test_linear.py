"""The linear architecture: answers as good as those of other solvers, on a path that ends where validation says."""

from dataclasses import replace

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
from model_code.training import OUT_OF_TIME, Options

CPU = torch.device("cpu")


def dataset(x, y, classes=()):
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(x.shape[1])})
    schema = describe(frame, [{"name": name, "type": "float"} for name in frame.columns])
    task = "binary-classification" if classes else "regression"
    return Dataset(encode(frame, schema), y, schema, heads.create(task, y, classes))


@pytest.mark.parametrize("rows", [60, 150])
def test_few_rows_with_a_strong_effect_are_fitted_about_as_by_an_exact_solver(rows: int):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows + 2_000, 3))
    y = (x @ [3, -2, 1] + generator.logistic(size=len(x)) * 0.7 > 0).astype(np.int64)
    data = dataset(x, y, ["n", "y"])
    training, later = np.arange(rows), np.arange(rows, len(x))
    fitted = train_on(data, Linear(rows), training, None, Options(seed=0, device=CPU))
    solved = LogisticRegression().fit(x[:rows], y[:rows]).predict_proba(x[rows:])
    assert log_loss(y[later], predict(data, fitted, later)) < log_loss(y[later], solved) + 0.05


def test_without_noise_the_weights_are_those_of_least_squares():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 4))
    y = x @ [2.0, -1.0, 0.5, 0.0] + 7
    data = dataset(x, y)
    fitted = train_on(data, Linear(400), np.arange(400), np.arange(400, 500), Options(seed=0, device=CPU))
    np.testing.assert_allclose(predict(data, fitted, np.arange(500)), y, atol=0.01)


def test_where_nothing_can_be_learned_the_path_ends_at_its_strong_end():
    generator = np.random.default_rng(0)
    data = dataset(generator.normal(size=(300, 80)), generator.normal(size=300))
    fitted = train_on(data, Linear(200), np.arange(200), np.arange(200, 300), Options(seed=0, device=CPU))
    assert fitted.fit.stopped == "validation loss no longer improves"
    assert fitted.fit.epochs <= 2
    again = train_on(data, Linear(200), np.arange(200), None, Options(seed=0, device=CPU, stop_after=fitted.fit.epochs))
    assert len(again.fit.train_loss) == fitted.fit.epochs


def test_the_path_ends_when_its_time_is_over_and_says_so():
    data = dataset(np.arange(40.0)[:, None], np.arange(40.0))
    fitted = train_on(data, Linear(40), np.arange(40), None, Options(seed=0, device=CPU, seconds=0.0))
    assert (fitted.fit.stopped, fitted.fit.epochs) == (OUT_OF_TIME, 1)


def test_a_step_that_is_late_ends_at_the_best_weights_until_then(monkeypatch):
    monkeypatch.setattr("model_code.tabular.linear.LEEWAY", 0.0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 4))
    data = dataset(x, x @ [2.0, -1.0, 0.5, 0.0])
    options = Options(seed=0, device=CPU, seconds=0.0)
    fitted = train_on(data, Linear(400), np.arange(400), np.arange(400, 500), options)
    assert (fitted.fit.stopped, len(fitted.fit.train_loss)) == (OUT_OF_TIME, 1)
    whole = train_on(data, Linear(400), np.arange(400), np.arange(400, 500), replace(options, seconds=60.0))
    assert fitted.fit.train_loss[0] > whole.fit.train_loss[0]
