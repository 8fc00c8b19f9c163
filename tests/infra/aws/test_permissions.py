"""The roles of compute.template.yaml allow what compiled definitions and the steps' signatures need, and nothing else."""

import itertools
import json
from pathlib import Path

import pytest
from compiled import make_definition, make_plan, make_stack
from iam import allowed, decide, like
from needs import ARTIFACTS, DIGEST, JOBS, READS, WRITES, Names, needs
from templates import ACCOUNT, BUCKET, KEY, REGION, SMALL, Filled

GOLDEN = Path(__file__).parents[2] / "golden/sagemaker"
CASES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
CASES["encrypted-disks"] = make_definition(make_plan(), stack=make_stack(kms_key=KEY))
ROLES = ("pipeline", *JOBS)
TRACKING = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-tracking-server/fourscore-dev"
OPTIONS = {**SMALL, "Private": "true", "TrackingUri": TRACKING, "Repository": "acme/models"}
PEOPLE = {
    "look": "LookPolicy",
    "run": "RunPolicy",
    "approve": "ApprovePolicy",
    "deploy": "GithubDeployRole",
}


def role_statements(**parameters):
    template = Filled("compute", **OPTIONS | parameters)
    return {role: template.statements(f"{role.title()}Role") for role in ROLES}


DEV = Names(BUCKET, "fourscore/")
DEV_ROLES = role_statements()
DEV_PEOPLE = {name: Filled("compute", **OPTIONS).statements(resource) for name, resource in PEOPLE.items()}


def calls_of(case):
    """The calls of a golden definition, and the roles of a stack with its bucket and prefix."""
    bucket, prefix = f"fourscore-dev-{ACCOUNT}", "" if case == "private-gpu" else "work/"
    return list(needs(CASES[case], Names(bucket, prefix))), role_statements(Bucket=bucket, Prefix=prefix)


@pytest.mark.parametrize("case", CASES)
def test_every_call_of_a_definition_is_allowed(case):
    calls, roles = calls_of(case)
    assert [call for call in calls if not allowed(roles[call[0]], *call[1:])] == []
    assert len(calls) > 50 or case.startswith("cached-and-")


def test_everything_that_is_allowed_is_needed():
    """Each action on each resource of each statement is used by a call of some definition."""
    unused = {
        (role, index, action, place)
        for role, statements in DEV_ROLES.items()
        for index, statement in enumerate(statements)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for place, pattern in enumerate(listed(statement["Resource"]))
        if takes(action, pattern)
    }
    for case in CASES:
        calls, roles = calls_of(case)
        for role, action, resource, context in calls:
            for index, statement in enumerate(roles[role]):
                if action in listed(statement["Action"]) and allowed([statement], action, resource, context):
                    places = enumerate(listed(statement["Resource"]))
                    unused -= {(role, index, action, place) for place, pattern in places if like(pattern, resource)}
    assert unused == set()


def takes(action, pattern):
    """Whether an action on one kind of resource is meant: DescribeTrainingJob never applies to a processing job."""
    kinds = {"processing-job": "ProcessingJob", "training-job": "TrainingJob", "model-package": "ModelPackage"}
    kind = pattern.split(":")[-1].partition("/")[0]
    if pattern.startswith("arn:aws:sagemaker:") and action.startswith(("sagemaker:Describe", "sagemaker:Stop")):
        return action.endswith(kinds.get(kind, "Group"))
    return not action.endswith("Job") or action.endswith(kinds[kind])


def listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("role", JOBS)
def test_a_job_reads_and_writes_the_artifacts_of_its_steps_signatures(role):
    may = {
        action: {name for name in ARTIFACTS if allowed(DEV_ROLES[role], f"s3:{action}", DEV.stored(name))}
        for action in ("GetObject", "PutObject", "DeleteObject")
    }
    assert may == {"GetObject": READS[role], "PutObject": WRITES[role], "DeleteObject": WRITES[role]}


def requirements(role):
    """What of the grid below a role does need."""
    if role == "pipeline":
        return {("s3:GetObject", DEV.stored("model")), *(("iam:PassRole", DEV.role(job)) for job in JOBS)}
    pairs = {("s3:GetObject", DEV.stored(name)) for name in READS[role]}
    pairs |= set(itertools.product(("s3:PutObject", "s3:DeleteObject"), map(DEV.stored, WRITES[role])))
    nested = {DEV.objects(f"store/{DIGEST}/test_set/{name}/x") for name in ("train_set", "model")}
    if "test_set" in READS[role]:
        pairs |= {("s3:GetObject", place) for place in nested}
    if "test_set" in WRITES[role]:
        pairs |= set(itertools.product(("s3:PutObject", "s3:DeleteObject"), nested))
    inputs = {name for step in JOBS[role] for name in step.inputs}
    pairs |= {("s3:GetObject", DEV.objects(f"raw/{DIGEST}/x.csv"))} if "raw" in inputs else set()
    pairs |= {("s3:PutObject", DEV.objects("seals/x/y"))} if "test_set" in inputs else set()
    if role == "train":
        actions = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
        pairs |= set(itertools.product(actions, [DEV.objects(f"checkpoints/{DIGEST}/x")]))
    return pairs | {("s3:PutObject", DEV.objects("runs/r/live/x"))}


