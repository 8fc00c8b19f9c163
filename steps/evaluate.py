"""evaluate: judge the model on the held-out test set: metrics, intervals, slices, rivals, thresholds, verdict."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from model_code import tasks
from steps import documents
from steps.core import Config, Input, Output
from steps.errors import FourscoreError, InputError
from steps.evaluation.behaviour import Behaviour
from steps.evaluation.document import (
    CHAMPION,
    CONSTANT,
    MODEL,
    RIVALS,
    Champion,
    Estimate,
    Evaluation,
    EvaluationData,
    Importance,
    PredictionIntervals,
    published,
    rounded,
)
from steps.evaluation.thresholds import Goal
from steps.journal import Journal
from steps.tables.names import ROW
from steps.tables.schema import TableSchema
from steps.training.document import TrainingRecord

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.serving import Predictor
    from model_code.tasks import Task
    from steps.evaluation.segments import Search
    from steps.evaluation.statistics import Resampling

    Array = np.ndarray[Any, Any]


RESAMPLES_OF_AVERAGES = 400


class EvaluateSection(Config):
    """How the model is judged on the held-out test set."""

    slices: tuple[str, ...] = Field(
        default=(), description="Columns whose values are judged one by one (numbers in quarters)."
    )
    fairness: tuple[str, ...] = Field(
        default=(),
        description="Columns whose values are groups of people: how they are selected and how right the model is are compared.",
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples behind every interval.")
    seed: int = Field(default=0, ge=0, description="Seed of the resamples.")
    must_beat: tuple[str, ...] = Field(
        default=(),
        description="Yardsticks (constant, linear, trees) or champion that must be clearly worse.",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="How much of the task's headline metric (roc_auc, accuracy, r2) is too little to matter: a model that is worse "
        "than the champion by no more is not worse.",
    )
    need_not_beat_constant: str | None = Field(
        default=None,
        min_length=1,
        description="Why a model may pass that is not clearly better than a constant prediction; without a reason, none does.",
    )

    behaviour: tuple[Behaviour, ...] = Field(
        default=(),
        description="Rules that answers must follow whatever the metrics say, each tried on test rows or on cases.",
    )

    @field_validator("must_beat")
    @classmethod
    def _rivals(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if published(name) not in RIVALS]:
            raise ValueError(
                f"the model cannot be compared with {', '.join(map(repr, unknown))}; there are: {', '.join(RIVALS)}"
            )
        return value


class EvaluateConfig(EvaluateSection, Goal):
    """How the model is judged on the held-out test set, and what it has to reach."""


def evaluate(
    model: Input,
    yardsticks: Input,
    train_set: Input,
    test_set: Input,
    champion: Input,
    division: Input,
    evaluation: Output,
    config: EvaluateConfig,
    log: Journal,
) -> None:
    """Predict the held-out test rows once with the exported model and judge whether it is good enough.

    A verdict of "rejected" does not stop the run: the model is registered as rejected.
    """
    from threadpoolctl import threadpool_limits

    from model_code import serving
    from steps.evaluation import behaviour, calibration, curves, power, predictors, segments, slices, statistics
    from steps.evaluation import classes as classes_one_by_one
    from steps.evaluation.resampling import resampling

    task = tasks.get(config.task)
    train, test = documents.read(TableSchema, train_set), documents.read(TableSchema, test_set)
    _check_columns(config, test)
    with threadpool_limits(1):
        predictor = serving.load(model)
        classes = tuple(predictor.schema["classes"])
        table = _read(test_set, test, config)
        truth = _truth(task, table, test, classes)
        for text in power.tight(config.success, power.Rows(len(truth), int((truth == 1).sum()))):
            log.note(text)
        log.dataset(
            "test_set",
            digest=test.digest,
            rows=test.rows,
            columns=len(test.columns),
            context="test",
            schema=test.types(),
        )
        prediction, application = predictors.of_model(predictor, table, log)
        application["model_mb"] = (model / "model.pt2").stat().st_size / 1e6
        predictions = {MODEL: prediction, **predictors.of_yardsticks(yardsticks, table)}
        explained = predictors.compare_onnx(model, table, predictions[MODEL], log) or predictor
        of_champion, champion_acts, notes = predictors.of_champion(champion, table, predictor.schema)
        if of_champion is not None:
            predictions[CHAMPION] = of_champion
            notes += _flattered(champion, train.digest)
        own = {MODEL: predictor.schema.get("threshold"), CHAMPION: champion_acts}
        thresholds = _thresholds(config, truth, predictions, own)
        absent = {name: _absent(name, model, notes) for name in RIVALS if name not in predictions}
        drawing = resampling(table, config, test, config.resamples, config.seed)
        if drawing.clusters is not None and drawing.count < statistics.FEW_CLUSTERS:
            few = f"intervals rest on only {drawing.count} {drawing.resampled}"
            notes.append(f"{few}: they are rough and probably too narrow")
        features = [column.name for column in test.features()]
        search = segments.search(
            segments.loss_of(task, truth, predictions[MODEL], thresholds.get(MODEL)),
            {name: slices.parts(table[name], table[name]) for name in features},
            drawing,
        )
        document = Evaluation(
            task=task.name,
            target=predictor.schema["target"],
            classes=classes,
            rows=table.height,
            **_judge(
                config,
                task,
                truth,
                predictions,
                thresholds,
                absent,
                application,
                table,
                train_set,
                search,
                drawing,
                log,
            ),
            prediction_intervals=_intervals(predictor.schema, truth, predictions[MODEL], drawing, config),
            **classes_one_by_one.document(truth, predictions[MODEL], classes, drawing),
            **calibration.shapes(task, truth, predictions[MODEL], thresholds.get(MODEL)),
            **curves.document(truth, predictions[MODEL], classes, _times(config, table, test)),
            **_explain(explained, task, table, truth, drawing, log),
            interval=drawing.method(),
            data=EvaluationData(
                train_rows=train.rows, train_digest=train.digest, test_rows=test.rows, test_digest=test.digest
            ),
            notes=tuple(notes),
        )
        behaved = _behave(config, explained, task, table, truth, document.importance)
    broken = tuple(behaviour.reasons(behaved["behaviour"]))
    document = document.model_copy(update={**behaved, "nearly_perfect": document.is_nearly_perfect()})
    if broken:
        document = document.model_copy(update={"verdict": "rejected", "reasons": (*document.reasons, *broken)})
    if document.verdict == "rejected":
        from steps.evaluation.diagnosis import Places, diagnose

        places = Places(yardsticks, train_set, division)
        with threadpool_limits(1):
            advice = diagnose(document, _record(model), predictor.schema, task, config, places, config.seed)
        document = document.model_copy(update={"diagnosis": advice})
    documents.write(evaluation, document)
    _prediction_table(table, test, predictor.schema, predictions[MODEL]).write_parquet(
        evaluation / "predictions.parquet"
    )
    log.metric("application/model_mb", application["model_mb"])
    _say(log, document)


def _absent(name: str, model: Path, notes: Sequence[str]) -> str:
    """Return why the model was not compared with a rival, in words.

    Args:
        notes: about the champion, where there is one.
    """
    if name == CHAMPION:
        return "; ".join(notes) or "there is no champion but, at most, this very model"
    record = _record(model)
    return record.why_absent(name) if record else "it was not fitted"


def _flattered(champion: Path, train_digest: str) -> list[str]:
    """Return a note if the champion may know the test rows; it does not if it was trained on the same training part."""
    record = _record(champion)
    if record is None or record.train_digest in (None, train_digest):
        return []
    note = "the champion was trained on another division of the data and may have seen test rows"
    return [f"{note}, which would flatter its score"]


def _record(model: Path) -> TrainingRecord | None:
    """Return the record of a model's training, None where there is none."""
    return documents.read(TrainingRecord, model) if (model / TrainingRecord.file).is_file() else None


