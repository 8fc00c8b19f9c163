"""Requests to SageMaker, and how its responses are read."""

import boto3
import pytest
from botocore.exceptions import ClientError
from compiled import make_stack

from infra.sagemaker import service
from infra.sagemaker.service import Service


class Executions:
    """An API with one execution, whose statuses are read one after the other; the last one stays."""

    def __init__(self, *statuses):
        self.statuses, self.tokens = list(statuses), []

    def retry_pipeline_execution(self, PipelineExecutionArn, ClientRequestToken):  # noqa: N803 - the API's names
        self.tokens.append(ClientRequestToken)

    def describe_pipeline_execution(self, PipelineExecutionArn):  # noqa: N803
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"PipelineExecutionStatus": status}

    def get_paginator(self, _name):
        return self

    def paginate(self, **_):
        return []


@pytest.mark.parametrize(
    ("statuses", "pauses"),
    [(("Failed", "Failed", "Executing", "Failed"), 2), (("Stopped",), service.LOOKS)],
    ids=["it has begun when the execution no longer shows how it ended", "it is not waited for for ever"],
)
def test_a_retry_is_waited_for(statuses, pauses):
    slept, api = [], Executions(*statuses)
    Service(make_stack(), api, slept.append).retry("arn", "token")
    assert (len(slept), api.tokens) == (pauses, ["token"])


@pytest.fixture
def api(workspace, root):
    """Moto's registry and pipelines."""
    return boto3.client("sagemaker", region_name="us-east-1")


def test_a_pipeline_is_created_once_and_updated_where_it_differs(api):
    cloud, role = Service(make_stack(), api), f"arn:aws:iam::{'1' * 12}:role/pipeline"
    cloud.upsert("flights", '{"Steps": [1]}', role, [{"Key": "fourscore:stack", "Value": "dev"}], "t" * 32)
    first = api.describe_pipeline(PipelineName="flights")
    cloud.upsert("flights", '{"Steps": [1]}', role, [], "t" * 32)
    assert api.describe_pipeline(PipelineName="flights")["LastModifiedTime"] == first["LastModifiedTime"]
    cloud.upsert("flights", '{"Steps": [2]}', role, [], "t" * 32)
    assert api.describe_pipeline(PipelineName="flights")["PipelineDefinition"] == '{"Steps": [2]}'


def test_of_two_who_create_a_pipeline_at_once_both_go_on(api):
    """The second one's describe came too early, and its create is refused."""
    cloud, role = Service(make_stack(), api), f"arn:aws:iam::{'1' * 12}:role/pipeline"
    cloud.upsert("flights", '{"Steps": [1]}', role, [], "t" * 32)
    describe, answers = api.describe_pipeline, [None]

    def late(**arguments):
        if answers:
            answers.pop()
            raise ClientError({"Error": {"Code": "ResourceNotFound"}}, "DescribePipeline")
        return describe(**arguments)

    api.describe_pipeline = late
    cloud.upsert("flights", '{"Steps": [2]}', role, [], "u" * 32)
    assert describe(PipelineName="flights")["PipelineDefinition"] == '{"Steps": [2]}'


def test_a_group_that_does_not_exist_has_no_packages_and_a_pipeline_no_execution(api):
    cloud = Service(make_stack(), api)
    assert list(cloud.packages("fourscore-dev-nothing")) == []
    assert cloud.latest("nothing", "work") is None


def test_the_group_of_a_model_is_created_once(api):
    cloud, group = Service(make_stack(), api), "fourscore-dev-flights"
    for _ in range(2):
        cloud.create_group(group, [{"Key": "fourscore:stack", "Value": "dev"}])
    names = [
        entry["ModelPackageGroupName"] for entry in api.list_model_package_groups()["ModelPackageGroupSummaryList"]
    ]
    assert names == [group]


class SpotJob:
    """An API with one training job that was interrupted twice."""

    def describe_training_job(self, TrainingJobName):  # noqa: N803
        statuses = ("Starting", "Interrupted", "Training", "Interrupted", "Training")
        return {"SecondaryStatusTransitions": [{"Status": status} for status in statuses]}


def test_interruptions_of_a_training_job_are_counted():
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/j"
    assert Service(make_stack(), SpotJob()).interruptions(arn) == 2
    assert Service(make_stack(), object()).interruptions(arn) == 0, "it may not be described"
