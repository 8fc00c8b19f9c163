"""An execution starts what is ready, ends as SageMaker's would, and says what its steps came to."""

import errno
import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError
from emulated import IMAGE, TRUST, get, join, step

from infra.emulator.disturbances import Disturbance
from infra.emulator.executions import Execution, Running, scope_of
from infra.sagemaker.definition import step_names

WORD = {"Name": "Word", "Type": "String", "DefaultValue": "hello"}
NUMBER = {"Name": "Number", "Type": "Integer", "DefaultValue": 3}
VERDICT = [{"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}]


def saying(lab, name, text, **more):
    """A processing step that writes a text to its output ``result``, at ``<name>/verdict.json``."""
    script = f"printf '%s' '{text}' > /opt/ml/processing/output/result/verdict.json"
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


def test_steps_run_in_the_order_of_what_they_refer_to_and_depend_on(lab):
    first = saying(lab, "first", "1")
    uses = lab.processing(
        "cp /opt/ml/processing/input/data/verdict.json /opt/ml/processing/output/result/",
        inputs={"data": ""},
        outputs={"result": "second"},
    )
    uses["ProcessingInputs"][0]["S3Input"]["S3Uri"] = get(
        "Steps.first.ProcessingOutputConfig.Outputs['result'].S3Output.S3Uri"
    )
    second = step("second", "Processing", uses)
    third = saying(lab, "third", "3", DependsOn=["second"])
    ran = lab.run(third, second, first)
    assert ran.statuses() == dict.fromkeys(["first", "second", "third"], "Succeeded")
    assert list(ran.steps) == ["first", "second", "third"]
    assert lab.read("second/verdict.json") == "1"
    for before, after in (("first", "second"), ("second", "third")):
        assert ran.steps[before]["EndTime"] <= ran.steps[after]["StartTime"]


def test_steps_that_do_not_wait_for_each_other_run_at_the_same_time(lab):
    ran = lab.run(*(step(name, "Processing", lab.processing("sleep 0.6")) for name in ("a", "b", "c")))
    assert max(each["StartTime"] for each in ran.steps.values()) < min(each["EndTime"] for each in ran.steps.values())


def test_no_more_run_at_once_than_the_execution_allows(lab):
    steps = [step(name, "Processing", lab.processing("sleep 0.2")) for name in ("a", "b")]
    ran = lab.run(*steps, ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert ran.described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 1}
    assert ran.steps["a"]["EndTime"] <= ran.steps["b"]["StartTime"]


def test_parameters_are_typed_and_defaults_stand_where_nothing_is_given(lab):
    script = "echo $WORD-$NUMBER > /opt/ml/processing/output/result/said"
    environment = {"WORD": get("Parameters.Word"), "NUMBER": join(get("Parameters.Number"))}
    one = step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment=environment))
    ran = lab.run(one, parameters=[WORD, NUMBER], given={"Number": "7"})
    assert lab.read("out/said") == "hello-7\n"
    listed = lab.client("sagemaker").list_pipeline_parameters_for_execution(PipelineExecutionArn=ran.arn)
    assert listed["PipelineParameters"] == [{"Name": "Word", "Value": "hello"}, {"Name": "Number", "Value": "7"}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Wrod": "x"}, ["Wrod is not declared", "did you mean 'Word'"]),
        ({"Number": "many"}, ["Number is of type Integer", "'many'"]),
        ({"Status": "Maybe"}, ["Status is one of Approved, Rejected"]),
        ({}, ["Needed has no default"]),
    ],
)
def test_parameters_that_are_not_as_declared_are_refused_at_the_start(lab, given, words):
    declared = [WORD, NUMBER, {"Name": "Needed", "Type": "String"}, {"Name": "Status", "Type": "String", "DefaultValue": "Approved", "EnumValues": ["Approved", "Rejected"]}]  # fmt: skip
    lab.define(step("p", "Processing", lab.processing("true")), parameters=declared)
    assert refused(lambda: lab.start(given=given), *words) == "ValidationException"


