"""Change sets: what would happen, why something failed, and what to do; against answers that moto does not give."""

import dataclasses

import pytest
from botocore.stub import Stubber

from infra.aws import change_sets
from infra.aws.account import StackFailed
from infra.aws.change_sets import ChangeSet

STACK = "fourscore-dev"


@pytest.fixture
def answers(aws):
    """Queues answers of CloudFormation; returns the account, whose pauses are short."""

    def queue(*pairs):
        stubber = Stubber(aws.client("cloudformation"))
        for operation, answer in pairs:
            stubber.add_response(operation, answer)
        stubber.activate()
        return dataclasses.replace(aws, pause=0.0)

    return queue


def event(number, name, kind, status, reason=""):
    return {
        "StackId": "arn:x", "EventId": f"e{number}", "StackName": STACK, "LogicalResourceId": name, "ResourceType": kind,
        "ResourceStatus": status, "ResourceStatusReason": reason, "Timestamp": 0,
    }  # fmt: skip


def stack(status):
    answer = {"StackName": STACK, "StackStatus": status, "CreationTime": 0, "StackId": "arn:x"}
    return "describe_stacks", {"Stacks": [answer]}


def propose(account):
    """Propose a change of a stack that exists."""
    return change_sets.propose(account, STACK, "data", {"Stack": "dev"})


CREATED = ("create_change_set", {"Id": "arn:c"})


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("UPDATE_IN_PROGRESS", "wait until that is over"),
        ("ROLLBACK_COMPLETE", "fourscore infra down"),
        ("UPDATE_ROLLBACK_FAILED", "Continue update rollback"),
    ],
)
def test_a_stack_that_cannot_be_changed_is_refused_with_the_way_out(aws, status, words):
    with Stubber(aws.client("cloudformation")) as stubber:
        stubber.add_response(*stack(status))
        message = f"Stack:arn:x is in {status} state and can not be updated."
        stubber.add_client_error("create_change_set", "ValidationError", message)
        with pytest.raises(StackFailed, match=words):
            propose(aws)


def test_the_first_resource_that_failed_is_named_with_the_reason_and_what_to_do(answers):
    reason = "Provider with url ... oidc-provider/token already exists"
    provider = event(2, "GithubProvider", "AWS::IAM::OIDCProvider", "CREATE_FAILED", reason)
    after = event(3, "Topic", "AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled")
    start = event(1, STACK, "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS")
    earlier = event(0, "Budget", "AWS::Budgets::Budget", "CREATE_FAILED", "of an attempt before")
    account = answers(
        ("execute_change_set", {}),
        stack("CREATE_IN_PROGRESS"),
        stack("ROLLBACK_COMPLETE"),
        ("describe_stack_events", {"StackEvents": [after, provider, start, earlier]}),
    )
    words = r"(?s)GithubProvider \(AWS::IAM::OIDCProvider\) failed: .*already exists.*--oidc-provider existing"
    with pytest.raises(StackFailed, match=words) as caught:
        change_sets.execute(account, ChangeSet(STACK, "arn:c", creates=True))
    assert caught.value.exit_code == 1


def test_a_change_that_cloudformation_refuses_says_why(answers):
    reason = "User is not authorized to perform iam:CreateRole"
    account = answers(
        stack("UPDATE_COMPLETE"),
        CREATED,
        ("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}),
        ("describe_change_set", {"Status": "FAILED", "StatusReason": reason}),
        ("delete_change_set", {}),
    )
    words = "not authorized to perform iam:CreateRole\n  these credentials do not have that right"
    with pytest.raises(StackFailed, match=words):
        propose(account)


def test_changes_of_many_pages_are_all_shown_and_replacements_named(answers):
    def change(action, name, **more):
        resource = {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::IAM::Role", **more}
        return {"Type": "Resource", "ResourceChange": resource}

    second = [change("Modify", "B", Replacement="True"), change("Modify", "C", Replacement="False")]
    account = answers(
        stack("UPDATE_COMPLETE"),
        CREATED,
        ("describe_change_set", {"Status": "CREATE_COMPLETE"}),
        ("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "A")], "NextToken": "t"}),
        ("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": second}),
    )
    changes = propose(account).changes
    assert [(entry.name, entry.action) for entry in changes] == [("A", "Add"), ("B", "Replace"), ("C", "Modify")]


def test_a_change_set_without_changes_is_none(answers):
    reason = "The submitted information didn't contain changes."
    account = answers(
        stack("UPDATE_COMPLETE"),
        CREATED,
        ("describe_change_set", {"Status": "FAILED", "StatusReason": reason}),
        ("delete_change_set", {}),
    )
    assert propose(account) is None
