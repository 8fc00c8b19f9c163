"""baseline: how the columns were distributed in training, and the answers on the test rows; later requests are compared with it."""

from __future__ import annotations

from steps import documents
from steps.core import Config, Input, Output
from steps.journal import Journal


class BaselineConfig(Config):
    """Nothing is configured."""


def baseline(
    model: Input, train_set: Input, evaluation: Input, baseline: Output, config: BaselineConfig, log: Journal
) -> None:
    """Publish bins of numbers, frequent categories and shares of missing values; no value of a single row."""
    import polars as pl

    from model_code import families
    from steps.monitoring.captured import answer_names
    from steps.monitoring.document import Baseline
    from steps.monitoring.reference import reference_of

    schema = families.load_schema(model)
    data = pl.scan_parquet(train_set / "data.parquet", glob=False)
    columns = []
    for entry in schema["inputs"]:
        values = data.select(entry["name"]).collect(engine="streaming").to_series()
        vocabulary = entry.get("vocabulary") if entry["kind"] == "category" else None
        columns.append(reference_of(values, vocabulary=vocabulary))
    answers = pl.read_parquet(evaluation / "predictions.parquet", glob=False)
    names = list(answer_names(schema))
    if len(schema["classes"]) == 2:  # one probability says what the other does
        names.remove(f"probability_{schema['classes'][0]}")
    columns += [reference_of(answers[name], role="answer") for name in names]
    documents.write(baseline, Baseline(columns=tuple(columns)))
    log.metric("application/baseline_rows", columns[0].rows if columns else 0)
