"""What those may do who are no job: who looks, runs, approves, deploys, builds images"""

from __future__ import annotations

from collections.abc import Iterator

from infra.aws.facts import Facts
from infra.aws.permissions import DIGEST, KINDS, artifacts, never_approves
from infra.aws.statements import Statement, allow, through
from infra.sagemaker.config import JOBS
from steps.core import Pipeline

SOURCES = "images"
"""Below the root: sources of images, for CodeBuild."""
_DATA = {"table", "labeled", "train_set", "test_set"}
_SEE_PACKAGES = ("DescribeModelPackage", "DescribeModelPackageGroup", "ListModelPackages")
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def looks(facts: Facts, pipeline: Pipeline) -> list[Statement]:
    """Follow runs and read what came of them; no data, whose owners decide who sees it."""
    groups, packages = facts.packages
    pipelines, executions = _pipelines(facts)
    jobs = [facts.arn("sagemaker", f"{kind}/pipelines-*-{job}-*") for job, kind in _kinds()]
    logs = [facts.arn("logs", f"log-group:/aws/sagemaker/{name}s:*") for name, _ in KINDS.values()]
    read = ["runs/*", "seals/*", *_results(artifacts(pipeline) - _DATA)]
    follow = (
        "DescribePipelineDefinitionForExecution",
        "DescribePipelineExecution",
        "ListPipelineExecutionSteps",
        "ListPipelineParametersForExecution",
    )
    return [
        allow("SeePipelines", _sagemaker("DescribePipeline", "ListPipelineExecutions"), pipelines),
        allow("SeeExecutions", _sagemaker(*follow), executions),
        allow("SeeJobs", _sagemaker("DescribeProcessingJob", "DescribeTrainingJob"), *jobs),
        allow("List", _sagemaker("ListModelPackageGroups", "ListPipelines"), "*"),  # take no resource
        allow("SeePackages", _sagemaker(*_SEE_PACKAGES), groups, packages),
        allow("ReadLogs", ("logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"), *logs),
        allow("Read", "s3:GetObject", *map(facts.objects, read)),
        *_bucket(facts),
        *_stack(facts),
    ]


def runs(facts: Facts) -> list[Statement]:
    """Compile, send, start, stop, retry; whoever does so never approves. Comes together with :func:`looks`."""
    groups, _ = facts.packages
    pipelines, executions = _pipelines(facts)
    passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    created = {"StringEquals": {"sagemaker:TaggingAction": ["CreateModelPackageGroup", "CreatePipeline"]}}
    written = [f"{place}/*" for place in ("claims", "code", "jobs", "quarantine", "raw", "runs", "seals", "store")]
    return [
        allow("Start", _sagemaker("CreatePipeline", "StartPipelineExecution", "UpdatePipeline"), pipelines),
        allow("Steer", _sagemaker("RetryPipelineExecution", "StopPipelineExecution"), executions),
        allow("MakeGroups", _sagemaker("CreateModelPackageGroup"), groups),
        allow("TagWhatIsMade", "sagemaker:AddTags", pipelines, groups, condition=created),
        allow("PassPipelineRole", "iam:PassRole", facts.role("pipeline"), condition=passed),
        allow("Write", ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"), *map(facts.objects, written)),
        allow("ClearAwayWhatIsBroken", "s3:DeleteObject", facts.objects("store/*")),
        allow("EncryptWhatIsWritten", "kms:GenerateDataKey", facts.key, condition=through("s3", facts)),
        *never_approves(),
    ]


def approves(facts: Facts) -> list[Statement]:
    """Say yes or no to a registered model. Comes together with :func:`looks`, never with :func:`runs`."""
    _, packages = facts.packages
    decided = {"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}}
    return [allow("Decide", "sagemaker:UpdateModelPackage", packages, condition=decided)]


def deploys(facts: Facts) -> list[Statement]:
    """Fetch a model that was approved; what it takes to serve one is added together with serving."""
    groups, packages = facts.packages
    return [
        allow("SeePackages", _sagemaker(*_SEE_PACKAGES), groups, packages),
        allow("Read", "s3:GetObject", *map(facts.objects, _results({"model"}))),
        *_bucket(facts),
        *_stack(facts),
        *never_approves(),
    ]


def builds(facts: Facts) -> list[Statement]:
    """Make an image of the sources that were uploaded, and push it to the stack's repository only."""
    logs = facts.arn("logs", f"log-group:/aws/codebuild/{facts.name}")
    return [
        allow("ReadSources", "s3:GetObject", facts.objects(f"{SOURCES}/*")),
        allow("UseKey", "kms:Decrypt", facts.key, condition=through("s3", facts)),
        allow("Push", _PUSH, facts.repository),
        allow("SignInToRegistry", "ecr:GetAuthorizationToken", "*"),  # takes no resource
        allow("Log", ("logs:CreateLogStream", "logs:PutLogEvents"), f"{logs}:*"),
    ]


def _pipelines(facts: Facts) -> tuple[str, str]:
    pipelines = facts.arn("sagemaker", f"pipeline/{facts.name}-*")
    return pipelines, f"{pipelines}/execution/*"


def _kinds() -> Iterator[tuple[str, str]]:
    for job in JOBS:
        yield job, KINDS["Training" if job == "train" else "Processing"][1]


def _sagemaker(*actions: str) -> tuple[str, ...]:
    return tuple(f"sagemaker:{action}" for action in actions)


def _results(names: set[str]) -> list[str]:
    records = ("manifest.json", "journal.jsonl")
    return [f"store/{DIGEST}/{place}" for place in (*records, *(f"{name}/*" for name in sorted(names)))]


def _bucket(facts: Facts) -> Iterator[Statement]:
    """A dedicated bucket may be listed whole: its keys are digests and names of runs."""
    yield allow("ListBucket", "s3:ListBucket", facts.bucket_arn)
    yield allow("UseKey", "kms:Decrypt", facts.key, condition=through("s3", facts))


def _stack(facts: Facts) -> Iterator[Statement]:
    """What 'fourscore infra show' asks: the stack's outputs and the digests of its images."""
    stacks = [facts.arn("cloudformation", f"stack/{name}/*") for name in (facts.name, f"{facts.name}-data")]
    yield allow("SeeStack", ("cloudformation:DescribeStacks", "cloudformation:GetTemplate"), *stacks)
    yield allow("SeeImages", "ecr:DescribeImages", facts.repository)
