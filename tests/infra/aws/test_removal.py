"""Stacks go down: not while they are in use, and without their data unless a person says so."""

import dataclasses

import pytest
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends
from motoaws import REGION, manifest, silent, statuses, up, yes
from templates import BUCKET

from infra.aws import removal, stacks
from steps.errors import FourscoreError, InputError

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")
BOTH = {"fourscore-dev-data", "fourscore-dev"}


def down(aws, *, delete_data=False, confirm=yes, log=silent):
    return removal.down(aws, "dev", delete_data=delete_data, confirm=confirm, log=log)


def in_use(aws):
    return removal.plan_removal(aws, "dev", delete_data=False).in_use


def test_down_deletes_the_roles_and_keeps_the_data(aws, client):
    up(aws)
    client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=b"1")
    plan, executed = down(aws)
    assert executed
    assert f"bucket {BUCKET}" in plan.stays
    assert statuses(client) == {"fourscore-dev-data": "CREATE_COMPLETE"}
    assert client("s3").get_object(Bucket=BUCKET, Key="fourscore/raw/x")["Body"].read() == b"1"
    assert client("iam").list_roles()["Roles"] == []


def test_with_delete_data_all_of_it_goes(aws, client, protected):
    key = up(aws).stack.kms_key
    for body in (b"1", b"2"):
        client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=body)
    client("ecr").put_image(repositoryName="fourscore-dev", imageManifest=manifest(), imageTag="cpu-0")
    lines = []
    plan, executed = down(aws, delete_data=True, log=lines.append)
    assert executed
    assert plan.stays == ()
    assert f"key {key} will be deleted in 30 days; that can be cancelled until then" in lines
    assert statuses(client) == {}
    assert protected == [("fourscore-dev-data", True), ("fourscore-dev-data", False)]
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("ecr").describe_repositories()["repositories"] == []


def test_registered_models_are_part_of_the_data(aws, client):
    up(aws)
    for name in ("fourscore-dev-churn", "fourscore-device-x"):
        client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    stays = removal.plan_removal(aws, "dev", delete_data=False).stays
    assert [thing for thing in stays if "group" in thing] == ["model package group fourscore-dev-churn"]


def test_who_says_no_keeps_everything(aws, client):
    up(aws)
    _, executed = down(aws, delete_data=True, confirm=lambda _: False)
    assert not executed
    assert set(statuses(client)) == BOTH


def test_a_stack_whose_pipeline_runs_is_not_taken_down(aws, client):
    role, sagemaker = up(aws).stack.roles["pipeline"], client("sagemaker")
    token = "0" * 32
    sagemaker.create_pipeline(
        PipelineName="fourscore-x", PipelineDefinition="{}", ClientRequestToken=token, RoleArn=role
    )
    started = sagemaker.start_pipeline_execution(PipelineName="fourscore-x", ClientRequestToken=token)
    assert in_use(aws) == (), "executions in moto succeed at once"
    (execution,) = sagemaker_backends[ACCOUNT_ID][REGION].pipelines["fourscore-x"].pipeline_executions.values()
    execution.pipeline_execution_status = "Executing"
    with pytest.raises(FourscoreError, match="is in use, so nothing was changed") as caught:
        down(aws, confirm=lambda _: pytest.fail("nobody is asked"))
    assert started["PipelineExecutionArn"] in str(caught.value)
    assert set(statuses(client)) == BOTH


def test_an_endpoint_of_the_stack_keeps_it_up(aws, client):
    up(aws)
    sagemaker = client("sagemaker")
    role = "arn:aws:iam::123456789012:role/x"
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i", "ModelDataUrl": "s3://b/m"}
    )
    variant = {"VariantName": "a", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "InitialVariantWeight": 1}  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="other", EndpointConfigName="c")
    assert in_use(aws) == ()
    tags = [{"Key": "fourscore:stack", "Value": "dev"}]
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="c", Tags=tags)
    (endpoint,) = in_use(aws)
    assert endpoint.startswith("endpoint live")


def test_a_stack_that_does_not_exist_is_the_users_mistake(aws):
    with pytest.raises(InputError, match="no stack 'dev'"):
        down(aws)


def test_data_that_is_left_alone_needs_the_option_that_deletes_it(aws):
    up(aws)
    down(aws)
    with pytest.raises(InputError, match="only the data of stack 'dev' is left; --delete-data"):
        down(aws)


def test_a_stack_whose_creation_failed_is_deleted_whatever_is_said_of_data(aws, monkeypatch):
    up(aws)
    down(aws)
    failed = dataclasses.replace(
        stacks.change_sets.describe(aws, "fourscore-dev-data"), status="ROLLBACK_COMPLETE", outputs={}
    )
    monkeypatch.setattr(
        removal.change_sets, "describe", lambda _, stack: failed if stack == "fourscore-dev-data" else None
    )
    plan = removal.plan_removal(aws, "dev", delete_data=False)
    assert (plan.stacks, plan.stays) == (("fourscore-dev-data",), ())
