"""A stack changed through a change set: first what would happen, then, if a person says so, its carrying out, followed

The same on AWS and on moto. CloudFormation undoes what failed; the first resource that failed is the cause, and named.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.aws.account import Account, StackFailed, absent, asked
from steps.errors import FourscoreError

PAUSE = 3.0
"""Seconds between two looks."""
PATIENCE = 3600.0
LONGEST = 51_200
"""Bytes of a template in a request; a longer one is read from the bucket."""
NOTHING = ("didn't contain changes", "No updates are to be performed")
GONE = ("DELETE_COMPLETE", None)
BUSY = "_IN_PROGRESS"

Tell = Callable[[str, str, str, str], None]
"""Hears (resource, type, status, reason) of everything that happens."""


@dataclass(frozen=True)
class Change:
    """What would happen to one resource."""

    action: str
    """Add | Modify | Remove | Replace (taken away and made anew)"""
    name: str
    kind: str
    properties: tuple[str, ...] = ()
    """Which ones differ, or "Metadata" or "Tags"."""


@dataclass(frozen=True)
class ChangeSet:
    """What would happen to one stack."""

    stack: str
    changes: tuple[Change, ...]
    arn: str | None
    """None: only foreseen, since what it builds on is not there yet."""


def status(account: Account, stack: str) -> str | None:
    """The stack's status; None where there is none."""
    with asked(f"stack {stack}"), absent("ValidationError"):
        (found,) = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return str(found["StackStatus"])
    return None


def propose(
    account: Account, stack: str, template: dict[str, Any], parameters: dict[str, str], tags: list[dict[str, str]],
    bucket: tuple[str, str] | None = None,
) -> ChangeSet | None:  # fmt: skip
    """What it takes to make the stack be this template; None where it is it already.

    Args:
        bucket: bucket and prefix that a template too long for a request may be put into.

    Raises:
        FourscoreError: the stack is busy, or in a state that nothing can be made of.
    """
    now = status(account, stack)
    _check(stack, now)
    client = account.client("cloudformation")
    new = now in (*GONE, "REVIEW_IN_PROGRESS")
    with asked(f"stack {stack}"):
        try:
            made = client.create_change_set(
                StackName=stack,
                ChangeSetName=f"fourscore-{uuid.uuid4().hex}",
                ChangeSetType="CREATE" if new else "UPDATE",
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Tags=tags,
                **_body(account, template, bucket),
            )
        except client.exceptions.ClientError as error:
            if any(words in str(error) for words in NOTHING):
                return None
            raise
        return _described(client, stack, made["Id"])


def _check(stack: str, now: str | None) -> None:
    if now is None or now in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
        return
    if now.endswith(BUSY):
        raise FourscoreError(f"stack {stack} is busy ({now}); wait until that is over and run again")
    if now in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        short = stack.removeprefix("fourscore-").removesuffix("-data")
        raise FourscoreError(
            f"stack {stack} was never finished ({now}) and nothing can be made of it; "
            f"take it away with  fourscore infra down --stack {short}  and run again"
        )
    if now == "UPDATE_ROLLBACK_FAILED":
        raise FourscoreError(
            f"stack {stack} could not be brought back to what it was ({now}); its events in the CloudFormation console say "
            "why; mend that, choose 'Continue update rollback' there, and run again"
        )


def _body(account: Account, template: dict[str, Any], bucket: tuple[str, str] | None) -> dict[str, str]:
    text = json.dumps(template, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) <= LONGEST or bucket is None:
        return {"TemplateBody": text}
    name, key = bucket[0], f"{bucket[1]}templates/{uuid.uuid4().hex}.json"
    account.client("s3").put_object(Bucket=name, Key=key, Body=text.encode())
    suffix = account.facts("x", "", "").suffix
    return {"TemplateURL": f"https://{name}.s3.{account.region}.{suffix}/{key}"}


def _described(client: Any, stack: str, arn: str) -> ChangeSet | None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = client.describe_change_set(ChangeSetName=arn, StackName=stack)
        if found["Status"] == "CREATE_COMPLETE":
            return ChangeSet(stack, tuple(_changes(client, found, stack, arn)), arn)
        if found["Status"] == "FAILED":
            why = found.get("StatusReason", "")
            client.delete_change_set(ChangeSetName=arn, StackName=stack)
            if any(words in why for words in NOTHING):
                return None
            raise StackFailed(f"stack {stack}: CloudFormation refuses the change: {why}{_advice(why)}")
        time.sleep(PAUSE)
    raise FourscoreError(f"stack {stack}: CloudFormation did not say in {PATIENCE:.0f} s what would change; run again")


