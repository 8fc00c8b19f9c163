"""Labels are joined with captured answers by keys as text, and promises are judged on them."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from monitored import evaluation

from steps.errors import InputError
from steps.evaluation.document import ThresholdResult
from steps.monitoring import measuring

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


def rows(**columns):
    frame = pl.DataFrame(columns)
    return frame.select(
        pl.lit(MOMENT).alias("_time"),
        pl.format("r{}", pl.int_range(pl.len())).alias("_request"),
        pl.lit(1).alias("_row"),
        pl.all(),
    )


def test_keys_are_text_so_that_leading_zeros_stay_and_the_last_label_counts(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("customer,outcome\n007,good\n7,bad\n007,bad\n8,\n")
    labels = measuring.read_labels(path, "outcome")
    joined = measuring.join(rows(**{"_extra.customer": ["007", "8", "9"]}).lazy(), labels)
    assert joined["_label"].to_list() == ["bad"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_labels_may_have_types(tmp_path, suffix):
    table, path = (
        pl.DataFrame({"request_id": ["r0", "r1"], "row": [1, 1], "outcome": [True, False]}),
        tmp_path / f"labels{suffix}",
    )
    (table.write_parquet if suffix == ".parquet" else table.write_ndjson)(path)
    joined = measuring.join(rows(x=[1.0, 2.0]).lazy(), measuring.read_labels(path, "outcome"))
    assert joined["_label"].to_list() == ["true", "false"]


def test_labels_that_are_no_table_are_refused(tmp_path):
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="labels cannot be read"):
        measuring.read_labels(path, "outcome")


def promised(**bounds):
    promise = ThresholdResult(metric="rmse", wanted="", value=1.0, met=True, **bounds)
    return evaluation().model_copy(
        update={"task": "regression", "headline": "r2", "classes": (), "thresholds": (promise,)}
    )


@pytest.mark.parametrize(("at_most", "outcome"), [(1.2, "kept"), (0.95, "undecided"), (0.5, "broken")])
def test_numbers_are_judged_on_labels_with_intervals(at_most, outcome):
    random = np.random.default_rng(0)
    truth = random.normal(size=500)
    answers = rows(**{"_answer.prediction": truth + random.normal(size=500), "_label": truth.astype(str)})
    promises, metrics = measuring.promises_in_use(promised(at_most=at_most), {"classes": []}, answers, 200)
    assert promises[0].outcome == outcome
    assert set(metrics) == {"rmse", "r2"}
