"""The API answers as SageMaker's does, and names what is wrong with a request."""

import inspect
import re
import uuid

import pytest
from emulated import IMAGE, NUMBER, WORD, get, join, refused, step

from infra.sagemaker import service


def test_it_knows_every_operation_that_our_backend_uses(cloud):
    source = inspect.getsource(service)
    names = re.findall(r"(?:self\.api|logs)\.([a-z]+_[a-z_]+)\(|get_paginator\(\"(\w+)\"", source)
    operations = {(call or paginator).title().replace("_", "") for call, paginator in names} - {"GetPaginator"}
    assert len(operations) > 10
    assert operations <= set(cloud[1].api.calls)


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