def test_a_bare_get_of_a_number_where_text_is_wanted_fails_the_step(lab):
    request = lab.processing("true", environment={"NUMBER": get("Parameters.Number")})
    ran = lab.run(step("p", "Processing", request), parameters=[NUMBER])
    assert "Environment.NUMBER" in ran.reason("p")
    assert "valid types: <class 'str'>" in ran.reason("p")


def test_a_condition_takes_one_branch_and_the_other_is_not_executed(lab):
    steps = [
        saying(lab, "assess", '{"verdict": "pass", "deep": {"list": [1, 2.5]}}', PropertyFiles=VERDICT),
        condition(
            "verdict",
            equals(verdict_of("assess"), "pass"),
            {"Type": "GreaterThan", "LeftValue": verdict_of("assess", "deep.list[1]"), "RightValue": 2},
            {"Type": "Not", "Expression": {"Type": "In", "QueryValue": get("Parameters.Word"), "Values": ["bye"]}},
            {
                "Type": "Or",
                "Conditions": [
                    equals(1, 2),
                    {"Type": "LessThanOrEqualTo", "LeftValue": get("Parameters.Number"), "RightValue": 3.0},
                ],
            },
            yes=[saying(lab, "after", "1")],
            no=[fail("rejected", "no")],
        ),
    ]
    ran = lab.run(*steps, parameters=[WORD, NUMBER])
    assert ran.status == "Succeeded"
    assert ran.steps["verdict"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert list(ran.steps) == ["assess", "verdict", "after"]
    definition = lab.client("sagemaker").describe_pipeline_definition_for_execution(PipelineExecutionArn=ran.arn)
    names = step_names(json.loads(definition["PipelineDefinition"])["Steps"])
    assert [name for name in names if name not in ran.steps] == ["rejected"]


def test_a_fail_step_fails_the_execution_and_says_why_among_the_steps(lab):
    reasons = join("refused by ", get("Execution.PipelineName"), ": ", verdict_of("assess", "reasons"))
    ran = lab.run(
        saying(lab, "assess", '{"verdict": "rejected", "reasons": "roc_auc .71 < .80"}', PropertyFiles=VERDICT),
        condition("verdict", equals(verdict_of("assess"), "pass"), no=[fail("rejected", reasons)]),
    )
    said = f"refused by {lab.pipeline}: roc_auc .71 < .80"
    assert ran.status == "Failed"
    assert ran.statuses() == {"assess": "Succeeded", "verdict": "Succeeded", "rejected": "Failed"}
    assert ran.reason("rejected") == said
    assert ran.steps["rejected"]["Metadata"] == {"Fail": {"ErrorMessage": said}}
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
        step("train", "Training", lab.training("printf 'train: out of memory' > /opt/ml/output/failure; exit 1")),
        saying(lab, "assess", "1", DependsOn=["train"]),
        condition("verdict", equals(1, 1), yes=[saying(lab, "more", "1")], DependsOn=["assess"]),
    )
    assert (ran.status, list(ran.steps)) == ("Failed", ["train"])
    assert ran.reason("train") == "ClientError: AlgorithmError: train: out of memory, exit code: 1"
    definition = lab.client("sagemaker").describe_pipeline(PipelineName=lab.pipeline)["PipelineDefinition"]
    assert list(step_names(json.loads(definition)["Steps"])) == ["train", "assess", "verdict", "more"]


