"""How often prediction intervals of 95 % are right on synthetic tables: residuals of folds, then a fit on all rows."""

import sys

import lightgbm
import numpy as np

from model_code import intervals

FOLDS = 5
NEW = 2000


def normal(random, x):
    return x[:, 0] - x[:, 1] + random.normal(size=len(x))


def heteroscedastic(random, x):
    return x[:, 0] - x[:, 1] + np.exp(x[:, 0]) * random.normal(size=len(x))


def heavy(random, x):
    return x[:, 0] - x[:, 1] + random.standard_t(2, size=len(x))


def skewed(random, x):
    return np.exp(x[:, 0] + 0.5 * random.normal(size=len(x)))


def counts(random, x):
    return random.poisson(np.exp(x[:, 0] / 2)).astype(float)


def curved(random, x):
    return np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + 0.3 * random.normal(size=len(x))


def squares(x, y):
    """Return a least-squares fit as a function of new rows."""
    weights = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    return lambda new: np.column_stack([new, np.ones(len(new))]) @ weights


def trees(x, y):
    parameters = {"verbose": -1, "num_threads": 1, "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 10}
    return lightgbm.train(parameters, lightgbm.Dataset(x, y), 40).predict


def coverage(draw, fit, rows, seed):
    """Return the share of new rows inside their intervals of 95 %."""
    random = np.random.default_rng(seed)
    x, new = random.normal(size=(rows, 5)), random.normal(size=(NEW, 5))
    y, truth = draw(random, x), draw(random, new)
    fold, prediction = np.arange(rows) % FOLDS, np.empty(rows)
    for number in range(FOLDS):
        prediction[fold == number] = fit(x[fold != number], y[fold != number])(x[fold == number])
    low, high = intervals.ends({"classes": [], "intervals": intervals.fit(y, prediction)}, fit(x, y)(new), 0.95)
    return np.mean((low <= truth) & (truth <= high))


if __name__ == "__main__":
    outside = 0
    print(f"{'table':<16} {'model':<8} {'rows':>5} {'draws':>5}  coverage in % (standard error), lowest draw")
    for draw in (normal, heteroscedastic, heavy, skewed, counts, curved):
        for fit, rows, draws in ((squares, 200, 150), (squares, 1000, 150), (squares, 5000, 40), (trees, 1000, 15)):
            shares = 100 * np.array([coverage(draw, fit, rows, seed) for seed in range(draws)])
            error = shares.std() / np.sqrt(draws)
            outside += not 94 <= shares.mean() <= 96
            print(
                f"{draw.__name__:<16} {fit.__name__:<8} {rows:>5} {draws:>5}  "
                f"{shares.mean():.2f} ({error:.2f}), {shares.min():.1f}"
            )
    print(f"cells outside of 94 to 96 % (aim 0): {outside}")
    sys.exit(outside > 0)
