"""The tests of minimum effects keep their levels, and see what is clearly larger."""

import numpy as np
import pytest
from scipy import stats

from steps.monitoring.significance import of_budget, of_distributions, of_shares, rejected

EVEN = np.full(10, 0.1)
SHIFTED = EVEN + np.array([1, -1] * 5) * 0.02  # Cohen's w of 0.2


@pytest.mark.parametrize(("rows", "training"), [(100, 800), (1000, 800), (10_000, 20_000)])
def test_an_effect_as_large_as_the_margin_is_rarely_called_larger(rows, training):
    random, draws = np.random.default_rng(rows), 1000
    p_values = [
        of_distributions(
            random.multinomial(rows, SHIFTED).astype(float), rows, random.multinomial(training, EVEN).astype(float), 0.2
        ).beyond
        for _ in range(draws)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_without_a_margin_the_statistic_is_pearsons():
    sample, training = np.array([30.0, 50, 20]), np.array([400.0, 400, 200])
    expected = stats.chi2_contingency([sample, training], correction=False).pvalue
    assert of_distributions(sample, 100, training, 0.0).beyond == pytest.approx(expected)


def test_a_clear_shift_is_beyond_its_margin():
    result = of_distributions(10_000 * (EVEN + 2 * (SHIFTED - EVEN)), 10_000, 20_000 * EVEN, 0.2)
    assert result.effect == pytest.approx(0.4, abs=0.01)
    assert result.beyond < 1e-9


def test_bins_of_few_rows_are_joined_and_too_few_rows_say_nothing():
    training = np.array([500.0, 490, 6, 2, 2])
    joined = of_distributions(np.array([10.0, 10, 0, 0, 0]), 20, training, 0.2)
    assert joined.beyond > 0.5
    assert of_distributions(np.array([2.0, 1, 0, 0, 0]), 3, training, 0.2) is None
    assert of_distributions(np.zeros(5), 0, training, 0.2) is None


def test_shares_are_tested_exactly_although_the_share_of_training_is_only_counted():
    """None of 800 rows may still be a share of 2 %, so 3 % of a day are no more than the margin of 2 % allows."""
    assert of_shares(300, 10_000, 0, 800, 0.02).beyond > 0.5
    assert of_shares(300, 10_000, 0, 80_000, 0.02).beyond < 1e-6
    assert of_shares(0, 10_000, 2_000, 10_000, 0.02).beyond < 1e-6
    assert of_shares(0, 10, 2_000, 10_000, 0.02).beyond > 0.1


def test_a_budget_is_tested_by_the_binomial_distribution():
    result = of_budget(9, 100, 0.05)
    assert result.beyond == pytest.approx(stats.binom.sf(8, 100, 0.05))
    assert of_budget(0, 100, 0.05).beyond == 1.0


def test_holms_procedure_rejects_as_the_textbook_does():
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    assert rejected(p_values, 0.05).tolist() == [True, False, False, True]
    assert not rejected(np.array([0.2]), 0.05).any()
    assert rejected(np.array([]), 0.05).tolist() == []
