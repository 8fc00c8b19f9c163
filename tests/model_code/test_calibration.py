"""Calibrated probabilities are as often right as they say, in the same order, in numpy and in every exported graph."""

import numpy as np
import pytest
import torch
from torch import nn

from model_code import onnx_runtime, runtime
from model_code.calibration import Calibrated, Calibration, fit
from model_code.export import export


def draw(classes, rows=20_000, seed=0):
    """True classes and the probabilities that they were drawn with."""
    random = np.random.default_rng(seed)
    raw = random.normal(size=(rows, classes)) * 1.5
    chances = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return (chances.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1), chances


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_what_made_a_model_too_sure_is_undone(classes):
    truth, chances = draw(classes)
    shift = 0.5 if classes == 2 else 0.0
    bad = Calibration(2.5, shift).apply(chances)
    fitted = fit(truth, bad)
    assert fitted.scale == pytest.approx(1 / 2.5, rel=0.05)
    assert fitted.apply(bad) == pytest.approx(chances, abs=0.02)


def test_right_probabilities_hardly_change():
    fitted = fit(*draw(2))
    assert (fitted.scale, fitted.shift) == pytest.approx((1, 0), abs=0.06)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_rows_and_the_most_probable_of_several_classes_stay(seed):
    """Of rows whose second probability is rounded to the same number, such as 1, the first one says the order."""
    random = np.random.default_rng(seed)
    for classes in (2, 5):
        chances = random.dirichlet(np.full(classes, random.choice([0.01, 0.1, 1])), 500)
        fitted = fit(random.integers(0, classes, 500), chances)
        after = fitted.apply(chances)
        if classes == 2:
            order = np.lexsort((-chances[:, 0], chances[:, 1]))
            assert (np.diff(after[order, 1]) >= -1e-15).all()
        else:
            assert (after[np.arange(500), chances.argmax(axis=1)] == after.max(axis=1)).all()


def test_probabilities_of_nought_and_one_that_are_wrong_have_an_end():
    truth, chances = np.array([0, 1] * 50), np.tile([[1.0, 0.0]], (100, 1))
    after = fit(truth, chances).apply(chances)
    assert np.isfinite(after).all()
    assert after[0, 1] > 0.1


class Softmax(nn.Module):
    def forward(self, values):
        return torch.softmax(values, dim=-1)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_calibrated_model_is_exported_as_one_graph(tmp_path, classes):
    calibration = Calibration(0.6, -0.4 if classes == 2 else 0.0)
    random = np.random.default_rng(0)
    model = Calibrated(Softmax(), calibration, classes)
    export(model, tmp_path, lambda rows: (random.normal(size=(rows, classes)) * 30,))
    values = random.normal(size=(50, classes)) * 30
    expected = calibration.apply(Softmax()(torch.from_numpy(values)).numpy())
    assert runtime.load(tmp_path / "model.pt2")(values) == pytest.approx(expected, abs=1e-12)
    assert onnx_runtime.load(tmp_path / onnx_runtime.MODEL)(values) == pytest.approx(expected, abs=1e-12)
