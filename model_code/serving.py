"""Load an exported model and answer rows, as evaluation, batch prediction and serving all do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model_code import families, intervals, metrics, onnx_runtime, runtime
from model_code.archive import MODEL
from model_code.families import FORMAT, Readout

Array = np.ndarray[Any, Any]

INTERVAL = ("prediction_low", "prediction_high")
"""The columns of a prediction interval."""
CHUNK = 2_048
"""Rows that go through the graph at once, so that memory does not grow with the input and a processor's cache holds most of a step."""


class Predictor:
    """A loaded model; ``schema`` is the content of ``schema.json``."""

    def __init__(
        self,
        schema: dict[str, Any],
        graph: Callable[..., Array],
        fast: Callable[[], Callable[..., Array]] | None = None,
    ) -> None:
        """Take a graph that answers, and a loader of another one that is used for more rows than ``CHUNK``."""
        self.schema = schema
        family = families.of_model(schema)
        self._read, self._encode = family.read, family.encode
        self._graph, self._fast = graph, fast
        self._family = family

    def predict(self, frame: pl.DataFrame) -> Array:
        """Return predictions for the rows in order: probabilities float64[n, k] or values float64[n].

        Raises:
            ValueError: a column is missing or of the wrong type; the message names it and what it should be.
        """
        inputs = self._encode(frame, self.schema)
        if frame.height > CHUNK and self._fast is not None:
            self._graph, self._fast = self._fast(), None
        starts = range(0, max(frame.height, 1), CHUNK)
        return np.concatenate([self._graph(*(array[start : start + CHUNK] for array in inputs)) for start in starts])

    def read(
        self,
        frame: pl.DataFrame,
        *,
        rows: pl.Series | None = None,
        skip: bool = False,
        blanks_hide_words: bool = False,
    ) -> Readout:
        """Read foreign values of whatever types as the typed columns that ``answers`` takes; see ``families.Family.read``.

        Raises:
            ValueError: a column is missing, or a value cannot be read and ``skip`` is not set.
        """
        return self._read(frame, self.schema, rows=rows, skip=skip, blanks_hide_words=blanks_hide_words)

    @cached_property
    def _encode_records(self) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Array, ...] | None] | None:
        return self._family.record_encoder(self.schema)

    def answer_records(
        self, records: Sequence[Mapping[str, Any]], level: float | None = None
    ) -> list[dict[str, Any]] | None:
        """Return what ``read`` and ``answers`` make of a few rows, without a table; None for rows that they are to read.

        Raises:
            ValueError: the model has no intervals of this level.
        """
        inputs = self._encode_records(records) if self._encode_records else None
        if inputs is None:
            return None
        prediction = self._graph(*inputs)
        classes = self.schema["classes"]
        if not classes:
            ends = () if level is None else intervals.ends(self.schema, prediction, level)
            columns = [prediction.tolist(), *(end.tolist() for end in ends)]
            return [dict(zip(("prediction", *INTERVAL), row, strict=False)) for row in zip(*columns, strict=True)]
        if level is not None:
            intervals.ends(self.schema, prediction, level)
        names = ["prediction", *(f"probability_{name}" for name in classes)]
        places = decided(self.schema, prediction).tolist()
        return [
            dict(zip(names, (classes[place], *row), strict=True))
            for place, row in zip(places, prediction.tolist(), strict=True)
        ]

    def answers(self, frame: pl.DataFrame, level: float | None = None) -> pl.DataFrame:
        """Return predictions as a table: ``prediction`` and, for each class, ``probability_<class>``.

        Args:
            level: of prediction intervals, such as 0.95; with one there are also ``prediction_low`` and ``prediction_high``.

        Raises:
            ValueError: see ``predict``, or the model has no intervals of this level.
        """
        prediction = self.predict(frame)
        ends = None if level is None else intervals.ends(self.schema, prediction, level)
        classes = self.schema["classes"]
        if not classes:
            low_high = dict(zip(INTERVAL, ends, strict=True)) if ends else {}
            return pl.DataFrame({"prediction": prediction, **low_high})
        names = pl.Series("prediction", classes, dtype=pl.String).gather(decided(self.schema, prediction))
        probabilities = (pl.Series(f"probability_{name}", prediction[:, i]) for i, name in enumerate(classes))
        return pl.DataFrame([names, *probabilities])


def decided(schema: Mapping[str, Any], prediction: Array) -> Array:
    """Return the class that probabilities [n, k] decide for, by the model's threshold."""
    return metrics.decided(prediction, schema.get("threshold"))


def model_schema(
    family: str,
    description: Mapping[str, Any],
    *,
    task: str,
    target: str,
    classes: Sequence[str],
    architecture: str,
    layout: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of a model's schema.json.

    Args:
        description: what the family says of the inputs.
        layout: how the only file of training was written, where detection was not enough.
    """
    return {
        "format": FORMAT,
        "family": family,
        "task": task,
        "target": target,
        "classes": list(classes),
        "architecture": architecture,
        **({"layout": dict(layout)} if layout else {}),
        **description,
    }


def load(directory: Path, *, verified: bool = False) -> Predictor:
    """Load the model in ``directory`` (``model.pt2`` and ``schema.json``); no code of its maker runs, and torch is not imported.

    Args:
        verified: the files are by their digests those of our own export. Then onnxruntime, where it is installed, reads
            ``model.onnx`` and answers many rows; for few, its import takes longer than it saves.

    Raises:
        ValueError: a file is missing, is of another format, or is not what it should be.
    """
    fast = None
    if verified and onnx_runtime.is_possible(directory):
        fast = partial(onnx_runtime.load, directory / onnx_runtime.MODEL)
    return Predictor(families.load_schema(directory), runtime.load(directory / MODEL), fast)


def load_onnx(directory: Path) -> Predictor:
    """Load ``model.onnx`` with onnxruntime for any number of rows; the files are our own export.

    Raises:
        ValueError: see ``load``.
    """
    return Predictor(families.load_schema(directory), onnx_runtime.load(directory / onnx_runtime.MODEL))
