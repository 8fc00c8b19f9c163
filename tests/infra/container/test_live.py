"""A job's journals and readings reach S3 while it works, so that readings of a job that is killed count all the same."""

import threading

import pytest
from toy import toy_plan, toy_record

from infra.container.live import Live
from infra.s3.objects import Objects
from infra.store.ledger import ledgers, note_reading
from infra.store.s3 import S3Store


@pytest.fixture
def job(workspace, root):
    """A store, the step that reads the sealed test set, and a record of its run."""
    plan = toy_plan(workspace / "job", {})
    return S3Store(workspace / "job", root), plan.steps[2], toy_record(plan)


class Puts(Objects):
    """Objects that refuse the first ``refused`` names that are put; ``accepted`` is set when one was not."""

    def __init__(self, root):
        super().__init__(root)
        self.names, self.refused, self.accepted = [], 0, threading.Event()

    def put(self, name, data, *, absent=False):
        self.names.append(name)
        if len(self.names) <= self.refused:
            raise OSError("S3 is away")
        content = super().put(name, data, absent=absent)
        self.accepted.set()
        return content


@pytest.fixture
def puts(job, root):
    job[0].objects = Puts(root)
    return job[0].objects


def counted_elsewhere(workspace, root, planned):
    other = S3Store(workspace / "other", root)
    other.exchange_readings()
    return [line["run"] for line in ledgers(other.workspace).get(planned.inputs["test_set"], [])]


def test_a_reading_is_sent_while_the_job_that_made_it_works_and_only_once(workspace, root, job, puts):
    store, planned, record = job
    with Live(store, record, every=0.02):
        note_reading(store.workspace, planned, {}, "toy-1")
        assert puts.accepted.wait(10)
        assert counted_elsewhere(workspace, root, planned) == ["toy-1"], "a kill from here on hides nothing"
        store.exchange_readings()
    with Live(store, record, every=0.02):
        pass
    assert len(set(puts.names)) == len(store.objects.list("seals/")) == 1
    assert counted_elsewhere(workspace, root, planned) == ["toy-1"]


def test_a_reading_that_s3_refused_is_sent_again(workspace, root, job, puts, capsys):
    store, planned, record = job
    puts.refused = 3
    with Live(store, record, every=0.02):
        note_reading(store.workspace, planned, {}, "toy-1")
        assert puts.accepted.wait(10)
    assert len(puts.names) == 4
    assert "was not sent: S3 is away" in capsys.readouterr().err
    assert counted_elsewhere(workspace, root, planned) == ["toy-1"]


def test_a_reading_that_s3_refused_when_the_job_ended_is_sent_once_more(workspace, root, job, puts):
    store, planned, record = job
    puts.refused = 1
    with Live(store, record, every=0.2):
        note_reading(store.workspace, planned, {}, "toy-1")
    assert counted_elsewhere(workspace, root, planned) == ["toy-1"]


def test_a_process_that_trains_beside_another_sends_nothing(job, puts):
    store, planned, record = job
    with Live(store, record, silent=True):
        note_reading(store.workspace, planned, {}, "toy-1")
    assert puts.names == []
