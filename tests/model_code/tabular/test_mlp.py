"""How long the network trains, by rows and quality."""

import pytest

from model_code.tabular.mlp import LARGEST_RATE, MANY_ROWS, SMALL, Mlp


@pytest.mark.parametrize(
    ("rows", "standard", "best"), [(1_000, 40, 40), (20_000, 15, 40), (MANY_ROWS, 6, 18), (1_000_000, 6, 6)]
)
def test_a_larger_table_is_passed_over_less_often_and_more_often_for_the_best_quality(rows, standard, best):
    assert Mlp(rows).recipe().epochs == standard
    assert Mlp(rows, "best").recipe().epochs == best


def test_fewer_passes_take_larger_steps():
    few, some, many = (Mlp(rows).recipe().learning_rate for rows in (1_000, 10_000, 40_000))
    assert SMALL.learning_rate == few < some < many == LARGEST_RATE