def test_a_property_that_is_not_there_fails_the_step_that_asks(lab):
    one = saying(lab, "one", '{"a": 1}', PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one", "b"), 1)))
    assert "there is no 'b'" in ran.reason("c")
    ran = lab.run(
        one, step("two", "Processing", lab.processing("true", environment={"X": get("Steps.one.ExitMessage")}))
    )
    assert "Steps.one.ExitMessage" in ran.reason("two")


def test_a_property_file_that_was_not_written_fails_the_step_that_asks(lab):
    one = step("one", "Processing", lab.processing("true", outputs={"result": "one"}), PropertyFiles=VERDICT)
    ran = lab.run(one, condition("c", equals(verdict_of("one"), 1)))
    assert "one/verdict.json: NoSuchKey" in ran.reason("c")


# stop and retry


def test_stopping_ends_the_jobs_that_run_and_starts_nothing_more(lab):
    script = "trap 'echo stopped > /opt/ml/processing/output/result/x; exit 0' TERM; while :; do sleep 0.05; done"
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
        lab.processing("cat /opt/ml/processing/input/data/* > /dev/null", inputs={"data": "later/"}),
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
    assert lab.job(again, "second")["ProcessingJobName"] != lab.job(ran, "second")["ProcessingJobName"]


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
    assert refused(lambda: lab.start(ClientRequestToken=token, given={"Word": "other"})) == "ConflictException"
    assert lab.start() != first
    lab.ended(first)
    listed = lab.client("sagemaker").list_pipeline_executions(PipelineName=lab.pipeline, SortOrder="Ascending")
    assert listed["PipelineExecutionSummaries"][0]["PipelineExecutionArn"] == first
    assert len(listed["PipelineExecutionSummaries"]) == 2


# retry policies


@pytest.mark.parametrize(
    ("kind", "exception"),
    [
        ("internal", "SageMaker.JOB_INTERNAL_ERROR"),
        ("capacity", "SageMaker.CAPACITY_ERROR"),
        ("throttling", "Step.THROTTLING"),
        ("limit", "SageMaker.RESOURCE_LIMIT"),
    ],
)
def test_a_retry_policy_tries_again_what_it_is_for(lab, kind, exception):
    policies = [{"ExceptionType": [exception], "IntervalSeconds": 0, "BackoffRate": 2, "MaxAttempts": 2}]
    lab.server.emulator.disturb(Disturbance(kind, step="p", times=2))
    ran = lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Succeeded", 3)
    lab.server.emulator.disturb(Disturbance(kind, step="p", times=3))
    assert lab.run(step("p", "Processing", lab.processing("true"), RetryPolicies=policies)).status == "Failed"


def test_what_no_policy_is_for_is_not_tried_again(lab):
    policies = [{"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 0, "MaxAttempts": 5}]
    ran = lab.run(step("p", "Processing", lab.processing("exit 1"), RetryPolicies=policies))
    assert (ran.status, ran.steps["p"]["AttemptCount"]) == ("Failed", 1)
    lab.server.emulator.disturb(Disturbance("capacity", step="p"))
    ran = lab.run(step("p", "Processing", lab.processing("true")))
    assert "CapacityError" in ran.reason("p")


# a disk that is full


class Disk:
    """Saves until it is full, which it is when ``full(execution)`` says so, for good or for one time."""

    def __init__(self, full, *, times=1000):
        self.full, self.times, self.saved = full, times, None

    def __call__(self, execution):
        if self.times and self.full(execution):
            self.times -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.saved = execution.as_json()


def over(disk):
    """An execution of one step that takes a moment and succeeds, when its thread has ended."""
    only = step("only", "Condition", {"Conditions": [equals(1, 1)], "IfSteps": [], "ElseSteps": []})
    definition = json.dumps({"Version": "2020-12-01", "Steps": [only]})
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/aaaaaaaaaaaa"
    execution = Execution(arn, "p", definition, [], "arn:aws:iam::123456789012:role/r", created=1.0)
    running = Running(execution, scope_of(execution, lambda _: None), lambda *_: time.sleep(0.05), disk)
    running.thread.start()
    running.thread.join(20)
    assert not running.thread.is_alive()
    return execution


def when_the_step_is(status):
    return lambda execution: [each.status for each in execution.steps.values()] == [status]


@pytest.mark.parametrize(
    ("full", "came_to"),
    [
        (when_the_step_is("Starting"), "Failed"),
        (when_the_step_is("Executing"), "Failed"),
        (when_the_step_is("Succeeded"), "Succeeded"),
        (lambda _: True, "Failed"),
    ],
)
def test_an_execution_that_a_full_disk_cannot_keep_ends_as_failed_and_says_why(full, came_to):
    execution = over(Disk(full))
    (only,) = execution.steps.values()
    assert (execution.status, only.status) == ("Failed", came_to)
    assert "No space left on device" in f"{execution.reason} {only.reason}"


def test_an_execution_that_failed_on_a_full_disk_is_kept_as_failed_when_there_is_room_again():
    disk = Disk(when_the_step_is("Succeeded"), times=1)
    assert over(disk).status == disk.saved["status"] == "Failed"


def test_an_execution_whose_last_word_a_full_disk_did_not_take_has_still_ended():
    disk = Disk(lambda execution: execution.status != "Executing")
    assert over(disk).status == "Succeeded"


# the registry


def registering(lab, group, **more):
    specification = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": lab.uri("models/m.tar.gz")}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    return step(
        "register", "RegisterModel", {"ModelPackageGroupName": group, "InferenceSpecification": specification, **more}
    )


def test_a_model_is_registered_in_its_group_which_is_made_where_it_is_missing(lab):
    group = f"g-{lab.pipeline}"
    status = {"Name": "Status", "Type": "String", "DefaultValue": "PendingManualApproval"}
    metadata = {"run": get("Parameters.Word")}
    ran = lab.run(
        registering(lab, group, ModelApprovalStatus=get("Parameters.Status"), CustomerMetadataProperties=metadata),
        parameters=[status, WORD],
    )
    arn = ran.steps["register"]["Metadata"]["RegisterModel"]["Arn"]
    package = lab.client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert (package["ModelApprovalStatus"], package["ModelPackageVersion"]) == ("PendingManualApproval", 1)
    assert package["CustomerMetadataProperties"] == {"run": "hello"}


def test_an_approval_status_that_is_none_is_refused(lab):
    ran = lab.run(registering(lab, f"g-{lab.pipeline}", ModelApprovalStatus="Pending"))
    assert "'Pending' is none of Approved, Rejected, PendingManualApproval" in ran.reason("register")


# what is refused


def test_roles_must_exist_and_be_assumable_by_sagemaker(lab):
    request = lab.processing("true")
    nobody = "arn:aws:iam::123456789012:role/nobody"
    ran = lab.run(step("p", "Processing", {**request, "RoleArn": nobody}))
    assert f"there is no role {nobody}" in ran.reason("p")
    other = lab.make_role(f"ec2-{lab.pipeline}", json.loads(json.dumps(TRUST).replace("sagemaker", "ec2")))
    ran = lab.run(step("p", "Processing", {**request, "RoleArn": other}))
    assert "may not be assumed by sagemaker.amazonaws.com" in ran.reason("p")
    make = lab.client("sagemaker").create_pipeline
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step("p", "Processing", request)]})
    assert (
        refused(lambda: make(PipelineName="x", PipelineDefinition=definition, RoleArn=other), "may not be assumed")
        == "ValidationException"
    )