def _changes(client: Any, found: dict[str, Any], stack: str, arn: str) -> Iterator[Change]:
    while True:
        for each in found.get("Changes", ()):
            change = each["ResourceChange"]
            replaced = change["Action"] == "Modify" and change.get("Replacement") == "True"
            targets = [detail.get("Target", {}) for detail in change.get("Details", ())]
            yield Change(
                "Replace" if replaced else change["Action"],
                change["LogicalResourceId"],
                change.get("ResourceType", ""),
                tuple(dict.fromkeys(each.get("Name") or each.get("Attribute", "") for each in targets)),
            )
        if not found.get("NextToken"):
            return
        found = client.describe_change_set(ChangeSetName=arn, StackName=stack, NextToken=found["NextToken"])


def foreseen(stack: str, template: dict[str, Any]) -> ChangeSet:
    """The change set of a stack that is not there and cannot be asked for yet: everything is added."""
    added = (Change("Add", name, each["Type"]) for name, each in template["Resources"].items())
    return ChangeSet(stack, tuple(added), None)


def discard(account: Account, proposed: ChangeSet) -> None:
    """As if nobody had asked: a stack that was only going to be made goes, too."""
    client = account.client("cloudformation")
    with asked(f"stack {proposed.stack}"):
        if proposed.arn:
            client.delete_change_set(ChangeSetName=proposed.arn, StackName=proposed.stack)
        if status(account, proposed.stack) == "REVIEW_IN_PROGRESS":
            client.delete_stack(StackName=proposed.stack)


def execute(account: Account, proposed: ChangeSet, tell: Tell) -> None:
    """Carry it out and follow until it is over.

    Raises:
        StackFailed: a resource could not be made; what was done is undone.
    """
    assert proposed.arn
    client = account.client("cloudformation")
    with asked(f"stack {proposed.stack}"):
        seen = {each["EventId"] for each in _events(client, proposed.stack)}
        client.execute_change_set(ChangeSetName=proposed.arn, StackName=proposed.stack)
        follow(account, proposed.stack, seen, tell)


def protect(account: Account, stack: str, *, on: bool) -> None:
    """Against being deleted in passing, in the console or by another tool."""
    with asked(f"stack {stack}"):
        client = account.client("cloudformation")
        client.update_termination_protection(StackName=stack, EnableTerminationProtection=on)


def delete(account: Account, stack: str, tell: Tell) -> None:
    """Delete the stack and follow until it is gone.

    Raises:
        StackFailed: a resource could not be deleted.
    """
    client = account.client("cloudformation")
    with asked(f"stack {stack}"):
        arn = client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        seen = {each["EventId"] for each in _events(client, arn)}
        client.delete_stack(StackName=stack)
        follow(account, arn, seen, tell)


def follow(account: Account, stack: str, seen: set[str], tell: Tell) -> None:
    """Tell what happens until the stack is at rest.

    Raises:
        StackFailed: it did not come to what was asked for.
    """
    client = account.client("cloudformation")
    failed: dict[str, Any] | None = None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        now = status(account, stack)
        fresh = [each for each in reversed(list(_events(client, stack))) if each["EventId"] not in seen]
        for event in fresh:
            seen.add(event["EventId"])
            reason = event.get("ResourceStatusReason", "")
            tell(event["LogicalResourceId"], event.get("ResourceType", ""), event["ResourceStatus"], reason)
            if failed is None and event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                failed = event
        if now in GONE or (now and not now.endswith(BUSY)):
            if now in (*GONE, "CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
                return
            raise StackFailed(_why(stack, now, failed))
        time.sleep(PAUSE)
    raise FourscoreError(
        f"stack {stack} still works after {PATIENCE:.0f} s; the CloudFormation console follows it further"
    )


def _events(client: Any, stack: str) -> Iterator[dict[str, Any]]:
    """The newest first; of the newest pages only, which hold all of one change."""
    with absent("ValidationError"):
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
        for _, page in zip(range(5), pages, strict=False):
            yield from page["StackEvents"]


def _why(stack: str, now: str | None, failed: dict[str, Any] | None) -> str:
    if failed is None:
        return f"stack {stack} ended as {now}; its events in the CloudFormation console say why"
    why = failed.get("ResourceStatusReason", "no reason given")
    what = f"{failed['LogicalResourceId']} ({failed.get('ResourceType', '')})"
    return f"stack {stack}: {what} failed: {why}; what was done is undone ({now}){_advice(why)}"


_ADVICE = {
    "is not authorized": "the credentials in use may not do this; sign in as one who may, or ask for that right",
    "AccessDenied": "the credentials in use may not do this; sign in as one who may, or ask for that right",
    "oidc-provider": "the account has the provider for GitHub already: say --oidc-provider existing",
    "already exists": "it was kept when an earlier stack went; docs/aws-infrastructure.md, 'Bringing kept data back'",
    "LimitExceeded": "ask for a higher quota in the AWS console (Service Quotas)",
    "DELETE_FAILED": "delete or empty that resource by hand and run again",
}


def _advice(why: str) -> str:
    return next((f"\n  {advice}" for words, advice in _ADVICE.items() if words in why), "")
