"""From a compiled definition to what each role may do, and no more: a pure function over the definition's own text

What a job reads and writes follows from three things that exist anyway: its arguments (inputs, outputs, checkpoints, image,
keys), the signatures of its steps (which artifacts of the store they read and write), and the layout below the root.
Digests and run names become ``*``, so that policies made once fit every later run.

Sources: Service Authorization Reference (Amazon SageMaker AI, Amazon S3, AWS KMS, Amazon ECR), SageMaker Developer Guide
("How to use SageMaker AI execution roles", "IAM Access Management" of Pipelines).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infra.aws.facts import Facts
from infra.aws.statements import Statement, allow, deny, through
from infra.store.ledger import SEALED
from steps.core import Pipeline, Step

Definition = Mapping[str, Any]

KINDS = {"Processing": ("ProcessingJob", "processing-job"), "Training": ("TrainingJob", "training-job")}
DIGEST = "?" * 64
"""In a policy ``*`` spans slashes too, so that ``store/*/model/*`` would fit ``store/KEY/test_set/model/x``; this does not."""
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_LOG = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
_INTERFACES = (
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
)
_NETWORKS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
_TRACK = (
    "CreateExperiment CreateRun GetExperiment GetExperimentByName GetRun LogBatch LogInputs LogMetric LogModel LogParam "
    "SearchExperiments SearchRuns SetExperimentTag SetTag UpdateRun"
)


def policies(definition: Definition, facts: Facts, pipeline: Pipeline) -> dict[str, list[Statement]]:
    """Role (pipeline, and each job that the definition has) -> the statements of its policy."""
    steps = list(flat(definition["Steps"]))
    made = {each["Arguments"]["RoleArn"]: list(_job(each, facts, pipeline)) for each in steps if each["Type"] in KINDS}
    jobs = {_name_of(each): made[each["Arguments"]["RoleArn"]] for each in steps if each["Type"] in KINDS}
    return {"pipeline": list(_pipeline(steps, definition, facts)), **jobs}


def flat(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every step, those in the branches of conditions too."""
    for each in steps:
        yield each
        if each["Type"] == "Condition":
            yield from flat(each["Arguments"]["IfSteps"])
            yield from flat(each["Arguments"]["ElseSteps"])


def _name_of(each: Mapping[str, Any]) -> str:
    arguments = each["Arguments"]
    application = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    return str(application["ContainerArguments"][0])


def _job(each: Mapping[str, Any], facts: Facts, pipeline: Pipeline) -> Iterator[Statement]:
    """What runs inside one job's container, and what SageMaker does around it in the job's name."""
    arguments = each["Arguments"]
    steps = [step for step in pipeline if step.job == _name_of(each)]
    inputs, outputs, kept = (
        [_pattern(place) for part in parts for place in _texts(arguments.get(part), "S3Uri", "S3OutputPath")]
        for parts in (
            ("ProcessingInputs", "InputDataConfig"),
            ("ProcessingOutputConfig", "OutputDataConfig"),
            ("CheckpointConfig",),
        )
    )
    read, write = stored(steps, pipeline.sources)
    listed = [*inputs, *kept, f"{facts.below}store/*"]
    yield allow("ReadInputs", "s3:GetObject", *_objects(inputs, facts))
    yield allow("ReadStore", "s3:GetObject", *(facts.objects(pattern) for pattern in read))
    # An upload that was abandoned is cleared away, a broken manifest put aside; the bucket keeps what is deleted.
    yield allow("WriteStore", (*_put(), "s3:DeleteObject"), *(facts.objects(pattern) for pattern in write))
    told = ["quarantine/*", "runs/*/live/*", *(["seals/*"] if SEALED in _inputs(steps) else [])]
    yield allow("Tell", "s3:PutObject", *map(facts.objects, told))
    if outputs:
        yield allow("WriteOutputs", _put(), *_objects(outputs, facts))
    if kept:
        yield allow("KeepCheckpoints", ("s3:GetObject", *_put(), "s3:DeleteObject"), *_objects(kept, facts))
    yield _list(listed, facts)
    yield from _image(_texts(arguments, "ImageUri", "TrainingImage"), facts)
    yield from _watched(each["Type"], facts)
    yield from _keys(arguments, facts)
    if any(_at(arguments, "Subnets")):
        ours = [facts.arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group", "subnet")]
        yield allow("JoinNetwork", "ec2:CreateNetworkInterface", *ours)
        yield allow("UseInterfaces", _INTERFACES, ours[0])
        yield allow("SeeNetworks", _NETWORKS, "*")  # take no resource
    tracking = arguments["Environment"].get("FOURSCORE_TRACKING_URI", "")
    if tracking.startswith("arn:"):
        yield allow("Track", tuple(f"sagemaker-mlflow:{action}" for action in _TRACK.split()), tracking)
    if SEALED not in _inputs(steps) | _outputs(steps):
        sealed = facts.objects(f"store/{DIGEST}/{SEALED}/*")
        yield deny("TheTestSetIsSealed", ("s3:GetObject", "s3:GetObjectVersion"), sealed)
    yield from never_approves()


def never_approves() -> Iterator[Statement]:
    """Whoever trains does not approve: neither later nor by registering a model as approved at once."""
    yield deny("NeverApproves", ("sagemaker:DeleteModelPackage", "sagemaker:UpdateModelPackage"), "*")
    approved = {"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}}
    yield deny("NeverRegistersAsApproved", "sagemaker:CreateModelPackage", "*", condition=approved)


def stored(steps: Iterable[Step], sources: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Patterns below the root that a job's own code reads, and those in the store that it writes (infra/store/s3.py)."""
    inputs, outputs = _inputs(steps), _outputs(steps)
    records = [f"store/{DIGEST}/manifest.json", f"store/{DIGEST}/journal.jsonl"]
    read = [f"store/{DIGEST}/{artifact}/*" for artifact in sorted((inputs | outputs) - set(sources))]
    outside = [place for name in sorted(inputs & set(sources)) for place in sources[name].places]
    write = [f"store/{DIGEST}/{artifact}/*" for artifact in sorted(outputs)]
    return [*records, *read, *outside], [*records, *write]


def artifacts(pipeline: Pipeline) -> set[str]:
    """Everything that a stage puts into the store."""
    return _outputs(pipeline)


def _inputs(steps: Iterable[Step]) -> set[str]:
    return {artifact for step in steps for artifact in step.inputs}


def _outputs(steps: Iterable[Step]) -> set[str]:
    return {artifact for step in steps for artifact in step.outputs}


def _pipeline(steps: list[dict[str, Any]], definition: Definition, facts: Facts) -> Iterator[Statement]:
    """What the pipeline itself does: it starts jobs, reads the verdict, registers the model."""
    jobs = [each for each in steps if each["Type"] in KINDS]
    creates = []
    for each in jobs:
        name, resource = KINDS[each["Type"]]
        arn = facts.arn("sagemaker", f"{resource}/pipelines-*-{each['Name']}-*")
        tagged = {"StringEquals": {"aws:RequestTag/fourscore:stack": facts.stack}}
        title = each["Name"].title().replace("-", "")
        yield allow(f"Start{title}", f"sagemaker:Create{name}", arn, condition=tagged)
        yield allow(f"Follow{title}", (f"sagemaker:Describe{name}", f"sagemaker:Stop{name}"), arn)
        creates.append((arn, f"Create{name}"))
    if creates:
        actions = sorted({action for _, action in creates})
        at_creation = {"StringEquals": {"sagemaker:TaggingAction": actions}}
        yield allow("TagWhatIsStarted", "sagemaker:AddTags", *(arn for arn, _ in creates), condition=at_creation)
        passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        roles = sorted({each["Arguments"]["RoleArn"] for each in jobs})
        yield allow("PassJobRoles", "iam:PassRole", *roles, condition=passed)
    registered = [each for each in steps if each["Type"] == "RegisterModel"]
    if registered:
        yield from _registration(registered, definition, facts)
    places = [*_verdicts(steps), *_texts(registered, "S3Uri")]
    if places:
        patterns = [_pattern(place) for place in places]
        yield allow("ReadVerdictAndModel", "s3:GetObject", *_objects(patterns, facts))
        yield _list(patterns, facts)
    yield from _keys([each["Arguments"] for each in jobs], facts)
    yield from never_approves()


def _registration(steps: list[dict[str, Any]], definition: Definition, facts: Facts) -> Iterator[Statement]:
    declared = [each["EnumValues"] for each in definition["Parameters"] if each["Name"] == "ApprovalStatus"]
    statuses = [status for status in (declared or [["PendingManualApproval"]])[0] if status != "Approved"]
    unapproved = {"StringEquals": {"sagemaker:ModelApprovalStatus": statuses}}
    groups, packages = facts.packages
    yield allow("RegisterUnapproved", "sagemaker:CreateModelPackage", groups, packages, condition=unapproved)
    yield allow("SeePackages", "sagemaker:DescribeModelPackage", packages)
    yield allow("SeePackageGroups", "sagemaker:DescribeModelPackageGroup", groups)
    images = {_repository(image, facts) for image in _texts(steps, "Image")}
    yield allow("SeeImage", ("ecr:BatchGetImage", "ecr:DescribeImages"), *sorted(images))


def _verdicts(steps: list[dict[str, Any]]) -> Iterator[str]:
    """Where property files lie, which conditions look into."""
    for each in steps:
        places = {
            output["OutputName"]: resolved(output["S3Output"]["S3Uri"])
            for output in each["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", ())
        }
        for file in each.get("PropertyFiles", ()):
            yield f"{places[file['OutputName']]}{file['FilePath']}"


def _image(images: list[str], facts: Facts) -> Iterator[Statement]:
    yield allow("PullImage", _PULL, *sorted({_repository(image, facts) for image in images}))
    yield allow("SignInToRegistry", "ecr:GetAuthorizationToken", "*")  # takes no resource


def _repository(image: str, facts: Facts) -> str:
    host, _, rest = image.partition("/")
    account, region = host.split(".")[0], host.split(".")[3]
    return f"arn:{facts.partition}:ecr:{region}:{account}:repository/{re.split('[@:]', rest)[0]}"


def _watched(kind: str, facts: Facts) -> Iterator[Statement]:
    group = f"/aws/sagemaker/{KINDS[kind][0]}s"
    logs = facts.arn("logs", f"log-group:{group}")
    yield allow("Log", _LOG, logs, f"{logs}:*")
    named = {"StringEquals": {"cloudwatch:namespace": group}}
    yield allow("Measure", "cloudwatch:PutMetricData", "*", condition=named)  # takes no resource


def _keys(arguments: Any, facts: Facts) -> Iterator[Statement]:
    """The key of the data, through S3 alone; disks are encrypted under grants that AWS's own services hold."""
    actions = ["kms:Decrypt", "kms:GenerateDataKey", *(["kms:Encrypt"] if any(_at(arguments, "KmsKeyId")) else [])]
    yield allow("UseKeyThroughS3", tuple(actions), facts.key, condition=through("s3", facts))
    if any(_at(arguments, "VolumeKmsKeyId")):
        grant = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        yield allow("GrantKeyToDisks", "kms:CreateGrant", facts.key, condition=grant)
        yield allow("SeeKey", "kms:DescribeKey", facts.key)


def _list(patterns: list[str], facts: Facts) -> Statement:
    """Below these prefixes. To such a role a missing object is "forbidden", not "missing": infra/s3/objects.py then looks."""
    prefixes = sorted({re.split(r"[*?]", pattern)[0] for pattern in patterns})
    condition = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}}
    return allow("ListPlaces", "s3:ListBucket", facts.bucket_arn, condition=condition)


def _put() -> tuple[str, ...]:
    return "s3:AbortMultipartUpload", "s3:PutObject"


def _objects(patterns: list[str], facts: Facts) -> list[str]:
    return sorted({f"{facts.bucket_arn}/{pattern}" for pattern in patterns})


def _pattern(place: str) -> str:
    """``s3://bucket/key...`` -> the key with wildcards for what differs from run to run, and for what is below it."""
    key = _DIGEST.sub(DIGEST, place.removeprefix("s3://").partition("/")[2])
    return f"{key}*" if key.endswith("/") else key


def resolved(value: Any) -> str:
    """The text of an argument, with ``*`` for what only an execution knows."""
    if isinstance(value, str):
        return value
    if "Std:Join" in value:
        joined = value["Std:Join"]
        return str(joined["On"]).join(resolved(each) for each in joined["Values"])
    return "*"


def _texts(value: Any, *fields: str) -> list[str]:
    """What fields of these names say, wherever they are in it; each text once."""
    return list(dict.fromkeys(resolved(each) for each in _at(value, *fields)))


def _at(value: Any, *fields: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name in fields:
                yield each
            else:
                yield from _at(each, *fields)
    elif isinstance(value, list):
        for each in value:
            yield from _at(each, *fields)
