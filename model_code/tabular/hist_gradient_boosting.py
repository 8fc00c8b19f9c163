"""scikit-learn's HistGradientBoosting as a yardstick: ``hgb.skops`` beside ``hgb.json``.

skops files are loaded with the explicit list of trusted types below and nothing else.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from model_code.tabular.encoding import encode

Array = np.ndarray[Any, Any]
Schema = Mapping[str, Any]

_LARGEST_CARDINALITY = 255
"""HistGradientBoosting's limit for a native categorical column; a larger one is taken as ordinal."""
_MOST_TREES = 5_000
_FEWEST_ITERATIONS = 10
_FEWEST_VALUES = 20
"""A random tenth of the rows takes all values of a column that has so many once in 10^20 times."""

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # The two below come with native categorical columns; a partial can only hold a function that is itself trusted.
    "functools.partial",
    "sklearn.utils.validation.check_array",
)
"""What a yardstick file may hold beyond the scikit-learn and numpy types that skops trusts by itself."""


class HistGradientBoosting:
    """The yardstick ``hgb``: defaults, seed 0 and one thread."""

    def __init__(self, most_trees: int = _MOST_TREES, fewest_iterations: int = _FEWEST_ITERATIONS) -> None:
        self.most_trees, self.fewest_iterations = most_trees, fewest_iterations

    def fit(self, directory: Path, inputs: Sequence[Array], truth: Array, schema: Schema) -> None:
        """Train and write it.

        Each iteration grows a tree for each class, and skops writes each tree by itself: with very many classes there
        are fewer iterations, or writing would take longer than everything else.
        """
        numeric, category = inputs
        classes = schema["classes"]
        entries = {entry["name"]: entry for entry in schema["inputs"]}
        native = [len(entries[name]["vocabulary"]) <= _LARGEST_CARDINALITY for name in schema["category"]]
        kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        columns = _columns(numeric, category, schema)
        # scikit-learn has no bins for a column without a value; a constant says as little
        columns[:, np.isnan(columns).all(axis=0)] = 0
        model = kind(
            max_iter=max(self.fewest_iterations, min(100, self.most_trees // max(1, len(classes)))),
            random_state=0,
            categorical_features=[False] * numeric.shape[1] + native,
            early_stopping="auto" if _can_stop_early(columns, truth if classes else None) else False,
        )
        with threadpool_limits(1):
            model.fit(columns, truth)
        (directory / "hgb.skops").write_bytes(_canonical(skops.io.dumps(model)))
        (directory / "hgb.json").write_text(
            json.dumps({**schema, "architecture": "hgb"}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    def predict(self, directory: Path, frame: pl.DataFrame, schema: Schema) -> Array:
        """Return float64[n, k] probabilities or float64[n] values."""
        model = skops.io.load(directory / "hgb.skops", trusted=list(TRUSTED))
        columns = _columns(*encode(frame, schema), schema)
        classes = schema["classes"]
        if not len(columns):
            return np.zeros((0, len(classes)) if classes else 0)
        with threadpool_limits(1):
            if not classes:
                return np.asarray(model.predict(columns), dtype=np.float64)
            probabilities = model.predict_proba(columns)
        prediction = np.zeros((len(columns), len(classes)))
        prediction[:, model.classes_] = probabilities  # a class without training rows keeps probability 0
        return prediction


def _can_stop_early(columns: Array, classes: Array | None) -> bool:
    """Return whether early stopping, which scikit-learn does on a tenth of more than 10,000 rows, can draw that tenth.

    It raises where a class has one row, where there are more classes than that tenth has rows, and where it took all
    values of a column.
    """
    if (~np.isnan(columns)).sum(axis=0).min(initial=_FEWEST_VALUES) < _FEWEST_VALUES:
        return False
    if classes is None:
        return True
    rows = np.bincount(classes)
    present = rows[rows > 0]
    return bool(present.min() > 1 and len(present) <= len(classes) // 10)


def _canonical(archive: bytes) -> bytes:
    """Return the same skops archive without what differs from run to run: memory addresses as names, and dates."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read("schema.json"))
        content = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}
    _renumber(schema, numbers, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for old, new in files.items():
            target.writestr(zipfile.ZipInfo(new, (1980, 1, 1, 0, 0, 0)), content[old], zipfile.ZIP_DEFLATED)
        target.writestr(zipfile.ZipInfo("schema.json", (1980, 1, 1, 0, 0, 0)), json.dumps(schema), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _renumber(node: Any, numbers: dict[int, int], files: dict[str, str]) -> None:
    """Replace, in place, ids and file names by the order in which they are first met."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers, files)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if isinstance(node.get("file"), str):
            node["file"] = files.setdefault(node["file"], f"{len(files)}{Path(node['file']).suffix}")
        for key in sorted(node):
            _renumber(node[key], numbers, files)


def _columns(numeric: Array, category: Array, schema: Schema) -> Array:
    """Return one float64 matrix, without the pieces of categories; an unknown category is missing."""
    category = category[:, : len(schema["category"])]
    codes = np.where(category < 0, np.nan, category)
    return np.hstack([np.where(np.isfinite(numeric), numeric, np.nan), codes])
