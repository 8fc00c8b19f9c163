"""The sealed test set is opened here: metrics with intervals, slices, yardsticks, champion, thresholds and the verdict."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from model_code import tasks
from steps import slices, statistics
from steps.core import Config, Input, Output
from steps.errors import FourscoreError, InputError
from steps.journal import Journal
from steps.schema import ROW, TableSchema, read_schema
from steps.slices import Part
from steps.statistics import Estimate, Measure, Resampling, Sampled
from steps.thresholds import Threshold

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.serving import Predictor
    from model_code.tasks import Task

    Array = np.ndarray[Any, Any]

MODEL, CHAMPION = "model", "champion"
_PUBLISHED_NAMES = {"hgb": "hist_gradient_boosting"}
_CALLS = 200
"""Single rows that are timed for the latency."""

Key = tuple[str, str, str | None]
"""Who predicted, which metric, which slice (None: all rows)."""


class EvaluateConfig(Config):
    """How the model is judged on the sealed test set."""

    task: str = Field(description="The task; follows from the problem.")
    success: tuple[Threshold, ...] = Field(
        default=(), description="What the model must reach; follows from the problem."
    )
    slices: tuple[str, ...] = Field(
        default=(), description="Columns whose values are judged one by one (numbers in quarters)."
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples behind every interval.")
    seed: int = Field(default=0, ge=0, description="Of the resamples.")
    must_beat: tuple[str, ...] = Field(
        default=(),
        description="Yardsticks (constant, linear, hist_gradient_boosting) or champion that must be clearly worse.",
    )
    clusters: str | None = Field(
        default=None,
        description="The column of a split by group or time: its rows are resampled together; follows from the split.",
    )


def evaluate(
    model: Input,
    yardsticks: Input,
    train_set: Input,
    test_set: Input,
    champion: Input,
    evaluation: Output,
    config: EvaluateConfig,
    log: Journal,
) -> None:
    """Predict the sealed test rows once with the exported model and say how good it is and whether that is good enough.

    A verdict of "rejected" does not stop the run: the model is registered as rejected.
    """
    from model_code import serving

    task = tasks.get(config.task)
    schema = read_schema(test_set)
    _check_columns(config, schema)
    predictor = serving.load(model)
    classes = tuple(predictor.schema["classes"])
    table = _read(test_set, schema, config)
    truth = _truth(table, schema, classes)
    log.dataset("test_set", digest=schema.digest, rows=schema.rows, columns=len(schema.columns), context="test")
    answers = {MODEL: _predict(predictor, table, log)}
    answers |= _predict_yardsticks(yardsticks, table)
    notes = _predict_champion(champion, table, predictor.schema, answers)

    parts = _parts(config.slices, table, train_set)
    asked = {
        threshold.slice: slices.select(table, parts, threshold.slice) for threshold in config.success if threshold.slice
    }
    resampling = _resampling(config, schema, table, train_set, notes)
    measures = _measures(task, truth, answers, parts, asked)
    sampled = statistics.bootstrap(measures, resampling, lambda done, total: log.progress(done, total, "resamples"))

    comparisons = {name: _compare(task, sampled, name) for name in answers if name != MODEL}
    thresholds = [_judge(threshold, sampled, asked) for threshold in config.success]
    reasons = _reasons(config, answers[MODEL], thresholds, comparisons)
    document = {
        "task": task.name,
        "target": predictor.schema["target"],
        "classes": list(classes),
        "rows": table.height,
        "verdict": "rejected" if reasons else "pass",
        "reasons": reasons,
        "headline": task.headline,
        "metrics": _metrics_of(MODEL, task, sampled),
        "thresholds": thresholds,
        "yardsticks": {name: _metrics_of(name, task, sampled) for name in answers if name not in (MODEL, CHAMPION)},
        "champion": {"metrics": _metrics_of(CHAMPION, task, sampled)} if CHAMPION in answers else None,
        "comparisons": comparisons,
        "slices": {column: [_slice(part, task, sampled) for part in found] for column, found in parts.items()},
        **_shape(task, truth, answers[MODEL]),
        "interval": _interval(resampling),
        "data": _data(train_set, schema),
        "notes": notes,
    }
    _write(evaluation, document, _prediction_table(table, schema, classes, answers[MODEL]))
    _say(log, document, model)


def _check_columns(config: EvaluateConfig, schema: TableSchema) -> None:
    known = [column.name for column in schema.columns if column.name != ROW]
    wanted = {"evaluate.slices": config.slices, "the split's column": (config.clusters,) if config.clusters else ()}
    for place, names in wanted.items():
        unknown = [name for name in names if name not in known]
        if unknown:
            raise InputError(f"{place}: no column {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    if not schema.rows:
        raise FourscoreError(
            "the test set has no rows: nothing can be said about the model; make split.test_fraction larger"
        )


def _read(directory: Path, schema: TableSchema, config: EvaluateConfig) -> pl.DataFrame:
    """The rows without free text, which no model takes, unless a slice or cluster is made of it."""
    import polars as pl

    asked = {
        *config.slices,
        config.clusters,
        *(reading[0] for each in config.success for reading in slices.readings(each.slice or "")),
    }
    wanted = {column.name: column.type != "text" or column.name in asked for column in schema.columns}
    if schema.target:
        wanted[schema.target.name] = True
    return pl.read_parquet(directory / "data.parquet", columns=[name for name, kept in wanted.items() if kept])


def _truth(table: pl.DataFrame, schema: TableSchema, classes: Sequence[str]) -> Array:
    """int64[n] class indices or float64[n] values."""
    import polars as pl

    assert schema.target is not None, "the label stage names the target"
    if set(schema.target.classes) != set(classes):
        raise FourscoreError(
            f"the model knows the classes {', '.join(classes)}, the test set has {', '.join(schema.target.classes)}"
        )
    column = table[schema.target.name]
    if classes:
        column = column.replace_strict(
            {name: index for index, name in enumerate(classes)}, default=None, return_dtype=pl.Int64
        )
    if column.null_count():
        raise FourscoreError(f"{column.null_count()} test rows have no usable value of target {schema.target.name!r}")
    return column.to_numpy() if classes else column.cast(pl.Float64).to_numpy()


def _predict(predictor: Predictor, table: pl.DataFrame, log: Journal) -> Array:
    """The model's answers; what answering costs goes to the journal only, since time is never the same twice."""
    import numpy as np

    predictor.predict(table[:1])
    seconds = []
    for call in range(_CALLS):
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


