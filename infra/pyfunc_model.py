"""The script that MLflow runs to load a registered model ("models from code"); copied into the model, never imported by us.

It needs the package model_code beside it and the model directory as the artifact ``model``. Frames come as pandas gives
them: a column of category codes with a missing value is float, a column of instants from a CSV file is text.
"""

from pathlib import Path
from typing import Any

import pandas
import polars
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class FourscoreModel(PythonModel):  # type: ignore[misc]
    """Answers ``prediction`` and, for classes, ``probability_<class>``, a row for each row."""

    def load_context(self, context: PythonModelContext) -> None:
        from model_code.serving import load

        self.predictor = load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pandas.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pandas.DataFrame:
        """Raises ValueError naming each column that is missing or does not fit."""
        kinds = {entry["name"]: entry["kind"] for entry in self.predictor.schema["inputs"]}
        columns = [
            _fitted(polars.Series(name, model_input[name]), kinds[name]) for name in kinds if name in model_input
        ]
        answers = self.predictor.answers(polars.DataFrame(columns)).to_pandas()
        answers.index = model_input.index
        return answers


def _fitted(values: polars.Series, kind: str) -> polars.Series:
    """The column in a type of its kind, where one can be had without changing a value."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.null_count() == len(values):
        return polars.Series(values.name, [None] * len(values), dtype=polars.Null)
    if kind == "category" and values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
        return values.cast(polars.Int64)  # codes that a missing value made float
    if values.dtype != polars.String or kind == "category":
        return values
    if kind == "datetime":
        return values.str.to_datetime(time_zone="UTC") if _has_offset(values) else values.str.to_datetime()
    return values.cast(polars.Float64) if kind == "numeric" else values


def _has_offset(values: polars.Series) -> bool:
    return bool(values.drop_nulls().str.contains(r"(Z|[+-]\d\d:?\d\d)$").any())


set_model(FourscoreModel())
