"""Families: one folder and one line in a table, and everything else is unchanged."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from model_code import families
from pipelines.__main__ import main

PROBLEM = """
name: sums
task: regression
target: sum
question: What is the sum of the four numbers?
decision: None.
owner: nobody
cost_of_error: None.
success:
  - {metric: r2, at_least: 0.9}
data:
  sources:
    numbers: {path: numbers.csv}
expectations: expectations.json
train:
  candidates: [plain]
  folds: 2
register:
  name: sums
"""
SUITE = {
    "name": "sums",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "sum"}}],
    "meta": {},
}


def invoke(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_another_family_is_trained_exported_judged_and_predicted_with_by_what_exists(tmp_path, monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "numbers", "numbers_family:Numbers")
    numbers = np.random.default_rng(0).random((5, 300))
    total = numbers[:4].sum(axis=0) + 0.2 * numbers[4]  # an exact sum would be refused as a leak
    frame = pl.DataFrame({**dict(zip("abcd", numbers, strict=False)), "sum": total})
    frame.write_csv(tmp_path / "numbers.csv")
    (tmp_path / "problem.yaml").write_text(PROBLEM)
    (tmp_path / "expectations.json").write_text(json.dumps(SUITE))
    place = ("--workspace", tmp_path / "workspace")
    run = invoke("run", tmp_path / "problem.yaml", "--no-tracking", *place)
    assert run["verdict"] == "pass"
    assert run["metrics"]["model/r2"] > 0.95
    predicted = invoke("predict", run["run"], tmp_path / "numbers.csv", tmp_path / "answers.csv", *place)
    assert predicted["rows"] == 300
    answers = pl.read_csv(tmp_path / "answers.csv")["prediction"]
    assert np.corrcoef(answers, frame["sum"])[0, 1] > 0.97
    schema = json.loads(next((tmp_path / "workspace").rglob("model/schema.json")).read_bytes())
    assert (schema["family"], schema["architecture"]) == ("numbers", "plain")


def test_a_model_whose_schema_names_no_family_is_tabular():
    assert type(families.of_model({"format": 1})) is type(families.get("tabular"))


def test_unknown_names_are_errors_that_list_the_known():
    with pytest.raises(ValueError, match="unknown candidate 'mpl'; known are: linear, trees, mlp"):
        families.of_candidates(["linear", "mpl"])
    with pytest.raises(ValueError, match="unknown architecture 'mpl'; known are: linear, trees, mlp"):
        families.architecture(families.get("tabular"), "mpl", 1)
    with pytest.raises(ValueError, match="unknown family 'text'; known are: tabular"):
        families.get("text")


def test_candidates_of_two_families_are_refused(monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "numbers", "numbers_family:Numbers")
    with pytest.raises(ValueError, match=r"candidates of different families \(numbers, tabular\): linear, plain"):
        families.of_candidates(["linear", "plain"])
