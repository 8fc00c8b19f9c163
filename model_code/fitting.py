"""From encoded rows to a trained model, for each fold and for the whole training part."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code import checkpoints, parallel
from model_code.families import Architecture, Solver
from model_code.tasks.heads import Head
from model_code.training import Fit, Options, Rows, fit

Array = np.ndarray[Any, Any]

CONTINUED = 1 / 3
"""The share of a fold's best epochs for which its network learns from the whole training part.

Test loss of mlp with a third, with all epochs from new weights, and of the fold's network itself; 80/20 by row, seed 0: california
.1556, .1564, .1613; churn .3504, .3497, .3515; bike .0404, .0407, .0421; adult .2677, .2680, .2695.
"""
_LOCK = threading.Lock()
"""Initial weights come from the random state of the process; fits run in several threads."""
CHUNK = 8192
"""How many rows are predicted at once."""


@dataclass(frozen=True)
class Dataset:
    """The encoded rows of a training part, with the head that their truth needs."""

    inputs: tuple[Array, ...]
    """Arrays of n rows, as the family encodes them."""
    truth: Array
    """int64[n] class indices or float64[n] values."""
    schema: Mapping[str, Any]
    head: Head

    def take(self, positions: Array) -> tuple[Array, ...]:
        return tuple(array[positions] for array in self.inputs)


class Model(nn.Module):
    """From encoded rows to predictions: preprocessing, network and head; what is exported."""

    def __init__(self, preprocessor: nn.Module, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.preprocessor, self.network, self.head = preprocessor, network, head

    def forward(self, *inputs: Tensor) -> Tensor:
        prediction: Tensor = self.head(self.network(*self.preprocessor(*inputs)))
        return prediction


class Blend(nn.Module):
    """The weighted mean of several models' predictions of the same encoded rows."""

    def __init__(self, models: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.models, self.weights = nn.ModuleList(models), tuple(weights)

    def forward(self, *inputs: Tensor) -> Tensor:
        blended, *terms = (model(*inputs) * weight for model, weight in zip(self.models, self.weights, strict=True))
        for term in terms:
            blended = blended + term
        prediction: Tensor = blended
        return prediction


@dataclass(frozen=True)
class Fitted:
    """A trained model and the course of its training."""

    model: nn.Module
    fit: Fit
    rows: int


def train_on(
    dataset: Dataset,
    architecture: Architecture,
    training: Array,
    validation: Array | None,
    options: Options,
    earlier: Fitted | None = None,
) -> Fitted:
    """Fit preprocessing and network on the rows ``training``; early stopping looks at the rows ``validation``.

    What is random depends on the seed only, and the random state outside does not change.

    Args:
        earlier: a fit on some of the rows, whose network goes on to learn for ``CONTINUED`` of ``options.stop_after``
            epochs; a solver starts anew.

    Raises:
        Diverged: see ``model_code.training.fit``.
    """
    begun = time.perf_counter()
    if isinstance(architecture, Solver):
        return _solve(dataset, architecture, training, validation, options)
    recipe = architecture.recipe()
    recipe = replace(recipe, epochs=min(recipe.epochs, options.epochs or recipe.epochs))
    if earlier is None:
        preprocessor = architecture.preprocessor(dataset.take(training), dataset.schema)
        rows = _prepare(dataset, preprocessor, training)
        with _LOCK, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(options.seed)
            network = architecture.network(preprocessor, rows.inputs, dataset.head.width)
    else:
        assert isinstance(earlier.model, Model)
        preprocessor, network = earlier.model.preprocessor, copy.deepcopy(earlier.model.network)
        rows = _prepare(dataset, preprocessor, training)
        recipe = replace(recipe, epochs=max(round(CONTINUED * (options.stop_after or recipe.epochs)), 1))
    held_out = _prepare(dataset, preprocessor, validation) if validation is not None else None
    left = parallel.agreed(options.seconds - (time.perf_counter() - begun), options.device)
    options = replace(options, seconds=left)
    course = fit(network, rows, held_out, dataset.head, recipe, options)
    return Fitted(Model(preprocessor, network.to("cpu"), dataset.head), course, len(rows))


def _solve(dataset: Dataset, solver: Solver, training: Array, validation: Array | None, options: Options) -> Fitted:
    """Let a solver fit, or take what it came to before."""
    rows, width = _encoded(dataset, training), dataset.head.width
    held_out = _encoded(dataset, validation) if validation is not None else None
    identity = {
        "config": solver.describe(),
        "rows": len(training),
        "validated": held_out is not None,
        "seed": options.seed,
        "stop_after": options.stop_after,
        "tune": options.tune,
    }
    state = checkpoints.read(options.checkpoint, identity, options.device, options.note)
    if state is None:
        preprocessor, network, course = solver.solve(rows, held_out, dataset.schema, dataset.head, width, options)
        solution = {"identity": identity, "fit": asdict(course), "solution": solver.solution(network)}
        checkpoints.write(options.checkpoint, solution, last=True)
    else:
        preprocessor, network = solver.restore(state["solution"], rows, dataset.schema, width)
        course = Fit(**state["fit"])
    return Fitted(Model(preprocessor, network.eval(), dataset.head), course, len(training))


def predict(dataset: Dataset, fitted: Fitted, positions: Array) -> Array:
    """Return predictions for some of the rows as the exported model would give them."""
    inputs = tuple(map(torch.from_numpy, dataset.take(positions)))
    starts = range(0, max(len(positions), 1), CHUNK)
    with torch.no_grad():
        parts = [fitted.model(*(tensor[i : i + CHUNK] for tensor in inputs)) for i in starts]
    prediction: Array = torch.cat(parts).numpy()
    return prediction


def _encoded(dataset: Dataset, positions: Array) -> Rows:
    inputs = tuple(map(torch.from_numpy, dataset.take(positions)))
    return Rows(inputs, dataset.head.target(dataset.truth[positions]))


def _prepare(dataset: Dataset, preprocessor: nn.Module, positions: Array) -> Rows:
    return _encoded(dataset, positions).prepared(preprocessor)
