"""A suite on a table: who evaluates what, what that is said to cost, and what is refused without Great Expectations."""

import subprocess
import sys

import polars as pl
import pytest
from tables import run_stage, write_table
from tree import ROOT

from steps import documents
from steps.errors import InputError
from steps.expectations.document import ValidationResults
from steps.expectations.fallback import validation_result
from steps.expectations.suite import run_suite
from steps.journal import read_events
from steps.tables.schema import TableSchema
from steps.validate import Expectation, ValidateConfig, validate

NOT_NULL, BETWEEN, PARSEABLE = (
    f"expect_column_values_to_{what}" for what in ("not_be_null", "be_between", "be_dateutil_parseable")
)
FRAME = pl.DataFrame({"whole": [1, 2, None], "day": ["2013-01-01", "soon", "2013-01-03"]})
WITHOUT = """
import sys
from pathlib import Path
from random_suites import random_suite, random_table
from tables import write_table
from steps import documents
from steps.errors import InputError
from steps.expectations.suite import run_suite
from steps.tables.schema import TableSchema

table = write_table(Path(sys.argv[1]), random_table(8, 20))
schema = documents.read(TableSchema, table)
suite = random_suite(8, random_table(8, 20), 44)
assert run_suite(table, suite, schema).note() is None
try:
    run_suite(table, [("expect_column_values_to_be_unique", {"column": "wohle"})], schema)
except InputError as error:
    print(error)
print("great_expectations" in sys.modules)
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table"), FRAME)


def test_a_suite_that_polars_covers_runs_and_is_refused_without_importing_great_expectations(tmp_path):
    path = f"{ROOT}:{ROOT / 'tests/support'}"
    command = [sys.executable, "-c", WITHOUT, tmp_path / "table"]
    run = subprocess.run(command, env={"PYTHONPATH": path}, cwd=ROOT, capture_output=True, text=True, check=True)
    refusal, is_imported = run.stdout.splitlines()
    assert refusal.startswith(
        "expectation 0 (expect_column_values_to_be_unique): the table has no column 'wohle'; did you mean 'whole'"
    )
    assert is_imported == "False"


def test_what_great_expectations_evaluates_is_named_with_its_cost(tmp_path, table):
    suite = [
        Expectation(type=NOT_NULL, kwargs={"column": "whole"}, severity="warning"),
        Expectation(type=PARSEABLE, kwargs={"column": "day"}, severity="warning"),
    ]
    out = run_stage(validate, tmp_path, ValidateConfig(suite=tuple(suite)), table=table)
    results = documents.read(ValidationResults, out["validation"]).results
    assert [result.rows for result in results] == [(), (3,), (2,)]
    notes = [event["text"] for event in read_events(out["journal"]) if event["kind"] == "note"]
    assert any(
        note.startswith("1 of 3 expectations were left to Great Expectations, which took ") and note.endswith(PARSEABLE)
        for note in notes
    )


def test_all_that_is_wrong_with_a_suite_is_said_at_once(table):
    suite = [
        (NOT_NULL, {"column": "Whole"}),
        ("expect_column_value_to_be_between", {"column": "whole"}),
        (BETWEEN, {"column": "whole", "min_valu": 1}),
    ]
    with pytest.raises(InputError) as refusal:
        run_suite(table, suite, documents.read(TableSchema, table))
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"expectation {n} ({kind})" for n, (kind, _) in enumerate(suite)]


def test_results_are_offered_as_the_objects_of_great_expectations(table):
    suite = [
        (NOT_NULL, {"column": "whole"}),
        (PARSEABLE, {"column": "day"}),
        (BETWEEN, {"column": "whole", "min_value": 0}),
    ]
    evaluation = run_suite(table, suite, documents.read(TableSchema, table))
    objects = validation_result(suite, evaluation.results)
    assert not objects.success
    assert objects.statistics["successful_expectations"] == 1
    first, second, third = objects.to_json_dict()["results"]
    assert first["expectation_config"]["type"] == NOT_NULL
    assert first["result"]["partial_unexpected_index_list"] == [3]
    assert second["result"]["partial_unexpected_list"] == ["soon"]
    assert third["success"]


def test_thousands_of_expectations_need_no_great_expectations(tmp_path, monkeypatch):
    columns = {f"v{n}": [0.5 * n, n + 1.25] for n in range(400)}
    table = write_table(tmp_path / "table", pl.DataFrame(columns))
    suite = [
        expectation
        for name in columns
        for expectation in (
            Expectation(type=NOT_NULL, kwargs={"column": name}),
            Expectation(type=BETWEEN, kwargs={"column": name, "min_value": 0, "max_value": 3000}),
        )
    ]
    monkeypatch.setitem(sys.modules, "steps.expectations.fallback", None)
    out = run_stage(validate, tmp_path, ValidateConfig(suite=tuple(suite)), table=table)
    assert documents.read(ValidationResults, out["validation"]).expectations == 801
