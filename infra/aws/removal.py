"""A stack taken down: not while something in it is in use, and without its data unless a person says so"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.aws import changes
from infra.aws.account import Account, absent, asked
from infra.aws.changes import Tell
from infra.aws.facts import Facts
from infra.aws.stacks import key_of, known_options, resource
from steps.errors import FourscoreError, InputError

KEY_DAYS = 30
"""Days in which the deletion of the key, and with it of every backup of the data, can be taken back."""
RUNNING = ("Executing", "Stopping")
UNBORN = ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS")
"""Of a stack that never came to be, which holds nothing."""


@dataclass(frozen=True)
class Removal:
    """What would go and what would stay."""

    facts: Facts
    stacks: tuple[str, ...]
    """In the order in which they go."""
    goes: tuple[str, ...]
    stays: tuple[str, ...]
    in_use: tuple[str, ...]
    delete_data: bool


def down(
    account: Account, name: str, *, delete_data: bool, show: Callable[[Removal], bool], tell: Tell
) -> tuple[Removal, bool]:
    """Take the stack down if nothing uses it and the one who is shown what would go says so.

    Raises:
        InputError: there is no such stack.
        FourscoreError: it is in use; the message says by what.
    """
    removal = foresee(account, name, delete_data=delete_data)
    if removal.in_use:
        used = "\n  ".join(removal.in_use)
        raise FourscoreError(
            f"stack {name} is in use, so nothing was changed:\n  {used}\n  end these first, and run again"
        )
    if not show(removal):
        return removal, False
    for stack in removal.stacks:
        if stack.endswith("-data") and delete_data:
            _delete_data(account, removal.facts, tell)
        changes.delete(account, stack, tell)
    return removal, True


def foresee(account: Account, name: str, *, delete_data: bool) -> Removal:
    """What taking it down would mean."""
    options = known_options(account, name)
    work, data = f"fourscore-{name}", f"fourscore-{name}-data"
    now = {stack: changes.status(account, stack) for stack in (work, data)}
    standing = [stack for stack, status in now.items() if status not in changes.GONE]
    if not standing:
        raise InputError(
            f"no stack {name!r} in {account.region} of account {account.account}; check region and profile"
        )
    prefix = options.prefix if options else "fourscore"
    whole = data in standing and resource(account, data, "Key") is not None
    facts = account.facts(name, prefix, key_of(account, name) if whole else "")
    kept = tuple(_data(account, facts)) if data in standing and now[data] not in UNBORN else ()
    goes = tuple(_resources(account, work)) if work in standing else ()
    stacks = tuple(stack for stack in standing if stack == work or delete_data or now[stack] in UNBORN)
    if not stacks:
        raise InputError(f"of stack {name!r} only its data is left; --delete-data takes that away, too")
    return Removal(
        facts,
        stacks,
        goes + (kept if delete_data else ()),
        () if delete_data else kept,
        tuple(_users(account, facts, standing)),
        delete_data,
    )


def _resources(account: Account, stack: str) -> Iterator[str]:
    with asked(f"stack {stack}"):
        pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for page in pages:
            for each in page["StackResourceSummaries"]:
                if each.get("LogicalResourceId"):
                    yield f"{each['ResourceType']} {each.get('PhysicalResourceId') or each['LogicalResourceId']}"


def _data(account: Account, facts: Facts) -> Iterator[str]:
    with asked(f"data of {facts.name}"):
        found = account.client("s3")
        with absent("NoSuchBucket", "404"):
            listed = found.list_objects_v2(Bucket=facts.bucket, MaxKeys=1000)
            more = " and more" if listed["IsTruncated"] else ""
            yield f"bucket {facts.bucket} ({listed['KeyCount']} objects{more})"
        with absent("RepositoryNotFoundException"):
            count = len(account.client("ecr").list_images(repositoryName=facts.name)["imageIds"])
            yield f"image repository {facts.name} ({count} images)"
        for group in _groups(account, facts):
            yield f"model package group {group}"
        if facts.key:
            yield f"key {facts.key}"


def _groups(account: Account, facts: Facts) -> Iterator[str]:
    pages = account.client("sagemaker").get_paginator("list_model_package_groups").paginate(NameContains=facts.name)
    for page in pages:
        for each in page["ModelPackageGroupSummaryList"]:
            if each["ModelPackageGroupName"].startswith(f"{facts.name}-"):
                yield each["ModelPackageGroupName"]


def _users(account: Account, facts: Facts, stacks: list[str]) -> Iterator[str]:
    """What would break: changes, executions, endpoints and builds that are going on."""
    for stack in stacks:
        now = changes.status(account, stack)
        if now and now.endswith(changes.BUSY) and now != "REVIEW_IN_PROGRESS":
            yield f"stack {stack} is {now}"
    with asked(f"what uses {facts.name}"):
        yield from _executions(account, facts)
        yield from _endpoints(account, facts)
        yield from _builds(account, facts)


def _executions(account: Account, facts: Facts) -> Iterator[str]:
    client = account.client("sagemaker")
    for page in client.get_paginator("list_pipelines").paginate(PipelineNamePrefix="fourscore-"):
        for pipeline in page["PipelineSummaries"]:
            if pipeline.get("RoleArn", "") != facts.role("pipeline"):
                continue
            pages = client.get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline["PipelineName"])
            for executions in pages:
                for each in executions["PipelineExecutionSummaries"]:
                    if each["PipelineExecutionStatus"] in RUNNING:
                        yield f"execution {each['PipelineExecutionArn']} is {each['PipelineExecutionStatus']}"


def _endpoints(account: Account, facts: Facts) -> Iterator[str]:
    client = account.client("sagemaker")
    for page in client.get_paginator("list_endpoints").paginate():
        for each in page["Endpoints"]:
            tags = client.list_tags(ResourceArn=each["EndpointArn"])["Tags"]
            if {"Key": "fourscore:stack", "Value": facts.stack} in tags:
                yield f"endpoint {each['EndpointName']} is {each['EndpointStatus']}"


def _builds(account: Account, facts: Facts) -> Iterator[str]:
    client = account.client("codebuild")
    ids: list[str] = []
    with absent("ResourceNotFoundException"):
        ids = client.list_builds_for_project(projectName=facts.name)["ids"][:100]
    for build in client.batch_get_builds(ids=ids)["builds"] if ids else ():
        if build["buildStatus"] == "IN_PROGRESS":
            yield f"build {build['id']} is going on"


def _delete_data(account: Account, facts: Facts, tell: Tell) -> None:
    """Everything that the data stack keeps, by name, so that an interrupted deletion can be gone on with."""
    with asked(f"data of {facts.name}"):
        _delete_packages(account, facts, tell)
        with absent("RepositoryNotFoundException"):
            account.client("ecr").delete_repository(repositoryName=facts.name, force=True)
            tell(facts.name, "AWS::ECR::Repository", "DELETE_COMPLETE", "")
        with absent("NoSuchBucket", "404"):
            _empty(account.client("s3"), facts.bucket)
            account.client("s3").delete_bucket(Bucket=facts.bucket)
            tell(facts.bucket, "AWS::S3::Bucket", "DELETE_COMPLETE", "")
        if facts.key:
            with absent("KMSInvalidStateException", "NotFoundException"):
                account.client("kms").schedule_key_deletion(
                    KeyId=facts.key.rpartition("/")[2], PendingWindowInDays=KEY_DAYS
                )
                tell(
                    facts.key,
                    "AWS::KMS::Key",
                    "DELETE_SCHEDULED",
                    f"in {KEY_DAYS} days, and can be taken back until then",
                )
    changes.protect(account, f"{facts.name}-data", on=False)


def _delete_packages(account: Account, facts: Facts, tell: Tell) -> None:
    client = account.client("sagemaker")
    for group in list(_groups(account, facts)):
        for page in client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
            for each in page["ModelPackageSummaryList"]:
                client.delete_model_package(ModelPackageName=each["ModelPackageArn"])
        client.delete_model_package_group(ModelPackageGroupName=group)
        tell(group, "AWS::SageMaker::ModelPackageGroup", "DELETE_COMPLETE", "")


def _empty(client: Any, bucket: str) -> None:
    """All versions of all objects, a thousand at a time."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in entries]
        if objects:
            done = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if errors := done.get("Errors"):
                first = errors[0]
                raise FourscoreError(f"bucket {bucket}: {first['Key']} could not be deleted: {first.get('Message')}")