def _judge(
    config: EvaluateConfig,
    task: Task,
    truth: Array,
    predictions: Mapping[str, Array],
    thresholds: Mapping[str, float],
    absent: Mapping[str, str],
    application: Mapping[str, float],
    table: pl.DataFrame,
    train_set: Path,
    search: Search | None,
    resampling: Resampling,
    log: Journal,
) -> dict[str, Any]:
    """Return everything that rests on the resamples: metrics, slices, comparisons, thresholds, decisions, verdict."""
    import numpy as np
    import polars as pl

    from steps.evaluation import decisions, fairness, segments, slices, statistics, verdict
    from steps.evaluation.slices import Part

    columns = [column for column in _slice_columns(config) if column in table.columns]
    reference = pl.read_parquet(train_set / "data.parquet", columns=columns, glob=False) if columns else pl.DataFrame()
    by_column = {name: slices.parts(table[name], reference[name]) for name in (*config.slices, *config.fairness)}
    parts, groups = ({name: by_column[name] for name in names} for names in (config.slices, config.fairness))
    promised = [slices.of_threshold(threshold.slice, table, reference, "test") for threshold in config.success]
    measured = [part for listed in parts.values() for part in listed]
    measured += [part for part in promised if isinstance(part, Part)]
    names = config.metrics()
    measures = verdict.measures_of(names, truth, predictions, thresholds, measured)
    measures |= decisions.extremes(config, truth, predictions[MODEL])
    compared = fairness.quantities(task, truth, predictions[MODEL], thresholds.get(MODEL))
    measures |= fairness.measures(groups, compared)
    measures |= segments.measures(search, task, truth, predictions[MODEL], thresholds.get(MODEL))
    sampled = statistics.bootstrap(measures, resampling, lambda count, total: log.progress(count, total, "resamples"))
    metrics = {name: verdict.metrics_of(name, names, sampled) for name in predictions}
    comparisons = {
        name: verdict.compare(task, sampled, name, len(truth), config.margin) for name in predictions if name != MODEL
    }
    sampled |= {
        verdict.key_of(name, None): statistics.Sampled(value, np.empty(0), 0) for name, value in application.items()
    }
    weak = verdict.weaker(task, (part for listed in parts.values() for part in listed), sampled)
    promises = []
    for threshold, part in zip(config.success, promised, strict=True):
        key = verdict.key_of(threshold.metric, part if isinstance(part, Part) else None)
        promises.append(verdict.judge(threshold, sampled[key], part, len(truth)))
    required = config.must_beat
    if CONSTANT in comparisons and CONSTANT not in required and config.need_not_beat_constant is None:
        required = (CONSTANT, *required)
    reasons = verdict.reasons_against(required, predictions[MODEL], promises, comparisons, absent)
    return {
        "verdict": "rejected" if reasons else "pass",
        "reasons": reasons,
        "headline": task.headline,
        "metrics": metrics[MODEL],
        "thresholds": promises,
        "yardsticks": {name: estimates for name, estimates in metrics.items() if name not in (MODEL, CHAMPION)},
        "champion": Champion(metrics=metrics[CHAMPION]) if CHAMPION in metrics else None,
        "comparisons": comparisons,
        "slices": {
            name: [verdict.slice_of(part, names, sampled, weak, task.headline) for part in listed]
            for name, listed in parts.items()
        },
        "search": segments.document(search, task, sampled),
        "fairness": fairness.document(groups, compared, sampled),
        "decision": decisions.document(config, truth, predictions[MODEL], thresholds, sampled),
    }


