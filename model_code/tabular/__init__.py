"""The family ``tabular``: columns of numbers, categories and instants.

A model schema lists the inputs, the names of those in the ``numeric`` array and of those in the ``category`` array.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.families import Readout

    Array = np.ndarray[Any, Any]

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")
"""Cells that mean 'no value' where nobody says otherwise."""


class Tabular:
    """See ``model_code.families.Family``; imports are inside, since a plan asks for the architectures' names only."""

    architectures: Mapping[str, str] = {
        "linear": "model_code.tabular.linear:Linear",
        "trees": "model_code.tabular.trees:Trees",
        "mlp": "model_code.tabular.mlp:Mlp",
    }
    monotone: Collection[str] = ("trees",)
    yardsticks: Sequence[str] = ("linear", "trees")

    def describe(self, frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        from model_code.tabular.encoding import describe

        return describe(frame, columns)

    def encode(self, frame: pl.DataFrame, schema: Mapping[str, Any]) -> tuple[Array, Array]:
        from model_code.tabular.encoding import encode

        return encode(frame, schema)

    def read(
        self,
        frame: pl.DataFrame,
        schema: Mapping[str, Any],
        *,
        rows: pl.Series | None,
        skip: bool,
        blanks_hide_words: bool,
    ) -> Readout:
        from model_code.tabular.reading import read

        return read(frame, schema, rows=rows, skip=skip, blanks_hide_words=blanks_hide_words)

    def record_encoder(
        self, schema: Mapping[str, Any]
    ) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Array, Array] | None] | None:
        from model_code.tabular.ordinary import record_encoder

        return record_encoder(schema)

    def random_inputs(self, schema: Mapping[str, Any], rows: int) -> tuple[Array, Array]:
        from model_code.tabular.encoding import random_inputs

        return random_inputs(schema, rows)
