"""What the templates promise: data that outlives the stack and is closed to everybody else, and templates that a linter likes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import templates
from iam import decide
from pydantic import ValidationError
from templates import ACCOUNT, FULL, GOLDEN, KEY, REGION, RULE, cases, filled, text

from infra.aws.options import Options

CASES = cases()
DIGEST = "0123456789abcdef" * 4


def resources(name, kind):
    return {key: each for key, each in filled(CASES[name])["Resources"].items() if each["Type"] == kind}


@pytest.mark.parametrize("name", CASES)
def test_templates_are_what_their_golden_files_hold(name):
    """A change shows as a difference; ``PYTHONPATH=. python tests/support/templates.py`` writes them anew."""
    assert (GOLDEN / f"{name}.json").read_text(encoding="utf-8") == text(CASES[name])


def test_the_golden_files_are_those_of_the_cases():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)


def test_cfn_lint_finds_nothing(tmp_path):
    """Informational findings too; about two seconds."""
    files = [str(GOLDEN / f"{name}.json") for name in CASES]
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--include-checks",
        "I",
        "--regions",
        REGION,
        "--",
        *files,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_a_template_is_small_enough_to_be_sent_whole(name):
    """51,200 bytes in one request; a larger one goes by way of the bucket, which takes longer."""
    assert len(json.dumps(CASES[name], separators=(",", ":"))) <= 51_200


@pytest.mark.parametrize("name", ["dev-data", "prod-data"])
def test_data_outlives_its_stack(name):
    kept = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::SageMaker::ModelPackageGroup"}
    for each in filled(CASES[name])["Resources"].values():
        if each["Type"] in kept:
            assert (each["DeletionPolicy"], each["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def bucket_decides(action, key, **context):
    (policy,) = resources("dev-data", "AWS::S3::BucketPolicy").values()
    secure = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "s3:ObjectCreationOperation": "true"}
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    arn = f"arn:aws:s3:::fourscore-dev-{ACCOUNT}-{REGION}/{key}"
    given = {name.replace("__", ":").replace("_", "-"): value for name, value in context.items()}
    return decide(statements, f"s3:{action}", arn, {**secure, **given}, ("AWS", "anybody"))


def test_what_is_in_the_store_is_written_with_if_none_match_or_not_at_all():
    for name in ("manifest.json", "model/model.pt2"):
        key = f"fourscore/store/{DIGEST}/{name}"
        assert bucket_decides("PutObject", key) == "deny"
        assert bucket_decides("PutObject", key, **{"s3:if-none-match": "*"}) == "nothing", "left to the roles"
    part = {"s3:ObjectCreationOperation": "false"}  # CreateMultipartUpload and UploadPart know no such header
    assert bucket_decides("PutObject", f"fourscore/store/{DIGEST}/model/model.pt2", **part) == "nothing"
    assert bucket_decides("PutObject", "fourscore/runs/r/live/train.jsonl") == "nothing"


def test_nothing_goes_in_or_out_without_modern_tls():
    for context in ({"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}):
        for action in ("GetObject", "PutObject", "ListBucket"):
            assert bucket_decides(action, "fourscore/runs/x", **context) == "deny"


def test_objects_are_encrypted_under_the_stacks_key_whatever_a_request_asks_for():
    key_id = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert bucket_decides("PutObject", "fourscore/raw/x", **{key_id: KEY}) == "nothing"
    assert bucket_decides("PutObject", "fourscore/raw/x", **{key_id: f"{KEY[:-1]}0"}) == "deny"
    assert bucket_decides("PutObject", "fourscore/raw/x", **{"s3:x-amz-server-side-encryption": "AES256"}) == "deny"


@pytest.mark.parametrize("name", ["dev-data", "prod-data"])
def test_the_bucket_is_private_versioned_and_forgets_what_nobody_needs(name):
    (bucket,) = resources(name, "AWS::S3::Bucket").values()
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"]["Status"] == "Enabled"
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": KEY,
    }
    prefix = "fourscore/" if name == "dev-data" else "ml/"
    rules = {each["Id"]: each for each in properties["LifecycleConfiguration"]["Rules"]}
    assert {rules[place]["Prefix"] for place in ("runs", "checkpoints", "images")} == {
        f"{prefix}{place}/" for place in ("runs", "checkpoints", "images")
    }
    assert {"unfinished-uploads", "old-versions"} < set(rules)
    assert all("store" not in each.get("Prefix", "") for each in rules.values()), "executions are kept"


def test_images_cannot_be_replaced_under_their_tag_and_are_scanned():
    (repository,) = resources("dev-data", "AWS::ECR::Repository").values()
    properties = repository["Properties"]
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


def test_the_key_is_the_accounts_and_services_use_it_for_this_account_only():
    (key,) = resources("dev-data", "AWS::KMS::Key").values()
    assert key["Properties"]["EnableKeyRotation"]
    statements = key["Properties"]["KeyPolicy"]["Statement"]
    events = ("Service", "events.amazonaws.com")
    assert decide(statements, "kms:Decrypt", KEY, {"aws:SourceAccount": ACCOUNT}, events) == "allow"
    assert decide(statements, "kms:Decrypt", KEY, {"aws:SourceAccount": "210987654321"}, events) == "nothing"
    assert decide(statements, "kms:Decrypt", KEY, {}, ("AWS", "arn:aws:iam::210987654321:root")) == "nothing"


def test_a_model_that_waits_or_is_decided_on_is_told_and_other_groups_are_not():
    """Source of the event: SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"."""
    rule = resources("dev", "AWS::Events::Rule")["ApprovalRule"]
    pattern = rule["Properties"]["EventPattern"]
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Package State Change",
        "detail": {
            "ModelPackageGroupName": "fourscore-dev-breast-cancer",
            "ModelPackageVersion": 3,
            "ModelApprovalStatus": "Approved",
        },
    }
    assert fits(pattern, event)
    assert not fits(pattern, {**event, "detail": {**event["detail"], "ModelPackageGroupName": "fourscore-device-x"}})
    assert not fits(pattern, {**event, "detail": {"ModelPackageGroupName": "fourscore-dev-x"}})
    assert not fits(pattern, {**event, "detail-type": "SageMaker Endpoint State Change"})


