"""The template of what works on the data: roles, approval news, the budget, GitHub's way in, the image builder"""

from __future__ import annotations

from typing import Any

from infra.aws import people
from infra.aws.data import build_logs
from infra.aws.facts import GITHUB, Facts, substituted
from infra.aws.options import Options
from infra.aws.permissions import policies
from infra.aws.reference import reference_definition
from infra.aws.statements import AUDIENCE, VERSION, Statement, document, trust_github, trust_service
from infra.sagemaker.config import JOBS
from steps.core import Pipeline

Resource = dict[str, Any]

LONGEST_TRAINING = 4 * 3600
"""Seconds for which GitHub's credentials may follow a run; the run itself goes on without them."""


def work_template(options: Options, pipeline: Pipeline) -> dict[str, Any]:
    facts = Facts.symbolic(options.stack, options.prefix, "${DataKeyArn}")
    resources = {
        **_roles(facts, options, pipeline),
        **_policies(facts, pipeline),
        **_news(facts, options),
        **(_github(facts, options, options.repository) if options.repository else {}),
        **(_builder(facts, options) if options.codebuild else {}),
    }
    return substituted(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": f"Fourscore stack {options.stack}: who may do what, and who is told",
            "Parameters": {"DataKeyArn": {"Type": "String", "Description": "The key of the data stack"}},
            "Resources": resources,
            "Outputs": _outputs(facts, options),
        }
    )


def _roles(facts: Facts, options: Options, pipeline: Pipeline) -> dict[str, Resource]:
    """Generated from the compiled definition with everything in it that a run may have."""
    definition = reference_definition(facts, pipeline, private=options.private, tracking_uri=options.tracking_uri)
    made = policies(definition, facts, pipeline)
    sources = {
        "pipeline": [facts.arn("sagemaker", f"pipeline/{facts.name}-*")],
        "prepare": [facts.arn("sagemaker", "processing-job/pipelines-*")],
        "train": [facts.arn("sagemaker", "training-job/pipelines-*")],
        "assess": [facts.arn("sagemaker", "processing-job/pipelines-*")],
    }
    return {
        f"{name.title()}Role": _role(name, trust_service("sagemaker", sources[name], facts), made[name], facts, options)
        for name in ("pipeline", *JOBS)
    }


def _role(
    name: str, trust: dict[str, Any], statements: list[Statement], facts: Facts, options: Options, **more: Any
) -> Resource:
    boundary = {"PermissionsBoundary": options.permissions_boundary} if options.permissions_boundary else {}
    inline = {"Policies": [{"PolicyName": name, "PolicyDocument": document(statements)}]} if statements else {}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": facts.role_name(name),
            "AssumeRolePolicyDocument": trust,
            **inline,
            **boundary,
            **more,
            "Tags": facts.tags(),
        },
    }


def _policies(facts: Facts, pipeline: Pipeline) -> dict[str, Resource]:
    """To be attached to people and their roles: looking, running, approving."""
    made = {
        "Look": ("Follow runs and read their results", people.looks(facts, pipeline)),
        "Run": ("Start, stop and retry runs; attach together with look, never with approve", people.runs(facts)),
        "Approve": ("Approve or reject models; attach together with look, never with run", people.approves(facts)),
    }
    return {
        f"{name}Policy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": facts.role_name(name.lower()),
                "Description": described,
                "PolicyDocument": document(statements),
            },
        }
        for name, (described, statements) in made.items()
    }


def _news(facts: Facts, options: Options) -> dict[str, Resource]:
    topic = {
        "Type": "AWS::SNS::Topic",
        "Properties": {"TopicName": facts.name, "KmsMasterKeyId": "${DataKeyArn}", "Tags": facts.tags()},
    }
    subscriptions = {
        f"Subscription{index}": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": "${Topic}", "Protocol": "email", "Endpoint": address},
        }
        for index, address in enumerate(options.notify)
    }
    return {
        "Topic": topic,
        "TopicPolicy": _topic_policy(facts),
        **subscriptions,
        "ApprovalRule": _approval_rule(facts),
        "FailureRule": _failure_rule(facts),
        "Budget": _budget(facts, options),
    }


