"""The list of runs says of each what came out, how sure that is, how long it took and how old it is."""

from datetime import UTC, datetime, timedelta

import pytest
from reported import documents, make_run

from pipelines.listing import HEADER, as_table, entries, usual_seconds
from pipelines.terminal import brief, duration

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
BEGIN = "2025-06-01T10:00:00+00:00"


@pytest.fixture
def ran(workspace):
    """A workspace with a run of every outcome; the later its number, the newer the run."""

    def write(run, number, value=None, **fields):
        files = documents()
        if value is not None:
            evaluation = files["evaluate/evaluation/evaluation.json"]
            evaluation["thresholds"][0] |= {"value": value, "low": value - 0.01, "high": value + 0.01}
        begin = NOW - timedelta(hours=10 - number)
        end = begin + timedelta(minutes=number)
        make_run(
            workspace, run, files=files, number=number, started=begin.isoformat(), finished=end.isoformat(), **fields
        )

    write("good-1", 1, 0.7)
    write("better-2", 2, 0.9)
    write("worse-3", 3, 0.5, status="rejected")
    write("leak-4", 4, status="rejected", last="split", last_status="refused")
    write("check-5", 5, status="rejected", last="validate", last_status="refused")
    write("small-6", 6, smoke=True)
    write("error-7", 7, status="error", last="train", last_status="failed")
    return workspace


def column(listed, name):
    place = HEADER.index(name)
    return {entry.record.run: entry.cells()[place] for entry in listed}


def test_a_leak_a_failed_check_and_a_broken_promise_are_told_apart(ran):
    verdicts = column(entries(ran, now=NOW), "verdict")
    assert verdicts.pop("good-1") in ("pass", "pass with reservations")
    assert verdicts.pop("better-2") in ("pass", "pass with reservations")
    assert verdicts == {
        "worse-3": "rejected (promise)",
        "leak-4": "rejected (leak)",
        "check-5": "rejected (check)",
        "small-6": "rehearsal ok",
        "error-7": "error",
    }


def test_each_run_has_the_promised_metric_with_its_interval_its_time_and_its_age(ran):
    text = as_table(entries(ran, now=NOW), None)
    assert text.split("\n")[0].split() == list(HEADER)
    (line,) = [line for line in text.splitlines() if "better-2" in line]
    assert "ROC AUC" in line
    assert "0.900 (0.890 to 0.910)" in line
    assert line.endswith("2.0 min  8.0 h")


@pytest.mark.parametrize(
    ("order", "first"),
    [
        (None, ["error-7", "small-6", "check-5"]),
        ("age", ["error-7", "small-6", "check-5"]),
        ("name", ["better-2", "check-5", "error-7"]),
        ("took", ["error-7", "small-6", "check-5"]),
        ("verdict", ["error-7"]),
    ],
)
def test_the_list_is_sorted_as_somebody_wants_it(ran, order, first):
    assert [entry.record.run for entry in entries(ran, order, NOW)][: len(first)] == first


def test_sorted_by_result_the_best_comes_first_and_runs_without_one_last(ran):
    listed = [entry.record.run for entry in entries(ran, "result", NOW)]
    assert [run for run in listed if run in ("good-1", "better-2", "worse-3")] == ["better-2", "good-1", "worse-3"]
    assert set(listed[-3:]) == {"leak-4", "check-5", "error-7"}


def test_in_a_narrow_terminal_columns_go_and_no_line_is_broken(ran):
    listed = entries(ran, now=NOW)
    widths = [max(map(len, as_table(listed, width).splitlines())) for width in (None, 80, 60)]
    assert widths[1] <= 80
    assert widths[2] <= 60
    for width in (60, 80):
        assert "rejected (leak)" in as_table(listed, width)
        assert "0.900 (0.890 to 0.910)" in as_table(listed, width)


def test_a_machine_gets_numbers(ran):
    documents_ = {entry.record.run: entry.document() for entry in entries(ran, now=NOW)}
    promised = documents_["better-2"]["promised"]
    assert (promised["metric"], promised["value"], promised["low"]) == ("roc_auc", 0.9, 0.89)
    assert documents_["better-2"]["seconds"] == 120
    assert documents_["leak-4"]["rejected_by"] == "leak"
    assert documents_["leak-4"]["promised"] is None
    assert documents_["good-1"].keys() >= {"run", "problem", "status", "smoke", "started", "finished"}


def test_what_the_data_says_does_not_steer_the_terminal(workspace):
    files = documents()
    files["evaluate/evaluation/evaluation.json"]["thresholds"][0]["slice"] = "a\x1b[31m\u202e\n"
    make_run(workspace, files=files)
    text = as_table(entries(workspace, now=NOW), None)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_an_evaluation_that_cannot_be_read_leaves_its_columns_empty(workspace):
    make_run(workspace)
    (path,) = (workspace / "store").glob("*/evaluation/evaluation.json")
    path.write_text("{")
    (entry,) = entries(workspace, now=NOW)
    assert entry.cells()[2:4] == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (90, "1.5 min"), (3000, "50 min"), (7200, "2.0 h"), (864_000, "10 d")],
)
def test_a_time_is_said_in_one_unit(seconds, text):
    assert duration(seconds) == text


def test_digests_in_causes_are_cut():
    assert brief(f"input train: {'ab' * 32} -> {'cd' * 32}") == "input train: abababababab -> cdcdcdcdcdcd"


def test_what_is_to_run_takes_as_long_as_it_took_the_last_time(ran):
    assert usual_seconds(ran, "flights", []) == {}
    assert usual_seconds(ran, "flights", ["define", "ingest", "deploy"]) == {
        "define": 0.1,
        "ingest": 1.6,
        "deploy": None,
    }
    assert usual_seconds(ran, "another", ["define"]) == {"define": None}
