"""Who may take a role: GitHub's token of one repository, environment and branch; SageMaker for this account. Nobody else.

Scanners miss ``repo:*``; this holds the trust policies of the templates against the tokens that GitHub writes.
"""

import itertools
import json

import pytest
from iam import allowed
from templates import ACCOUNT, REGION, SMALL, Filled, full, small

GITHUB = "token.actions.githubusercontent.com"
PROVIDER = ("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}")


def trusts(template):
    roles = template.of_kind("AWS::IAM::Role").items()
    return {name: properties["AssumeRolePolicyDocument"]["Statement"] for name, properties in roles}


BY_NAME = trusts(Filled("compute", **SMALL, Repository="acme/models"))


def token(
    repository="acme/models", *, environment=None, ref="refs/heads/main", event="push", audience="sts.amazonaws.com"
):
    """The claims that STS looks at, as GitHub's "OpenID Connect reference" has them."""
    subject = (
        f"environment:{environment}" if environment else "pull_request" if event == "pull_request" else f"ref:{ref}"
    )
    claims = {"aud": audience, "sub": f"repo:{repository}:{subject}", "ref": ref}
    return {f"{GITHUB}:{name}": value for name, value in claims.items()}


def takes(statements, claims, principal=PROVIDER):
    return allowed(statements, "sts:AssumeRoleWithWebIdentity", "*", claims, principal)


def test_the_one_environment_of_the_one_repository_on_the_one_branch_takes_its_role_and_no_other():
    assumed = {
        (role, name)
        for role, statements in BY_NAME.items()
        for name in ("train", "deploy")
        if takes(statements, token(environment=name))
    }
    assert assumed == {("GithubTrainRole", "train"), ("GithubDeployRole", "deploy")}


STRANGERS = {
    "another owner": token("evil/models", environment="train"),
    "another repository": token("acme/other", environment="train"),
    "a repository whose name goes on": token("acme/models2", environment="train"),
    "an owner whose name goes on": token("acme2/models", environment="train"),
    "an owner whose name ends so": token("xacme/models", environment="train"),
    "a fork": token("someone/models", environment="train"),
    "a fork's pull request": token("acme/models", event="pull_request", ref="refs/pull/7/merge"),
    "a pull request that names the environment": token(environment="train", event="pull_request", ref="refs/pull/7/merge"),
    "the branch without an environment": token(),
    "another branch": token(ref="refs/heads/feature"),
    "another branch in the environment": token(environment="train", ref="refs/heads/feature"),
    "a tag in the environment": token(environment="train", ref="refs/tags/main"),
    "a branch whose name goes on": token(environment="train", ref="refs/heads/main2"),
    "another environment": token(environment="staging"),
    "an environment whose name goes on": token(environment="train2"),
    "an environment in other letters": token(environment="Train"),
    "a wildcard for a name": token("acme/*", environment="train"),
    "a wildcard for an environment": token(environment="*"),
    "everything": {f"{GITHUB}:sub": "repo:*", f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:ref": "refs/heads/main"},
    "GitHub's own audience": token(environment="train", audience="https://github.com/acme"),
    "another cloud's audience": token(environment="train", audience="api://AzureADTokenExchange"),
    "an audience in other letters": token(environment="train", audience="STS.amazonaws.com"),
    "no audience": {name: value for name, value in token(environment="train").items() if not name.endswith("aud")},
    "no subject": {name: value for name, value in token(environment="train").items() if not name.endswith("sub")},
    "no branch": {name: value for name, value in token(environment="train").items() if not name.endswith("ref")},
    "no claims": {},
    "the repository's immutable form where names were said": token("acme@1234/models@5678", environment="train"),
}  # fmt: skip


@pytest.mark.parametrize("who", STRANGERS)
def test_nobody_else_takes_a_role(who):
    assert [role for role, statements in BY_NAME.items() if takes(statements, STRANGERS[who])] == []


def test_with_immutable_subjects_a_name_that_was_given_away_is_worth_nothing():
    """GitHub writes owner's and repository's ids into the subject of repositories made after 15 July 2026."""
    statements = trusts(full("compute"))["GithubTrainRole"]
    place = {"environment": "training", "ref": "refs/heads/release/next"}
    assert takes(statements, token("acme@1234/models@5678", **place))
    for repository in ("acme/models", "acme@1234/models@5679", "acme@1235/models@5678", "acme@1234/models@56789"):
        assert not takes(statements, token(repository, **place))


def test_other_identity_providers_and_other_ways_in_are_refused():
    claims = token(environment="train")
    statements = BY_NAME["GithubTrainRole"]
    assert not takes(statements, claims, ("Federated", f"arn:aws:iam::210987654321:oidc-provider/{GITHUB}"))
    assert not takes(statements, claims, ("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.com"))
    for action in ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:TagSession"):
        assert not allowed(statements, action, "*", claims, PROVIDER)


def test_no_trust_policy_has_a_wildcard_in_a_claim_or_compares_parts_of_one():
    for statements in (BY_NAME, trusts(full("compute"))):
        for role in ("GithubTrainRole", "GithubDeployRole"):
            (statement,) = statements[role]
            assert set(statement["Condition"]) == {"StringEquals"}
            assert set(statement["Condition"]["StringEquals"]) == {f"{GITHUB}:aud", f"{GITHUB}:sub", f"{GITHUB}:ref"}
            assert not any(sign in value for value in statement["Condition"]["StringEquals"].values() for sign in "*?")


def test_without_a_repository_there_is_no_way_in_from_outside():
    assert "Federated" not in json.dumps(trusts(small("compute")))
    assert small("compute").of_kind("AWS::IAM::OIDCProvider") == {}


def test_the_identity_provider_is_created_unless_the_account_has_it():
    assert set(full("compute").of_kind("AWS::IAM::OIDCProvider")) == {"GithubProvider"}
    existing = Filled("compute", **SMALL, Repository="acme/models", OidcProvider="existing")
    assert existing.of_kind("AWS::IAM::OIDCProvider") == {}


def test_sagemaker_takes_each_role_for_its_own_kind_of_resource_of_this_account():
    sagemaker = ("Service", "sagemaker.amazonaws.com")
    sources = {
        "PipelineRole": "pipeline/fourscore-dev-breast-cancer",
        "PrepareRole": "processing-job/pipelines-abc-prepare-xyz",
        "TrainRole": "training-job/pipelines-abc-train-xyz",
        "AssessRole": "processing-job/pipelines-abc-assess-xyz",
    }
    for (role, kind), other in itertools.product(
        sources.items(), [*sources.values(), "notebook-instance/x", "endpoint/x"]
    ):
        context = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{other}"}
        same_kind = other.split("/")[0] == kind.split("/")[0]
        assert allowed(BY_NAME[role], "sts:AssumeRole", "*", context, sagemaker) == same_kind, (role, other)
        for stolen in (
            {"aws:SourceAccount": "210987654321"},
            {"aws:SourceArn": context["aws:SourceArn"].replace(ACCOUNT, "210987654321")},
        ):
            assert not allowed(BY_NAME[role], "sts:AssumeRole", "*", {**context, **stolen}, sagemaker)
        assert not allowed(BY_NAME[role], "sts:AssumeRole", "*", {}, sagemaker)
        assert not allowed(BY_NAME[role], "sts:AssumeRole", "*", context, ("Service", "ec2.amazonaws.com"))
        assert not allowed(BY_NAME[role], "sts:AssumeRole", "*", context, ("AWS", f"arn:aws:iam::{ACCOUNT}:root"))
