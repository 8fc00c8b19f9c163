"""The script that MLflow runs to load a registered model ("models from code").

Nothing imports it. It needs the package model_code beside it and the model directory as the artifact ``model``. Frames
come as pandas builds them: a column of category codes with a missing value is float, a column of instants from a CSV file is text.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class FourscoreModel(PythonModel):
    """Returns ``prediction`` and, for classes, ``probability_<class>``, one row for each row."""

    def load_context(self, context: PythonModelContext) -> None:
        from model_code.serving import load

        self.predictor = load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Raises ValueError naming each column that is missing or does not fit."""
        kinds = {entry["name"]: entry["kind"] for entry in self.predictor.schema["inputs"]}
        columns = [_fitted(pl.Series(name, model_input[name]), kinds[name]) for name in kinds if name in model_input]
        answers = self.predictor.answers(pl.DataFrame(columns)).to_pandas()
        answers.index = model_input.index
        return answers


def _fitted(values: pl.Series, kind: str) -> pl.Series:
    """Return the column in a type of its kind, if that changes no value."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.null_count() == len(values):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Null)
    if kind == "category" and values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
        return values.cast(pl.Int64)  # codes that a missing value made float
    if values.dtype != pl.String or kind == "category":
        return values
    if kind == "datetime":
        return values.str.to_datetime(time_zone="UTC") if _has_offset(values) else values.str.to_datetime()
    return values.cast(pl.Float64) if kind == "numeric" else values


def _has_offset(values: pl.Series) -> bool:
    return bool(values.drop_nulls().str.contains(r"(Z|[+-]\d\d:?\d\d)$").any())


set_model(FourscoreModel())
