"""Changes of CloudFormation stacks: proposed as change sets, executed and followed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws import templates
from infra.aws.account import Account, StackFailed, ignore_missing
from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError

PATIENCE = 3600.0
"""Seconds after which a change is no longer followed."""
UNCHANGED = ("didn't contain changes", "No updates are to be performed")
ABSENT = ("DELETE_COMPLETE", None)
REVIEWED = "REVIEW_IN_PROGRESS"
"""Of a stack that has a change set and nothing else."""

Report = Callable[[str, str, str, str], None]
"""Is called with resource, type, status and reason of every event."""


@dataclass(frozen=True)
class Deployment:
    """A CloudFormation stack as it stands."""

    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Change:
    """What would happen to one resource."""

    action: str
    """Add, Modify, Remove, or Replace (deleted and created again)."""
    name: str
    kind: str
    properties: tuple[str, ...] = ()
    """The properties that differ, or "Metadata" or "Tags"."""


@dataclass(frozen=True)
class ChangeSet:
    """What would happen to one stack."""

    stack: str
    changes: tuple[Change, ...]
    arn: str


def describe(account: Account, stack: str) -> Deployment | None:
    """Return the stack of that name or ARN, None if there is none."""
    with translate_aws_errors(f"stack {stack}"), ignore_missing("ValidationError"):
        (answer,) = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in answer.get("Parameters", ())}
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in answer.get("Outputs", ())}
        return Deployment(str(answer["StackStatus"]), parameters, outputs)
    return None


def status(account: Account, stack: str) -> str | None:
    """Return the stack's status, None if there is no stack."""
    deployment = describe(account, stack)
    return deployment.status if deployment else None


def last_deleted(account: Account, stack: str) -> Deployment | None:
    """Return the stack of that name that was deleted last; CloudFormation remembers it for 90 days."""
    with translate_aws_errors(f"stack {stack}"):
        pages = account.client("cloudformation").get_paginator("list_stacks")
        summaries = [
            summary
            for page in pages.paginate(StackStatusFilter=["DELETE_COMPLETE"])
            for summary in page["StackSummaries"]
            if summary["StackName"] == stack
        ]
    for summary in sorted(summaries, key=lambda summary: summary["CreationTime"], reverse=True):
        deployment = describe(account, summary["StackId"])
        if deployment and deployment.outputs:  # others had a change set that nobody executed
            return deployment
    return None


def propose(account: Account, stack: str, template: str, parameters: Mapping[str, str]) -> ChangeSet | None:
    """Return what would change if the stack were deployed from the template; None if nothing would.

    Args:
        parameters: those that the template does not declare are left out.

    Raises:
        FourscoreError: the stack is busy, or in a state that cannot be changed.
        StackFailed: CloudFormation refuses the change.
    """
    current = status(account, stack)
    _check_status(stack, current)
    client = account.client("cloudformation")
    values = {name: parameters[name] for name in templates.declared(template) if name in parameters}
    with translate_aws_errors(f"stack {stack}"):
        try:
            answer = client.create_change_set(
                StackName=stack,
                ChangeSetName=f"fourscore-{uuid.uuid4().hex}",
                ChangeSetType="CREATE" if current in (*ABSENT, REVIEWED) else "UPDATE",
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Tags=[
                    {"Key": "fourscore:project", "Value": "fourscore"},
                    {"Key": "fourscore:stack", "Value": parameters["Stack"]},
                ],
                TemplateBody=templates.text(template),
            )
        except client.exceptions.ClientError as error:
            if any(words in str(error) for words in UNCHANGED):
                return None
            raise
        return wait_for_changes(account, stack, answer["Id"])


def _check_status(stack: str, current: str | None) -> None:
    if current in (*ABSENT, REVIEWED):
        return
    assert current
    if current.endswith("_IN_PROGRESS"):
        raise FourscoreError(f"stack {stack} is busy ({current}); wait until that is over and run again")
    if current in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        name = stack.removeprefix("fourscore-").removesuffix("-data")
        raise FourscoreError(
            f"stack {stack} was never completed ({current}) and cannot be changed; "
            f"delete it with  fourscore infra down --stack {name}  and run again"
        )
    if current == "UPDATE_ROLLBACK_FAILED":
        raise FourscoreError(
            f"stack {stack} could not be rolled back ({current}); its events in the CloudFormation console give the reason; "
            "fix that, choose 'Continue update rollback' in the console, and run again"
        )


def wait_for_changes(account: Account, stack: str, arn: str) -> ChangeSet | None:
    """Return the change set of that ARN as soon as CloudFormation has computed it; None if it is empty.

    Raises:
        StackFailed: CloudFormation refuses the change.
    """
    client = account.client("cloudformation")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = client.describe_change_set(ChangeSetName=arn, StackName=stack)
        if answer["Status"] == "CREATE_COMPLETE":
            return ChangeSet(stack, tuple(_changes(client, answer, stack, arn)), arn)
        if answer["Status"] == "FAILED":
            reason = answer.get("StatusReason", "")
            client.delete_change_set(ChangeSetName=arn, StackName=stack)
            if any(words in reason for words in UNCHANGED):
                return None
            raise StackFailed(f"stack {stack}: CloudFormation refuses the change: {reason}{_advice(reason)}")
        time.sleep(account.pause)
    raise FourscoreError(f"stack {stack}: CloudFormation computed no change set in {PATIENCE:.0f} s; run again")


