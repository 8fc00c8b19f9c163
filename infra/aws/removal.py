"""Stacks taken down: not while anything uses them, and without their data unless a person says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.aws import change_sets
from infra.aws.account import Account
from infra.aws.stacks import Print, names
from infra.aws_errors import ignore_errors, listed, translate_aws_errors
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
    account: Account, stack: str, *, delete_data: bool, confirm: Callable[[Removal], bool], log: Print
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
            _delete_data(account, stack, removal.data, log)
            change_sets.protect(account, name, on=False)
        log(f"deleting {name}")
        change_sets.delete(account, name)
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
    busy = [f"stack {name} is {one.status}" for name, one in current.items() if one.status.endswith("_IN_PROGRESS")]
    role = current[compute].outputs.get("RolePipeline") if compute in current else None
    return Removal(
        stacks,
        goes=(*(f"stack {name}" for name in stacks), *(things if delete_data else ())),
        stays=() if delete_data else things,
        in_use=(*busy, *_users(account, stack, role)),
        data=outputs,
    )


_KINDS = {"Bucket": "bucket", "ImageRepository": "image repository", "KeyArn": "key"}


def _groups(account: Account, stack: str) -> list[str]:
    prefix = f"{names(stack)[1]}-"
    with translate_aws_errors(f"model package groups {prefix}*"):
        operation = "list_model_package_groups", "ModelPackageGroupSummaryList"
        summaries = listed(account.client("sagemaker"), *operation, NameContains=prefix)
        groups = [group["ModelPackageGroupName"] for group in summaries]
    return [group for group in groups if group.startswith(prefix)]


def _users(account: Account, stack: str, role: str | None) -> Iterator[str]:
    """Yield executions and endpoints of the stack that are active."""
    sagemaker = account.client("sagemaker")
    executions = "list_pipeline_executions", "PipelineExecutionSummaries"
    with translate_aws_errors(f"users of stack {stack}"):
        for pipeline in listed(sagemaker, "list_pipelines", "PipelineSummaries", PipelineNamePrefix="fourscore-"):
            if role and pipeline.get("RoleArn") == role:
                for run in listed(sagemaker, *executions, PipelineName=pipeline["PipelineName"]):
                    if run["PipelineExecutionStatus"] in RUNNING:
                        yield f"execution {run['PipelineExecutionArn']} is {run['PipelineExecutionStatus']}"
        for endpoint in listed(sagemaker, "list_endpoints", "Endpoints"):
            tags = sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
            if {"Key": "fourscore:stack", "Value": stack} in tags:
                yield f"endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']}"


def _delete_data(account: Account, stack: str, outputs: dict[str, str], log: Print) -> None:
    """Delete what the data stack keeps; after an interruption, what is left of it."""
    bucket, repository, key = outputs["Bucket"], outputs["ImageRepository"], outputs["KeyArn"]
    sagemaker = account.client("sagemaker")
    with translate_aws_errors(f"data of {stack}"):
        for group in _groups(account, stack):
            packages = "list_model_packages", "ModelPackageSummaryList"
            for package in list(listed(sagemaker, *packages, ModelPackageGroupName=group)):
                sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
            sagemaker.delete_model_package_group(ModelPackageGroupName=group)
            log(f"deleted model package group {group}")
        with ignore_errors("RepositoryNotFoundException"):
            account.client("ecr").delete_repository(repositoryName=repository, force=True)
            log(f"deleted image repository {repository}")
        with ignore_errors("NoSuchBucket"):
            s3 = account.client("s3")
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                versions = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                keys = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
                if keys:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            s3.delete_bucket(Bucket=bucket)
            log(f"deleted bucket {bucket}")
        with ignore_errors("KMSInvalidStateException", "NotFoundException"):
            account.client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=KEY_DAYS)
            log(f"key {key} will be deleted in {KEY_DAYS} days; that can be cancelled until then")