def _topic_policy(facts: Facts) -> Resource:
    def publishes(sid: str, service: str, condition: dict[str, Any]) -> Resource:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": "${Topic}",
            "Condition": condition,
        }

    ours = {"StringEquals": {"aws:SourceAccount": facts.account}}
    rules = [
        publishes("News", "events", {"ArnEquals": {"aws:SourceArn": ["${ApprovalRule.Arn}", "${FailureRule.Arn}"]}}),
        publishes("Budget", "budgets", ours),
        {
            "Sid": "OnlyThroughTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": "${Topic}",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    policy = {"Version": VERSION, "Statement": rules}
    return {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": ["${Topic}"], "PolicyDocument": policy}}


def _approval_rule(facts: Facts) -> Resource:
    """A model waits, was approved or was rejected: the people who are subscribed hear it."""
    groups = [{"prefix": f"{facts.name}-"}]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": groups, "ModelApprovalStatus": [{"exists": True}]},
    }
    paths = {name: f"$.detail.ModelPackage{name}" for name in ("GroupName", "Version", "Arn")}
    said = "Model <GroupName>, version <Version>: <Status>. <Arn>"
    description = "Tells whoever is subscribed that a model waits, was approved or was rejected"
    return _rule(facts.name, description, pattern, {**paths, "Status": "$.detail.ModelApprovalStatus"}, said)


def _failure_rule(facts: Facts) -> Resource:
    """A run came to a bad end, maybe while nobody watched; a gate that says no ends its execution in the same way."""
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
        "detail": {
            "currentPipelineExecutionStatus": ["Failed"],
            "pipelineArn": [{"prefix": facts.arn("sagemaker", f"pipeline/{facts.name}-")}],
        },
    }
    paths = {"Run": "$.detail.pipelineExecutionDisplayName", "Arn": "$.detail.pipelineExecutionArn"}
    said = "Run <Run> failed, or its model was rejected; 'fourscore attach <Run>' says why. <Arn>"
    description = "Tells whoever is subscribed that a run failed or its model was rejected"
    return _rule(f"{facts.name}-failed", description, pattern, paths, said)


def _rule(name: str, description: str, pattern: dict[str, Any], paths: dict[str, str], said: str) -> Resource:
    transformed = {"InputPathsMap": paths, "InputTemplate": f'"{said}"'}
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Name": name,
            "Description": description,
            "EventPattern": pattern,
            "Targets": [{"Id": "topic", "Arn": "${Topic}", "InputTransformer": transformed}],
        },
    }


def _budget(facts: Facts, options: Options) -> Resource:
    """By the tag that everything carries; the payer's account has to make it a cost allocation tag once."""

    def told(kind: str, percent: int) -> Resource:
        notification = {
            "NotificationType": kind,
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": percent,
            "ThresholdType": "PERCENTAGE",
        }
        return {"Notification": notification, "Subscribers": [{"SubscriptionType": "SNS", "Address": "${Topic}"}]}

    budget = {
        "BudgetName": f"{facts.name}-{facts.region}",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": options.budget_dollars, "Unit": "USD"},
        "CostFilters": {"TagKeyValue": [f"user:fourscore:stack${facts.stack}"]},
    }
    notified = [told("ACTUAL", 80), told("FORECASTED", 100)]
    return {
        "Type": "AWS::Budgets::Budget",
        "DependsOn": "TopicPolicy",
        "Properties": {"Budget": budget, "NotificationsWithSubscribers": notified},
    }


def _github(facts: Facts, options: Options, repository: str) -> dict[str, Resource]:
    provider = {
        "Type": "AWS::IAM::OIDCProvider",
        "Properties": {"Url": f"https://{GITHUB}", "ClientIdList": [AUDIENCE], "Tags": facts.tags()},
    }
    train = trust_github(repository, options.train_environment, options.branch, facts)
    deploy = trust_github(repository, options.deploy_environment, options.branch, facts)
    attached = {"ManagedPolicyArns": ["${LookPolicy}", "${RunPolicy}"], "MaxSessionDuration": LONGEST_TRAINING}
    return {
        **({"GithubProvider": provider} if options.oidc_provider == "create" else {}),
        "GithubTrainRole": _role("github-train", train, [], facts, options, **attached),
        "GithubDeployRole": _role("github-deploy", deploy, people.deploys(facts), facts, options),
    }


def _builder(facts: Facts, options: Options) -> dict[str, Resource]:
    trust = trust_service("codebuild", [facts.arn("codebuild", f"project/{facts.name}")], facts)
    variables = {"REGISTRY": facts.registry, "REPOSITORY": f"{facts.registry}/{facts.name}"}
    machine = {
        "Type": "LINUX_CONTAINER",
        "ComputeType": "BUILD_GENERAL1_LARGE",
        "Image": "aws/codebuild/standard:7.0",
        "PrivilegedMode": True,  # a Docker engine inside the build wants it
        "EnvironmentVariables": [{"Name": name, "Value": value} for name, value in variables.items()],
    }
    return {
        "BuildRole": _role("build", trust, people.builds(facts), facts, options),
        "BuildLogs": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {"LogGroupName": build_logs(facts), "RetentionInDays": 365, "KmsKeyId": "${DataKeyArn}"},
        },
        "Builder": {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Name": facts.name,
                "Description": "Builds the image of the jobs and pushes it",
                "ServiceRole": "${BuildRole.Arn}",
                "EncryptionKey": "${DataKeyArn}",
                "Artifacts": {"Type": "NO_ARTIFACTS"},
                "Source": {
                    "Type": "S3",
                    "Location": f"{facts.bucket}/{facts.below}{people.SOURCES}/source.zip",
                    "BuildSpec": "infra/docker/buildspec.yml",
                },
                "Environment": machine,
                "TimeoutInMinutes": 60,
                "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "${BuildLogs}"}},
                "Tags": facts.tags(),
            },
        },
    }


def _outputs(facts: Facts, options: Options) -> dict[str, Resource]:
    said = {f"{name.title()}RoleArn": f"${{{name.title()}Role.Arn}}" for name in ("pipeline", *JOBS)}
    said |= {f"{name}PolicyArn": f"${{{name}Policy}}" for name in ("Look", "Run", "Approve")}
    said |= {"TopicArn": "${Topic}", "PackageGroups": facts.name}
    if options.repository:
        said |= {"GithubTrainRoleArn": "${GithubTrainRole.Arn}", "GithubDeployRoleArn": "${GithubDeployRole.Arn}"}
    if options.codebuild:
        said["Builder"] = "${Builder}"
    return {name: {"Value": value} for name, value in said.items()}
