"""Runs side by side: what differs is shown, what cannot be compared is said, and data stays text in every form."""

from __future__ import annotations

import json

import pytest
from cli import fourscore
from reported import ALLOWED, EVALUATION, HOSTILE, PROBLEM, Page, documents, estimate, evaluation, make_run

from pipelines.pages.comparison.markdown import markdown
from pipelines.pages.comparison.page import render
from pipelines.pages.comparison.table import compare
from steps.errors import InputError


def better(**data):
    judged = evaluation(metrics={"roc_auc": estimate(0.71), "log_loss": estimate(0.49)})
    judged["data"] = {**judged["data"], **data}
    return documents(**{EVALUATION: judged})


@pytest.fixture
def runs(workspace):
    changed = {**PROBLEM, "split": {**PROBLEM["split"], "seed": 7}, "train": {}}
    make_run(workspace, "a", metrics={"application/ms_per_1000_rows.mlp": 3.25, "application/model_mb": 0.25})
    make_run(workspace, "b", problem=changed, files=better())
    return workspace


def lines(comparison):
    return {line.label: line for _, group in comparison.groups for line in group}


def test_metrics_cost_and_settings_stand_side_by_side_and_the_best_is_marked(runs):
    table = lines(compare(runs, ["a", "b"]))
    assert table["Verdict"].cells == ("pass", "pass")
    assert table["Promises kept"].cells == ("2 of 2", "2 of 2")
    assert table["ROC AUC"].cells == ("0.692 (0.680 to 0.704)", "0.710 (0.698 to 0.722)")
    assert table["ROC AUC"].best == (1,)
    assert table["Log loss"].best == (1,), "lower is better"
    assert table["1,000 rows take"].cells == ("3.25 ms", "\N{EN DASH}")
    assert table["Size"].cells[0] == "250 kB"
    assert table["split.seed"].cells == ("0", "7")
    assert table["train.seed"].cells == ("0", "\N{EN DASH}")
    assert "split.by" not in table


def test_of_different_test_rows_none_is_called_best_and_the_reader_is_told(runs):
    make_run(runs, "c", files=better(test_digest="other"), problem_name="trains", smoke=True)
    comparison = compare(runs, ["a", "b", "c"])
    assert lines(comparison)["ROC AUC"].best == ()
    notes = " ".join(comparison.notes)
    for warning in ("different problems", "different test rows", "rehearsal say nothing", "overlap decide nothing"):
        assert warning in notes
    assert lines(comparison)["Verdict"].cells[2] == "rehearsal"


def test_runs_that_did_not_get_that_far_are_compared_as_far_as_they_got(runs):
    make_run(runs, "refused", last="split", last_status="refused", status="rejected")
    table = lines(compare(runs, ["a", "refused"]))
    assert table["Verdict"].cells == ("pass", "rejected (leak)")
    assert table["ROC AUC"].cells[1] == "\N{EN DASH}"


def test_fewer_than_two_runs_or_an_unknown_one_is_refused(runs):
    with pytest.raises(InputError, match="two runs or more"):
        compare(runs, ["a", "a"])
    with pytest.raises(InputError, match="nothing"):
        compare(runs, ["a", "nothing"])


def test_the_command_prints_a_table_markdown_or_a_document_and_writes_a_page(runs, tmp_path):
    place = ["a", "b", "--workspace", runs]
    text = fourscore("compare", *place, cwd=tmp_path).stdout
    assert "ROC AUC" in text
    assert "0.710 (0.698 to 0.722) *" in text
    in_markdown = fourscore("compare", *place, "--markdown", "--html", "page.html", cwd=tmp_path).stdout
    assert "| ROC AUC | 0.692 (0.680 to 0.704) | **0.710 (0.698 to 0.722)** |" in in_markdown
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    document = json.loads(fourscore("compare", *place, "--json", cwd=tmp_path).stdout)
    assert document["groups"]["Outcome"]["Verdict"] == {"a": "pass", "b": "pass"}
    assert fourscore("compare", *place, "--json", "--markdown", cwd=tmp_path).returncode == 2
    assert fourscore("compare", "a", "--workspace", runs, cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_text_of_people_and_data_stays_text_in_every_form(workspace, text):
    changed = {**PROBLEM, "question": text, "data": {text: text}}
    make_run(workspace, "a")
    make_run(workspace, "b", problem=changed, problem_name=text)
    comparison = compare(workspace, ["a", "b"])
    page = Page(render(comparison))
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    source = markdown(comparison)
    assert "<" not in source
    assert "\u202e" not in source
    assert "](http" not in source.replace("\\", "")
    assert {line.count(" | ") for line in source.splitlines() if line.startswith("|")} == {2}
