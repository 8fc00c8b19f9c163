"""Labels that arrive later, joined with captured answers, and what the model's promises are worth on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model_code import tasks
from steps.errors import InputError
from steps.evaluation import statistics, verdict
from steps.evaluation.document import MODEL, Evaluation, ThresholdResult
from steps.evaluation.thresholds import Threshold
from steps.monitoring.captured import ANSWER, EXTRA, REQUEST, ROW
from steps.monitoring.document import Outcome, PromiseInUse
from steps.wording import absent, listed

Array = np.ndarray[Any, Any]

_READERS: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": partial(pl.read_csv, infer_schema=False),
    ".parquet": pl.read_parquet,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
}
_OWN = {REQUEST: "request_id", ROW: "row"}
"""Names that labels have for columns of ours."""
LABEL = "_label"


def read_labels(path: Path, target: str) -> pl.DataFrame:
    """Return a file of labels as text: the target as ``LABEL``, and the columns that say which row it belongs to.

    Raises:
        InputError: it is of no known kind, cannot be read, or has no column of the target or none beside it.
    """
    if path.suffix not in _READERS:
        raise InputError(f"{path.name}: labels are a file {listed(_READERS, 'or')}")
    try:
        table = _READERS[path.suffix](path).select(pl.all().cast(pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name}: labels cannot be read: {error}") from None
    if target not in table.columns:
        raise InputError(f"{path.name}: labels need the target: {absent(target, table.columns)}")
    if table.width == 1:
        raise InputError(
            f"{path.name}: labels need columns that say which row they belong to: request_id and row, or a key of yours"
        )
    return table.rename({target: LABEL}).drop_nulls(LABEL)


def join(rows: pl.LazyFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the captured rows that have a label, each once.

    Args:
        labels: as ``read_labels`` returns them; the last one of a key counts.

    Raises:
        InputError: no captured column has the name of a key, or request_id alone names several rows.
    """
    names = rows.collect_schema().names()
    captured = {_OWN.get(name, name.removeprefix(EXTRA)): name for name in names if not name.startswith(ANSWER)}
    keys = [name for name in labels.columns if name != LABEL]
    if unknown := [key for key in keys if key not in captured]:
        raise InputError(f"labels: {absent(unknown[0], list(captured))}")
    if keys == ["request_id"] and rows.filter(pl.col(ROW) > 1).head(1).collect().height:
        raise InputError(
            "labels: requests have several rows, so labels need a column row (1, 2, ...) beside request_id"
        )
    unique = labels.unique(keys, keep="last", maintain_order=True).lazy()
    text = rows.with_columns(pl.col(captured[key]).cast(pl.String).alias(f"_key.{key}") for key in keys)
    joined = text.join(
        unique, left_on=[f"_key.{key}" for key in keys], right_on=keys, how="inner", maintain_order="left"
    )
    frame: pl.DataFrame = joined.collect()
    return frame.unique([REQUEST, ROW], keep="last", maintain_order=True)


def truth_of(labels: pl.Series, classes: Sequence[str]) -> Array:
    """Return class index float64[n], or the number; NaN where a label is none of the classes, or no number."""
    if not classes:
        return labels.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    positions = {name: float(position) for position, name in enumerate(classes)}
    return labels.replace_strict(positions, default=np.nan, return_dtype=pl.Float64).to_numpy()


def prediction_of(rows: pl.DataFrame, classes: Sequence[str]) -> Array:
    """Return the answers as metrics take them: probabilities float64[n, k] or numbers float64[n]; NaN where there is none."""
    names = [f"{ANSWER}probability_{name}" for name in classes] or [f"{ANSWER}prediction"]
    columns = [rows[name].fill_null(np.nan).to_numpy() for name in names]
    return np.stack(columns, axis=1) if classes else columns[0]


def promises_in_use(
    evaluation: Evaluation, schema: Mapping[str, Any], rows: pl.DataFrame, resamples: int
) -> tuple[list[PromiseInUse], dict[str, Any]]:
    """Return each promise on all rows, judged on these, and the estimates of its metrics and of the headline metric.

    Whole requests are resampled, since rows of one are alike.

    Args:
        rows: captured rows with a label that is right in form, and an answer.
    """
    task, classes = tasks.get(evaluation.task), schema["classes"]
    truth, prediction = truth_of(rows[LABEL], classes), prediction_of(rows, classes)
    promises = [promise for promise in evaluation.thresholds if promise.slice is None]
    names = dict.fromkeys([*(promise.metric for promise in promises), evaluation.headline or task.headline])
    metrics = {name: metric for name in names if (metric := task.metric(name))}
    acts = schema.get("threshold")
    thresholds = {} if acts is None else {MODEL: acts}
    truth = truth.astype(np.int64) if classes else truth
    measures = verdict.measures_of(metrics, truth, {MODEL: prediction}, thresholds, ())
    drawing = statistics.by_unit(rows[REQUEST].hash().to_numpy(), "request", resamples, 0)
    sampled = statistics.bootstrap(measures, drawing)
    estimates = verdict.metrics_of(MODEL, metrics, sampled)
    judged = [_judged(promise, sampled, len(truth)) for promise in promises if promise.metric in metrics]
    return judged, estimates


def _judged(promise: ThresholdResult, sampled: Mapping[verdict.Key, statistics.Sampled], rows: int) -> PromiseInUse:
    """Return whether a promise is kept in use: broken where the whole interval is on the wrong side of its bound."""
    threshold = Threshold.model_validate(
        {name: getattr(promise, name) for name in ("metric", "at_least", "at_most", "on", "slice")}
    )
    result = verdict.judge(threshold, sampled[verdict.key_of(promise.metric, None)], None, rows)
    best = result.high if result.at_least is not None else result.low
    outcome: Outcome = "kept" if result.met else "undecided"
    if best is not None and not threshold.met(best):
        outcome = "broken"
    return PromiseInUse(promised=promise, result=result, outcome=outcome)
