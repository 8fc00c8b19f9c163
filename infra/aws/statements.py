"""Policy statements and trust policies, in the one form that the templates and their tests use"""

from __future__ import annotations

from typing import Any

from infra.aws.facts import GITHUB, Facts

Statement = dict[str, Any]
Condition = dict[str, dict[str, Any]]

VERSION = "2012-10-17"
AUDIENCE = "sts.amazonaws.com"


def allow(sid: str, actions: str | tuple[str, ...], *resources: str, condition: Condition | None = None) -> Statement:
    return _statement(sid, "Allow", actions, resources, condition)


def deny(sid: str, actions: str | tuple[str, ...], *resources: str, condition: Condition | None = None) -> Statement:
    return _statement(sid, "Deny", actions, resources, condition)


def _statement(
    sid: str, effect: str, actions: str | tuple[str, ...], resources: tuple[str, ...], condition: Condition | None
) -> Statement:
    listed = [actions] if isinstance(actions, str) else sorted(actions)
    made: Statement = {"Sid": sid, "Effect": effect, "Action": listed, "Resource": list(dict.fromkeys(resources))}
    return made | ({"Condition": condition} if condition else {})


def document(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": statements}


def through(service: str, facts: Facts) -> Condition:
    """Only where that service of the region asks in the caller's name."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{facts.region}.{facts.suffix}"}}


def trust_service(service: str, sources: list[str], facts: Facts) -> dict[str, Any]:
    """A role that a service may take, for these resources of this account: no confused deputy."""
    condition: Condition = {
        "StringEquals": {"aws:SourceAccount": facts.account},
        "ArnLike": {"aws:SourceArn": sources},
    }
    return _trust({"Service": f"{service}.amazonaws.com"}, "sts:AssumeRole", condition)


def trust_github(repository: str, environment: str, branch: str, facts: Facts) -> dict[str, Any]:
    """A role that one environment of one repository may take, from one branch; every claim is compared as a whole.

    Args:
        repository: ``org/name``, or ``org@ID/name@ID`` where GitHub writes immutable subjects (repositories made after
            15 July 2026).

    Sources: GitHub's "OpenID Connect reference"; IAM's "Available keys for AWS OIDC federation" (``ref``).
    """
    claims: dict[str, Any] = {
        f"{GITHUB}:aud": AUDIENCE,
        f"{GITHUB}:sub": f"repo:{repository}:environment:{environment}",
        f"{GITHUB}:ref": f"refs/heads/{branch}",
    }
    return _trust({"Federated": facts.oidc_provider}, "sts:AssumeRoleWithWebIdentity", {"StringEquals": claims})


def _trust(principal: dict[str, str], action: str, condition: Condition) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition}
    return {"Version": VERSION, "Statement": [statement]}
