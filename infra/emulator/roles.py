"""Roles as SageMaker asks for them: they exist, SageMaker may assume them, and a pipeline may pass those of its jobs.

Of IAM nothing else is simulated: what a job may do in S3 or elsewhere is not judged here. A pipeline's role without any
policy is not judged either; one that has policies must allow iam:PassRole on the roles of its jobs.
Source: SageMaker Developer Guide, "IAM Access Management" of Pipelines; IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from infra.emulator.cloud import Cloud

SERVICE = "sagemaker.amazonaws.com"
Statement = Mapping[str, Any]


def faults_of_role(arn: str, cloud: Cloud) -> Iterator[str]:
    """A role must exist in this account and may be assumed by SageMaker."""
    from botocore.exceptions import ClientError

    try:
        role = cloud.client("iam").get_role(RoleName=_name(arn))["Role"]
    except ClientError as error:
        role = {"Arn": error.response["Error"]["Code"]}
    if role["Arn"] != arn:
        yield f"RoleArn: there is no role {arn} (found {role['Arn']})"
    elif not any(_lets_sagemaker_in(each) for each in _statements(role["AssumeRolePolicyDocument"])):
        yield f"RoleArn: {arn} may not be assumed by {SERVICE}: its trust policy does not name that service"


def faults_of_passing(role: str, passed: str, cloud: Cloud) -> Iterator[str]:
    """A pipeline's role must be allowed to pass the role of a job to SageMaker, even where it is the same role."""
    statements = list(_granted(_name(role), cloud))
    about = [each for each in statements if _covers(each, "iam:PassRole", passed)]
    denied = any(each["Effect"] == "Deny" for each in about)
    if statements and (denied or not any(each["Effect"] == "Allow" for each in about)):
        yield f"AccessDenied: {role} is not authorized to perform iam:PassRole on {passed} for {SERVICE}"


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _statements(document: Any) -> list[Statement]:
    content = json.loads(unquote(document)) if isinstance(document, str) else document
    return _as_list(content.get("Statement"))


def _lets_sagemaker_in(statement: Statement) -> bool:
    principal = statement.get("Principal", {})
    services = _as_list(principal.get("Service")) if isinstance(principal, Mapping) else [principal]
    actions = {"sts:AssumeRole", "sts:*", "*"} & set(_as_list(statement.get("Action")))
    return statement.get("Effect") == "Allow" and bool(actions) and bool({SERVICE, "*"} & set(services))


def _granted(name: str, cloud: Cloud) -> Iterator[Statement]:
    """Every statement of the role's own and attached policies."""
    iam = cloud.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        yield from _statements(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield from _statements(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _covers(statement: Statement, action: str, resource: str) -> bool:
    actions = "Action" in statement and any(_like(each, action, fold=True) for each in _as_list(statement["Action"]))
    resources = any(_like(each, resource) for each in _as_list(statement.get("Resource")))
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            if key.lower() == "iam:passedtoservice" and operator.startswith("String"):
                resources = resources and any(_like(each, SERVICE) for each in _as_list(values))
    return actions and resources


def _like(pattern: str, text: str, *, fold: bool = False) -> bool:
    """IAM's wildcards: any text for a star, any character for a question mark."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.IGNORECASE if fold else 0) is not None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
