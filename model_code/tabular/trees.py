"""Gradient-boosted trees: LightGBM grows them, and the graph that is exported holds them as tensors.

Categories reach the trees as statistics of the target (``target_statistics``), so that every split compares a number with
a threshold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from model_code import parallel
from model_code.families import Quality
from model_code.tabular.boosting import CallbackEnv, EarlyStopException, lightgbm
from model_code.tabular.target_statistics import Columns
from model_code.tabular.tree_network import TreeNetwork
from model_code.training import BEHIND, CONVERGED, OUT_OF_TIME, Fit, Objective, Options, Rows

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TreesConfig:
    """How the trees grow; the names are LightGBM's."""

    learning_rate: float = 0.05
    num_leaves: int = 31
    max_depth: int = 8
    min_data_in_leaf: int = 20
    lambda_l2: float = 1.0
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    rounds: int = 3000
    """The most rounds; each adds one tree, or one for each of several classes."""
    patience: int = 50
    """Stop after this many rounds without a better validation loss."""


MOST_TREES = 4_000
"""Each of several classes has a tree in each round; more trees take milliseconds for a row."""
SUM_OF_RATES, LARGEST_RATE = 25.0, 0.2
"""Where classes leave few rounds, each learns more. letter, 26 classes, 80/20 by row, seed 0: accuracy .965 by 153 rounds at
0.16, .968 by 737 at 0.05, at a fifth of the size."""

ALTERNATIVES: tuple[dict[str, Any], ...] = (
    {"num_leaves": 5, "max_depth": 3, "min_data_in_leaf": 10, "learning_rate": 0.1},
    {"num_leaves": 48, "max_depth": 10, "min_data_in_leaf": 5},
)
"""Settings that are tried beside the default: small trees for noisy tables, large ones for many interactions.

Three seeds, 80/20 by row: one of them is taken on 6 of 18 splits. wine (white): R2 .501 -> .534, .534 -> .564, .517 as it was;
employee_salaries: .937 -> .941 for one seed; german, telco, churn: log loss -1.8 %, -0.3 %, +0.5 % for one seed each. It costs 30 % of
the fits on average.
"""
MOST_ROWS, FEWEST_VALIDATED = 10_000, 100
"""More rows have one fold, on which a trial costs half of all; on fewer validated rows, noise chooses."""
MANY_ROWS, SLOW = 50_000, 400
LARGE: dict[str, Any] = {"num_leaves": 255, "max_depth": 14, "learning_rate": 0.1}
"""Settings for so many rows where trees are not at their best after so many rounds: fewer and larger ones learn what is left.

Flights by row, seed 0: 80,000 rows, log loss .4461 by 94 rounds in 6 CPU seconds instead of .4477 by 1,290 in 20, and 14 ms
for 1,000 rows instead of 49. adult (20,905 rows), whose trees are at their best after 171 rounds, would lose: .2767 instead
of .2723 with 127 leaves.
"""
PARTS, ENOUGH = 20, 2.0
"""Parts of the validation rows whose losses are compared, and by how many standard errors other settings must be better."""
PAUSE = 0.1
"""Seconds between two reports of progress."""
FEWEST_ROUNDS = 50
"""After so many rounds settings are given up as soon as the default's loss of the same round was lower."""


@dataclass(frozen=True)
class _Growth:
    """What trees of all settings grow on."""

    values: Array
    target: Array
    validation: Rows | None
    classes: int
    width: int
    constraints: dict[str, Any]
    options: Options
    start: float


