"""A calibration is used only where it helps rows that had no part in its fit by more than noise."""

import numpy as np
import pytest

from model_code import tasks
from model_code.calibration import Calibration
from steps.evaluation.statistics import Resampling, by_row
from steps.training.calibrating import attempt
from steps.training.selection import Validated

TASKS = {2: tasks.get("binary-classification"), 4: tasks.get("multiclass-classification")}


def validated(classes, rows, seed, resampling=None):
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.ones(classes), rows)
    truth = (chances.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return Validated(truth, np.zeros(rows, int), resampling or by_row(rows, 100, 0)), chances


@pytest.mark.parametrize("classes", TASKS)
def test_a_model_that_is_too_sure_gets_a_better_log_loss(classes):
    rows, chances = validated(classes, 2000, 0)
    trial = attempt(TASKS[classes], rows, Calibration(3.0).apply(chances))
    assert trial.helps
    assert trial.gain > 0.1
    assert trial.calibration.scale == pytest.approx(1 / 3, rel=0.1)
    assert np.allclose(trial.prediction, chances, atol=0.05)


@pytest.mark.parametrize("classes", TASKS)
def test_probabilities_that_are_right_stay_as_they_are(classes):
    rows = [validated(classes, rows, seed) for seed in range(15) for rows in (60, 1000)]
    assert sum(attempt(TASKS[classes], *drawn).helps for drawn in rows) <= 1


def test_numbers_and_rows_that_are_one_unit_are_not_calibrated():
    rows, chances = validated(2, 100, 0, Resampling(100, 100, 0, clusters=np.zeros(100, int)))
    assert attempt(TASKS[2], rows, chances) is None
    assert attempt(tasks.get("regression"), validated(2, 100, 0)[0], chances[:, 0]) is None
