"""How often the intervals of an evaluation hold the true value, by simulation.

    python benchmarks/coverage.py [--draws 400] [--resamples 400]

Test rows are drawn from populations whose metrics are known from two million rows: two classes of which one in five is
positive, and numbers with errors of heavy tails. Printed is the share of draws whose 95 % interval holds the true value.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from model_code import tasks
from model_code.tasks import Metric
from steps.evaluation.statistics import Measure, bootstrap, by_row

Array = np.ndarray[Any, Any]

ROWS = (50, 200, 1000)
POPULATION = 2_000_000
METRICS = {
    "binary-classification": (
        "roc_auc",
        "average_precision",
        "recall",
        "precision",
        "specificity",
        "f1",
        "accuracy",
        "log_loss",
        "lift_at_top_10_percent",
    ),
    "regression": ("r2", "rmse", "mae", "within_1"),
}


def draw(task: str, rows: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Return truth and predictions of so many rows."""
    if task == "regression":
        truth = random.normal(size=rows) * 2
        return truth, truth + random.standard_t(5, rows)
    truth = (random.random(rows) < 0.2).astype(np.int64)
    logit = random.normal(size=rows) + 1.5 * truth - 1.8
    positive = 1 / (1 + np.exp(-logit))
    return truth, np.stack([1 - positive, positive], axis=1)


def coverage(task: str, metrics: dict[str, Metric], rows: int, draws: int, resamples: int) -> dict[str, float]:
    """Return the share of draws whose interval holds the true value, by metric; a draw without an interval does not count."""
    random = np.random.default_rng(rows)
    truth, prediction = draw(task, POPULATION, random)
    values = {name: float(metric.bind(truth, prediction)(np.ones(POPULATION))) for name, metric in metrics.items()}
    hits: dict[str, list[bool]] = {name: [] for name in metrics}
    for seed in range(draws):
        truth, prediction = draw(task, rows, random)
        measures = {name: Measure(metric.bind(truth, prediction)) for name, metric in metrics.items()}
        for name, sampled in bootstrap(measures, by_row(rows, resamples, seed)).items():
            estimate = sampled.estimate()
            if estimate.low is not None and estimate.high is not None:
                hits[name].append(estimate.low <= values[name] <= estimate.high)
    return {name: float(np.mean(shares)) if shares else float("nan") for name, shares in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    print("| metric | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |")
    print("|---|" + "---|" * len(ROWS))
    for task, names in METRICS.items():
        metrics = {name: metric for name in names if (metric := tasks.get(task).metric(name))}
        shares = [coverage(task, metrics, rows, options.draws, options.resamples) for rows in ROWS]
        for name in metrics:
            print(f"| `{name}` | " + " | ".join(f"{100 * share[name]:.1f} %" for share in shares) + " |")


if __name__ == "__main__":
    main()
