"""What happens under each role while a definition runs, call by call, as SageMaker's documentation and our own job code have it.

Written down apart from infra/aws/permissions.py, and with concrete keys and names where that has wildcards: this is the list
that the generated policies are held against.
"""

RUN = "breast-cancer-20261121-1"
JOB_READS = {
    "prepare": ["card", "table", "labeled", "validation", "train_set", "test_set", "division"],
    "train": ["train_set", "model", "yardsticks"],
    "assess": ["card", "model", "yardsticks", "train_set", "test_set", "validation", "division", "evaluation", "registration"],
}  # fmt: skip
JOB_WRITES = {
    "prepare": ["card", "table", "validation", "labeled", "train_set", "test_set", "division"],
    "train": ["model", "yardsticks"],
    "assess": ["evaluation", "registration"],
}
KEY = "0123456789abcdef" * 4


def needs(definition, facts):
    """(role, action, resource, context) of every call."""
    for each in flat(definition["Steps"]):
        if each["Type"] in ("Processing", "Training"):
            yield from job(each, facts)
            yield from started(each, facts)
        if each["Type"] == "RegisterModel":
            yield from registered(each, facts)


def flat(steps):
    for each in steps:
        yield each
        if each["Type"] == "Condition":
            yield from flat(each["Arguments"]["IfSteps"])
            yield from flat(each["Arguments"]["ElseSteps"])


def text(value):
    if isinstance(value, dict):
        if "Std:Join" in value:
            return value["Std:Join"]["On"].join(map(text, value["Std:Join"]["Values"]))
        return {"Parameters.Run": RUN, "Parameters.ApprovalStatus": "PendingManualApproval"}[value["Get"]]
    return value


def job(each, facts):
    arguments = each["Arguments"]
    training = each["Type"] == "Training"
    name = each["Name"]
    through_s3 = {"kms:ViaService": f"s3.{facts.region}.amazonaws.com"}

    def call(action, resource, **context):
        return name, action, resource, {key.replace("__", ":"): value for key, value in context.items()}

    def s3(place, *actions):
        bucket, _, key = text(place).removeprefix("s3://").partition("/")
        return [call(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}") for action in actions]

    image = (
        arguments["AlgorithmSpecification"]["TrainingImage"] if training else arguments["AppSpecification"]["ImageUri"]
    )
    host, _, rest = image.partition("/")
    repository = f"arn:aws:ecr:{host.split('.')[3]}:{host.split('.')[0]}:repository/{rest.partition('@')[0]}"
    yield call("ecr:GetAuthorizationToken", "*")
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield call(f"ecr:{action}", repository)

    inputs = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in arguments.get("InputDataConfig", ())]
    inputs += [given["S3Input"]["S3Uri"] for given in arguments.get("ProcessingInputs", ())]
    for place in inputs:
        bucket, _, key = place.removeprefix("s3://").partition("/")
        yield call("s3:ListBucket", f"arn:aws:s3:::{bucket}", s3__prefix=key)
        yield from s3(f"{place}some/file.py", "GetObject")
    outputs = [given["S3Output"]["S3Uri"] for given in arguments.get("ProcessingOutputConfig", {}).get("Outputs", ())]
    outputs += [arguments["OutputDataConfig"]["S3OutputPath"]] if training else []
    for place in outputs:
        yield from s3(f"{text(place)}job/output/file", "PutObject", "AbortMultipartUpload")
    if "CheckpointConfig" in arguments:
        place = arguments["CheckpointConfig"]["S3Uri"]
        bucket, _, key = place.removeprefix("s3://").partition("/")
        yield call("s3:ListBucket", f"arn:aws:s3:::{bucket}", s3__prefix=key)
        yield from s3(f"{place}checkpoints/epoch-3.pt", "GetObject", "PutObject", "DeleteObject")

    group = f"/aws/sagemaker/{'Training' if training else 'Processing'}Jobs"
    logs = f"arn:aws:logs:{facts.region}:{facts.account}:log-group:{group}"
    yield call("logs:CreateLogGroup", logs)
    yield call("logs:DescribeLogStreams", f"{logs}:*")
    for action in ("CreateLogStream", "PutLogEvents"):
        yield call(f"logs:{action}", f"{logs}:log-stream:pipelines-abc-{name}-xyz/algo-1-1700000000")
    yield call("cloudwatch:PutMetricData", "*", cloudwatch__namespace=group)
    for action in ("Decrypt", "GenerateDataKey"):
        yield name, f"kms:{action}", facts.key, through_s3
    if "'KmsKeyId'" in str(arguments):
        yield name, "kms:Encrypt", facts.key, through_s3
    if "VolumeKmsKeyId" in str(arguments):
        yield name, "kms:CreateGrant", facts.key, {"kms:GrantIsForAWSResource": "true"}
    if "Subnets" in str(arguments):
        for action in (
            "CreateNetworkInterfacePermission",
            "DeleteNetworkInterface",
            "DeleteNetworkInterfacePermission",
        ):
            yield call(f"ec2:{action}", facts.arn("ec2", "network-interface/eni-0123"))
        for place in ("network-interface/*", "subnet/subnet-0123456789abcdef0", "security-group/sg-0123456789abcdef0"):
            yield call("ec2:CreateNetworkInterface", facts.arn("ec2", place))
        for action in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"):
            yield call(f"ec2:Describe{action}", "*")
    if (tracking := arguments["Environment"].get("FOURSCORE_TRACKING_URI", "")).startswith("arn:"):
        for action in ("GetExperimentByName", "CreateExperiment", "CreateRun", "LogBatch", "LogMetric", "LogParam", "LogInputs", "SetTag", "UpdateRun", "SearchRuns"):  # fmt: skip
            yield call(f"sagemaker-mlflow:{action}", tracking)
    yield from own_code(name, call, facts)


