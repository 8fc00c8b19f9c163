"""The script that MLflow runs to load a registered model ("models from code").

Nothing imports it. It needs the package model_code beside it and the model directory as the artifact ``model``. The values
may have whatever types pandas gave them: they are read by the function that ``fourscore predict`` uses. A number is that
number, also where pandas or MLflow's server made it of a CSV file's 1.234, which may have meant 1234.
"""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class UnreadableRows(MlflowException, ValueError):
    """Rows that the model cannot answer; MLflow's server replies with the message and status 400."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_code=BAD_REQUEST)


class FourscoreModel(PythonModel):
    """Returns ``prediction`` and, for classes, ``probability_<class>``, one row for each row."""

    def load_context(self, context: PythonModelContext) -> None:
        from model_code.serving import load

        self.predictor = load(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer every row; warn of values that are unlike those of training.

        Args:
            params: ``intervals`` is the level of prediction intervals, such as 0.95, or 0 for none.

        Raises:
            UnreadableRows: columns are missing, values cannot be read, or the model has no such intervals; the message names
                columns, rows and values.
        """
        from model_code.tabular.from_pandas import from_pandas

        frame = model_input if isinstance(model_input, pd.DataFrame) else pd.DataFrame(model_input)
        names = [entry["name"] for entry in self.predictor.schema["inputs"]]
        try:
            readout = self.predictor.read(from_pandas(frame, names), blanks_hide_words=True)
            answers = self.predictor.answers(readout.frame, (params or {}).get("intervals") or None).to_pandas()
        except ValueError as error:
            raise UnreadableRows(str(error)) from None
        for remark in readout.remarks:
            warnings.warn(remark.text, UserWarning, stacklevel=2)
        answers.index = frame.index
        return answers


set_model(FourscoreModel())
