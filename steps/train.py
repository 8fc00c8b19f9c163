"""train: fit the candidates, choose one on validation folds inside the training part, export it with its yardsticks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from steps import documents
from steps.core import Config, Input, Output, Scratch
from steps.errors import FourscoreError, InputError
from steps.evaluation.thresholds import Threshold
from steps.journal import Journal
from steps.splitting import By
from steps.tables.schema import LABEL_SOURCE, ROW, TableSchema
from steps.training.candidates import Candidate, Work, attempt, choose, fit_whole, until_reached
from steps.training.document import CandidateRecord, FinalFit, FoldFit, FoldRows, ModelSchema, TrainingRecord
from steps.training.selection import resampling

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from model_code.tabular.fitting import Fitted
    from model_code.tasks import Task

    Array = np.ndarray[Any, Any]

FEWEST_ROWS = 10


class Budget(Config):
    """What training may cost."""

    minutes: float = Field(
        default=30, gt=0, description="Time for all candidates; one that does not fit in what is left is skipped."
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most passes over the data in one fit; left out: each architecture's own number.",
    )


class TrainConfig(Config):
    """Which models are tried and how one is chosen."""

    task: str = Field(description="The task, as in the problem.")
    candidates: tuple[str, ...] = Field(
        default=("linear", "mlp"), min_length=1, description="Architectures to try, cheapest first."
    )
    choose: Literal["best", "first"] = Field(
        default="first",
        description="'first': the first that reaches the thresholds on the validation folds; "
        "'best': the best on the validation folds, but a cheaper one within one standard error wins.",
    )
    success: tuple[Threshold, ...] = Field(default=(), description="The thresholds, as in the problem.")
    budget: Budget = Field(default=Budget(), description="What training may cost.")
    folds: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="Validation folds inside the training part; left out: by the number of rows.",
    )
    by: By = Field(default="row", description="How the folds are divided, as the test set was: row, group or time.")
    column: str | None = Field(default=None, description="The column of the group or time.")
    key: tuple[str, ...] = Field(
        default=(), description="By row: the columns that name a row; when left out, all features together do."
    )
    seed: int = Field(default=0, ge=0, description="Of initial weights, order of rows, folds and resamples.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; 'auto' takes cuda, then mps, then cpu."
    )
    threads: int = Field(
        default=1, ge=1, description="CPU threads; for small networks on a busy machine one is the fastest."
    )

    @field_validator("candidates")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from model_code import architectures

        if unknown := [name for name in value if name not in architectures.names()]:
            raise ValueError(
                f"unknown candidate {', '.join(map(repr, unknown))}; known are: {', '.join(architectures.names())}"
            )
        if len(set(value)) < len(value):
            raise ValueError(f"a candidate is named twice: {', '.join(value)}")
        return value

    @model_validator(mode="after")
    def _column_given(self) -> TrainConfig:
        if self.by != "row" and self.column is None:
            raise ValueError(f"by {self.by!r} wants the column of the {self.by}")
        return self


def train(
    train_set: Input, model: Output, yardsticks: Output, checkpoints: Scratch, config: TrainConfig, log: Journal
) -> None:
    """Fit the candidates on folds, choose one, fit it on the whole training part and export it; train the yardsticks.

    Raises:
        InputError: no feature columns, too few rows, one class only, a target that is constant or infinite.
        FourscoreError: the loss diverged.
    """
    from model_code.training import Diverged

    with _threads(config.threads):
        work = _prepare(train_set, checkpoints, config, log)
        _fit_yardsticks(work, yardsticks)
        try:
            candidates = (
                [attempt(work, name) for name in work.names] if config.choose == "best" else until_reached(work)
            )
            chosen, why = choose(work, candidates)
            final = fit_whole(work, chosen)
            _write_model(work, chosen.name, final, model)
            linear = next((c for c in candidates if c.name == "linear" and c.fits), None)
            if linear is not None and linear is not chosen:
                (yardsticks / "linear").mkdir()
                _write_model(work, "linear", fit_whole(work, linear), yardsticks / "linear")
        except Diverged as error:
            raise FourscoreError(f"training stopped: {error}") from error
    _write_record(work, config, candidates, chosen, why, final, train_set, model)
    _say(work, candidates, chosen, why, final)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _prepare(train_set: Path, checkpoints: Path, config: TrainConfig, log: Journal) -> Work:
    import numpy as np
    import polars as pl

    from model_code import tasks
    from model_code.tabular.encoding import encode, model_schema
    from model_code.tabular.fitting import Data, Settings
    from model_code.training import choose_device

    schema = documents.read(TableSchema, train_set)
    frame = pl.read_parquet(train_set / "data.parquet", glob=False)
    features = [column.model_dump(include={"name", "type", "timezone", "reading"}) for column in schema.features()]
    if not features:
        listed = ", ".join(
            f"{c.name} ({c.role}, {c.available})" for c in schema.columns if c.name not in (ROW, LABEL_SOURCE)
        )
        raise InputError(f"there is no feature column to learn from; the columns are: {listed or 'none'}")
    if frame.height < FEWEST_ROWS:
        raise InputError(f"the training part has {frame.height} rows; training wants at least {FEWEST_ROWS}")
    assert schema.target is not None
    task = tasks.get(config.task)
    truth = _truth(frame, schema, task)
    described = model_schema(
        frame, features, task=task.name, target=schema.target.name, classes=schema.target.classes, architecture=""
    )
    numeric, category = encode(frame, described)
    try:
        device = choose_device(config.device)
    except ValueError as error:
        raise InputError(f"train.device: {error}") from None
    unit = list(config.key) or [column.name for column in schema.features()]
    from steps.splitting.folds import fold_count, folds

    made = folds(
        frame,
        unit,
        truth if schema.target.classes else None,
        by=config.by,
        column=config.column,
        count=config.folds or fold_count(frame.height, config.by),
        seed=config.seed,
    )
    log.parameter("device", device.type)
    log.parameter("folds", len(made))
    validated = frame[np.concatenate([validation for _, validation in made])]
    return Work(
        frame=frame,
        data=Data(numeric, category, truth, described, task),
        folds=made,
        drawn=resampling(validated, config.by, config.column, config.seed, unit),
        settings=Settings(seed=config.seed, device=device, epochs=config.budget.epochs),
        names=config.candidates,
        choose=config.choose,
        success=config.success,
        minutes=config.budget.minutes,
        checkpoints=checkpoints,
        log=log,
    )


def _truth(frame: pl.DataFrame, schema: TableSchema, task: Task) -> Array:
    """The target as class indices int64[n] or as finite numbers float64[n].

    Raises:
        InputError: it can not be learned from.
    """
    assert schema.target is not None
    column, classes = frame[schema.target.name], schema.target.classes
    found = task.truth(column, classes)
    if found.null_count():
        rows = frame.filter(found.is_null())[ROW].head(5).to_list()
        raise InputError(
            f"target {column.name!r}: {found.null_count()} training rows do not hold {task.wanted(classes)} "
            f"(rows {rows} ...)"
        )
    if found.n_unique() < 2:
        raise InputError(f"target {column.name!r} has one value only in the training part; there is nothing to learn")
    return found.to_numpy().copy()


def _fit_yardsticks(work: Work, directory: Path) -> None:
    from model_code.tabular import yardsticks

    data = work.data
    yardsticks.write_constant(directory, data.task.constant(data.truth, data.schema["classes"]))
    work.log.progress(0, 1, "yardstick hgb")
    yardsticks.fit_hgb(directory, data.numeric, data.category, data.truth, data.schema)
    work.log.progress(1, 1, "yardstick hgb")


def _write_model(work: Work, name: str, fitted: Fitted, directory: Path) -> None:
    from model_code.export import Model, export

    centre, spread = work.data.target_scale()
    export(Model(work.data.task, [(fitted.preprocessor, fitted.network)], centre, spread), directory)
    text = json.dumps({**work.data.schema, "architecture": name}, indent=1, ensure_ascii=False)
    (directory / ModelSchema.file).write_text(text + "\n", encoding="utf-8")


def _write_record(
    work: Work,
    config: TrainConfig,
    candidates: list[Candidate],
    chosen: Candidate,
    why: str,
    final: Fitted,
    train_set: Path,
    directory: Path,
) -> None:
    """training.json: everything about the training but how long it took."""
    cut = [each for candidate in candidates for each in candidate.cut()]
    record = TrainingRecord(
        metric=work.metric.name,
        chosen=chosen.name,
        why=why,
        choose=work.choose,
        candidates=tuple(_describe(each, final if each is chosen else None) for each in candidates),
        final=FinalFit(rows=final.rows, epochs=final.fit.epochs, train_loss=final.fit.train_loss),
        folds=tuple(FoldRows(training_rows=len(a), validation_rows=len(b)) for a, b in work.folds),
        divided_by=config.by,
        resampled=work.drawn.resampled,
        budget_bound=bool(cut),
        budget_cut=cut,
        train_digest=documents.read(TableSchema, train_set).digest,
        seed=config.seed,
        device=work.settings.device.type,
        threads=config.threads,
    )
    documents.write(directory, record)


def _describe(candidate: Candidate, final: Fitted | None) -> CandidateRecord:
    """One candidate for the record; ``final`` is its fit on the whole training part, where it is the chosen one."""
    if candidate.score is None:
        return CandidateRecord(name=candidate.name, status="skipped", reason=candidate.skipped)
    estimate = candidate.score.estimate()
    return CandidateRecord(
        name=candidate.name,
        status="chosen" if final else "tried",
        config=candidate.architecture.describe(),
        weights=sum(p.numel() for p in (final or candidate.fits[0]).network.parameters()),
        score=estimate.value,
        low=estimate.low,
        high=estimate.high,
        unmet=candidate.unmet,
        folds=tuple(
            FoldFit(
                epochs=fitted.fit.epochs,
                stopped=fitted.fit.stopped,
                train_loss=fitted.fit.train_loss,
                validation_loss=fitted.fit.validation_loss,
            )
            for fitted in candidate.fits
        ),
    )


def _say(work: Work, candidates: list[Candidate], chosen: Candidate, why: str, final: Fitted) -> None:
    import resource
    import sys

    import torch

    journal = work.log
    for candidate in candidates:
        if candidate.skipped:
            journal.warning(f"candidate {candidate.name} skipped: {candidate.skipped}")
        elif candidate.score:
            journal.metric(f"model/validation_{work.metric.name}.{candidate.name}", candidate.score.value)
    journal.note("chosen: " + chosen.name + "; " + why)
    journal.parameter("architecture", chosen.name)
    journal.parameter("epochs", final.fit.epochs)
    for epoch, value in enumerate(final.fit.train_loss, 1):
        journal.metric("model/train_loss", value, epoch)
    for epoch, value in enumerate(chosen.fits[0].fit.validation_loss, 1):
        journal.metric("model/validation_loss", value, epoch)
    everything = [*chosen.fits, final]
    samples = sum(fitted.rows * len(fitted.fit.train_loss) for fitted in everything)
    seconds = sum(fitted.fit.seconds for fitted in everything)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if work.settings.device.type == "cuda":
        memory = torch.cuda.max_memory_allocated() / 2**20
    journal.metrics(
        {
            "framework/samples_per_second": samples / max(seconds, 1e-9),
            "framework/train_seconds": work.spent,
            "framework/peak_memory_mb": memory,
        }
    )
