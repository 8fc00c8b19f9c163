"""How often the intervals of an evaluation hold the true value, by simulation.

    python benchmarks/coverage.py [--draws 2000] [--resamples 400] [--population NAME ...]   # about 15 CPU minutes

Test rows are drawn from populations whose metrics are known from two million rows: two classes of which one in five is
positive, four classes, numbers with errors of heavy tails, and rows in groups of five whose errors are alike. Of 2,000 rows a
fourth of the draws is made. Printed is the share of draws whose 95 % interval holds the true value and, in brackets, that of intervals wholly above and wholly below it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from model_code import tasks
from steps.evaluation.statistics import Measure, Resampling, bootstrap, by_row, compare

Array = np.ndarray[Any, Any]
Rows = tuple[Array, Array, Array]
"""Truth, predictions of a model, predictions of another."""

ROWS = (200, 500, 2000)
POPULATION = 2_000_000
IN_A_GROUP = 5


def two_classes(rows: int, random: np.random.Generator, common: Array | float = 0.0) -> Rows:
    truth = (random.random(rows) < 0.2).astype(np.int64)
    noise = random.normal(size=rows) + common
    both = (noise, 0.7 * noise + 0.7 * random.normal(size=rows))
    chances = [1 / (1 + np.exp(1.8 - 1.5 * truth - logit)) for logit in both]
    first, second = (np.stack([1 - positive, positive], axis=1) for positive in chances)
    return truth, first, second


def four_classes(rows: int, random: np.random.Generator) -> Rows:
    truth = random.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    scores = [random.normal(size=(rows, 4)) + 1.5 * np.eye(4)[truth] for _ in range(2)]
    first, second = (np.exp(score) / np.exp(score).sum(axis=1, keepdims=True) for score in scores)
    return truth, first, second


def numbers(rows: int, random: np.random.Generator, common: Array | float = 0.0) -> Rows:
    truth, error = random.normal(size=rows) * 2, random.standard_t(5, rows) + common
    return truth, truth + error, truth + 0.8 * error + 0.9 * random.normal(size=rows)


def in_groups(draw: Callable[..., Rows]) -> Callable[[int, np.random.Generator], Rows]:
    """Return rows of a population of which each group has something in common."""

    def grouped(rows: int, random: np.random.Generator) -> Rows:
        return draw(rows, random, np.repeat(random.normal(size=rows // IN_A_GROUP), IN_A_GROUP))

    return grouped


POPULATIONS: dict[str, tuple[str, Callable[[int, np.random.Generator], Rows], tuple[str, ...]]] = {
    "two classes": (
        "binary-classification",
        two_classes,
        (
            "roc_auc",
            "average_precision",
            "recall",
            "precision",
            "specificity",
            "accuracy",
            "balanced_accuracy",
            "f1",
            "log_loss",
            "brier",
            "precision_at_top_10_percent",
            "recall_at_top_10_percent",
            "lift_at_top_10_percent",
        ),
    ),
    "four classes": (
        "multiclass-classification",
        four_classes,
        ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "top_2_accuracy", "log_loss"),
    ),
    "numbers": ("regression", numbers, ("r2", "rmse", "mae", "within_1")),
    "two classes in groups": ("binary-classification", in_groups(two_classes), ("roc_auc", "recall", "accuracy")),
    "numbers in groups": ("regression", in_groups(numbers), ("r2", "rmse", "mae", "within_1")),
}


def misses(population: str, rows: int, draws: int, resamples: int) -> dict[str, tuple[float, float]]:
    """Return the shares of draws whose interval is above and below the true value, by metric.

    The headline metric's difference of two models is one of them.

    A draw without an interval does not count.
    """
    name_of_task, draw, names = POPULATIONS[population]
    task = tasks.get(name_of_task)
    prepared = {name: metric for name in names if (metric := task.metric(name))}
    headline = task.metrics[task.headline]
    random = np.random.default_rng(rows)
    truth, own, other = draw(POPULATION, random)
    ones = np.ones(POPULATION)
    true = {name: float(metric.bind(truth, own)(ones)) for name, metric in prepared.items()}
    difference = f"{headline.name} of a model less another's"
    true[difference] = true[headline.name] - float(headline.bind(truth, other)(ones))
    counted: dict[str, list[tuple[bool, bool]]] = {name: [] for name in true}
    clusters = np.arange(rows) // IN_A_GROUP
    for seed in range(draws):
        truth, own, other = draw(rows, random)
        drawing = by_row(rows, resamples, seed)
        if "groups" in population:
            drawing = Resampling(rows, resamples, seed, "groups", clusters)
        measures = {name: Measure(metric.bind(truth, own)) for name, metric in prepared.items()}
        sampled = bootstrap(measures | {"other": Measure(headline.bind(truth, other))}, drawing)
        estimates = {name: sampled[name].estimate() for name in prepared}
        estimates[difference] = compare(sampled[headline.name], sampled["other"])
        for name, estimate in estimates.items():
            if estimate.low is not None and estimate.high is not None:
                counted[name].append((estimate.low > true[name], estimate.high < true[name]))
    return {name: tuple(np.mean(sides, axis=0)) if sides else (np.nan, np.nan) for name, sides in counted.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--population", nargs="*", choices=POPULATIONS, default=[*POPULATIONS])
    options = parser.parse_args()
    for population in options.population:
        print(f"\n| {population} | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |")
        print("|---|" + "---|" * len(ROWS))
        draws = [options.draws // (4 if rows == max(ROWS) else 1) for rows in ROWS]
        shares = [misses(population, *cell, options.resamples) for cell in zip(ROWS, draws, strict=True)]
        for name in shares[0]:
            cells = (
                f"{100 * (1 - above - below):.1f} % ({100 * above:.1f} / {100 * below:.1f})"
                for above, below in (share[name] for share in shares)
            )
            print(f"| {name if ' ' in name else f'`{name}`'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