def own_code(name, call, facts):
    """infra/container/job.py with infra/store/s3.py, raw.py and live.py."""
    yield call("s3:ListBucket", facts.bucket_arn, s3__prefix=f"{facts.below}store/{KEY}/")
    records = [f"store/{KEY}/manifest.json", f"store/{KEY}/journal.jsonl"]
    for place in [*records, *(f"store/{KEY}/{artifact}/part/x.parquet" for artifact in JOB_READS[name])]:
        yield call("s3:GetObject", facts.objects(place))
    for place in [*records, *(f"store/{KEY}/{artifact}/part/x.parquet" for artifact in JOB_WRITES[name])]:
        for action in ("PutObject", "AbortMultipartUpload", "DeleteObject"):
            yield call(f"s3:{action}", facts.objects(place))
    for place in (
        f"quarantine/{KEY}.17/manifest.json",
        f"runs/{RUN}/live/train.jsonl",
        f"runs/{RUN}/live/train.now.json",
    ):
        yield call("s3:PutObject", facts.objects(place))
    if name == "prepare":
        yield call("s3:GetObject", facts.objects(f"raw/{KEY}/cells.csv"))
    if name == "assess":
        yield call("s3:PutObject", facts.objects(f"seals/{KEY}/0123.jsonl"))


def started(each, facts):
    """The pipeline's role starts the job, follows it, and reads its verdict."""
    kind, resource = {"Processing": ("ProcessingJob", "processing-job"), "Training": ("TrainingJob", "training-job")}[
        each["Type"]
    ]
    arn = facts.arn("sagemaker", f"{resource}/pipelines-p4jn9xou8a8s-{each['Name']}-tmgxry49ug")
    tags = {f"aws:RequestTag/{tag['Key']}": text(tag["Value"]) for tag in each["Arguments"]["Tags"]}
    yield "pipeline", f"sagemaker:Create{kind}", arn, tags
    yield "pipeline", "sagemaker:AddTags", arn, {**tags, "sagemaker:TaggingAction": f"Create{kind}"}
    for action in ("Describe", "Stop"):
        yield "pipeline", f"sagemaker:{action}{kind}", arn, {}
    yield "pipeline", "iam:PassRole", each["Arguments"]["RoleArn"], {"iam:PassedToService": "sagemaker.amazonaws.com"}
    if "VolumeKmsKeyId" in str(each):
        yield "pipeline", "kms:CreateGrant", facts.key, {"kms:GrantIsForAWSResource": "true"}
    for file in each.get("PropertyFiles", ()):
        place = f"runs/{RUN}/{file['OutputName']}/{file['FilePath']}"
        yield "pipeline", "s3:GetObject", facts.objects(place), {}
        yield "pipeline", "kms:Decrypt", facts.key, {"kms:ViaService": f"s3.{facts.region}.amazonaws.com"}


def registered(each, facts):
    arguments = each["Arguments"]
    group = arguments["ModelPackageGroupName"]
    context = {"sagemaker:ModelApprovalStatus": text(arguments["ModelApprovalStatus"])}
    for resource in (f"model-package-group/{group}", f"model-package/{group}/1"):
        yield "pipeline", "sagemaker:CreateModelPackage", facts.arn("sagemaker", resource), context
    yield "pipeline", "sagemaker:DescribeModelPackage", facts.arn("sagemaker", f"model-package/{group}/1"), {}
    model = arguments["InferenceSpecification"]["Containers"][0]["ModelDataSource"]["S3DataSource"]["S3Uri"]
    metrics = arguments["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    for place in (f"{model}model.pt2", metrics):
        bucket, _, key = place.removeprefix("s3://").partition("/")
        yield "pipeline", "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", {}
