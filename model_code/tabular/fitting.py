"""From encoded rows to a fitted pair of preprocessing and network, for each fold and for the whole training part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from model_code.export import average
from model_code.tabular.preprocessing import Preprocessor
from model_code.training import Fit, Recipe, Rows, fit, raw_outputs

if TYPE_CHECKING:
    from model_code.architectures import Architecture
    from model_code.tasks import Task

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Data:
    """Encoded training rows: numeric float64[n, a], category int64[n, m], truth int64[n] or float64[n]."""

    numeric: Array
    category: Array
    truth: Array
    schema: Mapping[str, Any]
    task: Task

    def target_scale(self) -> tuple[float, float]:
        """Centre and spread of the truth of all rows; 0 and 1 for classes."""
        return self.task.scale(self.truth)


@dataclass(frozen=True)
class Fitted:
    """A trained network with the preprocessing that belongs to it."""

    preprocessor: Preprocessor
    network: nn.Module
    fit: Fit
    rows: int


@dataclass(frozen=True)
class Settings:
    """What all fits of a run share."""

    seed: int
    device: torch.device
    epochs: int | None
    """Most epochs of a fit; the architecture's own number when None."""


def train_on(
    data: Data,
    architecture: Architecture,
    training: Array,
    validation: Array | None,
    settings: Settings,
    *,
    checkpoint: Path,
    scheduled: int | None = None,
    stop_after: int | None = None,
    seconds: float = float("inf"),
    report: Callable[[int, int, Fit], None] | None = None,
) -> Fitted:
    """Fit preprocessing and network on the rows ``training``; early stopping looks at the rows ``validation``.

    ``scheduled`` lays the learning rate out for that many epochs, so that a fit without validation rows can be stopped
    where another was best. The weights at the start depend on the seed only. The random state
    outside is left as it was.

    Raises:
        Diverged: see ``model_code.training.fit``.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(settings.seed)
        preprocessor = Preprocessor(data.numeric[training], data.category[training], data.schema, architecture.scaling)
        rows = _rows(data, preprocessor, training)
        network = architecture.build(preprocessor.layout, rows.values.numpy(), data.task.width(data.schema["classes"]))
        done = fit(
            network,
            rows,
            _rows(data, preprocessor, validation) if validation is not None else None,
            loss=data.task.loss,
            validate=lambda raw, truth: data.task.prediction_loss(average(data.task, raw), truth),
            recipe=_recipe(architecture.recipe(), scheduled, settings.epochs),
            seed=settings.seed,
            device=settings.device,
            stop_after=stop_after,
            seconds=seconds,
            checkpoint=checkpoint,
            report=report,
        )
    return Fitted(preprocessor, network.to("cpu"), done, len(rows))


def _recipe(recipe: Recipe, scheduled: int | None, most: int | None) -> Recipe:
    """The architecture's recipe with the schedule of another fit, or else with at most so many epochs."""
    if scheduled is not None:
        return replace(recipe, epochs=scheduled)
    return recipe if most is None else replace(recipe, epochs=min(recipe.epochs, most))


def predict(data: Data, fitted: Fitted, positions: Array) -> Array:
    """Predictions for some of the rows as the exported model would give them: [n, k] probabilities or [n] values."""
    centre, spread = data.target_scale()
    raw = raw_outputs(fitted.network, _rows(data, fitted.preprocessor, positions))
    prediction: Array = average(data.task, raw).numpy()
    return data.task.unscaled(prediction, centre, spread)


def _rows(data: Data, preprocessor: Preprocessor, positions: Array) -> Rows:
    centre, spread = data.target_scale()
    truth = data.truth[positions]
    with torch.no_grad():
        values, slots = preprocessor(
            torch.from_numpy(data.numeric[positions]), torch.from_numpy(data.category[positions])
        )
    return Rows(values, slots, torch.from_numpy(data.task.scaled(truth, centre, spread)))
