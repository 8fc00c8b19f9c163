"""Stacks taken down: not while anything uses them, and without their data unless a person says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.aws import change_sets
from infra.aws.account import Account, ignore_errors
from infra.aws.change_sets import Report
from infra.aws.stacks import names
from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError, InputError

KEY_DAYS = 30
"""Days in which the deletion of the key can be cancelled."""
RUNNING = ("Executing", "Stopping")


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
    for name in removal.stacks:
        if name == names(stack)[0] and removal.data:
            _delete_data(account, stack, removal.data, report)
            change_sets.protect(account, name, on=False)
        change_sets.delete(account, name, report)
    return removal, True


def plan_removal(account: Account, stack: str, *, delete_data: bool) -> Removal:
    """Return what taking the stack down would mean.

    Raises:
        InputError: there is no such stack, or only its data and that is to stay.
    """
    data, compute = names(stack)
    described = {name: change_sets.describe(account, name) for name in (compute, data)}
    current = {name: deployment for name, deployment in described.items() if deployment}
    if not current:
        raise InputError(
            f"no stack {stack!r} in {account.region} of account {account.account}; check region and profile"
        )
    outputs = current[data].outputs if data in current else {}  # none of a stack whose creation failed
    stacks = tuple(name for name in current if name == compute or delete_data or not outputs)
    if not stacks:
        raise InputError(f"only the data of stack {stack!r} is left; --delete-data deletes that, too")
    things = (
        *(f"{kind} {outputs[name]}" for name, kind in _KINDS.items() if name in outputs),
        *(f"model package group {group}" for group in _groups(account, stack)),
    )
    resources = _resources(account, compute) if compute in current else ()
    busy = [f"stack {name} is {one.status}" for name, one in current.items() if one.status.endswith("_IN_PROGRESS")]
    role = current[compute].outputs.get("RolePipeline") if compute in current else None
    return Removal(
        stacks,
        goes=(*resources, *(things if delete_data else ())),
        stays=() if delete_data else things,
        in_use=(*busy, *_users(account, stack, role)),
        data=outputs,
    )


_KINDS = {"Bucket": "bucket", "ImageRepository": "image repository", "KeyArn": "key"}


def _resources(account: Account, stack: str) -> Iterator[str]:
    with translate_aws_errors(f"stack {stack}"):
        for page in account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack):
            for entry in page["StackResourceSummaries"]:
                if "LogicalResourceId" in entry:
                    yield f"{entry['ResourceType']} {entry.get('PhysicalResourceId') or entry['LogicalResourceId']}"


def _groups(account: Account, stack: str) -> list[str]:
    prefix = f"{names(stack)[1]}-"
    with translate_aws_errors(f"model package groups {prefix}*"):
        pages = account.client("sagemaker").get_paginator("list_model_package_groups").paginate(NameContains=prefix)
        groups = [group["ModelPackageGroupName"] for page in pages for group in page["ModelPackageGroupSummaryList"]]
    return [group for group in groups if group.startswith(prefix)]


def _users(account: Account, stack: str, role: str | None) -> Iterator[str]:
    """Yield executions, endpoints and builds of the stack that are active."""
    sagemaker, codebuild = account.client("sagemaker"), account.client("codebuild")
    with translate_aws_errors(f"users of stack {stack}"):
        for page in sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix="fourscore-"):
            for pipeline in page["PipelineSummaries"]:
                if role and pipeline.get("RoleArn") == role:
                    yield from _executions(account, pipeline["PipelineName"])
        for page in sagemaker.get_paginator("list_endpoints").paginate():
            for endpoint in page["Endpoints"]:
                tags = sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
                if {"Key": "fourscore:stack", "Value": stack} in tags:
                    yield f"endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']}"
        with ignore_errors("ResourceNotFoundException"):  # a stack without --codebuild
            ids = codebuild.list_builds_for_project(projectName=names(stack)[1])["ids"][:100]
            for build in codebuild.batch_get_builds(ids=ids)["builds"] if ids else ():
                if build["buildStatus"] == "IN_PROGRESS":
                    yield f"build {build['id']} is running"


def _executions(account: Account, pipeline: str) -> Iterator[str]:
    pages = account.client("sagemaker").get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline)
    for page in pages:
        for execution in page["PipelineExecutionSummaries"]:
            if execution["PipelineExecutionStatus"] in RUNNING:
                yield f"execution {execution['PipelineExecutionArn']} is {execution['PipelineExecutionStatus']}"


def _delete_data(account: Account, stack: str, outputs: dict[str, str], report: Report) -> None:
    """Delete what the data stack keeps; after an interruption, what is left of it."""
    bucket, repository, key = outputs["Bucket"], outputs["ImageRepository"], outputs["KeyArn"]
    sagemaker = account.client("sagemaker")
    with translate_aws_errors(f"data of {stack}"):
        for group in _groups(account, stack):
            pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
            for package in [package for page in pages for package in page["ModelPackageSummaryList"]]:
                sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
            sagemaker.delete_model_package_group(ModelPackageGroupName=group)
            report(group, "AWS::SageMaker::ModelPackageGroup", "DELETE_COMPLETE", "")
        with ignore_errors("RepositoryNotFoundException"):
            account.client("ecr").delete_repository(repositoryName=repository, force=True)
            report(repository, "AWS::ECR::Repository", "DELETE_COMPLETE", "")
        with ignore_errors("NoSuchBucket"):
            objects = account.session.resource("s3").Bucket(bucket)
            objects.object_versions.delete()
            objects.delete()
            report(bucket, "AWS::S3::Bucket", "DELETE_COMPLETE", "")
        with ignore_errors("KMSInvalidStateException", "NotFoundException"):
            account.client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=KEY_DAYS)
            report(key, "AWS::KMS::Key", "DELETE_SCHEDULED", f"in {KEY_DAYS} days; can be cancelled until then")