def _changes(client: Any, answer: dict[str, Any], stack: str, arn: str) -> Iterator[Change]:
    while True:
        for entry in answer.get("Changes", ()):
            change = entry["ResourceChange"]
            replaced = change["Action"] == "Modify" and change.get("Replacement") == "True"
            targets = [detail.get("Target", {}) for detail in change.get("Details", ())]
            yield Change(
                "Replace" if replaced else change["Action"],
                change["LogicalResourceId"],
                change.get("ResourceType", ""),
                tuple(dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in targets)),
            )
        if not answer.get("NextToken"):
            return
        answer = client.describe_change_set(ChangeSetName=arn, StackName=stack, NextToken=answer["NextToken"])


def discard(account: Account, change_set: ChangeSet) -> None:
    """Delete a change set, and its stack if that has nothing else."""
    client = account.client("cloudformation")
    with translate_aws_errors(f"stack {change_set.stack}"):
        client.delete_change_set(ChangeSetName=change_set.arn, StackName=change_set.stack)
        if status(account, change_set.stack) == REVIEWED:
            client.delete_stack(StackName=change_set.stack)
            client.get_waiter("stack_delete_complete").wait(StackName=change_set.stack, WaiterConfig={"Delay": 2})


def execute(account: Account, change_set: ChangeSet, report: Report) -> None:
    """Execute a change set and follow it to its end.

    Raises:
        StackFailed: a resource failed; CloudFormation has undone the change.
    """
    client = account.client("cloudformation")
    with translate_aws_errors(f"stack {change_set.stack}"):
        before = {event["EventId"] for event in _events(client, change_set.stack)}
        client.execute_change_set(ChangeSetName=change_set.arn, StackName=change_set.stack)
        _follow(account, change_set.stack, before, report)


def protect(account: Account, stack: str, *, on: bool) -> None:
    """Switch the stack's protection from deletion on or off."""
    with translate_aws_errors(f"stack {stack}"):
        client = account.client("cloudformation")
        client.update_termination_protection(StackName=stack, EnableTerminationProtection=on)


def delete(account: Account, stack: str, report: Report) -> None:
    """Delete the stack and follow that to its end.

    Raises:
        StackFailed: a resource could not be deleted.
    """
    client = account.client("cloudformation")
    with translate_aws_errors(f"stack {stack}"):
        arn = client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        before = {event["EventId"] for event in _events(client, arn)}
        client.delete_stack(StackName=stack)
        _follow(account, arn, before, report)


def _follow(account: Account, stack: str, reported: set[str], report: Report) -> None:
    client = account.client("cloudformation")
    failure: dict[str, Any] | None = None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        current = status(account, stack)
        for event in reversed([event for event in _events(client, stack) if event["EventId"] not in reported]):
            reported.add(event["EventId"])
            reason = event.get("ResourceStatusReason", "")
            report(event["LogicalResourceId"], event.get("ResourceType", ""), event["ResourceStatus"], reason)
            if failure is None and event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                failure = event
        if current in (*ABSENT, "CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            return
        assert current
        if not current.endswith("_IN_PROGRESS"):
            raise StackFailed(_explain(stack, current, failure))
        time.sleep(account.pause)
    raise FourscoreError(f"stack {stack} is not ready after {PATIENCE:.0f} s; follow it in the CloudFormation console")


def _events(client: Any, stack: str) -> Iterator[dict[str, Any]]:
    """Yield events, the newest first; five pages hold all of one change."""
    with ignore_missing("ValidationError"):
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
        for _, page in zip(range(5), pages, strict=False):
            yield from page["StackEvents"]


def _explain(stack: str, current: str, failure: dict[str, Any] | None) -> str:
    if failure is None:
        return f"stack {stack} ended as {current}; its events in the CloudFormation console give the reason"
    reason = failure.get("ResourceStatusReason", "no reason given")
    resource = f"{failure['LogicalResourceId']} ({failure.get('ResourceType', '')})"
    return f"stack {stack}: {resource} failed: {reason}; the change was undone ({current}){_advice(reason)}"


_ADVICE = {
    "is not authorized": "these credentials do not have that right; sign in as somebody who has it",
    "AccessDenied": "these credentials do not have that right; sign in as somebody who has it",
    "oidc-provider": "the account has GitHub's identity provider already: pass --oidc-provider existing",
    "already exists": "it was kept when an earlier stack was deleted; docs/aws-infrastructure.md, 'Bringing kept data back'",
    "LimitExceeded": "ask for a higher quota in the AWS console (Service Quotas)",
    "DELETE_FAILED": "delete or empty that resource by hand and run again",
}


def _advice(reason: str) -> str:
    return next((f"\n  {advice}" for words, advice in _ADVICE.items() if words in reason), "")