def _predict_yardsticks(directory: Path, table: pl.DataFrame) -> dict[str, Array]:
    from model_code import yardsticks

    return {
        _PUBLISHED_NAMES.get(name, name): yardsticks.predict(directory, name, table)
        for name in yardsticks.names(directory)
    }


def _predict_champion(
    directory: Path, table: pl.DataFrame, schema: Mapping[str, Any], answers: dict[str, Array]
) -> list[str]:
    """Add the champion's answers; in words, why it cannot be compared where it cannot."""
    from model_code import serving

    if not any(directory.iterdir()):
        return []
    try:
        predictor = serving.load(directory)
        theirs = predictor.schema
        if theirs["task"] != schema["task"] or set(theirs["classes"]) != set(schema["classes"]):
            return [f"the champion was not compared: it answers {_answers(theirs)}, this model {_answers(schema)}"]
        answer = predictor.predict(table)
    except ValueError as error:
        return [f"the champion was not compared: it cannot answer these rows ({error})"]
    if schema["classes"]:
        answer = answer[:, [theirs["classes"].index(name) for name in schema["classes"]]]
    answers[CHAMPION] = answer
    return []


def _answers(schema: Mapping[str, Any]) -> str:
    return f"{schema['task']} of {schema['target']}" + (
        f" ({', '.join(schema['classes'])})" if schema["classes"] else ""
    )


def _parts(columns: Sequence[str], table: pl.DataFrame, train_set: Path) -> dict[str, list[Part]]:
    import polars as pl

    reference = (
        pl.read_parquet(train_set / "data.parquet", columns=list(dict.fromkeys(columns))) if columns else pl.DataFrame()
    )
    return {name: slices.parts(table[name], reference[name]) for name in columns}


def _resampling(
    config: EvaluateConfig, schema: TableSchema, table: pl.DataFrame, train_set: Path, notes: list[str]
) -> Resampling:
    """Rows that belong together are drawn together, so that the interval is not narrower than what is known."""
    if config.clusters is None:
        return statistics.by_row(table.height, config.resamples, config.seed)
    draw = statistics.by_time if _is_time(config.clusters, schema, table, train_set) else statistics.by_group
    resampling = draw(table[config.clusters], config.resamples, config.seed)
    if resampling.count < statistics.FEW_CLUSTERS:
        notes.append(
            f"intervals rest on only {resampling.count} {resampling.resampled}: they are rough and probably too narrow"
        )
    return resampling


