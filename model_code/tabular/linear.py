"""A linear model on scaled columns, missing flags and one-hot categories: the cheapest candidate, and a yardstick.

It is solved, not trained: L-BFGS finds the weights for one penalty after another, from strong to weak, each from the
solution before (the path of Friedman, Hastie and Tibshirani 2010, "Regularization Paths for Generalized Linear Models via
Coordinate Descent", with a ridge penalty). The path ends where the loss on the validation rows no longer falls.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code import parallel
from model_code.families import Quality
from model_code.tabular.preprocessing import Layout, Preprocessor
from model_code.training import CONVERGED, OUT_OF_TIME, Diverged, Fit, Objective, Options, Rows, validation_loss

Array = np.ndarray[Any, Any]

MANY_ROWS = 50_000
"""On fewer rows most of a fit is Python, and two at the same time take longer than one after the other."""
LEEWAY = 1.0
"""Seconds over its time that a step of the path may take before it is cut short; on few rows it takes less."""


@dataclass(frozen=True)
class LinearConfig:
    """The path of penalties, each times half the squared length of the weights and added to the mean loss."""

    strongest: float = 0.1
    weakest: float = 1e-5
    steps: int = 9
    patience: int = 2
    """End after this many steps without a validation loss that is better by ``gain``."""
    gain: float = 1e-4
    """As a share of the loss."""
    iterations: int = 30
    """The most iterations of a step."""

    def penalties(self) -> Array:
        return np.geomspace(self.strongest, self.weakest, self.steps)


class Linear:
    """The architecture ``linear``, see ``model_code.families.Solver``."""

    tunes = False

    def __init__(self, rows: int, quality: Quality = "standard", config: LinearConfig | None = None) -> None:
        self.config, self.side_by_side = config or LinearConfig(), rows >= MANY_ROWS

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
    ) -> tuple[Preprocessor, LinearNetwork, Fit]:
        """Walk along the path; the network ends with the weights that were best on the validation rows."""
        start = time.perf_counter()
        preprocessor = _preprocessor(training, schema)
        rows = training.prepared(preprocessor).to(options.device)
        held_out = validation.prepared(preprocessor).to(options.device) if validation else None
        network = LinearNetwork(preprocessor.layout, width).to(options.device)
        fit, best = Fit(unit="step"), copy.deepcopy(network.state_dict())
        lowest = math.inf
        penalties = self.config.penalties()[: options.stop_after]

        def is_late(leeway: float = 0.0) -> bool:
            return parallel.agreed(time.perf_counter() - start, options.device) > max(options.seconds, 0.0) + leeway

        for number, penalty in enumerate(penalties, 1):
            loss, is_cut = _minimise(network, rows, objective, float(penalty), self.config.iterations, is_late)
            fit.train_loss.append(loss)
            if held_out:
                fit.validation_loss.append(validation_loss(network, held_out, objective))
            if not held_out or fit.validation_loss[-1] < lowest * (1 - self.config.gain):
                fit.epochs, best = number, copy.deepcopy(network.state_dict())
                lowest = fit.validation_loss[-1] if held_out else lowest
            if options.report:
                options.report(number, len(penalties))
            if number - fit.epochs >= self.config.patience:
                fit.stopped = CONVERGED
                break
            if is_cut or (number < len(penalties) and is_late()):
                fit.stopped = OUT_OF_TIME
                break
        network.load_state_dict(best)
        fit.seconds = time.perf_counter() - start
        return preprocessor, network.cpu(), fit

    def solution(self, network: nn.Module) -> dict[str, Any]:
        return network.state_dict()

    def restore(
        self, solution: Mapping[str, Any], training: Rows, schema: Mapping[str, Any], width: int
    ) -> tuple[Preprocessor, LinearNetwork]:
        preprocessor = _preprocessor(training, schema)
        network = LinearNetwork(preprocessor.layout, width)
        network.load_state_dict(solution)
        return preprocessor, network


def _preprocessor(training: Rows, schema: Mapping[str, Any]) -> Preprocessor:
    numeric, category = (tensor.numpy() for tensor in training.inputs)
    return Preprocessor(numeric, category, schema, "standard")


class _OutOfTime(Exception):
    """Ends a search for a minimum."""


def _minimise(
    network: LinearNetwork,
    rows: Rows,
    objective: Objective,
    penalty: float,
    iterations: int,
    is_late: Callable[[float], bool],
) -> tuple[float, bool]:
    """Move the weights to the least penalised loss, or to the least so far once it is late by more than a second.

    Returns:
        The loss there, without the penalty, and whether the search was cut short.

    Raises:
        Diverged: the loss is not a finite number.
    """
    optimizer = torch.optim.LBFGS(
        network.parameters(),
        max_iter=iterations,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )
    losses: list[float] = []
    least, weights = (math.inf, math.inf), network.state_dict()

    def evaluate() -> Tensor:
        nonlocal least, weights
        optimizer.zero_grad()
        loss = objective.loss(network(*rows.inputs), rows.target)
        losses.append(float(loss.detach()))
        total = loss + penalty / 2 * network.squared_length()
        torch.autograd.backward(total)
        if float(total.detach()) < least[0]:
            least, weights = (float(total.detach()), losses[-1]), copy.deepcopy(network.state_dict())
        if is_late(LEEWAY):
            raise _OutOfTime
        return total

    try:
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    except _OutOfTime:
        network.load_state_dict(weights)
        return least[1], True
    if not math.isfinite(losses[-1]):
        raise Diverged(f"the training loss became {losses[-1]}; look for extreme values in the target and the features")
    return losses[-1], False


class LinearNetwork(nn.Module):
    """Raw outputs [b, 1, width]: weights for each value and one for each slot of each category."""

    def __init__(self, layout: Layout, width: int) -> None:
        super().__init__()
        self.numeric = nn.Linear(layout.continuous + layout.plain, width)
        nn.init.zeros_(self.numeric.weight)
        nn.init.zeros_(self.numeric.bias)
        self.category = SlotEmbedding(layout, width) if layout.slots else None

    def squared_length(self) -> Tensor:
        """Return the sum of the squared weights, without the intercept."""
        squares = (self.numeric.weight**2).sum()
        return squares if self.category is None else squares + (self.category.table.weight**2).sum()

    def forward(self, values: Tensor, slots: Tensor) -> Tensor:
        raw = self.numeric(values)
        if self.category is not None:
            raw = raw + self.category(slots).sum(dim=1)
        members: Tensor = raw.unsqueeze(1)
        return members


class SlotEmbedding(nn.Module):
    """slots int64[b, m] -> [b, categories, size]: one vector for each slot, in one table; all start at zero.

    The vectors of the pieces of a text are added up.
    """

    starts: Tensor

    def __init__(self, layout: Layout, size: int) -> None:
        super().__init__()
        widths = layout.widths or (1,) * len(layout.slots)
        self.table = nn.Embedding(sum(layout.slots), size)
        nn.init.zeros_(self.table.weight)
        first = np.concatenate([[0], np.cumsum(layout.slots)[:-1]])
        self.register_buffer("starts", torch.from_numpy(np.repeat(first, widths).astype(np.int64)))
        self.values = widths.count(1)
        ends = np.cumsum(widths).tolist()
        self.texts = [(end - width, end) for end, width in zip(ends, widths, strict=True) if width > 1]

    def forward(self, slots: Tensor) -> Tensor:
        embedded = self.table.weight[slots + self.starts]  # whose gradient costs a fraction of that of nn.Embedding
        if not self.texts:
            return embedded
        sums = [embedded[:, start:end].sum(dim=1, keepdim=True) for start, end in self.texts]
        return torch.cat([embedded[:, : self.values], *sums], dim=1)
