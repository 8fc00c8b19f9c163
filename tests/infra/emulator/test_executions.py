"""An execution starts what is ready, ends as SageMaker's would, and says what its steps came to."""

import errno
import json
import time
import uuid
from dataclasses import asdict

import pytest
from botocore.exceptions import ClientError
from emulated import IMAGE, get, join, step

from infra.emulator.executions import Execution, Running

WORD = {"Name": "Word", "Type": "String", "DefaultValue": "hello"}
NUMBER = {"Name": "Number", "Type": "Integer", "DefaultValue": 3}
VERDICT = [{"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}]


def saying(lab, name, text, **more):
    """A processing step that writes a text to its output ``result``, at ``<name>/verdict.json``."""
    script = f"printf '%s' '{text}' > $BASE/processing/output/result/verdict.json"
    return step(name, "Processing", lab.processing(script, outputs={"result": name}), **more)


def condition(name, *conditions, yes=(), no=(), **more):
    return step(
        name, "Condition", {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)}, **more
    )


def verdict_of(name, path="verdict"):
    return {"Std:JsonGet": {"PropertyFile": get(f"Steps.{name}.PropertyFiles.verdict"), "Path": path}}


def equals(left, right):
    return {"Type": "Equals", "LeftValue": left, "RightValue": right}


def fail(name, message):
    return step(name, "Fail", {"ErrorMessage": message})


def refused(call, *words):
    with pytest.raises(ClientError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
    return caught.value.response["Error"]["Code"]


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


def test_parameters_are_typed_and_defaults_stand_where_nothing_is_given(lab):
    script = "echo $WORD-$NUMBER > $BASE/processing/output/result/words"
    environment = {"WORD": get("Parameters.Word"), "NUMBER": join(get("Parameters.Number"))}
    one = step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment=environment))
    ran = lab.run(one, parameters=[WORD, NUMBER], arguments={"Number": "7"})
    assert lab.read("out/words") == "hello-7\n"
    listing = lab.client("sagemaker").list_pipeline_parameters_for_execution(PipelineExecutionArn=ran.arn)
    assert listing["PipelineParameters"] == [{"Name": "Word", "Value": "hello"}, {"Name": "Number", "Value": "7"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"Wrod": "x"}, ["Wrod is not declared", "did you mean 'Word'"]),
        ({"Number": "many"}, ["Number is of type Integer, not 'many'"]),
        ({"Status": "Maybe"}, ["Status is one of Approved, Rejected"]),
        ({}, ["Needed has no default"]),
    ],
)
def test_parameters_that_are_not_as_declared_are_refused_at_the_start(lab, arguments, words):
    declared = [WORD, NUMBER, {"Name": "Needed", "Type": "String"}, {"Name": "Status", "Type": "String", "DefaultValue": "Approved", "EnumValues": ["Approved", "Rejected"]}]  # fmt: skip
    lab.define(step("p", "Processing", lab.processing("true")), parameters=declared)
    assert refused(lambda: lab.start(arguments=arguments), *words) == "ValidationException"