def test_a_pipelines_role_that_has_policies_must_be_allowed_to_pass_the_roles_of_its_jobs(lab):
    def policy(effect, resource, **condition):
        statement = {"Effect": effect, "Action": ["iam:Pass*"], "Resource": resource, **condition}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    iam, job = lab.client("iam"), lab.role
    lab.role = pipeline = lab.make_role(f"pipe-{lab.pipeline}", TRUST)
    name = pipeline.rpartition("/")[2]
    request = lab.processing("true") | {"RoleArn": job}
    assert lab.run(step("p", "Processing", request)).status == "Succeeded"  # a role without policies is not judged
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy("Allow", f"{pipeline}*"))
    denied = f"ClientError: AccessDenied: {pipeline} is not authorized to perform iam:PassRole on {job} for sagemaker.amazonaws.com"
    assert lab.run(step("p", "Processing", request)).reason("p") == denied
    to_others = {"Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy("Allow", job, **to_others))
    assert lab.run(step("p", "Processing", request)).reason("p") == denied
    attached = iam.create_policy(PolicyName=f"jobs-{lab.pipeline}", PolicyDocument=policy("Allow", job[:-1] + "?"))
    iam.attach_role_policy(RoleName=name, PolicyArn=attached["Policy"]["Arn"])
    assert lab.run(step("p", "Processing", request)).status == "Succeeded"
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy("Deny", "*"))
    assert lab.run(step("p", "Processing", request)).reason("p") == denied
    lab.role = job


