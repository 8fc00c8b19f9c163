"""A ledger of readings survives a disk that leaves half a line: what is whole is read, what is torn still counts."""

import json

import pytest
from toy import toy_plan, toy_record

from infra.backends.local import LocalBackend
from infra.store import ledger as seals
from infra.store.local import LocalStore
from infra.store.s3 import S3Store

TORN = b'{"time": "2026-01-01T00:00:00Z", "run": "to'
TABLE = "t" * 64
SPLIT, OTHER = "a" * 64, "b" * 64


def whole(run, time="2026-01-02T00:00:00Z", divided=TABLE):
    return json.dumps({"time": time, "run": run, "step": "judge", "key": "k", "divided": divided}).encode() + b"\n"


def write(workspace, content, split=SPLIT):
    ledger = workspace / "seals" / f"{split}.jsonl"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger.write_bytes(content)
    return ledger


def judged(store, run):
    plan = toy_plan(store.workspace, {})
    LocalBackend(store).run(plan, toy_record(plan, run), lambda *_: None)
    return plan.steps[1].key


def test_a_reading_after_half_a_line_is_a_line_of_its_own(workspace):
    split = toy_plan(workspace, {}).steps[1].key
    ledger = write(workspace, whole("first") + TORN, split)
    judged(LocalStore(workspace), "toy-1")
    lines = ledger.read_bytes().splitlines()
    assert lines[:2] == [whole("first").rstrip(), TORN]
    assert [json.loads(lines[2])["run"], len(lines)] == ["toy-1", 3]


@pytest.mark.parametrize("torn", [TORN, b"5", b"null", b"\xff\x00", b"[" * 100_000], ids=lambda torn: repr(torn[:9]))
def test_a_line_that_cannot_be_read_counts_as_a_reading_and_is_named(workspace, torn):
    ledger = write(workspace, whole("first") + torn + b"\n" + whole("second", "2026-01-03T00:00:00Z"))
    readings_list = seals.ledgers(workspace)[SPLIT]
    assert [line.get("run") for line in readings_list] == [None, "first", "second"]
    assert seals.unreadable(workspace) == [readings_list[0]["unreadable"]] == [f"{ledger}, line 2"]


def test_a_line_that_cannot_be_read_makes_no_two_tables_one(workspace):
    write(workspace, whole("first") + TORN)
    write(workspace, whole("second", divided="u" * 64) + TORN, OTHER)
    assert seals.divisions(workspace, SPLIT) == 1
    write(workspace, TORN)
    assert seals.divisions(workspace, SPLIT) == 1, "it was opened, whoever did it"
    assert seals.divisions(workspace, "c" * 64) == 0


def test_half_a_line_is_not_sent_to_other_machines_and_whole_ones_still_are(workspace, root):
    one, other = S3Store(workspace / "here", root), S3Store(workspace / "there", root)
    ledger = write(one.workspace, whole("here") + TORN)
    write(other.workspace, whole("there") + TORN)
    for store in (one, other, one):
        store.exchange_readings()
    assert len(other.objects.list("seals/")) == 2
    assert ledger.read_bytes() == whole("here") + TORN + b"\n" + whole("there")
    assert sorted(line.get("run", "") for line in seals.ledgers(other.workspace)[SPLIT]) == ["", "here", "there"]


def test_half_a_line_that_an_older_version_sent_is_not_taken_over(workspace, root):
    store = S3Store(workspace, root)
    store.objects.put(f"seals/{SPLIT}/0123.jsonl", whole("there") + TORN + b"\n")
    store.exchange_readings()
    assert [line["run"] for line in seals.ledgers(workspace)[SPLIT]] == ["there"]
    assert seals.unreadable(workspace) == []


def test_a_deleted_ledger_still_counts_the_executions_that_read_the_test_set(workspace):
    store = LocalStore(workspace)
    split = judged(store, "toy-1")
    assert (seals.unreadable(workspace), seals.divisions(workspace, split)) == ([], 1)
    (workspace / "seals" / f"{split}.jsonl").unlink()
    (row,) = seals.ledgers(workspace)[split]
    assert ", the deleted line of judge " in row["unreadable"]
    assert seals.unreadable(workspace) == [row["unreadable"]]
    assert seals.divisions(workspace, split) == 1


def test_a_line_that_was_cut_out_is_noticed_and_counts(workspace):
    planned = toy_plan(workspace, {}).steps[2]
    for run in ("first", "second", "third"):
        seals.note_reading(workspace, planned, {}, run)
    ledger = workspace / "seals" / f"{planned.inputs['test_set']}.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    for rest, place in ((lines[1:], 1), (lines[::2], 2)):
        ledger.write_bytes(b"".join(rest))
        assert seals.unreadable(workspace) == [f"{ledger}, the deleted line before line {place}"]
        assert len(seals.ledgers(workspace)[ledger.stem]) == 3
    ledger.write_bytes(lines[0].replace(b"first", b"other") + b"".join(lines[1:]))
    assert len(seals.unreadable(workspace)) == 1, "an edited line is none that the next one follows"


@pytest.mark.parametrize("what", ["the last line", "the whole ledger"])
def test_a_reading_that_led_to_no_result_is_noticed_when_it_is_deleted(workspace, what):
    plan = toy_plan(workspace, {})
    split = plan.steps[1].key
    seals.note_reading(workspace, plan.steps[2], plan.divided, "first")
    seals.note_reading(workspace, plan.steps[2], plan.divided, "second")
    ledger = workspace / "seals" / f"{split}.jsonl"
    assert seals.unreadable(workspace) == []
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    if what == "the whole ledger":
        ledger.unlink()
    assert seals.unreadable(workspace) == [f"{ledger}, the deleted last line"]


def test_the_last_of_two_readings_for_one_result_is_noticed_when_it_is_deleted(workspace):
    """The result vouches for one reading; that it was made twice, only the head says."""
    store = LocalStore(workspace)
    split = judged(store, "toy-1")
    plan = toy_plan(workspace, {})
    store.quarantine(plan.steps[2].key)
    judged(store, "toy-2")
    ledger = workspace / "seals" / f"{split}.jsonl"
    first, second = ledger.read_bytes().splitlines(keepends=True)
    assert (json.loads(first)["key"], seals.unreadable(workspace)) == (json.loads(second)["key"], [])
    ledger.write_bytes(first)
    assert seals.unreadable(workspace) == [f"{ledger}, the deleted last line"]


def test_a_process_that_is_killed_before_it_notes_the_head_leaves_a_ledger_without_gaps(workspace):
    split = judged(LocalStore(workspace), "toy-1")
    head = workspace / "seals" / f"{split}.head"
    before = head.read_text()
    plan = toy_plan(workspace, {})
    seals.note_reading(workspace, plan.steps[2], plan.divided, "toy-2")
    head.write_text(before)
    assert seals.unreadable(workspace) == []
