"""A processing job finds what SageMaker documents, and what it leaves is taken as SageMaker takes it."""

import json
from pathlib import Path

import pytest
from emulated import step


def test_inputs_are_laid_down_and_outputs_are_uploaded_when_the_job_ends(lab):
    lab.put("in/table.csv", "a,b")
    lab.put("in/deep/er/x.txt", "deep")
    script = "cd $BASE/processing; cat input/data/table.csv input/data/deep/er/x.txt > output/result/both.txt"
    ran = lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "in/"}, outputs={"result": "out"})))
    assert ran.status == "Succeeded"
    assert lab.read("out/both.txt") == "a,bdeep"


def test_a_single_object_is_laid_down_by_its_name(lab):
    lab.put("in/one.json", "1")
    script = "cp $BASE/processing/input/data/one.json $BASE/processing/output/result/"
    lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "in/one.json"}, outputs={"result": "out"})))
    assert lab.read("out/one.json") == "1"


def test_an_input_of_which_nothing_is_there_fails_the_job_before_its_container_starts(lab):
    ran = lab.run(step("p", "Processing", lab.processing("echo never", inputs={"data": "nowhere/"})))
    assert ran.status == "Failed"
    assert (
        ran.reason("p") == f"ClientError: ClientError: Failed to download data: no objects under {lab.uri('nowhere/')}"
    )


def test_the_container_finds_its_two_configuration_files(lab):
    script = "cp $BASE/config/*.json $BASE/processing/output/result/"
    ran = lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment={"A": "1"})))
    job = lab.job(ran, "p")
    config = json.loads(lab.read("out/processingjobconfig.json"))
    assert config["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert config["Environment"]["A"] == "1"
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"].endswith("/processing/output/result")
    assert json.loads(lab.read("out/resourceconfig.json")) == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_the_environment_is_the_definitions_and_the_clouds_and_nothing_of_this_machine(lab, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_ENGINEER", "x")
    script = "env > $BASE/processing/output/result/env"
    ran = lab.run(
        step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment={"WORD": "a b ü"}))
    )
    assert ran.status == "Succeeded"
    variables = dict(line.split("=", 1) for line in lab.read("out/env").splitlines())
    assert variables["WORD"] == "a b ü"
    assert variables["AWS_ENDPOINT_URL"] == lab.address.endpoint
    assert variables["AWS_REGION"] == "us-east-1"
    assert "SECRET_OF_THE_ENGINEER" not in variables
    assert not [name for name in variables if name.startswith("SM_")]


def test_python_in_an_entrypoint_is_the_python_that_runs_here(lab):
    code = "import boto3, os; boto3.client('s3').put_object(Bucket=os.environ['BUCKET'], Key='from-job', Body=b'hi')"
    ran = lab.run(step("p", "Processing", lab.processing(["python", "-c", code], environment={"BUCKET": lab.bucket})))
    assert ran.status == "Succeeded"
    assert lab.read("from-job") == "hi"


def test_a_job_that_fails_says_its_exit_code_and_the_message_that_it_left_and_uploads_nothing(lab):
    script = "echo x > $BASE/processing/output/result/x; printf 'define: no target' > $BASE/output/message; exit 3"
    ran = lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"})))
    job = lab.job(ran, "p")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "define: no target")
    assert ran.reason("p") == "ClientError: AlgorithmError: See job logs for more information, exit code: 3"
    assert lab.keys("out") == []


def test_the_exit_message_is_cut_at_1024_characters(lab):
    script = "head -c 3000 /dev/zero | tr '\\0' x > $BASE/output/message"
    job = lab.job(lab.run(step("p", "Processing", lab.processing(script))), "p")
    assert (job["ProcessingJobStatus"], len(job["ExitMessage"])) == ("Completed", 1024)


def test_a_job_that_takes_longer_than_it_may_is_stopped_and_its_step_fails(lab):
    script = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    ran = lab.run(step("p", "Processing", lab.processing(script, StoppingCondition={"MaxRuntimeInSeconds": 1})))
    assert lab.job(ran, "p")["ProcessingJobStatus"] == "Stopped"
    assert "MaxRuntimeExceeded" in ran.reason("p")


def test_what_the_container_says_is_in_cloudwatch_line_by_line(lab):
    ran = lab.run(step("p", "Processing", lab.processing("echo first; echo second >&2; printf 'no newline'")))
    logs, job = lab.client("logs"), lab.job(ran, "p")["ProcessingJobName"]
    group = "/aws/sagemaker/ProcessingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    assert stream["logStreamName"].startswith(f"{job}/algo-1-")
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
        "events"
    ]
    assert [event["message"] for event in events] == ["first", "second", "no newline"]


def test_symbolic_links_in_an_output_are_passed_over(lab):
    script = "cd $BASE/processing/output/result; echo x > real; ln -s /etc/passwd link; ln -s /etc etc"
    lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"})))
    assert lab.keys("out") == ["out/real"]


def test_nothing_of_a_job_outlives_it(lab):
    ran = lab.run(step("p", "Processing", lab.processing("sleep 98765 & sleep 0.1")))
    assert ran.status == "Succeeded"
    assert [item for item in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x0098765" in read_if_exists(item)] == []


def read_if_exists(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AppSpecification": {"ImageUri": "image"}}, "the local cloud runs no images: ContainerEntrypoint is missing"),
        ({"ProcessingInputs": [{"S3Input": {"S3Uri": "s3://b/x", "LocalPath": "/opt/ml/x", "S3DataType": "ManifestFile"}}]}, "the local cloud knows S3Prefix, File, FullyReplicated, None, not ManifestFile"),
        ({"ProcessingInputs": [{"S3Input": {"S3Uri": "https://b/x", "LocalPath": "/opt/ml/x"}}]}, "'https://b/x' is not s3://bucket/key"),
        ({"ProcessingInputs": [{"S3Input": {"S3Uri": "s3://no-such-bucket/x", "LocalPath": "/opt/ml/x"}}]}, "NoSuchBucket"),
    ],
)  # fmt: skip
def test_a_request_that_the_local_cloud_cannot_run_fails_its_step_and_names_what_is_wrong(lab, change, words):
    assert words in lab.run(step("p", "Processing", lab.processing("true") | change)).reason("p")
