"""Predictions for the test rows: of the exported model (and their latency), of the yardsticks, of the champion."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps import documents
from steps.journal import Journal
from steps.training.document import TrainingRecord

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.serving import Predictor

    Array = np.ndarray[Any, Any]

MODEL, CHAMPION = "model", "champion"
_PUBLISHED_NAMES = {"hgb": "hist_gradient_boosting"}
RIVALS = ("constant", "linear", *_PUBLISHED_NAMES.values(), CHAMPION)
"""What the model can be compared with, as results show it."""
_CALLS = 200
"""Single rows that are timed for the latency, or as many as fit into:"""
_SECONDS = 5


def published(name: str) -> str:
    """Return a yardstick's name as results show it."""
    return _PUBLISHED_NAMES.get(name, name)


def of_model(predictor: Predictor, table: pl.DataFrame, log: Journal) -> Array:
    """Return the model's predictions; latency goes to the journal only, since time is never the same twice."""
    import numpy as np

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
    log.metric("application/predict_p50_ms", 1000 * float(np.quantile(seconds, 0.5)))
    log.metric("application/predict_p99_ms", 1000 * float(np.quantile(seconds, 0.99)))
    log.metric("application/predict_rows_per_second", table.height / max(elapsed, 1e-9))
    return prediction


def of_yardsticks(directory: Path, table: pl.DataFrame) -> dict[str, Array]:
    from model_code import yardsticks

    return {published(name): yardsticks.predict(directory, name, table) for name in yardsticks.names(directory)}


def of_champion(
    directory: Path, table: pl.DataFrame, schema: Mapping[str, Any], train_digest: str
) -> tuple[Array | None, list[str]]:
    """Return the champion's predictions, None where it cannot be compared, and notes: what to keep in mind, or why not.

    Args:
        train_digest: of the rows that this run's model was trained on.
    """
    from model_code import serving

    if not any(directory.iterdir()):
        return None, []
    try:
        predictor = serving.load(directory)
        if _question(predictor.schema) != _question(schema):
            other, expected = _described(predictor.schema), _described(schema)
            return None, [f"the champion was not compared: it answers {other}, this model {expected}"]
        prediction = predictor.predict(table)
    except ValueError as error:
        return None, [f"the champion was not compared: it cannot answer these rows ({error})"]
    if schema["classes"]:
        prediction = prediction[:, [predictor.schema["classes"].index(name) for name in schema["classes"]]]
    return prediction, _flattered(directory, train_digest)


def absent(name: str, model: Path, notes: Sequence[str]) -> str:
    """Return why the model was not compared with a rival, in words.

    Args:
        model: the model's directory; its training.json says what was tried.
        notes: about the champion, where there is one.
    """
    if name == CHAMPION:
        return "; ".join(notes) or "there is no champion but, at most, this very model"
    record = _record(model)
    if record and record.chosen == name == "linear":
        return "the chosen model is the linear one, which it cannot beat"
    candidates = {candidate.name: candidate for candidate in record.candidates} if record else {}
    if record is None or name != "linear" or not candidates:
        return "it was not fitted"
    if name not in candidates:
        tried = ", ".join(candidates)
        return f"it was not fitted, since {record.chosen} was chosen and no other than {tried} was tried"
    return f"it was not fitted, since as a candidate it {candidates[name].reason or 'was given up'}"


def _flattered(directory: Path, train_digest: str) -> list[str]:
    """Return a note if the champion may know the test rows; it does not if it was trained on the same training part."""
    record = _record(directory)
    if record is None or record.train_digest in (None, train_digest):
        return []
    note = "the champion was trained on another division of the data and may have seen test rows"
    return [f"{note}, which would flatter its score"]


def _record(directory: Path) -> TrainingRecord | None:
    """Return the record of a model's training, None where there is none."""
    return documents.read(TrainingRecord, directory) if (directory / TrainingRecord.file).is_file() else None


def _question(schema: Mapping[str, Any]) -> tuple[str, str, frozenset[str]]:
    """Return what two models must have in common for a comparison to mean something."""
    return schema["task"], schema["target"], frozenset(schema["classes"])


def _described(schema: Mapping[str, Any]) -> str:
    return f"{schema['task']} of {schema['target']}" + (
        f" ({', '.join(schema['classes'])})" if schema["classes"] else ""
    )
