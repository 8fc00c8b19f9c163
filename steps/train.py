"""train: fit the candidates, choose one on validation folds inside the training part, export it with its yardsticks."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from model_code import families, tasks
from steps import documents
from steps.core import Config, Input, Output, Scratch
from steps.errors import FourscoreError, InputError
from steps.evaluation.thresholds import Goal
from steps.journal import Journal
from steps.tables.names import LABEL_SOURCE, ROW
from steps.tables.schema import TableSchema
from steps.training.document import (
    CalibrationFit,
    CandidateRecord,
    FinalFit,
    FoldFit,
    FoldRows,
    ModelSchema,
    TrainingRecord,
)

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.fitting import Dataset, Fitted
    from model_code.training import Fit
    from steps.splitting.folds import Fold
    from steps.training.candidates import Candidate, TrainingContext

    Array = np.ndarray[Any, Any]

FEWEST_ROWS = 10
MOST_POINTS = 100
"""About how many points a logged curve has, of one fit among many."""
_REASONS = {
    "declared": "as declared",
    "costs": "the cheapest on the folds",
    "promises": "chosen on the folds for the promises",
}


class Budget(Config):
    """What training may cost."""

    minutes: float = Field(
        default=30,
        gt=0,
        description="Time for the yardsticks, all candidates and the final fits; a candidate that does not fit in what is left "
        "is skipped.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most passes over the data in one fit of a network; left out: each network's own number.",
    )


class TrainSection(Config):
    """Which models are tried and how one is chosen."""

    candidates: tuple[str, ...] = Field(
        default=("linear", "trees", "mlp"), min_length=1, description="Architectures to try, cheapest first."
    )
    choose: Literal["best", "first"] = Field(
        default="first",
        description="'first': the first that reaches the thresholds on the validation folds, each by the bad end of its interval; "
        "'best': the best on the validation folds, but a cheaper one within one standard error wins. "
        "Where none alone is good enough, or the best is looked for, their weighted mean (blend) is a candidate too.",
    )
    quality: families.Quality = Field(
        default="standard",
        description="'best' gives networks up to three times as many passes over a large table, and takes all rows of more "
        "than 1.5 million.",
    )
    budget: Budget = Field(default=Budget(), description="What training may cost.")
    folds: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Validation folds inside the training part; left out: by the number of rows.",
    )
    seed: int = Field(default=0, ge=0, description="Of initial weights, order of rows, folds and resamples.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; 'auto' takes cuda, then mps, then cpu."
    )
    threads: int = Field(
        default=1,
        ge=1,
        description="CPU threads of one fit; for small networks on a busy machine one is the fastest. "
        "Fits on several folds run at the same time on the cores that are left, without changing the result.",
    )

    @field_validator("candidates")
    @classmethod
    def _check_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        families.of_candidates(value)
        if len(set(value)) < len(value):
            raise ValueError(f"a candidate is named twice: {', '.join(value)}")
        return value


class TrainConfig(TrainSection, Goal):
    """Which models are tried, for what, and how one is chosen; the folds are divided as the test set was.

    Of the promises it has those that the choice reads (``Goal.on_folds``). No fit reads any.
    """

    scratch_ignores = ("success", "costs", "decision_threshold", "choose")


def train(
    train_set: Input, model: Output, yardsticks: Output, checkpoints: Scratch, config: TrainConfig, log: Journal
) -> None:
    """Fit the candidates on folds, choose one, fit it on the whole training part and export it; train the yardsticks.

    Raises:
        InputError: no feature columns, too few rows, one class only, a target that is constant or infinite.
        FourscoreError: the loss diverged.
    """
    from model_code.parallel import limit_threads
    from model_code.training import Diverged
    from model_code.yardsticks import write_constant
    from steps.evaluation import labels
    from steps.training.candidates import choose, fit_candidates, fit_whole
    from steps.training.yardsticks import fit_yardsticks

    with limit_threads(config.threads):
        context = _prepare(train_set, checkpoints, config, log)
        try:
            _choose_scale(context)
            candidates = fit_candidates(context)
            chosen, why = choose(context, candidates)
            final = fit_whole(context, chosen, candidates)
            rivals = fit_yardsticks(context, candidates, chosen)
            final, calibration = _calibrate(context, chosen, final)
            threshold = _choose_threshold(context, config, chosen)
            context.log.metric("framework/train_seconds", context.spent)
            if context.earlier:
                context.log.note(
                    f"fits of an earlier run are used, which took {context.earlier:,.0f} of {context.spent:,.0f} s"
                )
            _write_model(context, chosen, final, model, threshold)
            write_constant(yardsticks, context.dataset.truth, context.dataset.schema["classes"])
            if chosen.prediction is not None and context.task.has_classes:
                rows = context.frame[ROW].to_numpy()[context.positions]
                labels.write(yardsticks, rows, context.validated.truth, chosen.prediction)
            for rival, fitted in rivals:
                (yardsticks / rival.name).mkdir()
                _write_model(context, rival, fitted, yardsticks / rival.name)
        except Diverged as error:
            raise FourscoreError(f"training stopped: {error}") from error
    _write_record(context, config, candidates, chosen, why, final, calibration, train_set, model)
    _log_results(context, candidates, chosen, why, final)


def _prepare(train_set: Path, checkpoints: Path, config: TrainConfig, log: Journal) -> TrainingContext:
    import numpy as np
    import torch._dynamo  # noqa: F401  torch imports it at its first optimiser, which takes seconds that no fit should be charged with

    from model_code.training import Options, choose_device
    from steps.evaluation.resampling import resampling
    from steps.training.candidates import TrainingContext
    from steps.training.selection import RESAMPLES, Validated

    schema = documents.read(TableSchema, train_set)
    frame = _read(train_set, schema)
    name = families.of_candidates(config.candidates)
    dataset = _encode(frame, schema, name, config.task)
    try:
        device = choose_device(config.device)
    except ValueError as error:
        raise InputError(f"train.device: {error}") from None
    unit = list(config.key) or [column.name for column in schema.features()]
    divided = _divide(frame, schema, dataset.truth, unit, config)
    log.dataset(
        "training_set",
        digest=schema.digest,
        rows=schema.rows,
        columns=len(schema.columns),
        context="training",
        schema=schema.types(),
    )
    log.parameter("device", device.type)
    log.parameter("folds", len(divided))
    positions = np.concatenate([validation for _, validation in divided])
    drawing = resampling(frame[positions], config, schema, RESAMPLES, config.seed)
    return TrainingContext(
        task=tasks.get(config.task),
        family=families.get(name),
        frame=frame.select(_columns_of_promises(frame, config)),
        dataset=dataset,
        folds=divided,
        validated=Validated(
            truth=dataset.truth[positions],
            folds=np.repeat(np.arange(len(divided)), [len(validation) for _, validation in divided]),
            resampling=drawing,
        ),
        options=Options(seed=config.seed, device=device, epochs=config.budget.epochs),
        names=config.candidates,
        choose=config.choose,
        quality=config.quality,
        goal=config,
        minutes=config.budget.minutes,
        begun=time.perf_counter(),
        checkpoints=checkpoints,
        log=log,
    )


def _columns_of_promises(frame: pl.DataFrame, config: TrainConfig) -> list[str]:
    """Return the columns that are looked at after encoding: the row and those of promises on a part of the rows."""
    from steps.evaluation.slices import readings

    promises = {column for promise in config.success for column, _ in readings(promise.slice or "")}
    return [name for name in frame.columns if name == ROW or name in promises]


def _read(train_set: Path, schema: TableSchema) -> pl.DataFrame:
    """Return the rows of the training part.

    Raises:
        InputError: no feature column, or too few rows.
    """
    import polars as pl

    frame = pl.read_parquet(train_set / "data.parquet", glob=False)
    if not schema.features():
        columns = (f"{c.name} ({c.role}, {c.available})" for c in schema.columns if c.name not in (ROW, LABEL_SOURCE))
        raise InputError(f"there is no feature column to learn from; the columns are: {', '.join(columns) or 'none'}")
    if frame.height < FEWEST_ROWS:
        raise InputError(f"the training part has {frame.height} rows; training needs at least {FEWEST_ROWS}")
    return frame


def _encode(frame: pl.DataFrame, schema: TableSchema, family_name: str, task: str) -> Dataset:
    from model_code.fitting import Dataset
    from model_code.serving import model_schema
    from model_code.tasks import heads

    assert schema.target is not None
    target, classes = schema.target.name, schema.target.classes
    truth = _truth(frame, target, classes, task)
    family = families.get(family_name)
    columns = [
        column.model_dump(include={"name", "type", "timezone", "monotone", "reading"}) for column in schema.features()
    ]
    described = model_schema(
        family_name,
        family.describe(frame, columns),
        task=task,
        target=target,
        classes=classes,
        architecture="",
        layout=schema.layout,
    )
    return Dataset(family.encode(frame, described), truth, described, heads.create(task, truth, classes))


def _truth(frame: pl.DataFrame, target: str, classes: Sequence[str], task: str) -> Array:
    """Return the target as class indices int64[n] or as finite numbers float64[n].

    Raises:
        InputError: it cannot be learned from.
    """
    from model_code.tasks import labels

    truth = labels.get(task).truth(frame[target], classes)
    if truth.null_count():
        rows = frame.filter(truth.is_null())[ROW].head(5).to_list()
        expected = f"one of the classes {', '.join(classes)}" if classes else "a finite number"
        raise InputError(
            f"target {target!r}: {truth.null_count()} training rows do not hold {expected} (rows {rows} ...)"
        )
    if truth.n_unique() < 2:
        raise InputError(f"target {target!r} has one value only in the training part; there is nothing to learn")
    return truth.to_numpy().copy()


def _divide(frame: pl.DataFrame, schema: TableSchema, truth: Array, unit: list[str], config: TrainConfig) -> list[Fold]:
    from steps.splitting.folds import fold_count, folds

    assert schema.target is not None
    return folds(
        frame,
        unit,
        truth if schema.target.classes else None,
        by=config.by,
        column=config.column,
        count=config.folds or fold_count(frame.height, config.by),
        seed=config.seed,
    )


def _choose_scale(context: TrainingContext) -> None:
    """Let the candidates learn the logarithm of the target, where the folds say that this helps by more than noise."""
    from dataclasses import replace

    from steps.training import scale

    trial = scale.attempt(context)
    if trial is None:
        return
    effect = f"{context.metric.label} {trial.gain:+.3g} on the folds, standard error {trial.error:.2g}"
    if trial.helps:
        context.dataset = replace(context.dataset, head=trial.head)
        context.log.note(f"the target is skewed: its logarithm is learned ({effect})")
    else:
        context.log.note(
            f"the target is skewed, but learning its logarithm does not help by more than noise ({effect})"
        )


def _calibrate(context: TrainingContext, chosen: Candidate, final: Fitted) -> tuple[Fitted, CalibrationFit | None]:
    """Return the model with calibrated probabilities, where the folds say that this helps by more than noise."""
    from dataclasses import replace

    from model_code.calibration import Calibrated
    from steps.training import calibrating

    if chosen.prediction is None:
        return final, None
    trial = calibrating.attempt(context.task, context.validated, chosen.prediction)
    if trial is None:
        return final, None
    effect = f"log loss {trial.gain:+.4g} better on the folds, standard error {trial.error:.2g}"
    if not trial.helps:
        context.log.note(
            f"probabilities stay as they are: calibrated, they would not be better by more than noise ({effect})"
        )
        return final, None
    scale, shift = trial.calibration.scale, trial.calibration.shift
    chosen.prediction = trial.prediction
    context.log.note(f"probabilities calibrated: scale {scale:.3g}, shift {shift:.3g} ({effect})")
    model = Calibrated(final.model, trial.calibration, len(context.dataset.schema["classes"]))
    record = CalibrationFit(scale=scale, shift=shift, gain=trial.gain, standard_error=trial.error)
    return replace(final, model=model), record


def _choose_threshold(context: TrainingContext, config: TrainConfig, chosen: Candidate) -> float | None:
    """Return the probability from which rows count as positive, by the folds; None where that is one half."""
    from steps.evaluation.decisions import choose

    if chosen.prediction is None or (acting := choose(config, context.validated.truth, chosen.prediction)) is None:
        return None
    positive, why = context.dataset.schema["classes"][1], _REASONS[acting.reason]
    context.log.note(f"rows are {positive!r} from a probability of {acting.threshold:.4g} on, {why}")
    return acting.threshold


def _write_model(
    context: TrainingContext, candidate: Candidate, fitted: Fitted, directory: Path, threshold: float | None = None
) -> None:
    from model_code import intervals
    from model_code.export import export

    schema = dict(context.dataset.schema)
    if not schema["classes"] and candidate.prediction is not None:
        schema["intervals"] = intervals.fit(context.validated.truth, candidate.prediction)
    export(fitted.model, directory, partial(context.family.random_inputs, schema))
    if threshold is not None:
        schema["threshold"] = threshold
    text = json.dumps({**schema, "architecture": candidate.name}, indent=1, ensure_ascii=False)
    (directory / ModelSchema.file).write_text(text + "\n", encoding="utf-8")


def _write_record(
    context: TrainingContext,
    config: TrainConfig,
    candidates: list[Candidate],
    chosen: Candidate,
    why: str,
    final: Fitted,
    calibration: CalibrationFit | None,
    train_set: Path,
    directory: Path,
) -> None:
    """Write training.json: everything about the training but how long it took."""
    from model_code.training import OUT_OF_TIME

    cut = [reason for candidate in candidates for reason in candidate.cut()]
    cut += [
        f"{name} stopped after {fitted.fit.unit} {len(fitted.fit.train_loss)} on the whole training part"
        for name, fitted in context.whole.items()
        if fitted.fit.stopped == OUT_OF_TIME
    ]
    record = TrainingRecord(
        metric=context.metric.name,
        chosen=chosen.name,
        why=why,
        choose=context.choose,
        candidates=tuple(_describe(c, final if c is chosen else None) for c in candidates),
        final=FinalFit(
            rows=final.rows,
            epochs=final.fit.epochs,
            unit=final.fit.unit,
            train_loss=final.fit.train_loss,
            continues_fold=chosen.whole_share < 1,
        ),
        calibration=calibration,
        target_scale=context.dataset.head.scale,
        folds=tuple(FoldRows(training_rows=len(a), validation_rows=len(b)) for a, b in context.folds),
        divided_by=config.by,
        resampled=context.validated.resampling.resampled,
        budget_bound=bool(cut),
        budget_cut=cut,
        train_digest=documents.read(TableSchema, train_set).digest,
        seed=config.seed,
        device=context.options.device.type,
        threads=config.threads,
    )
    documents.write(directory, record)


def _describe(candidate: Candidate, final: Fitted | None) -> CandidateRecord:
    """Return one candidate for the record; ``final`` is its fit on the whole training part if it is the chosen one."""
    if candidate.score is None:
        status: Literal["given up", "skipped"] = "given up" if candidate.given_up else "skipped"
        return CandidateRecord(name=candidate.name, status=status, reason=candidate.given_up or candidate.skipped)
    estimate = candidate.score.estimate()
    return CandidateRecord(
        name=candidate.name,
        status="chosen" if final else "tried",
        config=candidate.config(),
        weights=_weights(final or candidate.fits[0]) if final or candidate.fits else None,
        score=estimate.value,
        low=estimate.low,
        high=estimate.high,
        unmet=candidate.unmet,
        folds=tuple(
            FoldFit(
                epochs=fitted.fit.epochs,
                unit=fitted.fit.unit,
                stopped=fitted.fit.stopped,
                train_loss=fitted.fit.train_loss,
                validation_loss=fitted.fit.validation_loss,
            )
            for fitted in candidate.fits
        ),
    )


def _weights(fitted: Fitted) -> int:
    return sum(parameter.numel() for parameter in fitted.model.parameters())


def _log_results(
    context: TrainingContext, candidates: list[Candidate], chosen: Candidate, why: str, final: Fitted
) -> None:
    import resource
    import sys

    import torch

    journal = context.log
    for candidate in candidates:
        if candidate.skipped:
            journal.warning(f"candidate {candidate.name} skipped: {candidate.skipped}")
        elif candidate.score:
            journal.metric(f"model/validation_{context.metric.name}.{candidate.name}", candidate.score.value)
            if candidate.fits:
                journal.metric(f"framework/fold_seconds.{candidate.name}", candidate.seconds)
            journal.metric(f"application/ms_per_1000_rows.{candidate.name}", candidate.milliseconds)
    journal.note("chosen: " + chosen.name + "; " + why)
    journal.parameter("architecture", chosen.name)
    journal.parameter(final.fit.unit + "s", final.fit.epochs)
    _log_curves(context, candidates, chosen, final)
    fits = [*(fitted for candidate in candidates for fitted in candidate.fits), *context.whole.values()]
    samples = sum(fitted.rows * len(fitted.fit.train_loss) for fitted in fits)
    seconds = sum(fitted.fit.seconds for fitted in fits)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if context.options.device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    journal.metrics(
        {
            "framework/samples_per_second": samples / max(seconds, 1e-9),
            "framework/peak_memory_mb": memory,
            "framework/fit_seconds": seconds,
            "framework/fits": len(fits),
            "framework/epochs": sum(len(fitted.fit.train_loss) for fitted in fits),
            "framework/threads": torch.get_num_threads(),
        }
    )


def _log_curves(context: TrainingContext, candidates: list[Candidate], chosen: Candidate, final: Fitted) -> None:
    """Log the losses of every fit under names that compare; those of one fit of the chosen candidate have short names."""
    for candidate in candidates:
        for number, fitted in enumerate(candidate.fits, 1):
            _log_curve(context.log, fitted.fit, f".{candidate.name}.fold{number}", MOST_POINTS)
    for name, fitted in context.whole.items():
        _log_curve(context.log, fitted.fit, f".{name}.whole", MOST_POINTS)
    heaviest = max(chosen.members, key=lambda name: chosen.members[name], default=chosen.name)
    fits = [candidate.fits[0] for candidate in candidates if candidate.name == heaviest and candidate.fits]
    _log_curve(context.log, (fits or [final])[0].fit, "", None)


def _log_curve(journal: Journal, fit: Fit, suffix: str, most: int | None) -> None:
    """Log the losses of a fit by epoch, evenly thinned to about ``most`` epochs with the first and the last."""
    for name, losses in (("train_loss", fit.train_loss), ("validation_loss", fit.validation_loss)):
        every = math.ceil(len(losses) / most) if most else 1
        for epoch, value in enumerate(losses, 1):
            if epoch == 1 or epoch == len(losses) or epoch % every == 0:
                journal.metric(f"model/{name}{suffix}", value, epoch)