class Trees:
    """The architecture ``trees``, see ``model_code.families.Solver``."""

    side_by_side = True

    def __init__(self, rows: int, quality: Quality = "standard", config: TreesConfig | None = None) -> None:
        self.rows, self.config, self.tunes = rows, config or TreesConfig(), rows < MOST_ROWS

    def describe(self) -> dict[str, Any]:
        return asdict(self.config)

    def solve(
        self,
        training: Rows,
        validation: Rows | None,
        schema: Mapping[str, Any],
        objective: Objective,
        width: int,
        options: Options,
    ) -> tuple[Columns, TreeNetwork, Fit]:
        """Grow trees for as long as the loss on the validation rows falls.

        With ``options.tune``, the settings that are best on these rows are taken, here and for all later fits.
        """
        start = time.perf_counter()
        numeric, category = (tensor.numpy() for tensor in training.inputs)
        target = training.target.numpy()
        columns = Columns(numeric, category, target, schema)
        values = columns.out_of_fold(numeric, category, target, options.seed)
        rows = validation.prepared(columns) if validation is not None else None
        constraints = _constraints(columns.directions(schema, values.shape[1]))
        task = _Growth(values, target, rows, len(schema["classes"]), width, constraints, options, start)
        network, fit = self._grow_many(task) if options.tune and self.rows >= MANY_ROWS else self._grow(task)
        worthwhile = options.tune and self.tunes and fit.stopped != OUT_OF_TIME
        if worthwhile and rows is not None and len(rows) >= FEWEST_VALIDATED:
            network, fit = self._tune(task, rows, objective, network, fit)
        fit.seconds = time.perf_counter() - start
        return columns, network, fit

    def solution(self, network: nn.Module) -> dict[str, Any]:
        assert isinstance(network, TreeNetwork)
        return {"config": asdict(self.config), "trees": network.booster.model_to_string()}

    def restore(
        self, solution: Mapping[str, Any], training: Rows, schema: Mapping[str, Any], width: int
    ) -> tuple[Columns, TreeNetwork]:
        self.config = TreesConfig(**solution["config"])
        numeric, category = (tensor.numpy() for tensor in training.inputs)
        columns = Columns(numeric, category, training.target.numpy(), schema)
        return columns, TreeNetwork(solution["trees"], width)

    def _grow_many(self, task: _Growth) -> tuple[TreeNetwork, Fit]:
        """Grow trees of many rows; where they are slow, large ones instead, here and for all later fits."""
        if self._rounds(task.width, task.options) > SLOW:
            network, fit = self._grow(task, rounds=SLOW)
            if fit.stopped in (CONVERGED, OUT_OF_TIME):
                return network, fit
            self.config = replace(self.config, **LARGE)
        return self._grow(task)

    def _tune(
        self, task: _Growth, rows: Rows, objective: Objective, network: TreeNetwork, fit: Fit
    ) -> tuple[TreeNetwork, Fit]:
        """Try the other settings and take the best of those that are better than the default by more than noise."""
        losses, best = _losses(network, rows, objective), (network, fit)
        limits, most = np.minimum.accumulate(fit.validation_loss), 0.0
        for changes in ALTERNATIVES:
            rival = Trees(self.rows, config=replace(self.config, **changes))
            grown, course = rival._grow(task, limits)
            if course.stopped == OUT_OF_TIME and task.options.note:
                task.options.note("trees: the time was too short to try other settings")
            if course.stopped in (BEHIND, OUT_OF_TIME):
                continue
            gains = losses - _losses(grown, rows, objective)
            gain, error = gains.mean(), gains.std(ddof=1) / np.sqrt(PARTS)
            if gain > max(ENOUGH * error, most):
                best, most, chosen = (grown, course), gain, rival.config
        if most:
            self.config = chosen
        return best

    def _grow(self, task: _Growth, limits: Array | None = None, rounds: int | None = None) -> tuple[TreeNetwork, Fit]:
        """Return the trees of the best round; growing ends after ``rounds``, or where the validation loss is above its limit."""
        data = lightgbm.Dataset(task.values, task.target)
        sets = {"training": data}
        if task.validation is not None:
            rows = task.validation
            sets["validation"] = lightgbm.Dataset(rows.inputs[0].numpy(), rows.target.numpy(), reference=data)
        options = task.options
        rounds = rounds or self._rounds(task.width, options)
        course = _Course(options, rounds, self.config.patience, task.start, limits)
        booster = lightgbm.train(
            self._parameters(task.classes, task.width, options.seed) | task.constraints,
            data,
            num_boost_round=course.rounds,
            valid_sets=list(sets.values()),
            valid_names=list(sets),
            callbacks=[course],
        )
        return TreeNetwork(booster.model_to_string(num_iteration=course.fit.epochs), task.width), course.fit

    def _rounds(self, width: int, options: Options) -> int:
        return min(options.stop_after or self.config.rounds, self.config.rounds, _most_rounds(width))

    def _parameters(self, classes: int, width: int, seed: int) -> dict[str, Any]:
        """Return LightGBM's parameters; with these, the number of threads does not change the result."""
        settings = asdict(self.config)
        del settings["rounds"], settings["patience"]
        fast = min(SUM_OF_RATES / _most_rounds(width), LARGEST_RATE)
        settings["learning_rate"] = max(self.config.learning_rate, fast)
        if classes > 2:
            objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes}
        elif classes:
            objective = {"objective": "binary", "metric": "binary_logloss"}
        else:
            objective = {"objective": "l2", "metric": "l2"}
        return {
            **settings,
            **objective,
            "seed": seed,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


def _constraints(directions: list[int]) -> dict[str, Any]:
    """Return LightGBM's parameters for columns of which predictions are monotone; none where there are no such."""
    if not any(directions):
        return {}
    return {"monotone_constraints": directions, "monotone_constraints_method": "intermediate"}


@torch.no_grad()
def _losses(network: TreeNetwork, rows: Rows, objective: Objective) -> Array:
    """Return the losses of parts of the rows."""
    raw = network(*rows.inputs)
    return np.array([float(objective.validation_loss(raw[i::PARTS], rows.target[i::PARTS])) for i in range(PARTS)])


def _most_rounds(width: int) -> int:
    return max(MOST_TREES // width, 1)


class _Course:
    """A callback that records the losses, reports progress and decides when growing ends."""

    order = 30
    before_iteration = False

    def __init__(self, options: Options, rounds: int, patience: int, start: float, limits: Array | None = None) -> None:
        self.options, self.rounds, self.patience, self.start = options, rounds, patience, start
        self.limits, self.reported = limits, 0.0
        self.fit = Fit(unit="round")

    def __call__(self, env: CallbackEnv) -> None:
        fit, count = self.fit, env.iteration + 1
        losses = {name: float(value) for name, _, value, *_ in env.evaluation_result_list or []}
        fit.train_loss.append(losses["training"])
        if "validation" in losses:
            fit.validation_loss.append(losses["validation"])
            if fit.epochs == 0 or losses["validation"] < fit.validation_loss[fit.epochs - 1]:
                fit.epochs = count
        else:
            fit.epochs = count
        now = time.perf_counter()
        if self.options.report and (now - self.reported > PAUSE or count == self.rounds):
            self.reported = now
            self.options.report(count, self.rounds)
        if count - fit.epochs >= self.patience:
            fit.stopped = CONVERGED
        elif self._is_behind(count):
            fit.stopped = BEHIND
        elif count < self.rounds and self._seconds() > self.options.seconds:
            fit.stopped = OUT_OF_TIME
        else:
            return
        raise EarlyStopException(fit.epochs - 1, [])

    def _is_behind(self, count: int) -> bool:
        if self.limits is None or count < FEWEST_ROUNDS:
            return False
        limit: float = self.limits[min(count, len(self.limits)) - 1]
        return self.fit.validation_loss[self.fit.epochs - 1] > limit

    def _seconds(self) -> float:
        return parallel.agreed(time.perf_counter() - self.start, self.options.device)