def _behave(
    config: EvaluateConfig,
    predictor: Predictor,
    task: Task,
    table: pl.DataFrame,
    truth: Array,
    importance: Importance | None,
) -> dict[str, Any]:
    """Return how the model behaves where nobody knows the right answer, and where values are missing or off."""
    from steps.evaluation import behaviour

    positions = behaviour.evenly(table.height)
    sample = table[positions]
    foremost = [name for entry in importance.columns for name in entry.columns] if importance else []
    return {
        "behaviour": tuple(behaviour.check(config.behaviour, predictor, table, sample)),
        "robustness": behaviour.robustness(predictor, task, sample, truth[positions], foremost, config.seed),
    }


def _intervals(
    schema: Mapping[str, Any], truth: Array, prediction: Array, resampling: Resampling, config: EvaluateConfig
) -> PredictionIntervals | None:
    """Return how many of the test rows the model's prediction intervals hold; None where it has none."""
    import numpy as np

    from model_code import intervals

    fitted = schema.get("intervals") or {"levels": {}}
    if f"{intervals.LEVEL:g}" not in fitted["levels"] or not np.isfinite(prediction).all():
        return None
    low, high = intervals.ends(schema, prediction, intervals.LEVEL)
    return PredictionIntervals(
        level=intervals.LEVEL,
        coverage=_average((low <= truth) & (truth <= high), resampling),
        mean_width=rounded(float((high - low).mean())),
        later=config.by == "time",
    )


