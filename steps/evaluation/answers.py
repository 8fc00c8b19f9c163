"""Answers for the test rows: of the exported model (and what they cost in time), of the yardsticks, of the champion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.journal import Journal

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
    """A yardstick's name as results show it."""
    return _PUBLISHED_NAMES.get(name, name)


def of_model(predictor: Predictor, table: pl.DataFrame, log: Journal) -> Array:
    """The model's answers; what answering costs goes to the journal only, since time is never the same twice."""
    import numpy as np

    predictor.predict(table[:1])
    seconds = []
    begun = time.perf_counter()
    for call in range(_CALLS):
        if time.perf_counter() - begun > _SECONDS:
            break
        row = table[call % table.height : call % table.height + 1]
        started = time.perf_counter()
        predictor.predict(row)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    answer = predictor.predict(table)
    elapsed = time.perf_counter() - started
    log.metric("application/predict_p50_ms", 1000 * float(np.quantile(seconds, 0.5)))
    log.metric("application/predict_p99_ms", 1000 * float(np.quantile(seconds, 0.99)))
    log.metric("application/predict_rows_per_second", table.height / max(elapsed, 1e-9))
    return answer


def of_yardsticks(directory: Path, table: pl.DataFrame) -> dict[str, Array]:
    from model_code import yardsticks

    return {published(name): yardsticks.predict(directory, name, table) for name in yardsticks.names(directory)}


def of_champion(
    directory: Path, table: pl.DataFrame, schema: Mapping[str, Any], train_digest: str
) -> tuple[Array | None, list[str]]:
    """The champion's answers, where there is one that can be compared; in words, what to keep in mind, or why not.

    Args:
        train_digest: of the rows that this run's model was trained on.
    """
    from model_code import serving

    if not any(directory.iterdir()):
        return None, []
    try:
        predictor = serving.load(directory)
        theirs = predictor.schema
        if _question(theirs) != _question(schema):
            return None, [
                f"the champion was not compared: it answers {_answers(theirs)}, this model {_answers(schema)}"
            ]
        answer = predictor.predict(table)
    except ValueError as error:
        return None, [f"the champion was not compared: it cannot answer these rows ({error})"]
    if schema["classes"]:
        answer = answer[:, [theirs["classes"].index(name) for name in schema["classes"]]]
    return answer, _flattered(directory, train_digest)


def absent(name: str, model: Path, notes: Sequence[str]) -> str:
    """Why the model was not compared with a rival, in words.

    Args:
        model: the model's directory; its training.json says what was tried.
        notes: about the champion, where there is one.
    """
    if name == CHAMPION:
        return "; ".join(notes) or "there is no champion but, at most, this very model"
    record = _record(model)
    if name == "linear" and record.get("chosen") == name:
        return "the chosen model is the linear one, which it cannot beat"
    tried = {each["name"]: each for each in record.get("candidates", ())}
    if name != "linear" or not tried:
        return "it was not fitted"
    if name not in tried:
        return f"it was not fitted, since {record['chosen']} was chosen and no other than {', '.join(tried)} was tried"
    return f"it was not fitted, since as a candidate it {tried[name].get('reason') or 'was given up'}"


def _flattered(directory: Path, train_digest: str) -> list[str]:
    """Whether the champion may know the test rows: it surely does not if it was trained on the same training part."""
    known = _record(directory).get("train_digest")
    if known in (None, train_digest):
        return []
    said = "the champion was trained on another division of the data and may have seen test rows"
    return [f"{said}, which would flatter its score"]


def _record(directory: Path) -> dict[str, Any]:
    """What training said of a model; empty where it said nothing."""
    record = directory / "training.json"
    said: dict[str, Any] = json.loads(record.read_bytes()) if record.is_file() else {}
    return said


def _question(schema: Mapping[str, Any]) -> tuple[str, str, frozenset[str]]:
    """What two models must have in common for a comparison to mean something."""
    return schema["task"], schema["target"], frozenset(schema["classes"])


def _answers(schema: Mapping[str, Any]) -> str:
    return f"{schema['task']} of {schema['target']}" + (
        f" ({', '.join(schema['classes'])})" if schema["classes"] else ""
    )
