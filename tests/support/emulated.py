"""Pipelines of tiny scripts on a local cloud."""

import json
import time
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from infra.emulator.local_stack import client
from infra.s3.folder import FolderObjects

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/fourscore:1"
QUICK = {"grace": 1.0, "sync": 0.05}
VERDICT = [{"PropertyFileName": "verdict", "OutputName": "result", "FilePath": "verdict.json"}]


def processes_of(workspace):
    """The ids of the processes of a workspace's executions."""
    place = str(workspace / "cloud/executions").encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if place in content(path)]


def content(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Ran:
    """An execution as the API shows it."""

    def __init__(self, sagemaker, arn):
        self.arn, self.sagemaker = arn, sagemaker
        self.described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        listed = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
        self.steps = {item["StepName"]: item for item in listed["PipelineExecutionSteps"]}

    @property
    def status(self):
        return self.described["PipelineExecutionStatus"]

    def reason(self, step):
        return self.steps[step]["FailureReason"]

    def statuses(self):
        return {name: step["StepStatus"] for name, step in self.steps.items()}

    def job(self, step):
        """What Describe says of a step's job."""
        ((kind, metadata),) = self.steps[step]["Metadata"].items()
        describe = getattr(self.sagemaker, f"describe_{kind.removesuffix('Job').lower()}_job")
        return describe(**{f"{kind}Name": metadata["Arn"].rpartition("/")[2]})


class Lab:
    """A bucket and a pipeline of a test's own in a local cloud.

    Args:
        api: the cloud.
    """

    def __init__(self, api):
        self.place = place = api.directory
        self.bucket, self.pipeline = f"lake-{uuid.uuid4().hex[:12]}", f"p-{uuid.uuid4().hex[:12]}"
        self.objects = FolderObjects(f"s3://{self.bucket}/", place / "s3")
        self.sagemaker, self.logs = (client(api, service) for service in ("sagemaker", "logs"))

    def put(self, key, text):
        self.objects.put(key, text.encode())

    def read(self, key):
        return self.objects.get(key).decode()

    def keys(self, prefix=""):
        return [key for key in self.objects.list("") if key.startswith(prefix)]

    def uri(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def processing(self, command, inputs=None, output=None, **more):
        """The request of a processing job; ``command`` is a shell script or an entrypoint."""
        entrypoint = ["sh", "-c", command] if isinstance(command, str) else command
        result = {
            "S3Uri": self.uri(output),
            "LocalPath": "/opt/ml/processing/output/result",
            "S3UploadMode": "EndOfJob",
        }
        return {
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": entrypoint},
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"}},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "ProcessingInputs": [
                {
                    "InputName": name,
                    "S3Input": {"S3Uri": self.uri(key), "LocalPath": f"/opt/ml/processing/input/{name}"},
                }
                for name, key in (inputs or {}).items()
            ],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": result}] if output else []},
            "Environment": {"BASE": "/opt/ml"},
            **more,
        }

    def training(self, command, channels=None, **more):
        """The request of a training job."""
        entrypoint = ["sh", "-c", command] if isinstance(command, str) else command
        return {
            "RoleArn": ROLE,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "ContainerEntrypoint": entrypoint},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "OutputDataConfig": {"S3OutputPath": self.uri("models/"), "CompressionType": "NONE"},
            "InputDataConfig": [
                {"ChannelName": name, "DataSource": {"S3DataSource": {"S3Uri": self.uri(key)}}}
                for name, key in (channels or {}).items()
            ],
            "Environment": {"BASE": "/opt/ml"},
            **more,
        }

    def define(self, *steps, parameters=()):
        """Make or change this test's pipeline."""
        definition = json.dumps({"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)})
        return self.sagemaker.create_pipeline(
            PipelineName=self.pipeline, PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken="x" * 32
        )

    def start(self, *steps, parameters=(), arguments=None, **more):
        if steps:
            self.define(*steps, parameters=parameters)
        values = [{"Name": name, "Value": value} for name, value in (arguments or {}).items()]
        texts = {"PipelineExecutionDisplayName": "a-run", "PipelineExecutionDescription": "work"}
        return self.sagemaker.start_pipeline_execution(
            PipelineName=self.pipeline, PipelineParameters=values, **texts, **more
        )["PipelineExecutionArn"]

    def run(self, *steps, **more):
        return self.ended(self.start(*steps, **more))

    def look(self, arn):
        return Ran(self.sagemaker, arn)

    def ended(self, arn):
        return wait_until(lambda: (ran := self.look(arn)).status in ("Succeeded", "Failed", "Stopped") and ran)

    def under_way(self, arn, step):
        """Wait until the container of a step's job writes to its log."""
        wait_until(lambda: (ran := self.look(arn)).steps.get(step, {}).get("Metadata") and self.log(ran, step))

    def log(self, ran, step):
        """What a step's job printed, a line an item."""
        job = next(iter(ran.steps[step]["Metadata"].values()))["Arn"].rpartition("/")[2]
        streams = self.logs.describe_log_streams(logGroupName="g", logStreamNamePrefix=f"{job}/")["logStreams"]
        names = [stream["logStreamName"] for stream in streams]
        events = [self.logs.get_log_events(logGroupName="g", logStreamName=name, limit=100)["events"] for name in names]
        return [event["message"] for listed in events for event in listed]


def wait_until(condition, patience=60):
    """Return what the condition returns as soon as that is something."""
    ends = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)
    return value


def step(name, kind, arguments, **more):
    return {"Name": name, "Type": kind, "Arguments": arguments, **more}


def join(*values):
    return {"Std:Join": {"On": "", "Values": list(values)}}


def get(reference):
    return {"Get": reference}


def saying(lab, name, text, **more):
    """A processing step that writes a text to its output ``result``, at ``<name>/verdict.json``."""
    script = f"printf '%s' '{text}' > $BASE/processing/output/result/verdict.json"
    return step(name, "Processing", lab.processing(script, output=name), PropertyFiles=VERDICT, **more)


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
    """Return the code of the error that the call ends with, whose message has the words."""
    with pytest.raises(ClientError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
    return caught.value.response["Error"]["Code"]