def test_a_condition_takes_one_branch_and_the_other_is_not_executed(lab):
    ran = lab.run(
        saying(lab, "assess", '{"verdict": "pass"}', PropertyFiles=VERDICT),
        condition(
            "verdict",
            equals(verdict_of("assess"), "pass"),
            {"Type": "LessThanOrEqualTo", "LeftValue": get("Parameters.Number"), "RightValue": 3.0},
            yes=[saying(lab, "after", "1")],
            no=[fail("rejected", "no")],
            DependsOn=["assess"],
        ),
        parameters=[NUMBER],
    )
    assert ran.status == "Succeeded"
    assert ran.steps["verdict"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert list(ran.steps) == ["assess", "verdict", "after"]


def test_a_fail_step_fails_the_execution_and_its_reason_is_among_the_steps(lab):
    reasons = join("refused by ", get("Parameters.Word"), ": ", verdict_of("assess", "reasons"))
    ran = lab.run(
        saying(lab, "assess", '{"verdict": "rejected", "reasons": "roc_auc .71 < .80"}', PropertyFiles=VERDICT),
        condition("verdict", equals(verdict_of("assess"), "pass"), no=[fail("rejected", reasons)]),
        parameters=[WORD],
    )
    message = "refused by hello: roc_auc .71 < .80"
    assert ran.status == "Failed"
    assert ran.statuses() == {"assess": "Succeeded", "verdict": "Succeeded", "rejected": "Failed"}
    assert ran.reason("rejected") == message
    assert ran.steps["rejected"]["Metadata"] == {"Fail": {"ErrorMessage": message}}
    assert ran.described["FailureReason"] == "Step failure: One or multiple steps failed."


def test_a_fail_step_in_the_branch_that_is_taken_goes_before_everything_that_waits_for_its_condition(lab):
    ran = lab.run(
        condition(
            "affordable",
            {"Type": "LessThanOrEqualTo", "LeftValue": 12.5, "RightValue": 10},
            no=[fail("too-expensive", "12.50 > 10 dollars")],
        ),
        saying(lab, "prepare", "1", DependsOn=["affordable"]),
    )
    assert ran.statuses() == {"affordable": "Succeeded", "too-expensive": "Failed"}


def test_what_stands_behind_a_failure_is_not_executed(lab):
    ran = lab.run(
        step("train", "Training", lab.training("printf 'train: out of memory' > $BASE/output/failure; exit 1")),
        saying(lab, "assess", "1", DependsOn=["train"]),
        condition("verdict", equals(1, 1), yes=[saying(lab, "more", "1")], DependsOn=["assess"]),
    )
    assert (ran.status, list(ran.steps)) == ("Failed", ["train"])
    assert ran.reason("train") == "ClientError: AlgorithmError: train: out of memory, exit code: 1"


def test_a_property_file_without_the_value_fails_the_step_that_reads_it(lab):
    one = saying(lab, "one", '{"a": "1"}', PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one", "b"), "1")))
    assert ran.reason("c") == "ClientError: Steps.one.PropertyFiles.verdict: the file has no 'b'"


def test_a_property_file_that_was_not_written_fails_the_step_that_reads_it(lab):
    one = step("one", "Processing", lab.processing("true", outputs={"result": "one"}), PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one"), "1")))
    assert "property file verdict of step one" in ran.reason("c")


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
    token = uuid.uuid4().hex
    for _ in range(2):  # the second call with the same token starts nothing
        assert (
            lab.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=ran.arn, ClientRequestToken=token)[
                "PipelineExecutionArn"
            ]
            == ran.arn
        )
    again = lab.ended(ran.arn)
    assert again.statuses() == dict.fromkeys(["first", "second", "third"], "Succeeded")
    assert again.steps["first"] == ran.steps["first"]
    assert again.steps["second"]["Metadata"] != ran.steps["second"]["Metadata"], "another job"


def test_a_stopped_execution_can_be_retried_and_one_that_succeeded_cannot(lab):
    arn = lab.start(step("p", "Processing", lab.processing("trap 'exit 0' TERM; sleep 0.5")))
    sagemaker = lab.client("sagemaker")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert lab.ended(arn).status == "Stopped"
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert lab.ended(arn).status == "Succeeded"
    assert (
        refused(lambda: sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn), "Succeeded")
        == "ValidationException"
    )


def test_two_starts_with_one_token_are_one_execution(lab):
    lab.define(step("p", "Processing", lab.processing("true")), parameters=[WORD])
    token = uuid.uuid4().hex
    first = lab.start(ClientRequestToken=token)
    assert lab.start(ClientRequestToken=token) == first
    assert refused(lambda: lab.start(ClientRequestToken=token, arguments={"Word": "other"})) == "ConflictException"
    assert lab.start() != first
    lab.ended(first)
    listing = lab.client("sagemaker").list_pipeline_executions(PipelineName=lab.pipeline)["PipelineExecutionSummaries"]
    assert listing[-1]["PipelineExecutionArn"] == first
    assert len(listing) == 2


# retry policies


@pytest.mark.parametrize(
    ("reason", "exception"),
    [
        ("InternalServerError: We encountered an internal error.", "SageMaker.JOB_INTERNAL_ERROR"),
        ("CapacityError: Unable to provision requested ML compute capacity.", "SageMaker.CAPACITY_ERROR"),
        ("ThrottlingException: Rate exceeded", "Step.THROTTLING"),
        ("ResourceLimitExceeded: The account-level service limit is exceeded.", "SageMaker.RESOURCE_LIMIT"),
    ],
)
def test_a_retry_policy_tries_again_after_the_failures_that_it_is_for(lab, reason, exception):
    policies = [{"ExceptionType": [exception], "IntervalSeconds": 0, "BackoffRate": 2, "MaxAttempts": 2}]
    lab.inject("p", reason=reason, times=2)
    ran = lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Succeeded", 3)
    lab.inject("p", reason=reason, times=3)
    ran = lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies))
    assert (ran.status, ran.reason("p")) == ("Failed", f"ClientError: {reason}")