def _is_time(name: str, schema: TableSchema, table: pl.DataFrame, train_set: Path) -> bool:
    """A time by its role or type, or because every test row comes after the training rows."""
    import polars as pl

    column = next(column for column in schema.columns if column.name == name)
    if column.role == "time" or column.type in ("date", "datetime"):
        return True
    last, first = (
        pl.scan_parquet(train_set / "data.parquet").select(pl.col(name).max()).collect().item(),
        table[name].min(),
    )
    return column.role != "group" and last is not None and first is not None and bool(last <= first)


def _measures(
    task: Task,
    truth: Array,
    answers: Mapping[str, Array],
    parts: Mapping[str, Sequence[Part]],
    asked: Mapping[str, Part | str],
) -> dict[Key, Measure]:
    measures: dict[Key, Measure] = {
        (name, metric.name, None): Measure(metric.bind(truth, answer))
        for name, answer in answers.items()
        for metric in task.metrics.values()
    }
    every = [part for found in parts.values() for part in found] + [
        part for part in asked.values() if isinstance(part, Part)
    ]
    for part in every:
        own_truth, own_answer = truth[part.rows], answers[MODEL][part.rows]
        for metric in task.metrics.values():
            measures[MODEL, metric.name, _slice_key(part)] = Measure(metric.bind(own_truth, own_answer), part.rows)
    return measures


def _slice_key(part: Part) -> str:
    return json.dumps([part.column, part.value])


def _metrics_of(name: str, task: Task, sampled: Mapping[Key, Sampled]) -> dict[str, Any]:
    return {metric: sampled[name, metric, None].estimate().document() for metric in task.metrics}


def _slice(part: Part, task: Task, sampled: Mapping[Key, Sampled]) -> dict[str, Any]:
    metrics = {metric: _find(sampled, metric, part).document() for metric in task.metrics}
    return {"value": part.value, "rows": len(part.rows), "small": part.small, "metrics": metrics}


def _compare(task: Task, sampled: Mapping[Key, Sampled], name: str) -> dict[str, Any]:
    difference = statistics.compare(sampled[MODEL, task.headline, None], sampled[name, task.headline, None])
    sign = 1 if task.metrics[task.headline].higher_is_better else -1
    ends = sorted((sign * difference.low, sign * difference.high))
    better = MODEL if ends[0] > 0 else name if ends[1] < 0 else "neither"
    return {"metric": task.headline, "difference": difference.document(), "better": better}


def _judge(threshold: Threshold, sampled: Mapping[Key, Sampled], asked: Mapping[str, Part | str]) -> dict[str, Any]:
    """One line of the thresholds table; only a finite number can keep a promise."""
    part = asked[threshold.slice] if threshold.slice else None
    if isinstance(part, str):
        estimate, met, why = Estimate(math.nan, math.nan, math.nan), False, part
    else:
        estimate = _find(sampled, threshold.metric, part)
        end = estimate.low if threshold.at_least is not None else estimate.high
        decisive = estimate.value if threshold.on == "value" else end
        met = math.isfinite(decisive) and threshold.met(estimate.value, estimate.low, estimate.high)
        why = _why(threshold, estimate, part)
    return {
        "metric": threshold.metric,
        "wanted": threshold.wanted,
        "slice": threshold.slice,
        "on": threshold.on,
        **estimate.document(),
        "met": met,
        "reason": None if met else why,
    }


def _find(sampled: Mapping[Key, Sampled], metric: str, part: Part | None) -> Estimate:
    """The model's estimate on all rows or on a part; a small part has no interval."""
    if part is None:
        return sampled[MODEL, metric, None].estimate()
    found = sampled[MODEL, metric, _slice_key(part)]
    return Estimate(found.value, math.nan, math.nan) if part.small else found.estimate()


def _why(threshold: Threshold, estimate: Estimate, part: Part | None) -> str:
    if not math.isfinite(estimate.value):
        return f"{threshold.metric} is not defined on these rows (one class only, a constant target, or answers that are not numbers)"
    if threshold.on == "value":
        return f"the value is {estimate.value:.4g}"
    if not math.isfinite(estimate.low):
        rows = f"{len(part.rows)} rows are" if part else "the test rows are"
        return f"the value is {estimate.value:.4g}, but {rows} too few for an interval"
    return f"the value is {estimate.value:.4g} with a 95 % interval from {estimate.low:.4g} to {estimate.high:.4g}"


