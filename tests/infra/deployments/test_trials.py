"""A trial is taken back for errors, latency and answers that are clearly worse, and not for noise."""

import numpy as np
import pytest

from infra.deployments.trials import Window, alarm, chi_square_tail, exact_test


def window(requests=500, failures=0, milliseconds=5.0, values=(), seed=0):
    rng = np.random.default_rng(seed)
    result = Window()
    for number in range(requests):
        result.answered(float(rng.gamma(4, milliseconds / 4e3)), failed=number < failures)
    result.predicted(list(values))
    return result


def classes(late, rows=1000):
    return ["late"] * round(late * rows) + ["on time"] * round((1 - late) * rows)


def test_equal_versions_raise_no_alarm():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        trial, stable = (
            window(
                100,
                int(rng.binomial(100, 0.02)),
                values=classes(float(rng.binomial(200, 0.2)) / 200, 200),
                seed=seed + place,
            )
            for place in (1000, 2000)
        )
        assert alarm(trial, stable, 0.2) == ""


@pytest.mark.parametrize(
    ("trial", "stable", "reason"),
    [
        (window(100, 20), window(1000, 0), "20 of 100 requests failed, 0 of 1,000 before"),
        (window(milliseconds=60), window(milliseconds=5), "the slowest twentieth of its answers takes"),
        (
            window(values=classes(0.6)),
            window(values=classes(0.2)),
            "its answers differ from those before by 40% of the rows",
        ),
        (window(values=list(np.arange(300.0) + 150)), window(values=list(np.arange(300.0))), "its answers differ"),
    ],
)
def test_what_is_clearly_worse_is_said(trial, stable, reason):
    assert reason in alarm(trial, stable, 0.2)


@pytest.mark.parametrize(
    ("trial", "stable"),
    [
        (window(10, 1), window(1000, 0)),  # one failure may be chance
        (window(20, milliseconds=60), window(milliseconds=5)),  # too few requests
        (window(values=classes(0.6, 50)), window(values=classes(0.2))),  # too few rows
        (window(values=classes(0.35)), window(values=classes(0.2))),  # less than what is allowed
        (window(), window(0)),
    ],
)
def test_what_is_not_clear_yet_or_allowed_raises_no_alarm(trial, stable):
    assert alarm(trial, stable, 0.2) == ""


def test_the_exact_test_is_that_of_the_textbook():
    """Fisher's tea: 3 of 4 right, against 1 of 4: p = 0.243 (Agresti, Categorical Data Analysis, 2002, 3.5.2)."""
    assert exact_test(3, 4, 1, 4) == pytest.approx(0.2429, abs=1e-4)
    assert exact_test(0, 10, 3, 10) == pytest.approx(1.0)


def test_the_tail_of_chi_square_is_near_that_of_tables():
    assert chi_square_tail(3.841, 1) == pytest.approx(0.05, rel=0.1)
    assert chi_square_tail(18.467, 4) == pytest.approx(0.001, rel=0.15)
    assert chi_square_tail(0, 3) == 1
