"""Each role may do what a compiled definition needs, and nothing of a grid of things that it does not need."""

import itertools
import json
from pathlib import Path

import pytest
from iam import allowed, decide
from needs import KEY, needs

from infra.aws import people
from infra.aws.facts import Facts
from infra.aws.permissions import policies
from infra.aws.reference import reference_definition
from pipelines.training import TRAINING

GOLDEN = Path(__file__).parents[2] / "golden/sagemaker"
CASES = sorted(path.stem for path in GOLDEN.glob("*.json"))
ROLES = ("pipeline", "prepare", "train", "assess")
TRACKING = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/fourscore-dev"
DISK_KEY = "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"


class GoldenFacts(Facts):
    """The names of the golden definitions, whose stack was not made by 'infra up'."""

    @property
    def bucket(self):
        return "fourscore-dev-123456789012"


def facts_of(case):
    prefix = "" if case == "private-gpu" else "work"
    return GoldenFacts("dev", "eu-central-1", "123456789012", prefix, DISK_KEY)


def definition_of(case):
    return json.loads((GOLDEN / f"{case}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def stack():
    """A stack's facts and the statements of its roles, as 'infra up' generates them before any run is known."""
    facts = Facts("dev", "eu-central-1", "123456789012", "fourscore", DISK_KEY)
    return facts, policies(reference_definition(facts, TRAINING, private=True, tracking_uri=TRACKING), facts, TRAINING)


@pytest.mark.parametrize("case", CASES)
def test_a_definitions_own_policies_allow_every_call_that_it_makes(case):
    facts, definition = facts_of(case), definition_of(case)
    made = policies(definition, facts, TRAINING)
    asked = list(needs(definition, facts))
    assert [call for call in asked if not allowed(made[call[0]], *call[1:])] == []
    assert len(asked) > 50 or case.startswith("cached-and-")


def test_the_roles_of_a_stack_allow_every_call_of_the_definition_they_were_made_from(stack):
    facts, made = stack
    definition = reference_definition(facts, TRAINING, private=True, tracking_uri=TRACKING)
    asked = list(needs(definition, facts))
    assert [call for call in asked if not allowed(made[call[0]], *call[1:])] == []
    assert {role for role, *_ in asked} == set(ROLES)
    assert len(asked) > 200


def own(facts):
    """Role -> what of the grid below it does need."""
    keep = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")

    def store(*names):
        return [facts.objects(f"store/{KEY}/{name}/x") for name in names]

    def both(actions, places):
        return set(itertools.product(actions, places))

    told = both(["s3:PutObject"], [facts.objects("runs/r/live/x")])
    made = ("card", "table", "labeled", "validation", "train_set", "test_set", "test_set/train_set", "test_set/model")
    read = (
        "card",
        "model",
        "yardsticks",
        "train_set",
        "test_set",
        "test_set/train_set",
        "test_set/model",
        "validation",
    )
    return {
        "pipeline": both(["s3:GetObject"], store("model"))
        | {("iam:PassRole", facts.role(name)) for name in ("prepare", "train", "assess")},
        "prepare": both(keep, store(*made, "division"))
        | both(["s3:GetObject"], [facts.objects(f"raw/{KEY}/x.csv")])
        | told,
        "train": both(keep, [*store("model", "yardsticks"), facts.objects(f"checkpoints/{KEY}/x")])
        | both(["s3:GetObject"], store("train_set"))
        | told,
        "assess": both(keep, store("evaluation", "registration"))
        | both(["s3:GetObject"], store(*read, "division"))
        | both(["s3:PutObject"], [facts.objects("seals/x/y")])
        | told,
    }


def grid(facts):
    """(action, resource) that a role may not need: everything with everything."""
    store = [f"store/{KEY}/{name}/x" for name in (
        "card", "table", "validation", "labeled", "train_set", "test_set", "division", "model", "yardsticks", "evaluation", "registration"
    )]  # fmt: skip
    places = [
        facts.objects(each)
        for each in (*store, f"raw/{KEY}/x.csv", "runs/r/live/x", "seals/x/y", f"checkpoints/{KEY}/x")
    ]
    places += [
        facts.objects(each)
        for each in (f"store/{KEY}/test_set/train_set/x", f"store/{KEY}/test_set/model/x", "store/short/model/x")
    ]
    places += [
        f"{facts.bucket_arn}-other/x",
        "arn:aws:s3:::else/fourscore/store/x",
        f"{facts.bucket_arn}/else/store/{KEY}/model/x",
    ]
    yield from itertools.product(
        (
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:GetObjectVersion",
            "s3:PutObjectAcl",
            "s3:PutObjectTagging",
            "s3:BypassGovernanceRetention",
        ),
        places,
    )
    buckets = (
        "s3:DeleteBucket",
        "s3:PutBucketPolicy",
        "s3:PutLifecycleConfiguration",
        "s3:PutEncryptionConfiguration",
        "s3:PutBucketVersioning",
    )
    yield from itertools.product(buckets, (facts.bucket_arn, f"{facts.bucket_arn}-other"))
    yield from itertools.product(("s3:ListBucket",), ("arn:aws:s3:::else",))
    roles = [facts.role(name) for name in ("pipeline", "prepare", "train", "assess", "github-deploy")] + [
        facts.iam("role/Admin")
    ]
    yield from itertools.product(
        ("iam:PassRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole"),
        roles,
    )
    sagemaker = ["training-job/other", "processing-job/other", "processing-job/pipelines-x-other-y", "endpoint/live", "pipeline/fourscore-x", "model-package/other/1", "model-package-group/other", "model-package/fourscore-devil-x/1"]  # fmt: skip
    actions = ("CreateTrainingJob", "CreateProcessingJob", "StopTrainingJob", "StopProcessingJob", "CreateModelPackage", "UpdateModelPackage", "DeleteModelPackage", "CreateEndpoint", "DeleteEndpoint", "UpdatePipeline", "StartPipelineExecution", "AddTags")  # fmt: skip
    yield from itertools.product(
        (f"sagemaker:{each}" for each in actions), (facts.arn("sagemaker", each) for each in sagemaker)
    )
    yield from itertools.product(
        ("kms:Decrypt", "kms:ScheduleKeyDeletion", "kms:PutKeyPolicy", "kms:CreateGrant"),
        (facts.key, f"{facts.key[:-1]}0"),
    )  # without ViaService, without AWS asking
    yield from itertools.product(("ecr:PutImage", "ecr:BatchDeleteImage", "ecr:InitiateLayerUpload", "ecr:BatchGetImage"), (f"{facts.repository}-other", facts.repository.replace("123456789012", "210987654321")))  # fmt: skip
    yield from itertools.product(("logs:PutLogEvents", "logs:DeleteLogGroup", "logs:GetLogEvents"), (facts.arn("logs", "log-group:/aws/lambda/x:*"), facts.arn("logs", "log-group:/aws/sagemaker/Endpoints/x:*")))  # fmt: skip
    yield from itertools.product(
        (
            "ec2:RunInstances",
            "lambda:InvokeFunction",
            "secretsmanager:GetSecretValue",
            "dynamodb:GetItem",
            "cloudformation:UpdateStack",
            "sns:Publish",
            "budgets:ModifyBudget",
            "events:PutRule",
        ),
        ("*",),
    )


@pytest.mark.parametrize("role", ROLES)
def test_whatever_a_definition_does_not_need_is_denied(stack, role):
    """More than 300 for each role, all with the tags and statuses that would help if anything helped."""
    facts, made = stack
    context = {"iam:PassedToService": "sagemaker.amazonaws.com", "cloudwatch:namespace": "Mine"}
    needed = own(facts)[role]
    tried = [pair for pair in grid(facts) if pair not in needed]
    assert [pair for pair in tried if allowed(made[role], *pair, context)] == []
    assert [pair for pair in needed if not allowed(made[role], *pair, context)] == []
    assert len(tried) >= 300


def test_training_cannot_read_the_sealed_test_set_nor_what_it_was_cut_from(stack):
    facts, made = stack
    for place in (f"store/{KEY}/test_set/rows.parquet", f"store/{KEY}/test_set/train_set/rows.parquet"):
        assert decide(made["train"], "s3:GetObject", facts.objects(place)) in ("deny", "nothing")
    assert decide(made["train"], "s3:GetObject", facts.objects(f"store/{KEY}/test_set/rows.parquet")) == "deny", (
        "explicitly, so that nothing added later opens it"
    )
    for place in (f"store/{KEY}/table/t.parquet", f"store/{KEY}/labeled/t.parquet", f"raw/{KEY}/cells.csv"):
        assert not allowed(made["train"], "s3:GetObject", facts.objects(place))
    assert allowed(made["assess"], "s3:GetObject", facts.objects(f"store/{KEY}/test_set/rows.parquet"))


@pytest.mark.parametrize("role", ROLES)
def test_the_bucket_is_listed_below_what_a_role_reads_and_nowhere_else(stack, role):
    facts, made = stack
    assert allowed(made[role], "s3:ListBucket", facts.bucket_arn, {"s3:prefix": f"fourscore/store/{KEY}/"})
    for context in (
        {},
        {"s3:prefix": ""},
        {"s3:prefix": "fourscore/"},
        {"s3:prefix": "elsewhere/"},
        {"s3:prefix": "fourscore/claims/"},
    ):
        assert not allowed(made[role], "s3:ListBucket", facts.bucket_arn, context)


@pytest.mark.parametrize("role", ROLES)
def test_who_trains_cannot_approve_a_model(stack, role):
    facts, made = stack
    package, group = (
        facts.arn("sagemaker", "model-package/fourscore-dev-x/1"),
        facts.arn("sagemaker", "model-package-group/fourscore-dev-x"),
    )
    for status in ("Approved", "Rejected", "PendingManualApproval"):
        context = {"sagemaker:ModelApprovalStatus": status}
        assert decide(made[role], "sagemaker:UpdateModelPackage", package, context) == "deny"
    approved = {"sagemaker:ModelApprovalStatus": "Approved"}
    assert decide(made[role], "sagemaker:CreateModelPackage", group, approved) == "deny"
    assert not allowed(made[role], "sagemaker:CreateModelPackage", group, {})  # a status left out is no way around


def test_a_job_without_the_stacks_tag_is_not_started(stack):
    facts, made = stack
    arn = facts.arn("sagemaker", "training-job/pipelines-abc-train-xyz")
    tagged = {"aws:RequestTag/fourscore:stack": "dev"}
    assert allowed(made["pipeline"], "sagemaker:CreateTrainingJob", arn, tagged)
    for context in ({}, {"aws:RequestTag/fourscore:stack": "prod"}):
        assert not allowed(made["pipeline"], "sagemaker:CreateTrainingJob", arn, context)
    assert not allowed(made["pipeline"], "sagemaker:AddTags", arn, {"sagemaker:TaggingAction": "AddTags"})


def test_roles_are_passed_to_sagemaker_only(stack):
    facts, made = stack
    for service in ("lambda.amazonaws.com", "ec2.amazonaws.com"):
        assert not allowed(made["pipeline"], "iam:PassRole", facts.role("train"), {"iam:PassedToService": service})
    assert not allowed(made["pipeline"], "iam:PassRole", facts.role("train"), {})


def test_a_definition_without_a_job_gives_no_role_for_it():
    made = policies(definition_of("cached-prefix"), facts_of("cached-prefix"), TRAINING)
    assert set(made) == {"pipeline", "train", "assess"}
    assert set(policies(definition_of("cached-and-rejected"), facts_of("x"), TRAINING)) == {"pipeline"}


def test_the_same_definition_gives_the_same_policies(stack):
    facts, made = stack
    again = policies(reference_definition(facts, TRAINING, private=True, tracking_uri=TRACKING), facts, TRAINING)
    assert json.dumps(again) == json.dumps(made)


def test_people_have_one_part_each(stack):
    facts, _ = stack
    package = facts.arn("sagemaker", "model-package/fourscore-dev-x/1")
    approved = {"sagemaker:ModelApprovalStatus": "Approved"}
    execution = facts.arn("sagemaker", "pipeline/fourscore-dev-x/execution/abc")
    may = {name: getattr(people, name)(facts) for name in ("runs", "approves", "deploys", "builds")}
    may = {"looks": people.looks(facts, TRAINING), **may}
    assert [
        name for name, rules in may.items() if allowed(rules, "sagemaker:UpdateModelPackage", package, approved)
    ] == ["approves"]
    assert [name for name, rules in may.items() if allowed(rules, "sagemaker:StopPipelineExecution", execution)] == [
        "runs"
    ]
    assert [name for name, rules in may.items() if allowed(rules, "ecr:PutImage", facts.repository)] == ["builds"]
    test_set = facts.objects(f"store/{KEY}/test_set/x")
    assert [name for name, rules in may.items() if allowed(rules, "s3:GetObject", test_set)] == ["runs"], (
        "who brings raw data has it anyway"
    )
    assert decide(may["runs"] + may["approves"], "sagemaker:UpdateModelPackage", package, approved) == "deny", (
        "both at once is neither"
    )


def test_policies_fit_what_iam_takes(stack):
    """Inline policies of a role: 10,240 characters together; a managed policy: 6,144. Source: IAM quotas."""
    _, made = stack
    longest = Facts("abcdefghijklmnopqrst", "ap-southeast-1", "123456789012", "fourscore", DISK_KEY)
    made = policies(reference_definition(longest, TRAINING, private=True, tracking_uri=TRACKING), longest, TRAINING)
    assert max(len(json.dumps(rules, separators=(",", ":"))) for rules in made.values()) < 10_000
    for rules in (people.looks(longest, TRAINING), people.runs(longest), people.approves(longest)):
        assert len(json.dumps(rules, separators=(",", ":"))) < 6_000
    assert max(len(longest.role_name(name)) for name in (*ROLES, "github-train", "github-deploy", "build")) <= 64
    assert len(longest.bucket) <= 63
