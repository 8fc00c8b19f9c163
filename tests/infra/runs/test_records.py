"""Run files are read whoever wrote them; one that is broken is named and keeps no other from being read."""

import json

import pytest
from toy import toy_plan, toy_record

from infra.runs import records
from steps.errors import InputError


@pytest.fixture
def record(workspace):
    record = toy_record(toy_plan(workspace, {}))
    record.status = "pass"
    records.save(workspace, record)
    return record


BROKEN = {
    "empty": "",
    "cut": "{",
    "a-list": "[]",
    "nothing-known": "{}",
    "no-start": '{"status": "pass"}',
    "stages-of-nothing": '{"status": "pass", "started": "2026-01-01T00:00:00+00:00", "stages": [{}]}',
    "wrong-type": '{"status": 1, "started": "2026-01-01T00:00:00+00:00"}',
    "another-type": '{"status": "pass", "started": "2026-01-01T00:00:00+00:00", "problem": []}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_run_file_is_named_and_keeps_no_other_from_being_read(workspace, record, name):
    path = records.path_of(workspace, name)
    path.write_text(BROKEN[name])
    assert list(records.every(workspace)) == [record]
    assert records.mark_killed(workspace) == []
    (wrong,) = records.unreadable(workspace)
    assert str(path) in wrong
    with pytest.raises(InputError) as raised:
        records.load(workspace, name)
    assert str(raised.value) == wrong


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_what_is_no_text_or_no_file_is_no_run_either(workspace, record, content):
    path = records.path_of(workspace, "bad")
    path.mkdir() if content is None else path.write_bytes(content)
    assert list(records.every(workspace)) == [record]
    assert len(records.unreadable(workspace)) == 1


def test_a_file_whose_name_no_run_can_have_is_left_out(workspace, record):
    records.path_of(workspace, "a copy").write_bytes(records.path_of(workspace, record.run).read_bytes())
    assert list(records.every(workspace)) == [record]
    assert "its name is not one that a run has" in records.unreadable(workspace)[0]


def test_a_run_of_another_version_is_read_as_far_as_it_is_known(workspace, record):
    path = records.path_of(workspace, record.run)
    later = json.loads(path.read_text())
    later["approved_by"] = "someone"
    later["stages"][0]["machine"] = "somewhere"
    path.write_text(json.dumps(later))
    assert records.load(workspace, record.run) == record
    early = {"status": "pass", "started": record.started, "stages": [{"name": "start", "key": "a" * 64}]}
    records.path_of(workspace, "early").write_text(json.dumps(early))
    names = records.load(workspace, "early")
    assert (names.run, names.problem_name, names.problem, names.stages[0].status) == ("early", "early", {}, "pending")
    assert records.unreadable(workspace) == []


def test_a_copied_run_file_is_the_run_that_it_is_named_after(workspace, record):
    records.path_of(workspace, "copy").write_bytes(records.path_of(workspace, record.run).read_bytes())
    assert {names.run for names in records.every(workspace)} == {record.run, "copy"}


def test_a_run_that_an_earlier_version_recorded_without_outputs_is_to_be_run_again(record):
    record.check_outputs()
    for stage in record.stages:
        stage.outputs = []
    with pytest.raises(InputError, match=r"earlier version of Fourscore; run the problem again with 'fourscore run "):
        record.check_outputs()


def test_a_run_file_has_no_password_whatever_the_record_says(workspace, record):
    record.problem["tracking_uri"] = "https://me:CANARY@host/?token=CANARY"
    record.message = "https://me:CANARY@host does not answer"
    records.save(workspace, record)
    assert "CANARY" not in records.path_of(workspace, record.run).read_text()


def test_the_newest_run_is_the_one_that_began_last_whatever_the_clock_said(workspace, record):
    record.started = "2100-01-01T00:00:00+00:00"
    record.number = records.next_number(workspace)
    records.save(workspace, record)
    later = toy_record(toy_plan(workspace, {}), "later")
    later.number = records.next_number(workspace)
    records.save(workspace, later)
    assert [entry.run for entry in records.every(workspace)] == ["later", record.run]
