"""The facts of a run: only what its manifests vouch for."""

from __future__ import annotations

import shutil

import pytest
from reported import documents, make_run, stage, text_of

from pipelines.pages.report.gather import gather
from pipelines.pages.report.history import changes
from pipelines.pages.report.page import render
from pipelines.summary import summary
from steps.cards.document import Registration


def test_changes_name_fields_once_and_thresholds_by_what_they_ask():
    old = {
        "task": "regression",
        "success": [{"metric": "rmse", "at_most": 2.0}],
        "train": {"task": "regression", "seed": 0},
    }
    new = {
        "task": "regression",
        "success": [{"metric": "rmse", "at_most": 3.0}, {"metric": "r2", "at_least": 0.1}],
        "train": {"task": "x", "seed": 1},
    }
    differences = {change.path: (change.old, change.new) for change in changes(old, new)}
    assert differences == {
        "success: rmse at_most": (2.0, 3.0),
        "success: r2 at_least": (None, 0.1),
        "success: r2 at_least judged on": (None, "interval"),
        "train.seed": (0, 1),
    }


@pytest.mark.parametrize(
    ("name", "file", "sentence"),
    [
        ("evaluate", "evaluation/evaluation.json", "evaluation.json was changed after it was published"),
        ("validate", "validation/results.json", "results.json was changed after it was published"),
        ("train", "journal.jsonl", "journal.jsonl was changed after it was published"),
        ("split", "manifest.json", "manifest.json is not a manifest"),
    ],
)
def test_a_report_of_files_that_were_changed_says_so_and_gives_no_verdict(workspace, name, file, sentence):
    run = make_run(workspace)
    directory = stage(gather(workspace, run), name).directory
    content = (directory / file).read_text()
    (directory / file).write_text(content.replace("0", "1").replace("{", "[", file == "manifest.json"))
    facts = gather(workspace, run)
    (rotten,) = facts.rotten
    assert sentence in rotten
    text = text_of(render(facts))
    assert "No verdict: files of this run are not what it published." in text
    assert sentence in text
    assert "Pass:" not in text
    assert sentence in summary(gather(workspace, run, history=False))["message"]


def test_a_report_of_a_run_whose_execution_is_gone_says_so(workspace):
    run = make_run(workspace)
    shutil.rmtree(stage(gather(workspace, run), "evaluate").directory)
    facts = gather(workspace, run)
    assert facts.evaluation is None
    assert "is no longer in the store" in text_of(render(facts))


def test_what_is_in_no_manifest_is_no_fact(workspace):
    files = documents()
    del files["register/registration/registration.json"]
    run = make_run(workspace, files=files)
    added = stage(gather(workspace, run), "register").directory / "registration/registration.json"
    added.parent.mkdir(exist_ok=True)
    added.write_text('{"name": "smuggled"}')
    assert gather(workspace, run).get(Registration) is None