def test_jobs_finish_where_s3_refuses_a_third_of_all_requests(lab):
    lab.put("in/a", "a")
    lab.server.emulator.disturb(Disturbance("slow_down", share=0.3, times=1000))
    code = "import boto3, os; [boto3.client('s3').put_object(Bucket=os.environ['BUCKET'], Key=f'k{n}', Body=b'x') for n in range(10)]"
    request = lab.processing(["python", "-c", code], inputs={"data": "in/"}, environment={"BUCKET": lab.bucket})
    assert lab.run(step("p", "Processing", request)).status == "Succeeded"
    client, asked = impatient(lab), []
    for _ in range(10):
        try:
            asked.append(bool(client.list_objects_v2(Bucket=lab.bucket)))
        except ClientError as error:
            asked.append(error.response["Error"]["Code"])
    assert asked.count("SlowDown") == 3


def impatient(lab):
    import boto3
    from botocore.config import Config

    address = lab.server.address
    return boto3.client("s3", endpoint_url=address.endpoint, region_name="us-east-1", aws_access_key_id=address.access_key,
                        aws_secret_access_key=address.secret_key, config=Config(retries={"total_max_attempts": 1}))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AppSpecification": {"ImageUri": "fourscore:1", "ContainerEntrypoint": ["true"]}}, "wanted ACCOUNT.dkr.ecr"),
        ({"AppSpecification": {"ImageUri": IMAGE.replace("us-east-1", "eu-west-1"), "ContainerEntrypoint": ["true"]}}, "its registry is in eu-west-1"),
        ({"AppSpecification": {"ImageUri": IMAGE}}, "ContainerEntrypoint: wanted"),
        ({"Enviroment": {}}, "Unknown parameter in input"),
        ({"ProcessingJobName": "mine"}, "the pipeline names its jobs"),
        ({"ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.tiny", "VolumeSizeInGB": 1}}}, "'ml.tiny' is none of"),
        ({"ProcessingResources": {"ClusterConfig": {"InstanceCount": "1", "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}}, "InstanceCount"),
        ({"Environment": {"LONG": "x" * 257}}, "has length 257"),
    ],
)  # fmt: skip
def test_requests_that_aws_refuses_are_refused(lab, change, words):
    ran = lab.run(step("p", "Processing", lab.processing("true") | change))
    assert words in ran.reason("p")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EnableManagedSpotTraining": True}, "wants MaxWaitTimeInSeconds"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}}, "for managed spot training only"),
        ({"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9},
          "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, "KeepAlivePeriodInSeconds": 60}}, "warm pool"),
        ({"HyperParameters": {"epochs": 3}}, "HyperParameters.epochs"),
    ],
)  # fmt: skip
def test_training_requests_that_aws_refuses_are_refused(lab, change, words):
    ran = lab.run(step("t", "Training", lab.training("true") | change))
    assert words in ran.reason("t")


def test_calls_about_what_is_not_there_are_answered_as_aws_answers(lab):
    sagemaker = lab.client("sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/{lab.pipeline}/execution/aaaaaaaaaaaa"
    assert refused(lambda: sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)) == "ResourceNotFound"
    assert refused(lambda: sagemaker.start_pipeline_execution(PipelineName="nothing")) == "ResourceNotFound"
    assert refused(lambda: sagemaker.describe_pipeline(PipelineName="nothing")) == "ResourceNotFound"
    assert refused(lambda: sagemaker.list_pipeline_executions(PipelineName="nothing")) == "ResourceNotFound"
    assert refused(lambda: sagemaker.describe_training_job(TrainingJobName="nothing")) == "ValidationException"


# versions, jobs outside pipelines, lists


def test_an_execution_can_be_of_an_earlier_version_of_its_pipeline(lab):
    sagemaker = lab.client("sagemaker")
    lab.define(step("one", "Processing", lab.processing("true")))
    assert lab.define(step("two", "Processing", lab.processing("true")))["PipelineVersionId"] == 2
    old = lab.ended(lab.start(PipelineVersionId=1))
    assert (list(old.steps), old.described["PipelineVersionId"]) == (["one"], 1)
    assert list(lab.ended(lab.start()).steps) == ["two"]
    versions = sagemaker.list_pipeline_versions(PipelineName=lab.pipeline)["PipelineVersionSummaries"]
    assert [each["PipelineVersionId"] for each in versions] == [2, 1]
    described = sagemaker.describe_pipeline(PipelineName=lab.pipeline, PipelineVersionId=1)
    assert '"one"' in described["PipelineDefinition"]
    assert refused(lambda: lab.start(PipelineVersionId=9)) == "ResourceNotFound"


def test_jobs_run_outside_pipelines_too_and_are_listed_and_stopped(lab):
    sagemaker, name = lab.client("sagemaker"), f"job-{lab.pipeline}"
    request = lab.training("trap 'exit 0' TERM; while :; do sleep 0.05; done", Tags=[{"Key": "k", "Value": "v"}])
    arn = sagemaker.create_training_job(TrainingJobName=name, **request)["TrainingJobArn"]
    assert refused(lambda: sagemaker.create_training_job(TrainingJobName=name, **request)) == "ResourceInUse"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    lab.until(lambda: sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training")
    sagemaker.stop_training_job(TrainingJobName=name)
    lab.until(lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopped")
    (listed,) = sagemaker.list_training_jobs(NameContains=name, StatusEquals="Stopped")["TrainingJobSummaries"]
    assert listed["TrainingJobArn"] == arn
    with pytest.raises(ClientError, match="No S3 objects"):
        sagemaker.create_training_job(TrainingJobName=f"{name}-2", **lab.training("true", channels={"a": "none/"}))


def test_lists_come_in_pages(lab):
    steps = [
        step(f"s{number}", "Condition", {"Conditions": [equals(1, 1)], "IfSteps": [], "ElseSteps": []})
        for number in range(5)
    ]
    ran = lab.run(*steps)
    pages = (
        lab.client("sagemaker")
        .get_paginator("list_pipeline_execution_steps")
        .paginate(PipelineExecutionArn=ran.arn, PaginationConfig={"PageSize": 2})
    )
    assert [len(page["PipelineExecutionSteps"]) for page in pages] == [2, 2, 1]


def test_the_sdks_own_resources_can_start_follow_and_read(lab, monkeypatch):
    """sagemaker.core, which knows the API's shapes, finds every answer as it should be."""
    pytest.importorskip("sagemaker.core.resources")
    for name, value in lab.server.address.clients.environment().items():
        monkeypatch.setenv(name, value)
    import boto3
    from sagemaker.core.resources import Pipeline, PipelineExecution

    session = boto3.Session()
    lab.define(saying(lab, "one", "1"))
    assert Pipeline.get(pipeline_name=lab.pipeline, session=session, region="us-east-1").pipeline_status == "Active"
    arn = lab.ended(lab.start()).arn
    execution = PipelineExecution.get(pipeline_execution_arn=arn, session=session, region="us-east-1")
    assert execution.pipeline_execution_status == "Succeeded"
    (one,) = execution.get_all_steps(session=session, region="us-east-1")
    assert (one.step_name, one.step_status) == ("one", "Succeeded")
