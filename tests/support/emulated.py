"""Pipelines of tiny scripts, in a local cloud inside the test's own process or in one of its own."""

import json
import time
import uuid
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from infra.emulator.fault_injection import Fault, inject
from infra.emulator.jobs import Options

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/fourscore:1"
QUICK = Options(grace=2.0, sync=0.1)
WORD = {"Name": "Word", "Type": "String", "DefaultValue": "hello"}
NUMBER = {"Name": "Number", "Type": "Integer", "DefaultValue": 3}
VERDICT = [{"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}]


@dataclass
class Ran:
    """An execution as the API shows it."""

    arn: str
    described: dict
    steps: dict = field(default_factory=dict)

    @property
    def status(self):
        return self.described["PipelineExecutionStatus"]

    def reason(self, step):
        return self.steps[step]["FailureReason"]

    def statuses(self):
        return {name: step["StepStatus"] for name, step in self.steps.items()}


class Lab:
    """A bucket and a pipeline of a test's own in a local cloud.

    Args:
        place: the cloud's directory.
        address: where the cloud listens.
    """

    def __init__(self, place, address):
        self.place, self.address, self.clients = place, address, {}
        self.bucket = f"lake-{uuid.uuid4().hex[:12]}"
        self.pipeline = f"p-{uuid.uuid4().hex[:12]}"
        (place / "s3" / self.bucket).mkdir()

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = self.address.client(service)
        return self.clients[service]

    def inject(self, step, **fault):
        inject(self.place / "faults.json", Fault(step, **fault))

    def put(self, key, text):
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=text.encode() if isinstance(text, str) else text)

    def read(self, key):
        return self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()

    def keys(self, prefix=""):
        listing = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in listing.get("Contents", ())]

    def uri(self, key=""):
        return f"s3://{self.bucket}/{key}"

    # requests

    def processing(self, command, *, inputs=None, outputs=None, environment=None, **more):
        """The request of a processing job; ``command`` is a shell script or an entrypoint."""
        entrypoint = ["sh", "-c", command] if isinstance(command, str) else command
        return {
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": entrypoint},
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            "ProcessingInputs": [
                {"InputName": name, "S3Input": {"S3Uri": self.uri(key), "LocalPath": f"/opt/ml/processing/input/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}}
                for name, key in (inputs or {}).items()
            ],
            "ProcessingOutputConfig": {"Outputs": [
                {"OutputName": name, "S3Output": {"S3Uri": self.uri(key), "LocalPath": f"/opt/ml/processing/output/{name}", "S3UploadMode": "EndOfJob"}}
                for name, key in (outputs or {}).items()
            ]},
            "Environment": {"BASE": "/opt/ml"} | (environment or {}),
            **more,
        }  # fmt: skip

    def training(self, command, *, channels=None, spot=False, minutes=1, **more):
        """The request of a training job."""
        entrypoint = ["sh", "-c", command] if isinstance(command, str) else command
        waiting = {"MaxWaitTimeInSeconds": 120 * minutes} if spot else {}
        return {
            "RoleArn": ROLE,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": entrypoint},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60 * minutes, **waiting},
            "OutputDataConfig": {"S3OutputPath": self.uri("models/"), "CompressionType": "NONE"},
            "InputDataConfig": [
                {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.uri(key)}}}
                for name, key in (channels or {}).items()
            ],
            **({"EnableManagedSpotTraining": True} if spot else {}),
            "Environment": {"BASE": "/opt/ml"},
            **more,
        }  # fmt: skip

    # pipelines

    def define(self, *steps, parameters=()):
        """Make or change this test's pipeline."""
        definition = json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)})
        sagemaker = self.client("sagemaker")
        try:
            sagemaker.describe_pipeline(PipelineName=self.pipeline)
        except ClientError:
            return sagemaker.create_pipeline(PipelineName=self.pipeline, PipelineDefinition=definition, RoleArn=ROLE)
        return sagemaker.update_pipeline(PipelineName=self.pipeline, PipelineDefinition=definition, RoleArn=ROLE)

    def start(self, *steps, parameters=(), arguments=None, **more):
        if steps:
            self.define(*steps, parameters=parameters)
        values = [{"Name": name, "Value": value} for name, value in (arguments or {}).items()]
        answer = self.client("sagemaker").start_pipeline_execution(
            PipelineName=self.pipeline, PipelineParameters=values, **more
        )
        return answer["PipelineExecutionArn"]

    def run(self, *steps, **more):
        return self.ended(self.start(*steps, **more))

    def look(self, arn):
        sagemaker = self.client("sagemaker")
        described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        listing = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
        return Ran(arn, described, {item["StepName"]: item for item in listing["PipelineExecutionSteps"]})

    def ended(self, arn, patience=60):
        return self.until(
            lambda: (ran := self.look(arn)).status in ("Succeeded", "Failed", "Stopped") and ran, patience
        )

    def until(self, condition, patience=60):
        return wait_until(condition, patience)

    def under_way(self, arn, step):
        """Wait until the container of a step's job runs."""

        def started():
            ran = self.look(arn)
            return (
                ran.steps.get(step, {}).get("Metadata")
                and {"ProcessingStartTime", "TrainingStartTime"} & self.job(ran, step).keys()
            )

        self.until(started)
        time.sleep(0.2)

    def job(self, ran, step):
        """What Describe says of a step's job."""
        metadata = ran.steps[step]["Metadata"]
        kind = "training" if "TrainingJob" in metadata else "processing"
        arn = metadata["TrainingJob" if kind == "training" else "ProcessingJob"]["Arn"]
        describe = getattr(self.client("sagemaker"), f"describe_{kind}_job")
        return describe(**{f"{kind.title()}JobName": arn.rpartition("/")[2]})


def wait_until(condition, patience=60):
    """Return what the condition returns as soon as that is something."""
    ends = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)
    return value


def step(name, kind, arguments, **more):
    return {"Name": name, "Type": kind, "Arguments": arguments, **more}


def join(*values, on=""):
    return {"Std:Join": {"On": on, "Values": list(values)}}


def get(reference):
    return {"Get": reference}


def saying(lab, name, text, **more):
    """A processing step that writes a text to its output ``result``, at ``<name>/verdict.json``."""
    script = f"printf '%s' '{text}' > $BASE/processing/output/result/verdict.json"
    return step(name, "Processing", lab.processing(script, outputs={"result": name}), **more)


def condition(name, *conditions, yes=(), no=(), **more):
    return step(
        name, "Condition", {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)}, **more
    )


def verdict_of(name, path="verdict"):
    return {"Std:JsonGet": {"PropertyFile": get(f"Steps.{name}.PropertyFiles.verdict"), "Path": path}}


def equals(left, right):
    return {"Type": "Equals", "LeftValue": left, "RightValue": right}


def fail(name, message):
    return step(name, "Fail", {"ErrorMessage": message})


def refused(call, *words):
    with pytest.raises(ClientError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
    return caught.value.response["Error"]["Code"]
