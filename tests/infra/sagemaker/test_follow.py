"""What an execution leaves becomes the record of its run."""

from dataclasses import replace

import pytest
from toy import toy_plan, toy_record

from infra.backends.local import LocalBackend
from infra.runs import records
from infra.s3.folder import FolderObjects
from infra.sagemaker.follow import Following
from infra.sagemaker.service import ExecutionState, StepState
from infra.store.s3 import S3Store


class Service:
    """An execution without jobs."""

    def parameters_of(self, _arn):
        return {}

    def definition_of(self, _arn):
        return '{"Steps": []}'


@pytest.fixture
def store(workspace):
    return S3Store(workspace, "s3://lake/", objects=FolderObjects("s3://lake/", workspace / "cloud/s3"))


def closed(store, plan, status="Succeeded"):
    """Return the record of an execution that ended so, of a plan whose stages wait."""
    record = replace(toy_record(plan), execution="arn", started=records.now())
    Following(Service(), store, record, lambda *_: None).close(ExecutionState("arn", status, "", ()))
    return record


def test_a_cached_stage_has_no_job_in_the_execution_and_is_not_missing(workspace, store):
    plan = toy_plan(workspace, {})
    LocalBackend(store).run(plan, toy_record(plan), lambda *_: None)
    record = closed(store, plan)
    assert (record.status, record.message) == ("pass", "")
    assert {stage.status for stage in record.stages} <= {"ran", "cached"}


def test_a_stage_that_published_nothing_is_named(workspace, store):
    plan = toy_plan(workspace, {})
    record = closed(store, plan)
    assert record.status == "error"
    assert f"but {plan.steps[0].step.name}" in record.message
    assert "did not publish anything" in record.message


def test_a_stopped_execution_says_how_it_goes_on(workspace, store):
    record = closed(store, toy_plan(workspace, {}), "Stopped")
    assert record.status == "interrupted"
    assert f"fourscore retry {record.run}" in record.message


class Spot(Service):
    """An execution with a training on spot capacity, which was taken away so many times."""

    def __init__(self, *counts):
        self.counts = list(counts)

    def definition_of(self, _arn):
        return '{"Steps": [{"Name": "train", "Type": "Training", "Arguments": {"EnableManagedSpotTraining": true}}]}'

    def interruptions(self, _job):
        return self.counts.pop(0)


def test_each_interruption_of_a_spot_job_is_reported_once(workspace, store):
    record, notes = replace(toy_record(toy_plan(workspace, {})), execution="arn"), []
    following = Following(Spot(0, 1, 1, 2), store, record, lambda _, event: notes.append(event["text"]))
    step = StepState("train", "Executing", "", "arn:aws:sagemaker:us-east-1:123456789012:training-job/j", None)
    for count in (0, 1, 1, 2):
        following.note(ExecutionState("arn", "Executing", "", (step,)))
        assert len(notes) == count
    assert "AWS took the spot instance back" in notes[0]