def grid():
    """(action, resource) that no role may need but those above: everything with everything."""
    places = [
        *map(DEV.stored, ARTIFACTS),
        *(DEV.objects(place) for place in (
            f"raw/{DIGEST}/x.csv", "runs/r/live/x", "seals/x/y", f"checkpoints/{DIGEST}/x",
            f"store/{DIGEST}/test_set/train_set/x", f"store/{DIGEST}/test_set/model/x", "store/short/model/x",
        )),
        f"{DEV.bucket}-other/x", "arn:aws:s3:::else/fourscore/store/x", f"{DEV.bucket}/else/store/{DIGEST}/model/x",
    ]  # fmt: skip
    objects = "GetObject PutObject DeleteObject DeleteObjectVersion GetObjectVersion PutObjectAcl PutObjectTagging BypassGovernanceRetention"
    buckets = "DeleteBucket PutBucketPolicy PutLifecycleConfiguration PutEncryptionConfiguration PutBucketVersioning"
    sagemaker = "CreateTrainingJob CreateProcessingJob StopTrainingJob StopProcessingJob CreateModelPackage UpdateModelPackage DeleteModelPackage CreateEndpoint DeleteEndpoint UpdatePipeline StartPipelineExecution AddTags"
    resources = "training-job/other processing-job/other processing-job/pipelines-x-other-y endpoint/live pipeline/fourscore-x model-package/other/1 model-package-group/other model-package/fourscore-devil-x/1"
    elsewhere = DEV.repository.replace(ACCOUNT, "210987654321")
    return [
        *pairs("s3", objects, places),
        *pairs("s3", buckets, [DEV.bucket, f"{DEV.bucket}-other"]),
        *pairs("s3", "ListBucket", ["arn:aws:s3:::else"]),
        *pairs("iam", "PassRole PutRolePolicy AttachRolePolicy UpdateAssumeRolePolicy", [*map(DEV.role, ROLES), f"arn:aws:iam::{ACCOUNT}:role/Admin"]),
        *pairs("sts", "AssumeRole", [*map(DEV.role, ROLES), DEV.role("github-deploy")]),
        *pairs("sagemaker", sagemaker, [DEV.arn("sagemaker", place) for place in resources.split()]),
        *pairs("kms", "Decrypt ScheduleKeyDeletion PutKeyPolicy CreateGrant", [DEV.key, f"{DEV.key[:-1]}0"]),
        *pairs("ecr", "PutImage BatchDeleteImage InitiateLayerUpload BatchGetImage", [f"{DEV.repository}-other", elsewhere]),
        *pairs("logs", "PutLogEvents DeleteLogGroup GetLogEvents", [DEV.arn("logs", f"log-group:/aws/{name}:*") for name in ("lambda/x", "sagemaker/Endpoints/x")]),
        *((action, "*") for action in ["ec2:RunInstances", "lambda:InvokeFunction", "secretsmanager:GetSecretValue", "dynamodb:GetItem", "cloudformation:UpdateStack", "sns:Publish", "budgets:ModifyBudget", "events:PutRule"]),
    ]  # fmt: skip


def pairs(service, actions, resources):
    return itertools.product([f"{service}:{action}" for action in actions.split()], resources)


@pytest.mark.parametrize("role", ROLES)
def test_whatever_a_definition_does_not_need_is_denied(role):
    """More than 300 calls for each role, with the tags and statuses that would help if anything helped."""
    context = {"iam:PassedToService": "sagemaker.amazonaws.com", "cloudwatch:namespace": "Mine"}
    required = requirements(role)
    refused = [pair for pair in grid() if pair not in required]
    assert [pair for pair in refused if allowed(DEV_ROLES[role], *pair, context)] == []
    assert [pair for pair in required if not allowed(DEV_ROLES[role], *pair, context)] == []
    assert len(refused) >= 300


def test_training_cannot_read_the_sealed_test_set_nor_what_it_was_cut_from():
    train = DEV_ROLES["train"]
    sealed = DEV.objects(f"store/{DIGEST}/test_set/rows.parquet")
    assert decide(train, "s3:GetObject", sealed) == "deny", "explicitly, so that nothing added later opens it"
    assert not allowed(train, "s3:GetObject", DEV.objects(f"store/{DIGEST}/test_set/train_set/rows.parquet"))
    for place in (f"store/{DIGEST}/table/t.parquet", f"store/{DIGEST}/labeled/t.parquet", f"raw/{DIGEST}/cells.csv"):
        assert not allowed(train, "s3:GetObject", DEV.objects(place))
    assert allowed(DEV_ROLES["assess"], "s3:GetObject", sealed)


