"""The sentences about a run: verdict, reasons, next steps, limits."""

from __future__ import annotations

import json

import pytest
from reported import documents, estimate, evaluation, make_run, stage, text_of, training

from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.local import LocalStore
from pipelines.pages.report.gather import gather
from pipelines.pages.report.page import render


def test_a_model_is_called_candidate_registered_or_champion_only_where_it_is(workspace):
    run = make_run(workspace)
    assert "Registered as a candidate (flights). It is not in use yet." in text_of(render(gather(workspace, run)))
    state = {"model": {"name": "flights", "version": "3", "alias": "candidate"}}
    (workspace / "runs" / f"{run}.tracking.json").write_text(json.dumps(state))
    assert "Registered as a candidate (flights, version 3). It is not in use yet." in text_of(
        render(gather(workspace, run))
    )
    champions.write(LocalStore(workspace), Champion("flights", run, "key", "digest", "3", "2025-06-02T10:00:00+00:00"))
    text = text_of(render(gather(workspace, run)))
    assert "It is the champion: later runs are compared with it." in text
    assert "fourscore promote" not in text
    text = text_of(render(gather(workspace, make_run(workspace, "early", last="evaluate"))))
    assert "It is not a candidate yet: run it without --until." in text
    assert "fourscore promote" not in text


def test_a_rejected_model_is_said_to_be_rejected_with_the_reason_and_what_to_do(workspace):
    threshold = {
        "metric": "roc_auc",
        "wanted": "roc_auc >= 0.7 (95 % bound)",
        "at_least": 0.7,
        "slice": None,
        "on": "interval",
        "met": False,
        "reason": "the value is 0.692",
        **estimate(0.692),
    }
    files = documents(
        **{
            "evaluate/evaluation/evaluation.json": evaluation(
                verdict="rejected", reasons=["roc_auc >= 0.7: not met"], thresholds=[threshold]
            )
        }
    )
    text = text_of(render(gather(workspace, make_run(workspace, files=files, status="rejected"))))
    assert "Rejected: the model did not keep its promise." in text
    assert "not kept" in text
    assert "Do not use this model" in text


@pytest.mark.parametrize(
    ("last", "status", "last_status", "message", "title"),
    [
        ("validate", "rejected", "refused", "column 'a': wanted no missing", "Stopped by the validate gate"),
        ("split", "rejected", "refused", "column 'alive' is the target", "Stopped by the split gate"),
        ("ingest", "error", "failed", "no file flights.csv", "the run failed in stage ingest"),
        ("train", "interrupted", "stopped", "interrupted in stage train", "the run was interrupted in stage train"),
        ("train", "killed", "failed", "the process was killed", "the run was killed in stage train"),
        ("define", "running", "ran", "", "Still running"),
        ("split", "pass", "ran", "", "the run ended after stage split, as requested"),
    ],
)
def test_a_run_that_stopped_early_says_why_and_what_to_do_next(workspace, last, status, last_status, message, title):
    run = make_run(workspace, last=last, last_status=last_status, status=status, message=message)
    text = text_of(render(gather(workspace, run)))
    assert title in text
    assert "What to do next" in text or status == "running"
    assert "Not reached in this run" in text
    assert message.partition("\n")[0] in text or last_status == "refused"


def test_a_row_split_of_rows_that_carry_a_time_is_called_flattering(workspace):
    path = "split/division/split.json"
    by_row = {path: {**documents()[path], "by": "row", "column": None}}
    assert "A row split flatters" in render(gather(workspace, make_run(workspace, files=documents(**by_row))))
    assert "A row split flatters" not in render(gather(workspace, make_run(workspace, "by-time")))


def test_a_column_that_was_left_out_and_predicts_the_target_is_a_limit(workspace):
    path = "split/division/split.json"
    finding = {
        "level": "warning",
        "check": "dropped",
        "columns": ["income"],
        "numbers": {"score": 0.9},
        "text": "'income' ...",
    }
    files = documents(**{path: {**documents()[path], "findings": [finding]}})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert "The column income was left out as free text, yet the numbers in it predict the target" in text


def test_every_use_of_the_test_set_is_counted(workspace):
    run = make_run(workspace)
    key = stage(gather(workspace, run), "split").record.key
    (workspace / "seals").mkdir()
    readings = [{"time": "2025-06-01", "run": f"r{i}", "step": "evaluate", "key": str(i)} for i in range(4)]
    (workspace / "seals" / f"{key}.jsonl").write_text("".join(json.dumps(reading) + "\n" for reading in readings))
    assert "has been used 4 times, for 4 versions of the pipeline" in text_of(render(gather(workspace, run)))


def test_a_small_test_set_and_small_segments_are_named_as_limits(workspace):
    files = documents(**{"evaluate/evaluation/evaluation.json": evaluation(rows=431)})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert "The test set is small (431 rows)" in text
    assert "2 segments have too few rows to judge: origin = HPN and carrier = OO" in text


@pytest.mark.parametrize(("rows", "off"), [(20, False), (2000, True)])
def test_probabilities_are_called_off_only_where_chance_does_not_explain_it(workspace, rows, off):
    bins = [
        {"low": i / 10, "high": (i + 1) / 10, "mean_predicted": i / 10 + 0.05, "observed": i / 10 + 0.13, "rows": rows}
        for i in range(10)
    ]
    judged = evaluation(rows=10 * rows, calibration={"bins": bins, "expected_calibration_error": 0.08})
    files = documents(**{"evaluate/evaluation/evaluation.json": judged})
    text = text_of(render(gather(workspace, make_run(workspace, files=files))))
    assert (
        "Predicted probabilities are off by 8.0 percentage points on average: use them only to rank rows." in text
    ) is off
    assert ("Mean error: 8.0 percentage points, which may be due to chance." in text) is not off


def test_a_training_that_its_budget_cut_short_is_a_limit(workspace):
    path = "train/model/training.json"
    plain = documents()
    assert "time budget" not in text_of(render(gather(workspace, make_run(workspace, files=plain))))
    cut = {**training(), "budget_bound": True, "budget_cut": ["mlp was skipped"]}
    text = text_of(render(gather(workspace, make_run(workspace, "flights-2", files={**plain, path: cut}))))
    assert "The time budget of training was too small: mlp was skipped. Another machine" in text
