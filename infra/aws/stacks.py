"""The two CloudFormation stacks of one Fourscore stack: deployed, data first, and described."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws import change_sets, templates
from infra.aws.account import Account
from infra.aws.change_sets import ChangeSet, Deployment
from infra.aws.templates import COMPUTE, DATA
from infra.aws_errors import ignore_errors, listed, translate_aws_errors
from infra.sagemaker.stack import Stack
from steps.errors import InputError

Confirm = Callable[[list[ChangeSet]], bool]
"""Shows a person what would change; True to go on."""
Print = Callable[[str], None]


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


def up(account: Account, stack: str, options: Mapping[str, Any], confirm: Confirm, log: Print) -> Outcome:
    """Deploy both stacks.

    Args:
        options: parameters of the templates; those left out stay as they were.
        confirm: is called only if something would change.
        log: takes a line of progress.

    Raises:
        InputError: an option is wrong.
        StackFailed: CloudFormation failed.
    """
    changed = templates.parameters({"stack": stack, **options})
    data, compute = names(stack)
    data_before, compute_before = (change_sets.describe(account, name) for name in (data, compute))
    parameters = templates.defaults()
    for before in (compute_before, data_before):
        parameters |= before.parameters if before else {}
    parameters |= changed
    parameters |= _provider(account, compute_before, parameters)
    parameters |= (data_before and data_before.outputs) or _foreseen_outputs(account, stack)
    with contextlib.ExitStack() as unused:

        def propose(name: str, template: str) -> ChangeSet | None:
            change_set = change_sets.propose(account, name, template, parameters)
            if change_set:
                unused.callback(change_sets.discard, account, change_set)
            return change_set

        first, second = propose(data, DATA), propose(compute, COMPUTE)
        proposed = [change_set for change_set in (first, second) if change_set]
        if not proposed:
            return Outcome([], executed=False, stack=show_stack(account, stack))
        if not confirm(proposed):
            return Outcome(proposed, executed=False, stack=None)
        unused.pop_all()
    if first:
        log(f"deploying {data}, which takes some minutes")
        change_sets.execute(account, first)
    change_sets.protect(account, data, on=True)
    if first and second and (deployed := change_sets.describe(account, data)):  # the key has an ARN now
        change_sets.discard(account, second)
        second = change_sets.propose(account, compute, COMPUTE, parameters | deployed.outputs)
    if second:
        log(f"deploying {compute}")
        change_sets.execute(account, second)
    return Outcome(proposed, executed=True, stack=show_stack(account, stack))


def show_stack(account: Account, stack: str) -> Stack:
    """Return the stack as it stands, with the newest image of each kind.

    Raises:
        InputError: there is no such stack.
    """
    compute = deployment(account, stack)
    return Stack(
        name=stack,
        region=account.region,
        account=account.account,
        bucket=compute.parameters["Bucket"],
        prefix=compute.parameters["Prefix"].removesuffix("/"),
        roles={name[4:].lower(): arn for name, arn in compute.outputs.items() if name.startswith("Role")},
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
    if compute is None:
        raise InputError(
            f"no stack {stack!r} in {account.region} of account {account.account}: "
            f"'fourscore infra up --stack {stack}' creates it; check region and profile"
        )
    return compute


def images(account: Account, repository: str) -> dict[str, str]:
    """Return the newest image of each kind as a URI with a digest; the kind is what tags begin with."""
    newest: dict[str, str] = {}
    missing = ignore_errors("ImageNotFoundException", "RepositoryNotFoundException")
    with translate_aws_errors(f"repository {repository}"), missing:
        request = {"repositoryName": repository, "filter": {"tagStatus": "TAGGED"}}
        details = listed(account.client("ecr"), "describe_images", "imageDetails", **request)
        for image in sorted(details, key=lambda image: image["imagePushedAt"]):
            for kind in {tag.partition("-")[0] for tag in image["imageTags"]} & {"cpu", "gpu"}:
                newest[kind] = f"{account.registry}/{repository}@{image['imageDigest']}"
    return dict(sorted(newest.items()))


def _foreseen_outputs(account: Account, stack: str) -> dict[str, str]:
    """Return the outputs of a data stack that is not deployed yet; its key does not exist."""
    return {
        "Bucket": f"fourscore-{stack}-{account.account}-{account.region}",
        "KeyArn": f"arn:{account.partition}:kms:{account.region}:{account.account}:key/not-created-yet",
        "ImageRepository": names(stack)[1],
    }


def _provider(account: Account, compute: Deployment | None, parameters: Mapping[str, str]) -> dict[str, str]:
    """Use GitHub's identity provider if the account has one that is not this stack's."""
    if not parameters["Repository"] or (compute and "GithubProviderArn" in compute.outputs):
        return {}
    with translate_aws_errors("identity providers"):
        providers = account.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    exists = any(provider["Arn"].endswith("/token.actions.githubusercontent.com") for provider in providers)
    return {"OidcProvider": "existing"} if exists else {}
