"""What the templates promise: data that outlives the stack and is closed to everybody else, and parameters without wildcards."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from iam import decide
from needs import DIGEST
from templates import ACCOUNT, BUCKET, FULL, KEY, REGION, RULE, SMALL, Filled, full, load, small

from infra.aws import templates
from infra.aws.templates import COMPUTE, DATA
from steps.errors import InputError


def test_cfn_lint_finds_nothing(tmp_path):
    """Informational findings too; about four seconds."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--regions", REGION, "--"]
    files = [str(path) for path in sorted(Path(templates.__file__).parent.glob("*.template.yaml"))]
    lint = subprocess.run([*command, *files], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stdout + lint.stderr


@pytest.mark.parametrize("name", [DATA, COMPUTE])
def test_a_template_is_small_enough_for_one_request(name):
    """51,200 bytes; a larger one would have to be put into a bucket first."""
    assert len(templates.text(name).encode()) <= 51_200


def test_outputs_of_the_data_stack_are_parameters_of_the_compute_stack():
    assert set(load(DATA)["Outputs"]) < set(templates.declared(COMPUTE))
    both = set(templates.declared(DATA)) & set(templates.declared(COMPUTE))
    assert both == {"Stack", "Prefix"}
    assert {name: templates.declared(DATA)[name].get("Default") for name in both} == {
        name: templates.declared(COMPUTE)[name].get("Default") for name in both
    }


def test_data_outlives_its_stack():
    data = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::ECR::Repository"}
    policies = [
        (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for resource in small(DATA).resources.values()
        if resource["Type"] in data
    ]
    assert policies == [("RetainExceptOnCreate", "Retain")] * 3


def bucket_decides(action, key, context):
    (policy,) = small(DATA).of_kind("AWS::S3::BucketPolicy").values()
    secure = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "s3:ObjectCreationOperation": "true"}
    statements = policy["PolicyDocument"]["Statement"]
    return decide(statements, f"s3:{action}", f"arn:aws:s3:::{BUCKET}/{key}", secure | context, ("AWS", "anybody"))


def test_what_is_in_the_store_is_written_with_if_none_match_or_not_at_all():
    for name in ("manifest.json", "model/model.pt2"):
        key = f"fourscore/store/{DIGEST}/{name}"
        assert bucket_decides("PutObject", key, {}) == "deny"
        assert bucket_decides("PutObject", key, {"s3:if-none-match": "*"}) == "nothing", "left to the roles"
    part = {"s3:ObjectCreationOperation": "false"}  # CreateMultipartUpload and UploadPart know no such header
    assert bucket_decides("PutObject", f"fourscore/store/{DIGEST}/model/model.pt2", part) == "nothing"
    assert bucket_decides("PutObject", "fourscore/runs/r/live/train.jsonl", {}) == "nothing"


def test_nothing_goes_in_or_out_without_modern_tls():
    for context in ({"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}):
        for action in ("GetObject", "PutObject", "ListBucket"):
            assert bucket_decides(action, "fourscore/runs/x", context) == "deny"


def test_objects_are_encrypted_under_the_stacks_key_whatever_a_request_asks_for():
    key_id = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert bucket_decides("PutObject", "fourscore/raw/x", {key_id: KEY}) == "nothing"
    assert bucket_decides("PutObject", "fourscore/raw/x", {key_id: f"{KEY[:-1]}0"}) == "deny"
    assert bucket_decides("PutObject", "fourscore/raw/x", {"s3:x-amz-server-side-encryption": "AES256"}) == "deny"


@pytest.mark.parametrize(("template", "prefix"), [(small, "fourscore/"), (full, "ml/")])
def test_the_bucket_is_private_versioned_and_forgets_what_nobody_needs(template, prefix):
    (bucket,) = template(DATA).of_kind("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["BucketKeyEnabled"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert set(rules) == {"unfinished-uploads", "old-versions", "runs", "checkpoints"}, "results stay"
    assert [rules[place]["Prefix"] for place in ("runs", "checkpoints")] == [f"{prefix}runs/", f"{prefix}checkpoints/"]


def test_access_is_logged_where_the_account_has_a_bucket_for_that():
    assert "LoggingConfiguration" not in small(DATA).of_kind("AWS::S3::Bucket")["Bucket"]
    logging = full(DATA).of_kind("AWS::S3::Bucket")["Bucket"]["LoggingConfiguration"]
    assert logging == {"DestinationBucketName": "acme-access-logs", "LogFilePrefix": "fourscore-prod/"}


def test_images_cannot_be_replaced_under_their_tag_and_are_scanned():
    (repository,) = small(DATA).of_kind("AWS::ECR::Repository").values()
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


def test_the_key_is_the_accounts_and_services_use_it_for_this_account_only():
    (key,) = small(DATA).of_kind("AWS::KMS::Key").values()
    assert key["EnableKeyRotation"]
    statements = key["KeyPolicy"]["Statement"]
    events = ("Service", "events.amazonaws.com")
    assert decide(statements, "kms:Decrypt", KEY, {"aws:SourceAccount": ACCOUNT}, events) == "allow"
    assert decide(statements, "kms:Decrypt", KEY, {"aws:SourceAccount": "210987654321"}, events) == "nothing"
    assert decide(statements, "kms:Decrypt", KEY, {}, ("AWS", "arn:aws:iam::210987654321:root")) == "nothing"


def rule_matches(name, event):
    return matches(small(COMPUTE).of_kind("AWS::Events::Rule")[name]["EventPattern"], event)


def matches(pattern, event):
    """Whether an event matches a pattern, for what ours uses: texts, prefix, exists."""
    for name, expected in pattern.items():
        value = event.get(name)
        if isinstance(expected, dict):
            if not matches(expected, value or {}):
                return False
        elif not any(matches_value(option, value) for option in expected):
            return False
    return True


def matches_value(option, value):
    if isinstance(option, dict):
        return str(value).startswith(option["prefix"]) if "prefix" in option else value is not None
    return value == option


def test_people_hear_of_approvals_in_the_stacks_groups_only():
    """Source of the event: SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"."""
    detail = {
        "ModelPackageGroupName": "fourscore-dev-churn",
        "ModelPackageVersion": 3,
        "ModelApprovalStatus": "Approved",
    }
    event = {"source": "aws.sagemaker", "detail-type": "SageMaker Model Package State Change", "detail": detail}
    assert rule_matches("ApprovalRule", event)
    other = {**detail, "ModelPackageGroupName": "fourscore-device-x"}
    assert not rule_matches("ApprovalRule", {**event, "detail": other})
    assert not rule_matches("ApprovalRule", {**event, "detail": {"ModelPackageGroupName": "fourscore-dev-x"}})
    assert not rule_matches("ApprovalRule", {**event, "detail-type": "SageMaker Endpoint State Change"})


def test_people_hear_of_failed_runs_of_the_stack_only():
    """Source of the event: as above."""
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/fourscore-dev-breast-cancer"
    detail = {"currentPipelineExecutionStatus": "Failed", "pipelineArn": arn}
    kind = "SageMaker Model Building Pipeline Execution Status Change"
    event = {"source": "aws.sagemaker", "detail-type": kind, "detail": detail}
    assert rule_matches("FailureRule", event)
    for change in ({"pipelineArn": arn.replace("-dev-", "-device-")}, {"currentPipelineExecutionStatus": "Succeeded"}):
        assert not rule_matches("FailureRule", {**event, "detail": detail | change})


@pytest.mark.parametrize("addresses", [[], ["a@x.de"], ["a@x.de", "b@x.de", "c@x.de"]])
def test_up_to_three_addresses_are_subscribed(addresses):
    template = Filled(COMPUTE, **SMALL | templates.parameters({"notify": tuple(addresses)}))
    subscriptions = template.of_kind("AWS::SNS::Subscription").values()
    assert [subscription["Endpoint"] for subscription in subscriptions] == addresses


def test_only_the_rules_and_the_budget_may_publish():
    (policy,) = small(COMPUTE).of_kind("AWS::SNS::TopicPolicy").values()
    (topic,) = small(COMPUTE).of_kind("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == KEY

    def publishes(kind, name, **context):
        keys = {"aws:SecureTransport": "true", **{f"aws:{key}": value for key, value in context.items()}}
        return decide(policy["PolicyDocument"]["Statement"], "sns:Publish", "<Topic>", keys, (kind, name))

    for rule in (RULE, f"{RULE}-failed"):
        assert publishes("Service", "events.amazonaws.com", SourceArn=rule) == "allow"
    assert publishes("Service", "events.amazonaws.com", SourceArn=f"{RULE}-other") == "nothing"
    assert publishes("Service", "budgets.amazonaws.com", SourceAccount=ACCOUNT) == "allow"
    assert publishes("Service", "budgets.amazonaws.com", SourceAccount="210987654321") == "nothing"
    assert publishes("AWS", f"arn:aws:iam::{ACCOUNT}:user/x") == "nothing"
    assert publishes("Service", "events.amazonaws.com", SourceArn=RULE, SecureTransport="false") == "deny"


def test_the_budget_counts_what_carries_the_stacks_tag():
    budget = full(COMPUTE).of_kind("AWS::Budgets::Budget")["Budget"]["Budget"]
    assert budget["CostFilters"] == {"TagKeyValue": ["user:fourscore:stack$prod"]}
    assert budget["BudgetLimit"] == {"Amount": "1500", "Unit": "USD"}


def test_an_organisations_boundary_bounds_every_role():
    roles = full(COMPUTE).of_kind("AWS::IAM::Role").values()
    assert len(roles) == 6
    assert {role["PermissionsBoundary"] for role in roles} == {FULL["PermissionsBoundary"]}
    assert not any("PermissionsBoundary" in role for role in small(COMPUTE).of_kind("AWS::IAM::Role").values())


def test_no_policy_allows_whole_services():
    template = full(COMPUTE)
    for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        for name in template.of_kind(kind):
            for statement in template.statements(name):
                assert statement["Effect"] == "Deny" or "*" not in str(statement["Action"])
                assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}


def test_options_become_parameters():
    options = {
        "stack": "dev",
        "prefix": "ml",
        "budget_dollars": 1500.0,
        "private": True,
        "notify": ("a@x.de", "b@x.de"),
    }
    assert templates.parameters(options) == {
        "Stack": "dev", "Prefix": "ml/", "BudgetDollars": "1500", "Private": "true", "Notify": "a@x.de,b@x.de",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("stack", "a-b"), ("stack", "Dev"), ("stack", "x" * 21), ("stack", ""),
        ("repository", "acme/*"), ("repository", "*"), ("repository", "acme"), ("repository", "acme/models:ref"), ("repository", "acme/mod?ls"),
        ("train_environment", "*"), ("deploy_environment", "prod*"), ("branch", "*"), ("branch", "main\nx"),
        ("notify", ("nobody",)), ("notify", ("a@x.de",) * 4), ("notify", ("a@x.de,b",)), ("prefix", "a/b"),
        ("budget_dollars", 0), ("budget_dollars", -1), ("permissions_boundary", "boundary"), ("oidc_provider", "other"), ("tracking_uri", "mlflow"),
    ],
)  # fmt: skip
def test_options_that_would_open_a_stack_or_give_no_names_are_refused(option, value):
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} .*: "):
        templates.parameters({option: value})
