"""The journal keeps what steps say, one JSON object a line."""

import json

import pytest

from steps.journal import Journal, read_events


@pytest.mark.parametrize("name", ["rows", "data/", "weather/rows", "data/rows/more", "data/a=b"])
def test_a_metric_name_that_trackers_would_refuse_is_refused_here(tmp_path, name):
    with Journal(tmp_path / "j.jsonl") as log, pytest.raises(ValueError, match="wanted 'layer/name'"):
        log.metric(name, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_said_in_words(tmp_path, value):
    with Journal(tmp_path / "j.jsonl") as log:
        log.metric("model/r2", value)
    (event,) = read_events(tmp_path / "j.jsonl")
    assert event["kind"] == "note"
    assert "not a finite number" in event["text"]


def test_a_line_that_a_killed_writer_left_unfinished_is_not_an_event(tmp_path):
    with Journal(tmp_path / "j.jsonl") as log:
        log.note("whole")
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"kind": "note", "te')
    assert [event["text"] for event in read_events(tmp_path / "j.jsonl")] == ["whole"]


def test_progress_is_shown_and_not_kept(tmp_path):
    output = []
    with Journal(tmp_path / "j.jsonl", output.append) as log:
        log.progress(1, 2, "rows")
    assert [event["done"] for event in output] == [1]
    assert (tmp_path / "j.jsonl").read_text() == ""


def test_text_with_line_breaks_and_quotes_stays_one_line(tmp_path):
    with Journal(tmp_path / "j.jsonl") as log:
        log.note('a "quoted"\nsecond line \u2028 end')
    assert len((tmp_path / "j.jsonl").read_text().splitlines(keepends=False)) >= 1
    assert json.loads((tmp_path / "j.jsonl").read_bytes())["text"].startswith('a "quoted"\nsecond')
