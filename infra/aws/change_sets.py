"""Changes of CloudFormation stacks: proposed as change sets, executed, and explained if they fail."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra.aws import templates
from infra.aws.account import Account, StackFailed
from infra.aws_errors import ignore_errors, listed, translate_aws_errors

UNCHANGED = ("didn't contain changes", "No updates are to be performed")
LOOKS = 1200
"""How often a stack is looked at before it counts as stuck."""


@dataclass(frozen=True)
class Deployment:
    """A CloudFormation stack as it stands."""

    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]


class Change(NamedTuple):
    """What would happen to one resource."""

    action: str
    """Add, Modify, Remove, or Replace (deleted and created again)."""
    name: str
    kind: str


@dataclass(frozen=True)
class ChangeSet:
    """What would happen to one stack."""

    stack: str
    arn: str
    creates: bool
    changes: tuple[Change, ...] = ()


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
        StackFailed: CloudFormation refuses the change, such as one of a stack whose creation failed.
    """
    from botocore.exceptions import ClientError, WaiterError

    client, creates = account.client("cloudformation"), describe(account, stack) is None
    values = {name: parameters[name] for name in templates.declared(template) if name in parameters}
    tags = {"fourscore:project": "fourscore", "fourscore:stack": parameters["Stack"]}
    with translate_aws_errors(f"stack {stack}"), ignore_errors(*UNCHANGED):
        try:
            arn = client.create_change_set(
                StackName=stack,
                ChangeSetName=f"fourscore-{uuid.uuid4().hex}",
                ChangeSetType="CREATE" if creates else "UPDATE",
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                TemplateBody=templates.text(template),
            )["Id"]
        except ClientError as error:
            if advice := _advice(str(error)):
                raise StackFailed(f"stack {stack}: {error}{advice}") from None
            raise
        try:
            waiter = client.get_waiter("change_set_create_complete")
            waiter.wait(ChangeSetName=arn, WaiterConfig={"Delay": account.pause, "MaxAttempts": LOOKS})
        except WaiterError as error:
            discard(account, ChangeSet(stack, arn, creates))
            reason = error.last_response.get("StatusReason", str(error))
            if any(words in reason for words in UNCHANGED):
                return None
            raise StackFailed(f"stack {stack}: CloudFormation refuses the change: {reason}{_advice(reason)}") from None
        changes = []
        for entry in listed(client, "describe_change_set", "Changes", ChangeSetName=arn):
            change = entry["ResourceChange"]
            action = "Replace" if change.get("Replacement") == "True" else change["Action"]
            changes.append(Change(action, change["LogicalResourceId"], change.get("ResourceType", "")))
        return ChangeSet(stack, arn, creates, tuple(changes))
    return None


def discard(account: Account, change_set: ChangeSet) -> None:
    """Delete a change set, and the empty stack that it would have created."""
    with translate_aws_errors(f"stack {change_set.stack}"):
        account.client("cloudformation").delete_change_set(ChangeSetName=change_set.arn)
    if change_set.creates:
        delete(account, change_set.stack)


def execute(account: Account, change_set: ChangeSet) -> None:
    """Execute a change set and wait for its end.

    Raises:
        StackFailed: a resource failed; CloudFormation has undone the change.
    """
    with translate_aws_errors(f"stack {change_set.stack}"):
        account.client("cloudformation").execute_change_set(ChangeSetName=change_set.arn)
        _wait(account, "create" if change_set.creates else "update", change_set.stack)


def protect(account: Account, stack: str, *, on: bool) -> None:
    """Switch the stack's protection from deletion on or off."""
    with translate_aws_errors(f"stack {stack}"):
        client = account.client("cloudformation")
        client.update_termination_protection(StackName=stack, EnableTerminationProtection=on)


def delete(account: Account, stack: str) -> None:
    """Delete the stack and wait for its end.

    Raises:
        StackFailed: a resource could not be deleted.
    """
    with translate_aws_errors(f"stack {stack}"):
        account.client("cloudformation").delete_stack(StackName=stack)
        _wait(account, "delete", stack)


def _wait(account: Account, change: str, stack: str) -> None:
    from botocore.exceptions import WaiterError

    waiter = account.client("cloudformation").get_waiter(f"stack_{change}_complete")
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": account.pause, "MaxAttempts": LOOKS})
    except WaiterError:
        raise StackFailed(_explain(account, change.upper(), stack)) from None


def _explain(account: Account, change: str, stack: str) -> str:
    """Return the first resource that failed in the last change of a stack, and what to do."""
    first, client = None, account.client("cloudformation")
    for event in listed(client, "describe_stack_events", "StackEvents", StackName=stack):  # the newest first
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        reason = event.get("ResourceStatusReason", "no reason given")
        if name == stack and status == f"{change}_IN_PROGRESS":
            break
        if name != stack and status.endswith("_FAILED") and "cancelled" not in reason:
            first = f"{name} ({event.get('ResourceType', '')}) failed: {reason}{_advice(reason)}"
    return f"stack {stack}: {first or 'its events in the CloudFormation console give the reason'}"


_DENIED = "these credentials do not have that right; sign in as somebody who has it"
_ADVICE = {
    "UPDATE_ROLLBACK_FAILED": (
        "its events in the CloudFormation console give the reason; fix that, choose 'Continue update rollback' there, "
        "and run again"
    ),
    "_IN_PROGRESS state": "wait until that is over and run again",
    "state and can not be updated": "delete it with 'fourscore infra down' and run again",
    "is not authorized": _DENIED,
    "AccessDenied": _DENIED,
    "oidc-provider": "the account has GitHub's identity provider already: pass --oidc-provider existing",
    "already exists": "it was kept when an earlier stack was deleted; docs/aws-infrastructure.md, 'Bringing kept data back'",
    "LimitExceeded": "ask for a higher quota in the AWS console (Service Quotas)",
}


def _advice(reason: str) -> str:
    return next((f"\n  {advice}" for words, advice in _ADVICE.items() if words in reason), "")
