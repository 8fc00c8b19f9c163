"""The two CloudFormation stacks of one Fourscore stack: deployed, data first, and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws import change_sets, templates
from infra.aws.account import Account, ignore_missing
from infra.aws.change_sets import ABSENT, REVIEWED, ChangeSet, Deployment, Report
from infra.aws.templates import COMPUTE, DATA
from infra.aws_errors import translate_aws_errors
from infra.sagemaker.stack import Stack
from steps.errors import FourscoreError, InputError

Confirm = Callable[[list[ChangeSet]], bool]
"""Shows a person what would change; True to go on."""


@dataclass(frozen=True)
class Outcome:
    """What became of the proposed changes."""

    proposed: list[ChangeSet]
    executed: bool
    stack: Stack | None
    """None if there was no change and there is no stack."""


def names(stack: str) -> tuple[str, str]:
    """Return the names of the data stack and the compute stack."""
    return f"fourscore-{stack}-data", f"fourscore-{stack}"


def up(account: Account, stack: str, options: Mapping[str, Any], confirm: Confirm, report: Report) -> Outcome:
    """Deploy both stacks.

    Args:
        options: parameters of the templates; those left out stay as they were.
        confirm: is called only if something would change.

    Raises:
        InputError: an option is wrong, or data of an earlier stack has the same name.
        StackFailed: CloudFormation failed.
    """
    changed = templates.parameters({"stack": stack, **options})
    parameters = {**templates.defaults(), **parameters_before(account, stack), **changed}
    parameters |= _provider(account, stack, parameters)
    data, compute = names(stack)
    outputs = _data_outputs(account, stack)
    first = change_sets.propose(account, data, DATA, parameters)
    try:
        second = change_sets.propose(account, compute, COMPUTE, parameters | outputs)
    except FourscoreError:
        if first:
            change_sets.discard(account, first)
        raise
    proposed = [change_set for change_set in (first, second) if change_set]
    if not proposed:
        return Outcome([], executed=False, stack=show_stack(account, stack))
    if not confirm(proposed):
        for change_set in proposed:
            change_sets.discard(account, change_set)
        return Outcome(proposed, executed=False, stack=None)
    if first:
        change_sets.execute(account, first, report)
        change_sets.protect(account, data, on=True)
    if second and _data_outputs(account, stack) != outputs:  # the key has an ARN now
        change_sets.discard(account, second)
        second = change_sets.propose(account, compute, COMPUTE, parameters | _data_outputs(account, stack))
    if second:
        change_sets.execute(account, second, report)
    return Outcome(proposed, executed=True, stack=show_stack(account, stack))


def show_stack(account: Account, stack: str) -> Stack:
    """Return the stack as it stands, with the newest image of each kind.

    Raises:
        InputError: there is no such stack.
    """
    compute = deployment(account, stack)
    roles = {name[4:].lower(): arn for name, arn in compute.outputs.items() if name.startswith("Role")}
    return Stack(
        name=stack,
        region=account.region,
        account=account.account,
        bucket=compute.parameters["Bucket"],
        prefix=compute.parameters["Prefix"].removesuffix("/"),
        roles=roles,
        images=images(account, compute.parameters["ImageRepository"]),
        package_group=names(stack)[1],
        kms_key=compute.parameters["KeyArn"],
        tracking_uri=compute.parameters["TrackingUri"] or None,
    )


def deployment(account: Account, stack: str) -> Deployment:
    """Return the compute stack, whose parameters name the data.

    Raises:
        InputError: there is no such stack.
    """
    compute = change_sets.describe(account, names(stack)[1])
    if compute is None or compute.status in (*ABSENT, REVIEWED):
        raise InputError(
            f"no stack {stack!r} in {account.region} of account {account.account}: "
            f"'fourscore infra up --stack {stack}' creates it; check region and profile"
        )
    return compute


def parameters_before(account: Account, stack: str) -> dict[str, str]:
    """Return the parameters that the stacks have, or had before 'infra down'."""
    data, compute = (change_sets.describe(account, name) for name in names(stack))
    if data is None:
        return {}
    compute = compute or change_sets.last_deleted(account, names(stack)[1])
    return {**(compute.parameters if compute else {}), **data.parameters}


def images(account: Account, repository: str) -> dict[str, str]:
    """Return the newest image of each kind as a URI with a digest; the kind is what tags begin with."""
    newest: dict[str, tuple[Any, str]] = {}
    with (
        translate_aws_errors(f"repository {repository}"),
        ignore_missing("ImageNotFoundException", "RepositoryNotFoundException"),
    ):
        pages = account.client("ecr").get_paginator("describe_images")
        for page in pages.paginate(repositoryName=repository, filter={"tagStatus": "TAGGED"}):
            for image in page["imageDetails"]:
                for kind in {tag.partition("-")[0] for tag in image.get("imageTags", ())} & {"cpu", "gpu"}:
                    pushed = (image["imagePushedAt"], f"{account.registry}/{repository}@{image['imageDigest']}")
                    newest[kind] = max(newest.get(kind, pushed), pushed)
    return {kind: uri for kind, (_, uri) in sorted(newest.items())}


def _data_outputs(account: Account, stack: str) -> dict[str, str]:
    """Return the outputs of the data stack; before it is deployed, its names and a key that does not exist.

    Raises:
        InputError: the bucket exists without the stack.
    """
    data = change_sets.describe(account, names(stack)[0])
    if data and data.outputs:
        return data.outputs
    bucket = f"fourscore-{stack}-{account.account}-{account.region}"
    with translate_aws_errors(f"bucket {bucket}"), ignore_missing("404", "NoSuchBucket"):
        account.client("s3").head_bucket(Bucket=bucket)
        raise InputError(
            f"bucket {bucket} exists without its stack: it was kept when that was deleted. Bring it back "
            "(docs/aws-infrastructure.md, 'Bringing kept data back'), delete it, or choose another name for the stack"
        )
    key = f"arn:{account.partition}:kms:{account.region}:{account.account}:key/not-created-yet"
    return {"Bucket": bucket, "KeyArn": key, "ImageRepository": names(stack)[1]}


def _provider(account: Account, stack: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Use GitHub's identity provider if the account has one that is not this stack's."""
    if not parameters["Repository"] or parameters["OidcProvider"] == "existing":
        return {}
    compute = change_sets.describe(account, names(stack)[1])
    created = compute is not None and "GithubProviderArn" in compute.outputs
    with translate_aws_errors("identity providers"):
        providers = account.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    exists = any(provider["Arn"].endswith("/token.actions.githubusercontent.com") for provider in providers)
    return {"OidcProvider": "existing"} if exists and not created else {}