@pytest.mark.parametrize("role", ROLES)
def test_the_bucket_is_listed_below_what_a_role_reads_and_nowhere_else(role):
    statements = DEV_ROLES[role]
    assert allowed(statements, "s3:ListBucket", DEV.bucket, {"s3:prefix": f"fourscore/store/{DIGEST}/"})
    assert not allowed(statements, "s3:ListBucket", DEV.bucket, {})
    for prefix in ("", "fourscore/", "elsewhere/", "fourscore/code"):
        assert not allowed(statements, "s3:ListBucket", DEV.bucket, {"s3:prefix": prefix})


PACKAGE = DEV.arn("sagemaker", "model-package/fourscore-dev-x/1")
GROUP = DEV.arn("sagemaker", "model-package-group/fourscore-dev-x")
APPROVED = {"sagemaker:ModelApprovalStatus": "Approved"}


@pytest.mark.parametrize("role", [*ROLES, "run", "deploy"])
def test_who_trains_or_deploys_cannot_approve_a_model(role):
    statements = (DEV_ROLES | DEV_PEOPLE)[role]
    for status in ("Approved", "Rejected", "PendingManualApproval"):
        context = {"sagemaker:ModelApprovalStatus": status}
        assert decide(statements, "sagemaker:UpdateModelPackage", PACKAGE, context) == "deny"
    assert decide(statements, "sagemaker:CreateModelPackage", GROUP, APPROVED) == "deny"
    assert not allowed(statements, "sagemaker:CreateModelPackage", GROUP, {})  # a missing status is no way around


def test_a_job_without_the_stacks_tag_is_not_started():
    pipeline, arn = DEV_ROLES["pipeline"], DEV.arn("sagemaker", "training-job/pipelines-abc-train-xyz")
    tag = "aws:RequestTag/fourscore:stack"
    assert allowed(pipeline, "sagemaker:CreateTrainingJob", arn, {tag: "dev"})
    for context in ({}, {tag: "prod"}):
        assert not allowed(pipeline, "sagemaker:CreateTrainingJob", arn, context)
    assert not allowed(pipeline, "sagemaker:AddTags", arn, {"sagemaker:TaggingAction": "AddTags"})


def test_roles_are_passed_to_sagemaker_only():
    for context in ({}, {"iam:PassedToService": "lambda.amazonaws.com"}, {"iam:PassedToService": "ec2.amazonaws.com"}):
        assert not allowed(DEV_ROLES["pipeline"], "iam:PassRole", DEV.role("train"), context)


@pytest.mark.parametrize("role", JOBS)
def test_networks_and_a_managed_tracking_server_are_allowed_only_where_the_stack_has_them(role):
    def may(statements):
        return {
            allowed(statements, "ec2:DescribeSubnets", "*"),
            allowed(statements, "sagemaker-mlflow:LogMetric", TRACKING),
        }

    assert may(DEV_ROLES[role]) == {True}
    assert may(role_statements(Private="false", TrackingUri="http://mlflow.internal:5000")[role]) == {False}


def test_people_have_one_part_each():
    def who(action, resource, context=None):
        return {name for name, rules in DEV_PEOPLE.items() if allowed(rules, action, resource, context)}

    execution = DEV.arn("sagemaker", "pipeline/fourscore-dev-x/execution/abc")
    assert who("sagemaker:UpdateModelPackage", PACKAGE, APPROVED) == {"approve"}
    assert who("sagemaker:StopPipelineExecution", execution) == {"run"}
    assert who("sagemaker:CreateModelPackageGroup", GROUP) == {"run"}
    assert who("ecr:PutImage", DEV.repository) == set()
    assert who("s3:GetObject", DEV.stored("test_set")) == {"run"}, "who brings raw data has it anyway"
    assert who("s3:GetObject", DEV.stored("model")) == {"look", "run", "deploy"}
    both = DEV_PEOPLE["run"] + DEV_PEOPLE["approve"]
    assert decide(both, "sagemaker:UpdateModelPackage", PACKAGE, APPROVED) == "deny", "both at once is neither"


def test_who_approves_cannot_say_that_the_package_is_of_another_run():
    for name in ("train_key", "evaluate_key"):
        context = {**APPROVED, f"sagemaker:CustomerMetadataProperties/{name}": DIGEST}
        assert not allowed(DEV_PEOPLE["approve"], "sagemaker:UpdateModelPackage", PACKAGE, context)


def test_policies_fit_what_iam_accepts():
    """Inline policies of a role: 10,240 characters together; a managed policy: 6,144. Source: IAM quotas."""
    longest = {"Stack": "abcdefghijklmnopqrst", "Bucket": "b" * 63, "ImageRepository": "fourscore-abcdefghijklmnopqrst"}
    template = Filled("compute", **OPTIONS | longest)

    def size(name):
        return len(json.dumps(template.statements(name), separators=(",", ":")))

    for name, properties in template.of_kind("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" in properties or size(name) < 10_000
        assert len(properties["RoleName"]) <= 64
    assert max(map(size, template.of_kind("AWS::IAM::ManagedPolicy"))) < 6_000
