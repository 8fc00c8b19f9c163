"""A column that was left out as free text and predicts the target is said, honest text is not."""

import numpy as np
import polars as pl
import pytest
from tables import write_table

from steps import documents
from steps.splitting.dropped import find_dropped
from steps.tables.schema import TableSchema, Target

random = np.random.default_rng(2)
ROWS = 400
SIGNAL = random.normal(50_000, 20_000, ROWS).round(2)
TARGETS = {
    "binary-classification": (np.where(SIGNAL + random.normal(0, 5000, ROWS) > 50_000, "yes", "no"), ("no", "yes")),
    "multiclass-classification": (np.digitize(SIGNAL, [40_000, 60_000]).astype(str), ("0", "1", "2")),
    "regression": (SIGNAL * 2 + random.normal(0, 1000, ROWS), ()),
}


def findings(place, texts, task, **column):
    values, classes = TARGETS[task]
    frame = pl.DataFrame({"text": texts, "note": [f"thing {n} of many" for n in random.permutation(ROWS)], "y": values})
    roles = {"text": {"type": "text", **column}, "note": {"type": "text"}}
    train = write_table(place, frame, Target(name="y", task=task, classes=classes), **roles)
    return list(find_dropped(train, documents.read(TableSchema, train)))


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("form", ["{:,.2f} or so", "about {:.0f}", "{:.2f} kg"])
def test_numbers_in_free_text_that_predict_the_target_are_a_warning(tmp_path, task, form):
    for place, role in (("a", "feature"), ("b", "ignore")):
        [finding] = findings(tmp_path / place, [form.format(value) for value in SIGNAL], task, role=role)
        assert (finding.level, finding.columns) == ("warning", ("text",))
        assert "'text' is left out as free text, yet the numbers in it predict 'y'" in finding.text


def test_text_without_a_signal_and_columns_that_come_later_are_no_warning(tmp_path):
    shuffled = [f"{value:,.2f} or so" for value in random.permutation(SIGNAL)]
    assert findings(tmp_path / "a", shuffled, "binary-classification") == []
    signal = [f"{value:,.2f} or so" for value in SIGNAL]
    assert findings(tmp_path / "b", signal, "binary-classification", available="later") == []
    assert findings(tmp_path / "c", ["word"] * ROWS, "regression") == []
