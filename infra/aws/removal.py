"""Stacks taken down: not while anything uses them, and without their data unless a person says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.aws import change_sets
from infra.aws.account import Account, ignore_missing
from infra.aws.change_sets import ABSENT, REVIEWED, Report
from infra.aws.stacks import names
from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError, InputError

KEY_DAYS = 30
"""Days in which the deletion of the key can be cancelled."""
RUNNING = ("Executing", "Stopping")
EMPTY = ("ROLLBACK_COMPLETE", REVIEWED)
"""Statuses of a stack whose creation failed or never began; it holds nothing."""


@dataclass(frozen=True)
class Removal:
    """What would be deleted, what would be kept, and what is in use."""

    stacks: tuple[str, ...]
    """In the order of their deletion."""
    goes: tuple[str, ...]
    stays: tuple[str, ...]
    in_use: tuple[str, ...]
    data: dict[str, str]
    """Outputs of the data stack: Bucket, KeyArn, ImageRepository."""


def down(
    account: Account, stack: str, *, delete_data: bool, confirm: Callable[[Removal], bool], report: Report
) -> tuple[Removal, bool]:
    """Delete the stack if nothing uses it and ``confirm`` returns True.

    Returns:
        What was to be deleted, and whether it was.

    Raises:
        InputError: there is no such stack.
        FourscoreError: it is in use; the message says by what.
    """
    removal = plan_removal(account, stack, delete_data=delete_data)
    if removal.in_use:
        users = "\n  ".join(removal.in_use)
        raise FourscoreError(
            f"stack {stack} is in use, so nothing was changed:\n  {users}\n  end these first, and run again"
        )
    if not confirm(removal):
        return removal, False
    data, _ = names(stack)
    for name in removal.stacks:
        if name == data and removal.data:
            _delete_data(account, stack, removal.data, report)
            change_sets.protect(account, data, on=False)
        change_sets.delete(account, name, report)
    return removal, True


def plan_removal(account: Account, stack: str, *, delete_data: bool) -> Removal:
    """Return what taking the stack down would mean.

    Raises:
        InputError: there is no such stack, or only its data and that is to stay.
    """
    data, compute = names(stack)
    described = ((name, change_sets.describe(account, name)) for name in (compute, data))
    standing = {name: current for name, current in described if current and current.status not in ABSENT}
    if not standing:
        raise InputError(
            f"no stack {stack!r} in {account.region} of account {account.account}; check region and profile"
        )
    outputs = standing[data].outputs if data in standing else {}
    things = tuple(_data(account, stack, outputs)) if outputs else ()
    resources = tuple(_resources(account, compute)) if compute in standing else ()
    stacks = tuple(name for name in standing if name == compute or delete_data or standing[name].status in EMPTY)
    if not stacks:
        raise InputError(f"only the data of stack {stack!r} is left; --delete-data deletes that, too")
    role = standing[compute].outputs.get("RolePipeline") if compute in standing else None
    busy = [name for name in standing if standing[name].status.endswith("_IN_PROGRESS")]
    return Removal(
        stacks,
        goes=(*resources, *(things if delete_data else ())),
        stays=() if delete_data else things,
        in_use=(
            *(f"stack {name} is {standing[name].status}" for name in busy if standing[name].status != REVIEWED),
            *_users(account, stack, role),
        ),
        data=outputs,
    )


def _resources(account: Account, stack: str) -> Iterator[str]:
    with translate_aws_errors(f"stack {stack}"):
        pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for page in pages:
            for entry in page["StackResourceSummaries"]:
                if entry.get("LogicalResourceId"):
                    yield f"{entry['ResourceType']} {entry.get('PhysicalResourceId') or entry['LogicalResourceId']}"


def _data(account: Account, stack: str, outputs: dict[str, str]) -> Iterator[str]:
    bucket, repository = outputs["Bucket"], outputs["ImageRepository"]
    with translate_aws_errors(f"data of {stack}"):
        with ignore_missing("NoSuchBucket", "404"):
            page = account.client("s3").list_objects_v2(Bucket=bucket, MaxKeys=1000)
            more = " and more" if page["IsTruncated"] else ""
            yield f"bucket {bucket} ({page['KeyCount']} objects{more})"
        with ignore_missing("RepositoryNotFoundException"):
            count = len(account.client("ecr").list_images(repositoryName=repository)["imageIds"])
            yield f"image repository {repository} ({count} images)"
        for group in _groups(account, stack):
            yield f"model package group {group}"
        yield f"key {outputs['KeyArn']}"


def _groups(account: Account, stack: str) -> Iterator[str]:
    prefix = f"{names(stack)[1]}-"
    pages = account.client("sagemaker").get_paginator("list_model_package_groups").paginate(NameContains=prefix)
    for page in pages:
        for group in page["ModelPackageGroupSummaryList"]:
            if group["ModelPackageGroupName"].startswith(prefix):
                yield group["ModelPackageGroupName"]


def _users(account: Account, stack: str, role: str | None) -> Iterator[str]:
    """Yield executions, endpoints and builds of the stack that are active."""
    sagemaker, codebuild = account.client("sagemaker"), account.client("codebuild")
    with translate_aws_errors(f"users of stack {stack}"):
        for page in sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix="fourscore-"):
            for pipeline in page["PipelineSummaries"]:
                if role and pipeline.get("RoleArn") == role:
                    yield from _executions(sagemaker, pipeline["PipelineName"])
        for page in sagemaker.get_paginator("list_endpoints").paginate():
            for endpoint in page["Endpoints"]:
                tags = sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
                if {"Key": "fourscore:stack", "Value": stack} in tags:
                    yield f"endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']}"
        ids: list[str] = []
        with ignore_missing("ResourceNotFoundException"):
            ids = codebuild.list_builds_for_project(projectName=names(stack)[1])["ids"][:100]
        for build in codebuild.batch_get_builds(ids=ids)["builds"] if ids else ():
            if build["buildStatus"] == "IN_PROGRESS":
                yield f"build {build['id']} is running"


def _executions(client: Any, pipeline: str) -> Iterator[str]:
    for page in client.get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline):
        for execution in page["PipelineExecutionSummaries"]:
            if execution["PipelineExecutionStatus"] in RUNNING:
                yield f"execution {execution['PipelineExecutionArn']} is {execution['PipelineExecutionStatus']}"


def _delete_data(account: Account, stack: str, outputs: dict[str, str], report: Report) -> None:
    """Delete what the data stack keeps; after an interruption, what is left of it."""
    bucket, repository, key = outputs["Bucket"], outputs["ImageRepository"], outputs["KeyArn"]
    with translate_aws_errors(f"data of {stack}"):
        _delete_packages(account, stack, report)
        with ignore_missing("RepositoryNotFoundException"):
            account.client("ecr").delete_repository(repositoryName=repository, force=True)
            report(repository, "AWS::ECR::Repository", "DELETE_COMPLETE", "")
        with ignore_missing("NoSuchBucket", "404"):
            _empty(account.client("s3"), bucket)
            account.client("s3").delete_bucket(Bucket=bucket)
            report(bucket, "AWS::S3::Bucket", "DELETE_COMPLETE", "")
        with ignore_missing("KMSInvalidStateException", "NotFoundException"):
            account.client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=KEY_DAYS)
            report(key, "AWS::KMS::Key", "DELETE_SCHEDULED", f"in {KEY_DAYS} days; can be cancelled until then")


def _delete_packages(account: Account, stack: str, report: Report) -> None:
    client = account.client("sagemaker")
    for group in list(_groups(account, stack)):
        for page in client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
            for package in page["ModelPackageSummaryList"]:
                client.delete_model_package(ModelPackageName=package["ModelPackageArn"])
        client.delete_model_package_group(ModelPackageGroupName=group)
        report(group, "AWS::SageMaker::ModelPackageGroup", "DELETE_COMPLETE", "")


def _empty(client: Any, bucket: str) -> None:
    """Delete all versions of all objects, a thousand at a time."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if objects:
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise FourscoreError(
                    f"bucket {bucket}: {errors[0]['Key']} could not be deleted: {errors[0].get('Message')}"
                )