def _thresholds(
    config: EvaluateConfig, truth: Array, predictions: Mapping[str, Array], own: Mapping[str, float | None]
) -> dict[str, float]:
    """Return the probability from which each predictor counts a row as positive, where that is not one half.

    Args:
        own: of the model and the champion, which bring theirs; that of a yardstick is chosen on these very rows.
    """
    from steps.evaluation import decisions

    thresholds = dict(own)
    for name, prediction in predictions.items():
        if name not in own and (acting := decisions.choose(config, truth, prediction)):
            thresholds[name] = acting.threshold
    return {name: threshold for name, threshold in thresholds.items() if threshold is not None}


def _average(values: Array, resampling: Resampling) -> Estimate:
    """Return the mean of a value of each row, with an interval from fewer resamples than those of metrics."""
    from dataclasses import replace

    from model_code import metrics
    from steps.evaluation.statistics import Measure, bootstrap

    fewer = replace(resampling, resamples=min(resampling.resamples, RESAMPLES_OF_AVERAGES))
    return bootstrap({"mean": Measure(metrics.average(values))}, fewer)["mean"].estimate()


def _check_columns(config: EvaluateConfig, schema: TableSchema) -> None:
    columns = [column.name for column in schema.columns if column.name != ROW]
    fields = {
        "evaluate.slices": config.slices,
        "evaluate.fairness": config.fairness,
        "the split's column": _division_columns(config),
    }
    for field, names in fields.items():
        if unknown := [name for name in names if name not in columns]:
            raise InputError(f"{field}: no column {', '.join(map(repr, unknown))}; there are: {', '.join(columns)}")
    types = {column.name: column.type for column in schema.columns}
    for position, rule in enumerate(config.behaviour):
        place, column = f"evaluate.behaviour.{position}", rule.column
        if column is not None and column not in columns:
            raise InputError(f"{place}: no column {column!r}; there are: {', '.join(columns)}")
        if column is not None and not rule.invariant_to and types[column] not in ("integer", "float"):
            raise InputError(f"{place}: {column!r} is of type {types[column]}, and only a number rises")
    if not schema.rows:
        raise FourscoreError(
            "the test set has no rows: nothing can be said about the model; make split.test_fraction larger"
        )


def _read(directory: Path, schema: TableSchema, config: EvaluateConfig) -> pl.DataFrame:
    """Return the rows without free text, which no model takes, unless a slice or cluster is made of it."""
    import polars as pl

    always = {schema.target and schema.target.name, *_division_columns(config), *_slice_columns(config)}
    always |= {rule.column for rule in config.behaviour}
    columns = [column.name for column in schema.columns if column.type != "text" or column.name in always]
    return pl.read_parquet(directory / "data.parquet", columns=list(dict.fromkeys([ROW, *columns])), glob=False)


def _truth(task: Task, table: pl.DataFrame, schema: TableSchema, classes: Sequence[str]) -> Array:
    """Return int64[n] class indices or float64[n] values."""
    from model_code.tasks import labels

    assert schema.target is not None, "the label stage names the target"
    if set(schema.target.classes) != set(classes):
        raise FourscoreError(
            f"the model knows the classes {', '.join(classes)}, the test set has {', '.join(schema.target.classes)}"
        )
    values = labels.get(task.name).truth(table[schema.target.name], classes)
    if values.null_count():
        raise FourscoreError(f"{values.null_count()} test rows have no usable value of target {schema.target.name!r}")
    return values.to_numpy()


