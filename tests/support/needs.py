"""What happens under each role while a definition runs, call by call, as SageMaker's documentation and our own job code have it.

Written apart from the template, with concrete keys and names where that has wildcards. What a job reads and writes in the
store follows from the signatures of its steps.
"""

from templates import ACCOUNT, KEY, REGION

from pipelines.training import TRAINING

RUN = "breast-cancer-20261121-1"
DIGEST = "0123456789abcdef" * 4
OUTSIDE = {"raw", "champion"}
JOBS = {job: [step for step in TRAINING if step.job == job] for job in dict.fromkeys(step.job for step in TRAINING)}
WRITES = {job: {name for step in steps for name in step.outputs} for job, steps in JOBS.items()}
READS = {job: ({name for step in steps for name in step.inputs} | WRITES[job]) - OUTSIDE for job, steps in JOBS.items()}
ARTIFACTS = sorted(set().union(*WRITES.values()))


class Names:
    """The ARNs of a stack called dev."""

    key = KEY
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/fourscore-dev"

    def __init__(self, bucket, prefix):
        self.bucket, self.prefix = f"arn:aws:s3:::{bucket}", prefix

    def arn(self, service, resource):
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"

    def role(self, name):
        return f"arn:aws:iam::{ACCOUNT}:role/fourscore-dev-{REGION}-{name}"

    def objects(self, place):
        return f"{self.bucket}/{self.prefix}{place}"

    def stored(self, artifact):
        return self.objects(f"store/{DIGEST}/{artifact}/x")


THROUGH_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
FOR_DISKS = {"kms:GrantIsForAWSResource": "true"}


def needs(definition, names):
    """(role, action, resource, context) of every call."""
    for step in flat(definition["Steps"]):
        if step["Type"] in ("Processing", "Training"):
            yield from job(step, names)
            yield from started(step, names)
        if step["Type"] == "RegisterModel":
            yield from registered(step, names)


def flat(steps):
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            yield from flat(step["Arguments"]["IfSteps"])
            yield from flat(step["Arguments"]["ElseSteps"])


def text(value):
    if isinstance(value, dict):
        if "Std:Join" in value:
            return value["Std:Join"]["On"].join(map(text, value["Std:Join"]["Values"]))
        return {"Parameters.Run": RUN}[value["Get"]]
    return value


def job(step, names):
    arguments, role, training = step["Arguments"], step["Name"], step["Type"] == "Training"

    def s3(place, *actions):
        bucket, _, key = text(place).removeprefix("s3://").partition("/")
        return [(role, f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}", {}) for action in actions]

    def listed(place):
        return role, "s3:ListBucket", names.bucket, {"s3:prefix": place.removeprefix("s3://").partition("/")[2]}

    yield role, "ecr:GetAuthorizationToken", "*", {}
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield role, f"ecr:{action}", names.repository, {}
    inputs = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in arguments.get("InputDataConfig", ())]
    inputs += [entry["S3Input"]["S3Uri"] for entry in arguments.get("ProcessingInputs", ())]
    for place in inputs:
        yield listed(place)
        yield from s3(f"{place}some/file.py", "GetObject")
    outputs = [entry["S3Output"]["S3Uri"] for entry in arguments.get("ProcessingOutputConfig", {}).get("Outputs", ())]
    outputs += [arguments["OutputDataConfig"]["S3OutputPath"]] if training else []
    for place in outputs:
        yield from s3(f"{text(place)}job/output/file", "PutObject", "AbortMultipartUpload")
    if "CheckpointConfig" in arguments:
        place = arguments["CheckpointConfig"]["S3Uri"]
        yield listed(place)
        actions = ("GetObject", "PutObject", "AbortMultipartUpload", "DeleteObject")
        yield from s3(f"{place}checkpoints/epoch-3.pt", *actions)
    group = f"/aws/sagemaker/{step['Type']}Jobs"
    logs = names.arn("logs", f"log-group:{group}")
    stream = f"{logs}:log-stream:pipelines-abc-{role}-xyz/algo-1-1700000000"
    for action, resources in {
        "CreateLogGroup": (logs, f"{logs}:*"),
        "DescribeLogStreams": (logs, f"{logs}:*"),
        "CreateLogStream": (logs, stream),
        "PutLogEvents": (logs, stream),
    }.items():
        yield from ((role, f"logs:{action}", resource, {}) for resource in resources)
    yield role, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": group}
    yield from keys(role, arguments, names)
    if "Subnets" in str(arguments):
        yield from network(role, names)
    for action in TRACKING:
        yield role, f"sagemaker-mlflow:{action}", names.arn("sagemaker", "mlflow-tracking-server/fourscore-dev"), {}
    yield from own_code(role, names)


TRACKING = [
    "CreateExperiment",
    "CreateRun",
    "GetExperiment",
    "GetExperimentByName",
    "GetRun",
    "LogBatch",
    "LogInputs",
    "LogMetric",
    "LogModel",
    "LogParam",
    "SearchExperiments",
    "SearchRuns",
    "SetExperimentTag",
    "SetTag",
    "UpdateRun",
]


