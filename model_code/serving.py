"""Load an exported model and answer rows, as evaluation, batch prediction and serving all do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_code.tabular.encoding import FORMAT, encode

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import nn

    Array = np.ndarray[Any, Any]

CHUNK = 16_384
"""Rows that go through the graph at once, so that memory does not grow with the input."""


class Predictor:
    """A loaded model; ``schema`` is what ``schema.json`` says."""

    def __init__(self, schema: dict[str, Any], graph: nn.Module) -> None:
        self.schema = schema
        self._graph = graph

    def predict(self, frame: pl.DataFrame) -> Array:
        """Predictions for the rows in order: probabilities float64[n, k] or values float64[n].

        Raises:
            ValueError: a column is missing or of the wrong type; the message names it and what is wanted.
        """
        import numpy as np
        import torch

        numeric, category = encode(frame, self.schema)
        parts = []
        with torch.inference_mode():
            for start in range(0, max(len(numeric), 1), CHUNK):
                part = slice(start, start + CHUNK)
                parts.append(self._graph(torch.from_numpy(numeric[part]), torch.from_numpy(category[part])).numpy())
        return np.concatenate(parts)

    def answers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Predictions as a table: ``prediction`` (class name or value) and, for each class, ``probability_<class>``."""
        import polars as pl

        found = self.predict(frame)
        classes = self.schema["classes"]
        if not classes:
            return pl.DataFrame({"prediction": found})
        names = pl.Series("prediction", classes, dtype=pl.String).gather(found.argmax(axis=1))
        return pl.DataFrame([names, *(pl.Series(f"probability_{name}", found[:, i]) for i, name in enumerate(classes))])


def load(directory: Path) -> Predictor:
    """The model in ``directory`` (``model.pt2`` and ``schema.json``); nothing is unpickled.

    Raises:
        ValueError: a file is missing, is of another format, or is not what it should be.
    """
    from model_code import export

    for name in (export.MODEL, "schema.json"):
        if not (directory / name).is_file():
            raise ValueError(f"{directory}: no {name}; wanted a model directory with {export.MODEL} and schema.json")
    schema = json.loads((directory / "schema.json").read_bytes())
    if schema.get("format") != FORMAT:
        raise ValueError(
            f"{directory / 'schema.json'}: format {schema.get('format')!r}; this version reads format {FORMAT}"
        )
    return Predictor(schema, export.load(directory / export.MODEL))
