"""Stacks brought up and looked at: two change sets, data first, shown before anything happens; then the Stack for the backend"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from infra.aws import changes
from infra.aws.account import Account, absent, asked
from infra.aws.changes import ChangeSet, Tell
from infra.aws.data import data_template
from infra.aws.facts import Facts
from infra.aws.options import Options
from infra.aws.reference import stack_of
from infra.aws.work import work_template
from infra.sagemaker.stack import Stack
from steps.core import Pipeline
from steps.errors import FourscoreError, InputError

Show = Callable[[list[ChangeSet]], bool]
"""Is shown what would change; says whether to go on."""
UNTAGGED = ("ImageNotFoundException", "RepositoryNotFoundException")


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    options: Options
    proposed: list[ChangeSet]
    executed: bool
    stack: Stack | None
    """None where nothing stands yet."""


def up(account: Account, name: str, given: Mapping[str, Any], pipeline: Pipeline, show: Show, tell: Tell) -> Outcome:
    """Make the stack be what was asked for now or before.

    Args:
        given: options that were said now; what was not said stays as it was.
        pipeline: what runs in the stack; the roles of its jobs follow from its stages.
        show: is asked only where something would change.

    Raises:
        InputError: the options fit no stack, or data of an earlier stack is in the way.
        StackFailed: CloudFormation could not do it.
    """
    options = _decided(account, _merged(account, name, given))
    proposed = _proposed(account, options, pipeline)
    if not proposed:
        return Outcome(options, [], executed=False, stack=show_stack(account, name))
    if not show(proposed):
        for each in proposed:
            changes.discard(account, each)
        return Outcome(options, proposed, executed=False, stack=None)
    for each in proposed:
        ready = each if each.arn else _propose_work(account, options, pipeline)
        if ready is not None:
            changes.execute(account, ready, tell)
        if each.stack.endswith("-data"):
            changes.protect(account, each.stack, on=True)
    return Outcome(options, proposed, executed=True, stack=show_stack(account, name))


def show_stack(account: Account, name: str) -> Stack:
    """The stack as it stands, with the newest image of each kind.

    Raises:
        InputError: there is no such stack here.
    """
    options = known_options(account, name)
    if options is None or changes.status(account, f"fourscore-{name}") in changes.GONE:
        raise InputError(
            f"no stack {name!r} in {account.region} of account {account.account}: "
            f"'fourscore infra up --stack {name}' makes it; check region and profile"
        )
    facts = account.facts(name, options.prefix, key_of(account, name))
    return stack_of(facts, images(account, facts), options.tracking_uri)


def known_options(account: Account, name: str) -> Options | None:
    """What was said when the stack was last brought up; the template of its data says it."""
    stack = f"fourscore-{name}-data"
    with asked(f"stack {stack}"), absent("ValidationError"):
        found = account.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
        template = json.loads(found) if isinstance(found, str) else found
        told = template.get("Resources", {}).get("KeyAlias", {}).get("Metadata", {}).get("Fourscore")
        return Options.model_validate(told) if told else None
    return None


def key_of(account: Account, name: str) -> str:
    """ARN of the key in the data stack.

    Raises:
        FourscoreError: the data stack has none.
    """
    key = resource(account, f"fourscore-{name}-data", "Key")
    if key is None:
        raise FourscoreError(f"stack fourscore-{name}-data has no key; 'fourscore infra up --stack {name}' finishes it")
    return key if key.startswith("arn:") else account.facts(name, "", "").arn("kms", f"key/{key}")


def resource(account: Account, stack: str, name: str) -> str | None:
    """What the resource of that name in the template is called in AWS."""
    with asked(f"stack {stack}"), absent("ValidationError"):
        pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for page in pages:
            for each in page["StackResourceSummaries"]:
                if each.get("LogicalResourceId") == name and each.get("PhysicalResourceId"):
                    return str(each["PhysicalResourceId"])
    return None


def images(account: Account, facts: Facts) -> dict[str, str]:
    """Kind -> URI by digest of the image that was pushed last; tags are kind-digest and never move."""
    found: dict[str, tuple[Any, str]] = {}
    with asked(f"repository {facts.name}"), absent(*UNTAGGED):
        pages = account.client("ecr").get_paginator("describe_images").paginate(
            repositoryName=facts.name, filter={"tagStatus": "TAGGED"}
        )  # fmt: skip
        for page in pages:
            for each in page["imageDetails"]:
                for kind in {tag.partition("-")[0] for tag in each.get("imageTags", ())} & {"cpu", "gpu"}:
                    pushed = (each["imagePushedAt"], f"{facts.registry}/{facts.name}@{each['imageDigest']}")
                    found[kind] = max(found.get(kind, pushed), pushed)
    return {kind: uri for kind, (_, uri) in sorted(found.items())}


def _merged(account: Account, name: str, given: Mapping[str, Any]) -> Options:
    try:
        before = known_options(account, name)
        kept = before.model_dump(exclude_defaults=True) if before else {}
        return Options.model_validate({**kept, **given, "stack": name})
    except ValidationError as error:
        wrong = "; ".join(f"--{_flag(each['loc'])} {each['input']!r}: {_plain(each['msg'])}" for each in error.errors())
        raise InputError(f"{wrong}\n  stack names are up to 20 small letters and digits, such as dev") from None


def _flag(place: tuple[int | str, ...]) -> str:
    return str(place[0]).replace("_", "-") if place else ""


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _decided(account: Account, options: Options) -> Options:
    """An account has one provider for GitHub; another stack may have made it."""
    if options.repository is None or options.oidc_provider == "existing":
        return options
    theirs = account.facts(options.stack, "", "").oidc_provider
    with asked("identity providers"):
        listed = account.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
        ours = resource(account, f"fourscore-{options.stack}", "GithubProvider")
    if any(each["Arn"] == theirs for each in listed) and ours is None:
        return options.model_copy(update={"oidc_provider": "existing"})
    return options


def _proposed(account: Account, options: Options, pipeline: Pipeline) -> list[ChangeSet]:
    data = f"fourscore-{options.stack}-data"
    new = changes.status(account, data) in (*changes.GONE, "REVIEW_IN_PROGRESS")
    if new:
        _nothing_in_the_way(account, options)
    facts = account.facts(options.stack, options.prefix, "")
    first = changes.propose(account, data, data_template(options), {}, facts.tags(), None)
    if new:
        work = changes.foreseen(f"fourscore-{options.stack}", work_template(options, pipeline))
        return [first, work] if first else [work]
    try:
        second = _propose_work(account, options, pipeline)
    except FourscoreError:
        if first:
            changes.discard(account, first)
        raise
    return [each for each in (first, second) if each]


def _propose_work(account: Account, options: Options, pipeline: Pipeline) -> ChangeSet | None:
    facts = account.facts(options.stack, options.prefix, key_of(account, options.stack))
    return changes.propose(
        account,
        facts.name,
        work_template(options, pipeline),
        {"DataKeyArn": facts.key},
        facts.tags(),
        (facts.bucket, facts.below),
    )


def _nothing_in_the_way(account: Account, options: Options) -> None:
    """Data that was kept when its stack went stands under the very names that the new stack wants.

    Raises:
        InputError: there is such data.
    """
    facts = account.facts(options.stack, options.prefix, "")
    with asked(f"bucket {facts.bucket}"), absent("404", "NoSuchBucket"):
        account.client("s3").head_bucket(Bucket=facts.bucket)
        raise InputError(
            f"bucket {facts.bucket} is there, and its stack is not: it was kept when that went. Bring it back "
            "(docs/aws-infrastructure.md, 'Bringing kept data back'), remove it, or choose another name for the stack"
        )