def keys(role, arguments, names):
    """The data's key through S3; disks are encrypted under grants that AWS's services hold."""
    for action in ("Decrypt", "GenerateDataKey"):
        yield role, f"kms:{action}", names.key, THROUGH_S3
    if "'KmsKeyId'" in str(arguments):
        yield role, "kms:Encrypt", names.key, THROUGH_S3
    if "VolumeKmsKeyId" in str(arguments):
        yield role, "kms:CreateGrant", names.key, FOR_DISKS
        yield role, "kms:DescribeKey", names.key, {}


def network(role, names):
    """SageMaker Developer Guide, "How to use SageMaker AI execution roles", with a VPC."""
    interface = names.arn("ec2", "network-interface/eni-0123")
    for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface", "DeleteNetworkInterfacePermission"):
        yield role, f"ec2:{action}", interface, {}
    for place in ("network-interface/*", "subnet/subnet-0123456789abcdef0", "security-group/sg-0123456789abcdef0"):
        yield role, "ec2:CreateNetworkInterface", names.arn("ec2", place), {}
    for things in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"):
        yield role, f"ec2:Describe{things}", "*", {}


def own_code(role, names):
    """infra/container/job.py with infra/store, the raw files, the live journal and where it is tracked."""
    for place in (f"store/{DIGEST}/", f"runs/{RUN}/"):
        yield role, "s3:ListBucket", names.bucket, {"s3:prefix": f"{names.prefix}{place}"}
    yield role, "s3:GetObject", names.objects(f"runs/{RUN}/tracking.json"), {}
    records = [names.objects(f"store/{DIGEST}/{name}") for name in ("manifest.json", "journal.jsonl")]
    for place in [*records, *map(names.stored, READS[role])]:
        yield role, "s3:GetObject", place, {}
    for place in [*records, *map(names.stored, WRITES[role])]:
        for action in ("PutObject", "AbortMultipartUpload", "DeleteObject"):
            yield role, f"s3:{action}", place, {}
    for place in (f"quarantine/{DIGEST}.17/manifest.json", f"runs/{RUN}/live/train.jsonl"):
        yield role, "s3:PutObject", names.objects(place), {}
    inputs = {name for step in JOBS[role] for name in step.inputs}
    if "raw" in inputs:
        yield role, "s3:GetObject", names.objects(f"raw/{DIGEST}/cells.csv"), {}
    if "test_set" in inputs:
        yield role, "s3:PutObject", names.objects(f"seals/{DIGEST}/0123.jsonl"), {}


def started(step, names):
    """The pipeline's role starts the job, follows it, and reads its verdict."""
    kind = f"{step['Type']}Job"
    arn = names.arn("sagemaker", f"{step['Type'].lower()}-job/pipelines-p4jn9xou8a8s-{step['Name']}-tmgxry49ug")
    tags = {f"aws:RequestTag/{tag['Key']}": text(tag["Value"]) for tag in step["Arguments"]["Tags"]}
    yield "pipeline", f"sagemaker:Create{kind}", arn, tags
    yield "pipeline", "sagemaker:AddTags", arn, {**tags, "sagemaker:TaggingAction": f"Create{kind}"}
    for action in ("Describe", "Stop"):
        yield "pipeline", f"sagemaker:{action}{kind}", arn, {}
    yield "pipeline", "iam:PassRole", names.role(step["Name"]), {"iam:PassedToService": "sagemaker.amazonaws.com"}
    yield from keys("pipeline", step["Arguments"], names)
    for file in step.get("PropertyFiles", ()):
        place = f"runs/{RUN}/{file['OutputName']}/{file['FilePath']}"
        yield "pipeline", "s3:GetObject", names.objects(place), {}
        yield "pipeline", "s3:ListBucket", names.bucket, {"s3:prefix": f"{names.prefix}runs/{RUN}/"}


def registered(step, names):
    arguments = step["Arguments"]
    group = names.arn("sagemaker", f"model-package-group/{arguments['ModelPackageGroupName']}")
    package = names.arn("sagemaker", f"model-package/{arguments['ModelPackageGroupName']}/1")
    context = {"sagemaker:ModelApprovalStatus": text(arguments["ModelApprovalStatus"])}
    yield "pipeline", "sagemaker:CreateModelPackage", group, context
    yield "pipeline", "sagemaker:CreateModelPackage", package, context
    yield "pipeline", "sagemaker:DescribeModelPackage", package, {}
    yield "pipeline", "sagemaker:DescribeModelPackageGroup", group, {}
    for action in ("BatchGetImage", "DescribeImages"):
        yield "pipeline", f"ecr:{action}", names.repository, {}
    model = arguments["InferenceSpecification"]["Containers"][0]["ModelDataSource"]["S3DataSource"]["S3Uri"]
    metrics = arguments["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    for place in (f"{model}model.pt2", metrics):
        key = place.removeprefix("s3://").partition("/")[2]
        yield "pipeline", "s3:GetObject", names.bucket + "/" + key, {}
        yield "pipeline", "s3:ListBucket", names.bucket, {"s3:prefix": key.rpartition("/")[0] + "/"}