def test_a_run_that_failed_is_told_and_those_of_other_stacks_and_good_ends_are_not():
    """Source of the event: as above."""
    rule = resources("dev", "AWS::Events::Rule")["FailureRule"]
    pattern = rule["Properties"]["EventPattern"]
    arn = f"arn:aws:sagemaker:eu-central-1:{ACCOUNT}:pipeline/fourscore-dev-breast-cancer"
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
        "detail": {"currentPipelineExecutionStatus": "Failed", "pipelineArn": arn},
    }
    assert fits(pattern, event)
    for detail in ({"pipelineArn": arn.replace("-dev-", "-device-")}, {"currentPipelineExecutionStatus": "Succeeded"}):
        assert not fits(pattern, {**event, "detail": {**event["detail"], **detail}})


def fits(pattern, event):
    """Whether an event fits a pattern, for what ours uses: texts, prefix, exists."""
    for name, wanted in pattern.items():
        found = event.get(name)
        if isinstance(wanted, dict):
            if not fits(wanted, found or {}):
                return False
        elif not any(
            found == each
            or (
                isinstance(each, dict)
                and (
                    str(found).startswith(each["prefix"]) if "prefix" in each else each["exists"] == (found is not None)
                )
            )
            for each in wanted
        ):
            return False
    return True


def test_only_the_rules_and_the_budget_may_publish():
    (policy,) = resources("dev", "AWS::SNS::TopicPolicy").values()
    (topic,) = resources("dev", "AWS::SNS::Topic").values()
    assert topic["Properties"]["KmsMasterKeyId"] == KEY

    def publishes(kind, name, **context):
        given = {"aws:SecureTransport": "true", **{f"aws:{key}": value for key, value in context.items()}}
        return decide(
            policy["Properties"]["PolicyDocument"]["Statement"], "sns:Publish", "<Topic>", given, (kind, name)
        )

    for rule in (RULE, f"{RULE}-failed"):
        assert publishes("Service", "events.amazonaws.com", SourceArn=rule) == "allow"
    assert publishes("Service", "events.amazonaws.com", SourceArn=f"{RULE}-other") == "nothing"
    assert publishes("Service", "budgets.amazonaws.com", SourceAccount=ACCOUNT) == "allow"
    assert publishes("Service", "budgets.amazonaws.com", SourceAccount="210987654321") == "nothing"
    assert publishes("AWS", f"arn:aws:iam::{ACCOUNT}:user/x") == "nothing"
    assert publishes("Service", "events.amazonaws.com", SourceArn=RULE, SecureTransport="false") == "deny"


def test_the_budget_counts_what_carries_the_stacks_tag():
    (budget,) = resources("prod", "AWS::Budgets::Budget").values()
    assert budget["Properties"]["Budget"]["CostFilters"] == {"TagKeyValue": ["user:fourscore:stack$prod"]}
    assert budget["Properties"]["Budget"]["BudgetLimit"] == {"Amount": 1500, "Unit": "USD"}


def test_everything_that_takes_tags_carries_those_of_the_stack():
    untagged = {"AWS::S3::BucketPolicy", "AWS::KMS::Alias", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::IAM::ManagedPolicy", "AWS::Budgets::Budget", "AWS::Events::Rule", "AWS::Logs::LogGroup"}  # fmt: skip
    for name in ("prod-data", "prod"):
        for each in filled(CASES[name])["Resources"].values():
            if each["Type"] not in untagged:
                assert {"Key": "fourscore:stack", "Value": "prod"} in each["Properties"]["Tags"], each["Type"]


def test_an_organisations_boundary_bounds_every_role():
    roles = resources("prod", "AWS::IAM::Role")
    assert len(roles) == 7
    assert {each["Properties"]["PermissionsBoundary"] for each in roles.values()} == {FULL.permissions_boundary}


def test_no_policy_allows_everything():
    for name in CASES:
        for each in filled(CASES[name])["Resources"].values():
            for policy in each.get("Properties", {}).get("Policies", ()):
                for statement in policy["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Deny" or not any(
                        action.endswith("*") for action in statement["Action"]
                    )
                    assert "NotAction" not in statement
                    assert "NotResource" not in statement


@pytest.mark.parametrize(
    "wrong",
    [
        {"stack": "a-b"}, {"stack": "Dev"}, {"stack": "x" * 21}, {"stack": ""},
        {"repository": "acme/*"}, {"repository": "*"}, {"repository": "acme"}, {"repository": "acme/models:ref"}, {"repository": "acme/mod?ls"},
        {"train_environment": "*"}, {"deploy_environment": "prod*"}, {"branch": "*"}, {"branch": "main\nx"},
        {"notify": ("nobody",)}, {"prefix": "a/b"}, {"budget_dollars": 0}, {"permissions_boundary": "boundary"}, {"unknown": 1},
    ],
)  # fmt: skip
def test_options_that_would_open_a_stack_or_make_no_names_are_refused(wrong):
    with pytest.raises(ValidationError):
        Options(**{"stack": "dev", **wrong})


def test_no_name_of_one_stack_is_the_start_of_anothers():
    assert templates.SMALL.stack.isalnum()
    for one, other in (("dev", "dev2"), ("a", "ab")):
        assert not f"fourscore-{other}-model".startswith(f"fourscore-{one}-")