def _reasons(
    config: EvaluateConfig, answer: Array, thresholds: Sequence[Mapping[str, Any]], comparisons: Mapping[str, Any]
) -> list[str]:
    """Why the model is not good enough; empty when it is."""
    import numpy as np

    reasons = [f"{line['wanted']}: not met, {line['reason']}" for line in thresholds if not line["met"]]
    if not thresholds:
        reasons.append("no threshold was declared, so there is nothing that the model could pass")
    broken = int((~np.isfinite(answer.reshape(len(answer), -1)).all(axis=1)).sum())
    if broken:
        reasons.append(f"{broken} of {len(answer)} test rows got an answer that is not a finite number")
    for asked in config.must_beat:
        name = _PUBLISHED_NAMES.get(asked, asked)
        if name not in comparisons:
            reasons.append(f"must_beat {asked}: it was not measured; there are: {', '.join(comparisons) or 'none'}")
        elif comparisons[name]["better"] != MODEL:
            found = comparisons[name]["difference"]
            ends = f"{found['low']:+.4g} to {found['high']:+.4g}" if found["low"] is not None else "undefined"
            reasons.append(
                f"must_beat {asked}: not clearly better; the difference in {comparisons[name]['metric']} is {ends} (95 % interval)"
            )
    return reasons


def _shape(task: Task, truth: Array, answer: Array) -> dict[str, Any]:
    """How probabilities or residuals are distributed; nothing where an answer is not a number."""
    import numpy as np

    from steps import calibration

    if not np.isfinite(answer).all():
        return {"calibration": None, "confusion": None, "residuals": None}
    if task.is_classification:
        return {
            "calibration": calibration.reliability(truth, answer),
            "confusion": calibration.confusion(truth, answer),
            "residuals": None,
        }
    return {"calibration": None, "confusion": None, "residuals": calibration.residuals(truth, answer)}


def _interval(resampling: Resampling) -> dict[str, Any]:
    return {
        "method": statistics.METHOD,
        "level": statistics.LEVEL,
        "resamples": resampling.resamples,
        "seed": resampling.seed,
        "resampled": resampling.resampled,
        "drawn": resampling.count,
    }


def _data(train_set: Path, test: TableSchema) -> dict[str, Any]:
    """Which rows the model saw and which judged it, by the digest of their content."""
    train = read_schema(train_set)
    return {"train_rows": train.rows, "train_digest": train.digest, "test_rows": test.rows, "test_digest": test.digest}


def _prediction_table(table: pl.DataFrame, schema: TableSchema, classes: Sequence[str], answer: Array) -> pl.DataFrame:
    import polars as pl

    assert schema.target is not None
    columns = {ROW: table[ROW], "truth": table[schema.target.name]}
    if not classes:
        return pl.DataFrame({**columns, "prediction": answer})
    named = pl.Series(classes).gather(answer.argmax(axis=1))
    return pl.DataFrame(
        {
            **columns,
            "prediction": named,
            **{f"probability_{name}": answer[:, index] for index, name in enumerate(classes)},
        }
    )


def _write(directory: Path, document: Mapping[str, Any], predictions: pl.DataFrame) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (directory / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    predictions.write_parquet(directory / "predictions.parquet")


def _say(log: Journal, document: Mapping[str, Any], model: Path) -> None:
    """Headline numbers for tracking."""
    record: Callable[[str, float | None], None] = lambda name, value: (
        log.metric(f"model/{name}", value) if value is not None else None
    )
    for metric, estimate in document["metrics"].items():
        record(metric, estimate["value"])
        record(f"{metric}_low", estimate["low"])
        record(f"{metric}_high", estimate["high"])
    others = {**document["yardsticks"], **({CHAMPION: document["champion"]["metrics"]} if document["champion"] else {})}
    for name, metrics in others.items():
        for metric, estimate in metrics.items():
            record(f"{metric}.{name}", estimate["value"])
    for column, found in document["slices"].items():
        for part in found:
            if not part["small"]:
                record(
                    f"{document['headline']}.{slices.metric_suffix(column, part['value'])}",
                    part["metrics"][document["headline"]]["value"],
                )
    record("thresholds_met", sum(line["met"] for line in document["thresholds"]))
    record("thresholds", len(document["thresholds"]))
    record("test_rows", document["rows"])
    log.metric("application/model_mb", (model / "model.pt2").stat().st_size / 1e6)
    log.parameter("evaluate.interval", document["interval"])
    log.table("thresholds", document["thresholds"])
    for note in document["notes"]:
        log.warning(note)
    log.verdict(document["verdict"], document["reasons"])
