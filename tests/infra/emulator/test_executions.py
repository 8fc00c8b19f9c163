"""An execution starts the steps that are ready, and ends as SageMaker's would."""

import errno
import json
import time
from dataclasses import asdict

import pytest
from emulated import condition, equals, saying, step

from infra.emulator.executions import Execution, Running, load_executions


def test_steps_run_in_the_order_in_which_they_depend_on_others(lab):
    copy = "cp $BASE/processing/input/data/verdict.json $BASE/processing/output/result/"
    request = lab.processing(copy, inputs={"data": "first/"}, outputs={"result": "second"})
    second = step("second", "Processing", request, DependsOn=["first"])
    ran = lab.run(saying(lab, "third", "3", DependsOn=["second"]), second, saying(lab, "first", "1"))
    assert ran.statuses() == dict.fromkeys(["first", "second", "third"], "Succeeded")
    assert list(ran.steps) == ["first", "second", "third"]
    assert lab.read("second/verdict.json") == "1"
    for before, after in (("first", "second"), ("second", "third")):
        assert ran.steps[before]["EndTime"] <= ran.steps[after]["StartTime"]


def test_steps_that_do_not_wait_for_each_other_run_at_the_same_time(lab):
    ran = lab.run(*(step(name, "Processing", lab.processing("sleep 0.6")) for name in ("a", "b", "c")))
    assert max(item["StartTime"] for item in ran.steps.values()) < min(item["EndTime"] for item in ran.steps.values())


def test_what_stands_behind_a_failure_is_not_executed(lab):
    ran = lab.run(
        step("train", "Training", lab.training("printf 'train: out of memory' > $BASE/output/failure; exit 1")),
        saying(lab, "assess", "1", DependsOn=["train"]),
        condition("verdict", equals(1, 1), yes=[saying(lab, "more", "1")], DependsOn=["assess"]),
    )
    assert (ran.status, list(ran.steps)) == ("Failed", ["train"])
    assert ran.reason("train") == "ClientError: AlgorithmError: train: out of memory, exit code: 1"


# stop and retry


def test_stopping_ends_the_jobs_that_run_and_starts_nothing_more(lab):
    script = "trap 'echo stopped > $BASE/processing/output/result/x; exit 0' TERM; while :; do sleep 0.05; done"
    arn = lab.start(
        step("long", "Processing", lab.processing(script, outputs={"result": "out"})),
        saying(lab, "next", "1", DependsOn=["long"]),
    )
    lab.under_way(arn, "long")
    lab.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=arn)
    assert lab.look(arn).status in ("Stopping", "Stopped")
    ran = lab.ended(arn)
    assert (ran.status, ran.statuses()) == ("Stopped", {"long": "Stopped"})
    assert lab.job(ran, "long")["ProcessingJobStatus"] == "Stopped"


def test_a_retry_goes_on_from_the_steps_that_failed_and_keeps_those_that_succeeded(lab):
    first = saying(lab, "first", "1")
    second = step(
        "second",
        "Processing",
        lab.processing("cat $BASE/processing/input/data/* > /dev/null", inputs={"data": "later/"}),
        DependsOn=["first"],
    )
    third = saying(lab, "third", "3", DependsOn=["second"])
    ran = lab.run(first, second, third)
    assert ran.statuses() == {"first": "Succeeded", "second": "Failed"}
    lab.put("later/x", "now")
    lab.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=ran.arn)
    again = lab.ended(ran.arn)
    assert again.statuses() == dict.fromkeys(["first", "second", "third"], "Succeeded")
    assert again.steps["first"] == ran.steps["first"]
    assert again.steps["second"]["Metadata"] != ran.steps["second"]["Metadata"], "another job"


def test_executions_of_earlier_processes_are_loaded_and_files_of_other_versions_are_passed_over(workspace):
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/aaaaaaaaaaaa"
    Execution(arn, "p", "{}", [], created=1.0, status="Succeeded").save(workspace)
    (workspace / "older.json").write_text('{"arn": "x", "steps": {}, "journal": 1}')
    (workspace / "half.json").write_text('{"arn": "x", "st')
    assert [execution.status for execution in load_executions(workspace).values()] == ["Succeeded"]


# a disk that is full


class Disk:
    """Saves until it is full, which it is when ``full(execution)`` says so, for good or for one time."""

    def __init__(self, full, *, times=1000):
        self.full, self.times, self.saved = full, times, None

    def __call__(self, execution):
        if self.times and self.full(execution):
            self.times -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.saved = asdict(execution)


def over(disk):
    """Return an execution of one step that takes a moment and succeeds, when its thread has ended."""
    only = step("only", "Condition", {"Conditions": [equals(1, 1)], "IfSteps": [], "ElseSteps": []})
    definition = json.dumps({"Version": "2020-12-01", "Steps": [only]})
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/aaaaaaaaaaaa"
    execution = Execution(arn, "p", definition, [], created=1.0)
    running = Running(execution, lambda *_: time.sleep(0.05), disk)
    running.thread.start()
    running.thread.join(20)
    assert not running.thread.is_alive()
    return execution


def when_the_step_is(status):
    return lambda execution: [state.status for state in execution.steps.values()] == [status]


@pytest.mark.parametrize(
    ("full", "outcome"),
    [
        (when_the_step_is("Executing"), "Failed"),
        (when_the_step_is("Succeeded"), "Succeeded"),
        (lambda _: True, "Failed"),
    ],
)
def test_an_execution_that_a_full_disk_cannot_keep_ends_as_failed_and_says_why(full, outcome):
    execution = over(Disk(full))
    (only,) = execution.steps.values()
    assert (execution.status, only.status) == ("Failed", outcome)
    assert "No space left on device" in f"{execution.reason} {only.reason}"


def test_an_execution_that_failed_on_a_full_disk_is_kept_as_failed_when_there_is_room_again():
    disk = Disk(when_the_step_is("Succeeded"), times=1)
    assert over(disk).status == disk.saved["status"] == "Failed"


def test_an_execution_whose_last_word_a_full_disk_did_not_take_has_still_ended():
    disk = Disk(lambda execution: execution.status != "Executing")
    assert over(disk).status == "Succeeded"
