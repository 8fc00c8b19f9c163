"""What a report says about earlier runs: only those whose model was judged are compared with."""

from __future__ import annotations

import pytest
from reported import PROBLEM, make_run, text_of

from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render

EASIER = "A promise was made easier than in an earlier judged run."
FIRST = "This is the first run of this problem in this workspace."


def problem(*, beat=(), eased=None, **threshold):
    success = {"metric": "roc_auc", "at_least": 0.65, **threshold}
    return {**PROBLEM, "success": [success], "evaluate": {"must_beat": list(beat)}, "eased": eased or {}}


def page_after(workspace, *earlier, **fields):
    """The text of the report of a run that began after others."""
    for day, other in enumerate(earlier, 1):
        make_run(workspace, f"run-{day}", started=f"2025-05-0{day}T10:00:00+00:00", **other)
    return text_of(render(gather(workspace, make_run(workspace, "now", **fields))))


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({}, {"at_least": 0.6}, "roc auc at least: 0.65 became 0.6 (run run-1 promised it)."),
        ({"on": "interval"}, {"on": "value"}, "roc auc at least judged on: interval became value"),
        ({}, {"on": "value"}, "roc auc at least judged on: interval became value"),
        ({}, {"metric": "f1"}, "roc auc at least: 0.65 was removed"),
        ({"at_least": None, "at_most": 0.5}, {"at_least": None, "at_most": 0.6}, "roc auc at most: 0.5 became 0.6"),
        ({"on": "value"}, {"on": "interval"}, ""),
        ({}, {"at_least": 0.7}, ""),
        ({"beat": ["champion"]}, {"beat": []}, "evaluate.must beat: champion was removed"),
        ({"beat": ["champion", "linear"]}, {"beat": ["linear"]}, "evaluate.must beat: champion was removed"),
        ({"beat": ["champion"]}, {"beat": ["linear"]}, "evaluate.must beat: champion was removed"),
        ({"beat": ["linear"]}, {"beat": ["linear", "champion"]}, ""),
        ({"beat": ["linear", "champion"]}, {"beat": ["champion", "linear"]}, ""),
    ],
)
def test_a_promise_that_is_easier_than_a_judged_one_is_pointed_out(workspace, before, after, sentence):
    text = page_after(workspace, {"problem": problem(**before)}, problem=problem(**after))
    assert (EASIER in text) is bool(sentence)
    assert sentence in text


def test_it_is_pointed_out_in_every_later_report_until_a_person_says_why(workspace):
    strict, easy = {"problem": problem(at_least=0.7)}, {"problem": problem(at_least=0.6)}
    text = page_after(workspace, strict, easy, **easy)
    assert "roc auc at least: 0.7 became 0.6 (run run-1 promised it)." in text
    assert 'eased: {"roc_auc at_least 0.6": "the reason"}' in text
    reason = {"roc_auc at_least 0.6": "half a year of data only"}
    text = text_of(render(gather(workspace, make_run(workspace, "why", problem=problem(at_least=0.6, eased=reason)))))
    assert EASIER not in text
    assert "A promise was made easier: roc auc at least: 0.7 became 0.6" in text
    assert "The reason given: half a year of data only." in text
    easier = make_run(workspace, "easier", problem=problem(at_least=0.5, eased=reason))
    assert EASIER in text_of(render(gather(workspace, easier))), "the reason is for another number"


@pytest.mark.parametrize(
    "unjudged",
    [
        {"last": "define", "last_status": "refused", "status": "rejected"},
        {"last": "train", "last_status": "failed", "status": "error"},
        {"last": "split", "last_status": "refused", "status": "rejected"},
        {"last": "split"},
        {"smoke": True},
    ],
)
def test_a_run_without_a_judged_model_promised_nothing_and_is_not_compared_with(workspace, unjudged):
    text = page_after(workspace, {"problem": problem(at_least=0.97), **unjudged}, problem=problem())
    assert EASIER not in text
    assert FIRST not in text
    assert "Compared with no other run: of this problem 1 earlier run in this workspace" in text
    what = "was a rehearsal" if unjudged.get("smoke") else "got no verdict on a model"
    assert f"The last one, run-1, {what}." in text


def test_the_report_says_what_is_compared_with_what(workspace):
    first = make_run(workspace, "first", started="2025-04-01T10:00:00+00:00", status="error", last="define")
    assert FIRST in text_of(render(gather(workspace, first)))
    other = {"problem_path": "/elsewhere/problem.yaml", "status": "rejected", "problem": problem(at_least=0.6)}
    text = page_after(workspace, other, {"smoke": True}, {"problem_name": "trains"}, problem=problem())
    assert "Compared with run run-1 of 2025-05-01, which was rejected: the last run of this problem" in text
    assert "It was made from another problem file: /elsewhere/problem.yaml." in text
    assert "The problem is unchanged." not in text
    rehearsal = make_run(workspace, "rehearsal", smoke=True)
    assert "This was a rehearsal; it is compared with no other run." in text_of(render(gather(workspace, rehearsal)))
