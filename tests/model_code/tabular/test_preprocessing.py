"""Preprocessing inside the graph: fitted on training rows, robust to what serving may send."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_code.tabular.preprocessing import Preprocessor, bin_edges, pairs_of, spread_values

NAN = float("nan")


def schema(numeric=(), category=(), kinds=None):
    inputs = [{"name": n, "kind": (kinds or {}).get(n, "numeric")} for n in numeric]
    inputs += [{"name": n, "kind": "category", "vocabulary": [str(i) for i in range(size)]} for n, size in category]
    return {"inputs": inputs, "numeric": list(numeric), "category": [n for n, _ in category]}


def fitted(numeric, scaling="quantile", kinds=None):
    array = np.asarray(numeric, dtype=np.float64)
    names = [f"n{i}" for i in range(array.shape[1])]
    return Preprocessor(array, np.zeros((len(array), 0), np.int64), schema(names, kinds=kinds), scaling), names


def apply(preprocessor, numeric):
    array = torch.tensor(numeric, dtype=torch.float64)
    with torch.no_grad():
        return preprocessor(array, torch.zeros(len(array), 0, dtype=torch.int64))[0]


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_missing_values_become_the_middle_and_a_flag(scaling):
    preprocessor, _ = fitted([[float(i)] for i in range(99)] + [[NAN]], scaling)
    values = apply(preprocessor, [[NAN], [49.0]])
    assert preprocessor.layout.continuous == 1
    assert values[0].tolist() == [0.0, 1.0]
    assert values[1].tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_infinite_and_far_values_stay_finite(scaling):
    preprocessor, _ = fitted([[float(i), float(i % 2)] for i in range(50)], scaling)
    assert torch.isfinite(apply(preprocessor, [[math.inf, math.inf], [-math.inf, 1e300], [1e300, NAN]])).all()


def test_huge_values_are_scaled_without_infinite_squares():
    preprocessor, _ = fitted([[1e300 * i] for i in range(50)], "standard")
    assert apply(preprocessor, [[49e300]])[0, 0] == pytest.approx(1.7, abs=0.01)


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_columns_that_are_constant_or_never_present_are_left_out(scaling):
    preprocessor, _ = fitted([[1.0, NAN, float(i)] for i in range(20)], scaling)
    assert preprocessor.layout.continuous == 1
    assert preprocessor.layout.plain == 0
    assert apply(preprocessor, [[5.0, 7.0, 3.0]]).shape == (1, 1)


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_with_nothing_to_learn_from_one_column_of_zeros_remains(scaling):
    preprocessor, _ = fitted([[1.0], [1.0]], scaling)
    assert apply(preprocessor, [[3.0]]).tolist() == [[0.0]]


def test_standard_scaling_gives_mean_zero_and_spread_one_even_far_from_zero():
    rng = np.random.default_rng(0)
    column = 1.7e9 + rng.normal(size=(1000, 1))  # seconds since 1970: float32 would round them to multiples of 128
    preprocessor, _ = fitted(column, "standard")
    values = apply(preprocessor, column.tolist())
    assert values.dtype == torch.float32
    assert float(values.mean()) == pytest.approx(0, abs=1e-5)
    assert float(values.std()) == pytest.approx(1, abs=1e-2)


def test_quantile_scaling_gives_normal_scores():
    rng = np.random.default_rng(0)
    column = np.exp(3 * rng.normal(size=(5000, 1)))
    preprocessor, _ = fitted(column)
    values = apply(preprocessor, column.tolist())
    assert np.corrcoef(values[:, 0].numpy(), np.log(column[:, 0]))[0, 1] > 0.999


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=3, max_size=60),
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=20),
)
def test_quantile_scaling_never_turns_an_order_around(training, rows):
    preprocessor, _ = fitted([[x] for x in training])
    values = apply(preprocessor, [[x] for x in sorted(rows)])[:, 0]
    assert (values[1:] >= values[:-1] - 1e-6).all()


def test_a_column_that_is_mostly_zero_keeps_its_other_values_apart():
    column = np.zeros(10_000)
    column[:800] = np.random.default_rng(0).exponential(size=800)
    assert (spread_values(np.sort(column), 32) > 0).sum() >= 15


def test_hours_are_points_on_a_circle_so_that_midnight_has_no_edge():
    day = 86_400.0
    preprocessor, _ = fitted([[i * 3600.0] for i in range(24 * 400)], kinds={"n0": "datetime"})
    late, early = apply(preprocessor, [[10 * day - 1], [10 * day + 1]])
    assert (late - early).abs().max() < 1e-3
    assert preprocessor.layout.plain == 6


def test_unknown_rare_and_out_of_range_categories_share_slot_zero():
    category = np.array([[0]] * 50 + [[1]] * 50 + [[2]])
    preprocessor = Preprocessor(np.zeros((101, 0)), category, schema(category=[("c", 4)]), "standard")
    with torch.no_grad():
        _, slots = preprocessor(torch.zeros(6, 0, dtype=torch.float64), torch.tensor([[0], [1], [2], [3], [-1], [99]]))
    assert slots[:, 0].tolist() == [1, 2, 0, 0, 0, 0]
    assert preprocessor.layout.slots == (3,)


def test_bin_edges_of_few_values_are_those_values():
    edges = bin_edges(np.array([[1.0, 3.0], [2.0, 3.0], [2.0, 3.5], [5.0, 3.5]], dtype=np.float32), 4)
    assert edges.tolist() == [[1.0, 2.0, 5.0], [3.0, 3.5, 3.5]]


@pytest.mark.parametrize("scaling", ["quantile", "standard"])
def test_the_time_between_two_dates_is_a_number_of_its_own(scaling):
    start = np.arange(50.0) * 86_400
    stay = np.random.default_rng(0).integers(1, 9, 50) * 86_400.0
    preprocessor, _ = fitted(np.stack([start, start + stay], 1), scaling, {"n0": "datetime", "n1": "datetime"})
    assert preprocessor.layout.continuous == 3
    elapsed = apply(preprocessor, [[0.0, day * 86_400] for day in (1, 4, 8)])[:, 2]
    assert elapsed[0] < elapsed[1] < elapsed[2]
    assert apply(preprocessor, [[NAN, 86_400.0], [math.inf, math.inf]])[:, 2].tolist() == [0.0, 0.0]


def test_of_many_dates_no_pairs_are_taken():
    assert pairs_of([0, 2, 3]).tolist() == [[0, 0, 2], [2, 3, 3]]
    assert pairs_of(range(5)).shape == pairs_of([7]).shape == (2, 0)