def test_a_failure_that_no_policy_is_for_is_not_tried_again(lab):
    policies = [{"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 0, "MaxAttempts": 5}]
    ran = lab.run(step("p", "Processing", lab.processing("exit 1"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Failed", 1)


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


# the registry


def registering(lab, group, **more):
    specification = {"Containers": [{"Image": IMAGE, "ModelDataUrl": lab.uri("models/m.tar.gz")}]}
    arguments = {"ModelPackageGroupName": group, "InferenceSpecification": specification, **more}
    return step("register", "RegisterModel", arguments)


def test_a_model_is_registered_as_the_next_version_of_its_group(lab):
    sagemaker, group = lab.client("sagemaker"), f"g-{lab.pipeline}"
    assert sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"] == []
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    refused(lambda: sagemaker.create_model_package_group(ModelPackageGroupName=group), "already exists")
    status = {"Name": "Status", "Type": "String", "DefaultValue": "PendingManualApproval"}
    metadata = {"run": get("Parameters.Word")}
    register = registering(
        lab, group, ModelApprovalStatus=get("Parameters.Status"), CustomerMetadataProperties=metadata
    )
    arns = [
        lab.run(register, parameters=[status, WORD]).steps["register"]["Metadata"]["RegisterModel"]["Arn"]
        for _ in range(2)
    ]
    package = sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert (package["ModelApprovalStatus"], package["ModelPackageVersion"]) == ("PendingManualApproval", 2)
    assert package["CustomerMetadataProperties"] == {"run": "hello"}
    listing = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [item["ModelPackageArn"] for item in listing] == arns[::-1]


# what is refused


def test_a_definition_that_is_not_one_of_ours_is_refused_with_everything_that_is_wrong(lab):
    arguments = {"X": {"Get": "Execution.PipelineName"}}
    steps = [step("a", "Lambda", {}), step("b", "Processing", arguments, CacheConfig={"Enabled": True})]
    code = refused(lambda: lab.define(*steps), "a: Type is 'Lambda'", "b: CacheConfig", "b: Get: 'Execution.PipelineName'")  # fmt: skip
    assert code == "ValidationException"


def test_calls_about_what_does_not_exist_are_answered_as_aws_answers(lab):
    sagemaker = lab.client("sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/{lab.pipeline}/execution/aaaaaaaaaaaa"
    assert refused(lambda: sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)) == "ResourceNotFound"
    assert refused(lambda: sagemaker.start_pipeline_execution(PipelineName="nothing")) == "ResourceNotFound"
    assert refused(lambda: sagemaker.describe_pipeline(PipelineName="nothing")) == "ResourceNotFound"
    assert refused(lambda: sagemaker.describe_training_job(TrainingJobName="nothing")) == "ValidationException"
    assert refused(sagemaker.list_endpoints, "the local cloud does not know ListEndpoints")
