"""How the network starts, and how long it trains, by rows and quality."""

import pytest
import torch

from model_code.tabular.mlp import LARGEST_RATE, MANY_ROWS, SMALL, Mlp, MlpNetwork
from model_code.tabular.preprocessing import Layout


@pytest.mark.parametrize(
    ("rows", "standard", "best"), [(1_000, 40, 40), (20_000, 15, 40), (MANY_ROWS, 6, 18), (1_000_000, 6, 6)]
)
def test_a_larger_table_is_passed_over_less_often_and_more_often_for_the_best_quality(rows, standard, best):
    assert Mlp(rows).recipe().epochs == standard
    assert Mlp(rows, "best").recipe().epochs == best


def test_fewer_passes_take_larger_steps():
    few, some, many = (Mlp(rows).recipe().learning_rate for rows in (1_000, 10_000, 40_000))
    assert SMALL.learning_rate == few < some < many == LARGEST_RATE


@pytest.mark.parametrize(("slots", "largest"), [(40, 1.0), (400, 0.1)])
def test_vectors_of_many_categories_start_small(slots, largest):
    layout = Layout(continuous=0, plain=1, slots=(slots,), widths=(1,))
    vectors = MlpNetwork(SMALL, layout, torch.zeros(0, 1), 1).category.table.weight.detach().abs()
    assert vectors[0].max() == 0
    assert largest * 0.9 < vectors.max() <= largest
