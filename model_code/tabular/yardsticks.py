"""What a model is compared with: a constant, scikit-learn's HistGradientBoosting, and linear if it did not win.

On disk: ``constant.json``; ``hgb.skops`` with ``hgb.json`` (the schema that its columns were encoded by); ``linear/``
(a model directory). skops files are loaded with the explicit list of trusted types below and nothing else.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_code.tabular.encoding import encode

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

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


def names(directory: Path) -> tuple[str, ...]:
    """The yardsticks that are in ``directory``, weakest first."""
    there = {"constant": "constant.json", "linear": "linear/model.pt2", "hgb": "hgb.skops"}
    return tuple(name for name, file in there.items() if (directory / file).is_file())


def predict(directory: Path, name: str, frame: pl.DataFrame) -> Array:
    """Predictions of one yardstick, in the form that models give: float64[n, k] probabilities or float64[n] values.

    Raises:
        ValueError: there is no such yardstick, or a column is missing or of the wrong type.
    """
    if name not in names(directory):
        raise ValueError(f"no yardstick {name!r} in {directory}; there are: {', '.join(names(directory)) or 'none'}")
    return _PREDICT[name](directory, frame)


def _predict_constant(directory: Path, frame: pl.DataFrame) -> Array:
    import numpy as np

    prediction = np.asarray(json.loads((directory / "constant.json").read_bytes())["prediction"], dtype=np.float64)
    return np.tile(prediction, (frame.height,) + (1,) * prediction.ndim)


def _predict_hgb(directory: Path, frame: pl.DataFrame) -> Array:
    import numpy as np
    import skops.io
    from threadpoolctl import threadpool_limits

    schema = json.loads((directory / "hgb.json").read_bytes())
    model = skops.io.load(directory / "hgb.skops", trusted=list(TRUSTED))
    columns = _columns(*encode(frame, schema))
    shape = (0, len(schema["classes"])) if schema["classes"] else (0,)
    if not len(columns):
        return np.zeros(shape)
    with threadpool_limits(1):
        if not schema["classes"]:
            return np.asarray(model.predict(columns), dtype=np.float64)
        found = model.predict_proba(columns)
    prediction = np.zeros((len(columns), len(schema["classes"])))
    prediction[:, model.classes_] = found  # a class without training rows keeps probability 0
    return prediction


def _predict_linear(directory: Path, frame: pl.DataFrame) -> Array:
    from model_code.serving import load

    return load(directory / "linear").predict(frame)


_PREDICT = {"constant": _predict_constant, "hgb": _predict_hgb, "linear": _predict_linear}


def write_constant(directory: Path, prediction: Array) -> None:
    """``prediction`` for one row: class shares [k] or the mean []."""
    (directory / "constant.json").write_text(json.dumps({"prediction": prediction.tolist()}) + "\n", encoding="utf-8")


def fit_hgb(directory: Path, numeric: Array, category: Array, truth: Array, schema: Schema) -> None:
    """Train HistGradientBoosting with its defaults, seed 0 and one thread, and write it.

    Each iteration grows a tree for each class, and skops writes each tree by itself: of very many classes there are
    fewer iterations, or writing would take longer than everything else.
    """
    import numpy as np
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    entries = {entry["name"]: entry for entry in schema["inputs"]}
    native = [len(entries[name]["vocabulary"]) <= _LARGEST_CARDINALITY for name in schema["category"]]
    kind = HistGradientBoostingClassifier if schema["classes"] else HistGradientBoostingRegressor
    iterations = max(_FEWEST_ITERATIONS, min(100, _MOST_TREES // max(1, len(schema["classes"]))))
    columns = _columns(numeric, category)
    columns[:, np.isnan(columns).all(axis=0)] = (
        0  # scikit-learn has no bins for a column without a value; a constant says as little
    )
    model = kind(
        max_iter=iterations,
        random_state=0,
        categorical_features=[False] * numeric.shape[1] + native,
        early_stopping="auto" if _can_stop_early(columns, truth if schema["classes"] else None) else False,
    )
    with threadpool_limits(1):
        model.fit(columns, truth)
    (directory / "hgb.skops").write_bytes(_canonical(skops.io.dumps(model)))
    (directory / "hgb.json").write_text(
        json.dumps({**schema, "architecture": "hgb"}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _can_stop_early(columns: Array, classes: Array | None) -> bool:
    """Whether early stopping, which scikit-learn does on a tenth of more than 10,000 rows, can draw that tenth.

    It raises where a class has one row, where there are more classes than that tenth has rows, and where it took all
    values of a column.
    """
    import numpy as np

    if (~np.isnan(columns)).sum(axis=0).min(initial=_FEWEST_VALUES) < _FEWEST_VALUES:
        return False
    if classes is None:
        return True
    rows = np.bincount(classes)
    present = rows[rows > 0]
    return bool(present.min() > 1 and len(present) <= len(classes) // 10)


def _canonical(archive: bytes) -> bytes:
    """The same skops archive without what differs from run to run: memory addresses as names, and dates."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        schema = json.loads(source.read("schema.json"))
        content = {name: source.read(name) for name in source.namelist() if name != "schema.json"}
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}
    _renumber(schema, numbers, files)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for old, new in files.items():
            target.writestr(zipfile.ZipInfo(new, (1980, 1, 1, 0, 0, 0)), content[old], zipfile.ZIP_DEFLATED)
        target.writestr(zipfile.ZipInfo("schema.json", (1980, 1, 1, 0, 0, 0)), json.dumps(schema), zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _renumber(node: Any, numbers: dict[int, int], files: dict[str, str]) -> None:
    """Replace, in place, ids and file names by the order in which they are first met."""
    if isinstance(node, list):
        for each in node:
            _renumber(each, numbers, files)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if isinstance(node.get("file"), str):
            node["file"] = files.setdefault(node["file"], f"{len(files)}{Path(node['file']).suffix}")
        for key in sorted(node):
            _renumber(node[key], numbers, files)


def _columns(numeric: Array, category: Array) -> Array:
    """One float64 matrix; an unknown category is missing."""
    import numpy as np

    known = np.where(category < 0, np.nan, category)
    return np.hstack([np.where(np.isfinite(numeric), numeric, np.nan), known])