def _explain(
    predictor: Predictor, task: Task, table: pl.DataFrame, truth: Array, drawing: Resampling, log: Journal
) -> dict[str, Any]:
    """Return what the model makes of its columns; how long that takes is for the journal, since time is never the same twice."""
    from steps.evaluation.dependence import dependence
    from steps.evaluation.importance import importance

    begun = time.process_time()
    fields: dict[str, Any] = {"importance": importance(predictor, task, table, truth, drawing)}
    if fields["importance"]:
        classes = predictor.schema["classes"]
        fields["dependence"] = dependence(predictor, table, fields["importance"], classes, drawing.seed)
    log.metric("framework/importance_seconds", time.process_time() - begun)
    return fields


def _times(config: EvaluateConfig, table: pl.DataFrame, schema: TableSchema) -> pl.Series | None:
    """Return the column that orders the rows in time, None where there is none or it is no time."""
    names = [str(config.column)] if config.by == "time" else [column.name for column in schema.of_role("time")]
    ordered = (table[name] for name in names if name in table.columns)
    return next((values for values in ordered if values.dtype.is_temporal() or values.dtype.is_numeric()), None)


def _division_columns(config: EvaluateConfig) -> tuple[str, ...]:
    """Return the columns whose equal values the split kept together; none where all features together do."""
    return (str(config.column),) if config.by != "row" else config.key


def _slice_columns(config: EvaluateConfig) -> list[str]:
    """Return the columns of slices and groups that are shown, and the names that may be columns in those of thresholds."""
    from steps.evaluation import slices

    promised = [column for threshold in config.success for column, _ in slices.readings(threshold.slice or "")]
    return list(dict.fromkeys([*config.slices, *config.fairness, *promised]))


def _prediction_table(
    table: pl.DataFrame, schema: TableSchema, model: Mapping[str, Any], prediction: Array
) -> pl.DataFrame:
    import polars as pl

    from model_code import serving

    classes = model["classes"]
    assert schema.target is not None
    columns = {ROW: table[ROW], "truth": table[schema.target.name]}
    if not classes:
        return pl.DataFrame({**columns, "prediction": prediction})
    names = pl.Series(classes).gather(serving.decided(model, prediction))
    return pl.DataFrame(
        {
            **columns,
            "prediction": names,
            **{f"probability_{name}": prediction[:, index] for index, name in enumerate(classes)},
        }
    )


def _say(log: Journal, document: Evaluation) -> None:
    """Tell the trackers."""
    for name, value in _numbers(document):
        if value is not None:
            log.metric(f"model/{name}", value)
    log.parameter("evaluate.interval", document.interval.model_dump())
    log.table("thresholds", [threshold.model_dump() for threshold in document.thresholds])
    for note in document.notes:
        log.warning(note)
    log.verdict(document.verdict, document.reasons)


def _numbers(document: Evaluation) -> Iterator[tuple[str, float | None]]:
    """Yield names without their layer; of slices only the headline metric, where the rows are enough."""
    for metric, estimate in document.metrics.items():
        yield metric, estimate.value
        yield f"{metric}_low", estimate.low
        yield f"{metric}_high", estimate.high
    for name, metrics in document.rivals().items():
        yield from ((f"{metric}.{name}", estimate.value) for metric, estimate in metrics.items())
    suffixes: Counter[str] = Counter()
    for column, parts in document.slices.items():
        for part in parts:
            suffix = metric_suffix(column, part.value)
            suffixes[suffix] += 1
            if not part.small:  # values that differ in other letters only are numbered
                again = f" {suffixes[suffix]}" if suffixes[suffix] > 1 else ""
                yield f"{document.headline}.{suffix}{again}", part.metrics[document.headline].value
    if decision := document.decision:
        yield "decision_threshold", decision.threshold
    if intervals := document.prediction_intervals:
        yield "interval_coverage", intervals.coverage.value
        yield "interval_mean_width", intervals.mean_width
    yield "thresholds_met", sum(threshold.met for threshold in document.thresholds)
    yield "thresholds", len(document.thresholds)
    yield "test_rows", document.rows


def metric_suffix(column: str, value: str) -> str:
    """Return ``column:value`` in letters that trackers accept in a metric's name (MLflow: letters, digits, _ - . space :)."""
    return ":".join(re.sub(r"[^A-Za-z0-9_\-. ]", "_", text)[:80].strip() or "_" for text in (column, value))
