"""Simpler models that a model is compared with: a constant, and models of its family that were not chosen.

On disk: ``constant.json``; for each other yardstick a model directory of its name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model_code import serving
from model_code.archive import MODEL

Array = np.ndarray[Any, Any]

_CONSTANT = "constant"


def names(directory: Path) -> tuple[str, ...]:
    """Return the yardsticks in ``directory``, weakest first."""
    constant = [_CONSTANT] if (directory / f"{_CONSTANT}.json").is_file() else []
    return (*constant, *sorted(path.parent.name for path in directory.glob(f"*/{MODEL}")))


def predict(directory: Path, name: str, frame: pl.DataFrame) -> Array:
    """Return predictions of one yardstick, in the form of ``model_code.tasks``.

    Raises:
        ValueError: the directory has no such yardstick, or a column is missing or of the wrong type.
    """
    if name not in names(directory):
        raise ValueError(f"no yardstick {name!r} in {directory}; it has: {', '.join(names(directory)) or 'none'}")
    if name != _CONSTANT:
        return serving.load(directory / name).predict(frame)
    prediction = np.asarray(json.loads((directory / f"{_CONSTANT}.json").read_bytes())["prediction"], dtype=np.float64)
    return np.tile(prediction, (frame.height,) + (1,) * prediction.ndim)


def write_constant(directory: Path, truth: Array, classes: Sequence[str]) -> None:
    """Write the constant prediction that fits the training truth best: class shares [k] or the mean []."""
    prediction = np.bincount(truth, minlength=len(classes)) / len(truth) if classes else np.asarray(truth.mean())
    path = directory / f"{_CONSTANT}.json"
    path.write_text(json.dumps({"prediction": prediction.tolist()}) + "\n", encoding="utf-8")
