"""Doctor names what is broken and touches none of it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from toy import toy_plan, toy_record

from infra.backends.local import LocalBackend
from infra.runs import records
from infra.store.local import LocalStore
from pipelines import doctor

EXAMPLE = Path(__file__).parents[2] / "examples/diabetes/problem.yaml"


@pytest.fixture
def record(workspace):
    """A finished run, with what it left in the store."""
    plan = toy_plan(workspace, {})
    return LocalBackend(LocalStore(workspace)).run(plan, toy_record(plan), lambda *_: None)


def findings(workspace):
    checks = (doctor._store, doctor._run_files, doctor._readings, doctor._unfinished)
    return {detail["check"]: (detail["ok"], detail["found"]) for check in checks for detail in check(workspace)}


def content(workspace):
    return {
        path.relative_to(workspace): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in workspace.rglob("*")
    }


def test_a_healthy_workspace_is_healthy(workspace, record):
    assert {ok for ok, _ in findings(workspace).values()} == {True}
    assert "3 executions" in findings(workspace)["store"][1]


def test_a_workspace_that_is_not_there_is_healthy_and_is_not_made(tmp_path):
    assert {ok for ok, _ in findings(tmp_path / "none").values()} == {True}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("manifest.json", "manifest.json is not a manifest"),
        ("journal.jsonl", "journal.jsonl differs from its manifest"),
        ("doubled/x.txt", "x.txt differs from its manifest"),
    ],
)
def test_what_is_broken_in_the_store_is_named_and_stays_where_it_is(workspace, record, name, message):
    directory = workspace / "store" / record.stage("double").key
    (directory / name).write_text("{")
    before = content(workspace)
    ok, detail = findings(workspace)["store"]
    assert not ok
    assert message in detail
    assert str(directory) in detail
    assert content(workspace) == before


def test_an_execution_without_manifest_is_named(workspace, record):
    (workspace / "store" / record.stage("judge").key / "manifest.json").unlink()
    ok, detail = findings(workspace)["store"]
    assert (ok, "has no manifest" in detail) == (False, True)


def test_a_run_file_that_cannot_be_read_is_named(workspace, record):
    path = records.path_of(workspace, "bad")
    path.write_text("{")
    ok, detail = findings(workspace)["run files"]
    assert not ok
    assert str(path) in detail
    assert findings(workspace)["store"][0]


def test_a_reading_of_the_test_set_that_cannot_be_read_is_named_and_stays_where_it_is(workspace, record):
    ledger = workspace / "seals" / f"{record.stage('double').key}.jsonl"
    ledger.write_bytes(ledger.read_bytes() + b'{"time": "20')
    before = content(workspace)
    ok, detail = findings(workspace)["uses of the test set"]
    assert not ok
    assert f"{ledger}, line 2" in detail
    assert content(workspace) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("runs",), 0), (("show",), 0), (("show", "bad"), 2), (("plan", EXAMPLE), 0), (("report", "toy-1"), 0)],
)
def test_no_command_falls_over_a_run_file_that_cannot_be_read(workspace, record, arguments, code):
    records.path_of(workspace, "bad").write_text("{")
    records.path_of(workspace, "later").write_text(
        json.dumps({**json.loads(records.path_of(workspace, record.run).read_text()), "approved": True})
    )
    result = subprocess.run(
        [sys.executable, "-m", "pipelines", *map(str, arguments)],
        cwd=workspace.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert ("bad.json cannot be read" in result.stderr) == (code == 2)
