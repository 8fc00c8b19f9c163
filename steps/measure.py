"""measure: labels that arrived since, joined by key with captured answers: the model's promises in use."""

from __future__ import annotations

from pydantic import Field

from steps import documents
from steps.core import Config, Input, Output
from steps.journal import Journal

LEAST_ROWS = 30
"""Fewer labelled rows have no metrics."""


class MeasureConfig(Config):
    """Which labelled rows count."""

    days: float = Field(
        default=30,
        gt=0,
        description="Promises are judged on the labelled requests of the last so many days, and over time in blocks of them.",
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples behind every interval.")


def measure(
    traffic: Input,
    labels: Input,
    model: Input,
    evaluation: Input,
    performance: Output,
    config: MeasureConfig,
    log: Journal,
) -> None:
    """Join labels with answers and judge the promises on them; without labels, say that there are none.

    Raises:
        InputError: the labels do not fit the captured rows.
    """
    import numpy as np
    import polars as pl

    from model_code import families
    from steps.evaluation.document import Evaluation
    from steps.monitoring import measuring
    from steps.monitoring.captured import TIME
    from steps.monitoring.document import Block, Performance

    paths = sorted(path for path in labels.rglob("*") if path.is_file())
    if not paths:
        documents.write(performance, Performance())
        return
    schema, promised = families.load_schema(model), documents.read(Evaluation, evaluation)
    tables = [measuring.read_labels(path, schema["target"]) for path in paths]
    parts = [pl.scan_parquet(path, glob=False) for path in sorted(traffic.glob("rows-*.parquet"))]
    rows = measuring.join(pl.concat(parts, how="diagonal"), pl.concat(tables, how="diagonal"))
    truth, prediction = (
        measuring.truth_of(rows[measuring.LABEL], schema["classes"]),
        measuring.prediction_of(rows, schema["classes"]),
    )
    right = np.isfinite(truth) & np.isfinite(prediction.reshape(len(truth), max(1, len(schema["classes"])))).all(axis=1)
    notes = []
    if wrong := int((~np.isfinite(truth)).sum()):
        what = f"one of the classes {', '.join(schema['classes'])}" if schema["classes"] else "a number"
        notes.append(f"{wrong} labels are not {what} and do not count")
    if any(promise.slice is not None for promise in promised.thresholds):
        notes.append("promises on segments are not judged in use")
    rows = rows.filter(pl.Series(right)).sort(TIME, maintain_order=True)
    document = Performance(labels=sum(table.height for table in tables), joined=rows.height, notes=tuple(notes))
    if rows.height >= LEAST_ROWS:
        length = round(config.days * 86_400e6)
        stamps = rows[TIME].dt.epoch("us").to_numpy()
        age = (stamps.max() - stamps) // length
        blocks = []
        for number in sorted(set(age.tolist()), reverse=True):
            part = rows.filter(pl.Series(age == number))
            if part.height < LEAST_ROWS and number:
                continue
            promises, metrics = measuring.promises_in_use(promised, schema, part, config.resamples)
            first, last = (str(moment)[:10] for moment in (part[TIME].min(), part[TIME].max()))
            blocks.append(Block(first=first, last=last, rows=part.height, promises=tuple(promises), metrics=metrics))
        document = document.model_copy(update={"blocks": tuple(blocks)})
    else:
        notes.append(f"{rows.height} labelled rows are too few for metrics; {LEAST_ROWS} are needed")
        document = document.model_copy(update={"notes": tuple(notes)})
    documents.write(performance, document)
    for position, block in enumerate(document.blocks):
        for name, estimate in block.metrics.items():
            if estimate.value is not None:
                log.metric(f"application/{name}_in_use", estimate.value, position)
    for note in notes:
        log.warning(note)
