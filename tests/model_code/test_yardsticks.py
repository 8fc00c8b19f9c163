"""Yardsticks in a directory: each is known by its files."""

import numpy as np
import polars as pl
import pytest

from model_code import yardsticks

FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0]})


def test_a_constant_predicts_the_shares_of_the_classes_or_the_mean(tmp_path):
    yardsticks.write_constant(tmp_path, np.array([0, 1, 1, 1]), ["a", "b"])
    assert yardsticks.names(tmp_path) == ("constant",)
    assert yardsticks.predict(tmp_path, "constant", FRAME).tolist() == [[0.25, 0.75]] * 3
    yardsticks.write_constant(tmp_path, np.array([1.0, 4.0]), [])
    assert yardsticks.predict(tmp_path, "constant", FRAME).tolist() == [2.5] * 3


def test_a_missing_yardstick_is_an_error_that_lists_the_others(tmp_path):
    yardsticks.write_constant(tmp_path, np.array([1.0]), [])
    with pytest.raises(ValueError, match=r"no yardstick 'linear' in .*; it has: constant"):
        yardsticks.predict(tmp_path, "linear", FRAME)
