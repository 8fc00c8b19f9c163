"""A head that learns logarithms gives numbers on the scale of the target again, in every runtime."""

import numpy as np
import pytest
import torch
from torch import nn

from model_code.export import export
from model_code.tasks.heads import LogValue, log_may_help

RANDOM = np.random.default_rng(0)
AMOUNTS = np.exp(RANDOM.normal(size=5000) * 1.5)


@pytest.mark.parametrize("truth", [AMOUNTS, np.floor(AMOUNTS)])
def test_what_is_learned_is_undone(truth):
    head = LogValue(truth)
    raw = head.target(truth)[:, None, None]
    assert head(raw).numpy() == pytest.approx(truth, rel=1e-5, abs=1e-5)
    assert head.scale == ("log" if truth.min() else "log1p")


def test_the_factor_makes_the_mean_right():
    head = LogValue(AMOUNTS)
    prediction = head(torch.zeros(5000, 1, 1)).numpy()
    head = LogValue(AMOUNTS, head.rescaled(AMOUNTS, prediction))
    assert head(torch.zeros(5000, 1, 1)).numpy().mean() == pytest.approx(AMOUNTS.mean())


def test_a_prediction_stays_near_what_training_had():
    prediction = LogValue(AMOUNTS)(torch.tensor([-1e9, 1e9]).view(2, 1, 1)).numpy()
    assert prediction[0] == pytest.approx(AMOUNTS.min())
    assert AMOUNTS.max() < prediction[1] < 10 * AMOUNTS.max()


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (AMOUNTS, True),
        (np.floor(AMOUNTS), True),
        (AMOUNTS - 1, False),
        (RANDOM.normal(size=1000) + 9, False),
        (10 - np.minimum(AMOUNTS, 10), False),
        (np.ones(9), False),
    ],
)
def test_only_positive_targets_with_a_long_tail_are_worth_a_try(truth, expected):
    assert log_may_help(truth) == expected


class Plain(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, values):
        return self.head(values.unsqueeze(1))


def test_it_is_exported_with_the_model(tmp_path):
    export(Plain(LogValue(np.floor(AMOUNTS), 1.7)), tmp_path, lambda rows: (RANDOM.normal(size=(rows, 1)) * 3,))
    assert (tmp_path / "model.onnx").is_file()
