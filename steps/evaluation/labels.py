"""Labels that are probably wrong: rows that a model which never saw them counts to another class with confidence.

Confident learning: a row counts to a class if its probability there is at least the mean of those rows that have the label; of
several such classes, to the most probable one. A row that counts to another class than its label is suspected.

Source: Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021 (the confident joint,
ordered by the normalised margin).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steps.evaluation.document import SuspectedLabels
from steps.evaluation.slices import SMALL
from steps.tables.names import ROW

Array = np.ndarray[Any, Any]

FILE = "folds.parquet"
"""Row numbers, true class and probabilities by the chosen candidate, each row predicted by the fit that never saw it."""
LISTED = 20
APART = 0.65
"""What the mean probability of a class on its own rows is, on the average of the classes; below it, wrong labels cannot be told
from hard rows."""


def write(directory: Path, rows: Array, truth: Array, chance: Array) -> None:
    """Write what the folds predicted beside the yardsticks."""
    columns = {f"p{index}": chance[:, index].astype(np.float32) for index in range(chance.shape[1])}
    pl.DataFrame({ROW: rows, "truth": truth.astype(np.int32), **columns}).write_parquet(directory / FILE)


def document(directory: Path) -> SuspectedLabels | None:
    """Return the rows of the training part whose labels are suspected; None where nothing can be said."""
    if not (directory / FILE).is_file():
        return None
    frame = pl.read_parquet(directory / FILE, glob=False)
    truth, chance = frame["truth"].to_numpy(), frame.select(pl.col("^p[0-9]+$")).to_numpy()
    if not np.isfinite(chance).all() or not tell_apart(truth, chance):
        return None
    positions = suspects(truth, chance)
    return SuspectedLabels(
        rows=len(positions), among=len(truth), listed=tuple(frame[ROW].gather(positions[:LISTED]).to_list())
    )


def tell_apart(truth: Array, chance: Array) -> bool:
    """Return whether the classes are so far apart that a wrong label can be told from a hard row."""
    rows = np.bincount(truth, minlength=chance.shape[1])
    return bool((rows >= SMALL).sum() > 1 and _means(truth, chance)[rows >= SMALL].mean() >= APART)


def suspects(truth: Array, chance: Array) -> Array:
    """Return the positions of rows whose labels are suspected, the most certain ones first."""
    confident = np.where(chance >= _means(truth, chance), chance, -1.0)
    likely = confident.argmax(axis=1)
    positions = np.flatnonzero((confident.max(axis=1) >= 0) & (likely != truth))
    margin = chance[positions, truth[positions]] - chance[positions, likely[positions]]
    ordered: Array = positions[np.argsort(margin, kind="stable")]
    return ordered


def _means(truth: Array, chance: Array) -> Array:
    """Return the mean probability of each class on its own rows; infinite for one without rows."""
    rows = np.bincount(truth, minlength=chance.shape[1])
    sums = np.bincount(truth, chance[np.arange(len(truth)), truth], minlength=chance.shape[1])
    return np.where(rows > 0, sums / np.maximum(rows, 1), np.inf)
