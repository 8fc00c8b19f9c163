"""Changes of CloudFormation stacks: proposed as change sets, executed and followed."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.aws import templates
from infra.aws.account import Account, StackFailed, ignore_errors
from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError

UNCHANGED = ("didn't contain changes", "No updates are to be performed")
COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "DELETE_COMPLETE")

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
    """Return the stack; None if there is none, or only a change set that was never executed."""
    with translate_aws_errors(f"stack {stack}"), ignore_errors("does not exist"):
        (answer,) = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        if answer["StackStatus"] != "REVIEW_IN_PROGRESS":
            parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in answer.get("Parameters", ())}
            outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in answer.get("Outputs", ())}
            return Deployment(answer["StackStatus"], parameters, outputs)
    return None


def propose(account: Account, stack: str, template: str, parameters: Mapping[str, str]) -> ChangeSet | None:
    """Return what would change if the stack were deployed from the template; None if nothing would.

    Args:
        parameters: those that the template does not declare are left out.

    Raises:
        FourscoreError: the stack is in a state that cannot be changed.
        StackFailed: CloudFormation refuses the change.
    """
    current = describe(account, stack)
    if current:
        _check_status(stack, current.status, parameters["Stack"])
    values = {name: parameters[name] for name in templates.declared(template) if name in parameters}
    tags = {"fourscore:project": "fourscore", "fourscore:stack": parameters["Stack"]}
    with translate_aws_errors(f"stack {stack}"), ignore_errors(*UNCHANGED):
        answer = account.client("cloudformation").create_change_set(
            StackName=stack,
            ChangeSetName=f"fourscore-{uuid.uuid4().hex}",
            ChangeSetType="UPDATE" if current else "CREATE",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            TemplateBody=templates.text(template),
        )
        return wait_for_changes(account, stack, answer["Id"])
    return None


def _check_status(stack: str, status: str, name: str) -> None:
    if status.endswith("_IN_PROGRESS"):
        way_out = "wait until that is over and run again"
    elif status == "UPDATE_ROLLBACK_FAILED":
        way_out = (
            "its events in the CloudFormation console give the reason; "
            "fix that, choose 'Continue update rollback' there, and run again"
        )
    elif status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        way_out = f"delete it with  fourscore infra down --stack {name}  and run again"
    else:
        return
    raise FourscoreError(f"stack {stack} is {status} and cannot be changed; {way_out}")


def wait_for_changes(account: Account, stack: str, arn: str) -> ChangeSet | None:
    """Return the change set of that ARN as soon as CloudFormation has computed it; None if it is empty.

    Raises:
        StackFailed: CloudFormation refuses the change.
    """
    from botocore.exceptions import WaiterError

    client = account.client("cloudformation")
    waiter, pace = client.get_waiter("change_set_create_complete"), {"Delay": account.pause, "MaxAttempts": 200}
    try:
        waiter.wait(ChangeSetName=arn, WaiterConfig=pace)
    except WaiterError as error:
        reason = error.last_response.get("StatusReason", str(error))
        discard(account, ChangeSet(stack, (), arn))
        if any(words in reason for words in UNCHANGED):
            return None
        raise StackFailed(f"stack {stack}: CloudFormation refuses the change: {reason}{_advice(reason)}") from None
    pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=arn)
    changes = (_change(entry["ResourceChange"]) for page in pages for entry in page.get("Changes", ()))
    return ChangeSet(stack, tuple(changes), arn)


def _change(change: Mapping[str, Any]) -> Change:
    replaced = change["Action"] == "Modify" and change.get("Replacement") == "True"
    targets = [detail.get("Target", {}) for detail in change.get("Details", ())]
    properties = dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in targets)
    action = "Replace" if replaced else change["Action"]
    return Change(action, change["LogicalResourceId"], change.get("ResourceType", ""), tuple(properties))


def discard(account: Account, change_set: ChangeSet) -> None:
    """Delete a change set, and its stack if that has nothing else."""
    client = account.client("cloudformation")
    with translate_aws_errors(f"stack {change_set.stack}"):
        client.delete_change_set(ChangeSetName=change_set.arn)
        if describe(account, change_set.stack) is None:
            client.delete_stack(StackName=change_set.stack)
            client.get_waiter("stack_delete_complete").wait(StackName=change_set.stack, WaiterConfig={"Delay": 2})


def execute(account: Account, change_set: ChangeSet, report: Report) -> None:
    """Execute a change set and follow it to its end.

    Raises:
        StackFailed: a resource failed; CloudFormation has undone the change.
    """
    client = account.client("cloudformation")
    with translate_aws_errors(f"stack {change_set.stack}"):
        before = _events(client, change_set.stack, None)
        client.execute_change_set(ChangeSetName=change_set.arn)
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
        arn = client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]  # a deleted stack has no name any more
        before = _events(client, arn, None)
        client.delete_stack(StackName=arn)
        _follow(account, arn, before, report)


def _events(client: Any, stack: str, after: str | None) -> list[dict[str, Any]]:
    """Return the stack's events after that one, the oldest first; CloudFormation lists the newest first."""
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
    events = (event for page in pages for event in page["StackEvents"])
    return list(itertools.takewhile(lambda event: event["EventId"] != after, events))[::-1]


def _follow(account: Account, stack: str, before: list[dict[str, Any]], report: Report) -> None:
    client = account.client("cloudformation")
    last = before[-1]["EventId"] if before else None
    failure = None
    while True:
        status = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        for event in _events(client, stack, last):
            last, reason = event["EventId"], event.get("ResourceStatusReason", "")
            report(event["LogicalResourceId"], event.get("ResourceType", ""), event["ResourceStatus"], reason)
            if failure is None and event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                failure = event
        if status in COMPLETE:
            return
        if not status.endswith("_IN_PROGRESS"):
            raise StackFailed(_explain(stack, status, failure))
        time.sleep(account.pause)


def _explain(stack: str, status: str, failure: dict[str, Any] | None) -> str:
    if failure is None:
        return f"stack {stack} ended as {status}; its events in the CloudFormation console give the reason"
    reason = failure.get("ResourceStatusReason", "no reason given")
    resource = f"{failure['LogicalResourceId']} ({failure.get('ResourceType', '')})"
    undone = "" if status == "DELETE_FAILED" else "; the change was undone"
    return f"stack {stack}: {resource} failed: {reason}{undone} ({status}){_advice(reason)}"


_DENIED = "these credentials do not have that right; sign in as somebody who has it"
_ADVICE = {
    "is not authorized": _DENIED,
    "AccessDenied": _DENIED,
    "oidc-provider": "the account has GitHub's identity provider already: pass --oidc-provider existing",
    "already exists": "it was kept when an earlier stack was deleted; docs/aws-infrastructure.md, 'Bringing kept data back'",
    "LimitExceeded": "ask for a higher quota in the AWS console (Service Quotas)",
}


def _advice(reason: str) -> str:
    return next((f"\n  {advice}" for words, advice in _ADVICE.items() if words in reason), "")
