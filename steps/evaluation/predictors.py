"""Predictions for the test rows: of the exported model (and its speed), of the yardsticks, of the champion."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model_code import onnx_runtime, serving, yardsticks
from model_code.serving import Predictor
from steps.evaluation.document import published
from steps.journal import Journal

Array = np.ndarray[Any, Any]

_CALLS = 100
"""Single rows that are timed for the latency, or as many as fit into:"""
_SECONDS = 5


def of_model(predictor: Predictor, table: pl.DataFrame, log: Journal) -> tuple[Array, dict[str, float]]:
    """Return the model's predictions, and its speed by the names of metrics, which is never the same twice."""
    return _timed(predictor, table, log, "predict")


def compare_onnx(directory: Path, table: pl.DataFrame, prediction: Array, log: Journal) -> Predictor | None:
    """Tell the journal how fast ``model.onnx`` answers, and how far its answers are from the model's; return it if it can be run."""
    if not onnx_runtime.is_possible(directory):
        return None
    predictor = serving.load_onnx(directory)
    answers, _ = _timed(predictor, table, log, "onnx")
    log.metric("application/onnx_largest_difference", float(np.abs(answers - prediction).max()))
    return predictor


def _timed(predictor: Predictor, table: pl.DataFrame, log: Journal, name: str) -> tuple[Array, dict[str, float]]:
    """Return predictions and how long single rows and the whole table take, which the journal is told, too."""
    predictor.predict(table[:1])
    seconds = []
    first = time.perf_counter()
    for call in range(_CALLS):
        if time.perf_counter() - first > _SECONDS:
            break
        row = table[call % table.height : call % table.height + 1]
        started = time.perf_counter()
        predictor.predict(row)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    prediction = predictor.predict(table)
    elapsed = time.perf_counter() - started
    speed = {
        f"{name}_p50_ms": 1000 * float(np.quantile(seconds, 0.5)),
        f"{name}_p99_ms": 1000 * float(np.quantile(seconds, 0.99)),
        f"{name}_rows_per_second": table.height / max(elapsed, 1e-9),
    }
    log.metrics({f"application/{metric}": value for metric, value in speed.items()})
    return prediction, speed


def of_yardsticks(directory: Path, table: pl.DataFrame) -> dict[str, Array]:
    return {published(name): yardsticks.predict(directory, name, table) for name in yardsticks.names(directory)}


def of_champion(
    directory: Path, table: pl.DataFrame, schema: Mapping[str, Any]
) -> tuple[Array | None, float | None, list[str]]:
    """Return the champion's predictions, None where it cannot be compared, its decision threshold, and why not."""
    if not any(directory.iterdir()):
        return None, None, []
    try:
        predictor = serving.load(directory)
        if _question(predictor.schema) != _question(schema):
            other, expected = _described(predictor.schema), _described(schema)
            return None, None, [f"the champion was not compared: it answers {other}, this model {expected}"]
        prediction = predictor.predict(table)
    except ValueError as error:
        return None, None, [f"the champion was not compared: it cannot answer these rows ({error})"]
    threshold = predictor.schema.get("threshold")
    if schema["classes"]:
        order = [predictor.schema["classes"].index(name) for name in schema["classes"]]
        prediction = prediction[:, order]
        if threshold is not None and order[0] == 1:
            threshold = 1 - threshold
    return prediction, threshold, []


def _question(schema: Mapping[str, Any]) -> tuple[str, str, frozenset[str]]:
    """Return what two models must have in common for a comparison to mean something."""
    return schema["task"], schema["target"], frozenset(schema["classes"])


def _described(schema: Mapping[str, Any]) -> str:
    return f"{schema['task']} of {schema['target']}" + (
        f" ({', '.join(schema['classes'])})" if schema["classes"] else ""
    )
