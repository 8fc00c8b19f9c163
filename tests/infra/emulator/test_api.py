"""The API answers as SageMaker's does, and knows what our backend calls."""

import inspect
import re
import uuid

from emulated import refused, saying

from infra.emulator.api import Api
from infra.sagemaker import service

NUMBER = {"Name": "Number", "Type": "Integer", "DefaultValue": 3}


def test_it_knows_every_operation_that_our_backend_uses_and_no_other(lab):
    source = inspect.getsource(service)
    names = {*re.findall(r"(?:self\.api|logs)\.([a-z_]+)\(", source), *re.findall(r'"(list_\w+)"', source)}
    assert {
        name for name in vars(Api) if re.match("(create|update|describe|start|retry|stop|list|get)_", name)
    } == names
    assert refused(lab.sagemaker.list_endpoints, "the local cloud does not know ListEndpoints")


def test_two_starts_with_one_token_are_one_execution(lab):
    lab.define(saying(lab, "p", "1"), parameters=[NUMBER])
    token = uuid.uuid4().hex
    first = lab.start(ClientRequestToken=token)
    assert lab.start(ClientRequestToken=token) == first
    other = {"ClientRequestToken": token, "arguments": {"Number": "7"}}
    assert refused(lambda: lab.start(**other)) == "ConflictException"
    second = lab.start(arguments={"Number": "7"})
    assert second != first
    lab.ended(first)
    listed = lab.sagemaker.list_pipeline_executions(PipelineName=lab.pipeline)["PipelineExecutionSummaries"]
    assert [item["PipelineExecutionArn"] for item in listed] == [second, first]
    assert {item["PipelineExecutionDescription"] for item in listed} == {"work"}
    parameters = lab.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=second)
    assert parameters["PipelineParameters"] == [{"Name": "Number", "Value": "7"}]


def test_a_parameter_that_is_not_declared_is_refused(lab):
    lab.define(saying(lab, "p", "1"), parameters=[NUMBER])
    assert refused(lambda: lab.start(arguments={"Nmuber": "1"}), "Nmuber: not declared") == "ValidationException"


def test_what_does_not_exist_is_not_found(lab):
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:pipeline/{lab.pipeline}/execution/aaaaaaaaaaaa"
    for call in (
        lambda: lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn),
        lambda: lab.sagemaker.start_pipeline_execution(PipelineName="nothing"),
        lambda: lab.sagemaker.describe_pipeline(PipelineName="nothing"),
        lambda: lab.sagemaker.list_model_packages(ModelPackageGroupName="nothing"),
        lambda: lab.sagemaker.describe_training_job(TrainingJobName="nothing"),
    ):
        assert refused(call) == "ResourceNotFound"
