"""A processing job finds what SageMaker documents, and what it leaves is taken as SageMaker takes it."""

import json
from pathlib import Path

import pytest
from emulated import QUICK, step

from infra.emulator.api import Emulator
from infra.emulator.jobs import Options


def test_inputs_are_laid_down_and_outputs_are_uploaded_when_the_job_ends(lab):
    lab.put("in/table.csv", "a,b")
    lab.put("in/deep/er/x.txt", "deep")
    script = "cd /opt/ml/processing; cat input/data/table.csv input/data/deep/er/x.txt > output/result/both.txt"
    ran = lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "in/"}, outputs={"result": "out"})))
    assert ran.status == "Succeeded"
    assert lab.read("out/both.txt") == "a,bdeep"


def test_a_prefix_is_one_of_strings_so_a_sibling_that_begins_alike_comes_too(lab):
    lab.put("train/a.txt", "a")
    lab.put("train-2/b.txt", "b")
    script = "cd /opt/ml/processing; find input/data -type f | sort > output/result/found.txt"
    lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "train"}, outputs={"result": "out/"})))
    assert lab.read("out/found.txt").split() == ["input/data/a.txt", "input/data/train-2/b.txt"]
    lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "train/"}, outputs={"result": "out/"})))
    assert lab.read("out/found.txt").split() == ["input/data/a.txt"]


def test_a_single_object_is_laid_down_by_its_name(lab):
    lab.put("in/one.json", "1")
    script = "cp /opt/ml/processing/input/data/one.json /opt/ml/processing/output/result/"
    lab.run(step("p", "Processing", lab.processing(script, inputs={"data": "in/one.json"}, outputs={"result": "out"})))
    assert lab.read("out/one.json") == "1"


def test_an_input_of_which_nothing_is_there_fails_the_job_before_its_container_starts(lab):
    ran = lab.run(step("p", "Processing", lab.processing("echo never", inputs={"data": "nowhere/"})))
    assert ran.status == "Failed"
    assert (
        ran.reason("p")
        == f"ClientError: ClientError: Failed to download data. S3 key: {lab.uri('nowhere/')} matched no files on s3"
    )


def test_the_container_finds_its_two_configuration_files(lab):
    script = "cp /opt/ml/config/*.json /opt/ml/processing/output/result/"
    ran = lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment={"A": "1"})))
    job = lab.job(ran, "p")
    config = json.loads(lab.read("out/processingjobconfig.json"))
    assert config["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert config["Environment"]["A"] == "1"
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"].endswith("/processing/output/result")
    assert json.loads(lab.read("out/resourceconfig.json")) == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_the_environment_is_the_definitions_and_the_clouds_and_nothing_of_this_machine(lab, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_ENGINEER", "x")
    script = "env > /opt/ml/processing/output/result/env"
    ran = lab.run(
        step("p", "Processing", lab.processing(script, outputs={"result": "out"}, environment={"MINE": "a b ü"}))
    )
    assert ran.status == "Succeeded"
    found = dict(line.split("=", 1) for line in lab.read("out/env").splitlines())
    assert found["MINE"] == "a b ü"
    assert found["AWS_ENDPOINT_URL"] == lab.server.address.endpoint
    assert found["AWS_REGION"] == "us-east-1"
    assert "SECRET_OF_THE_ENGINEER" not in found
    assert not [name for name in found if name.startswith("SM_")]


def test_python_in_an_entrypoint_is_the_python_that_runs_here(lab):
    code = "import boto3, os; boto3.client('s3').put_object(Bucket=os.environ['BUCKET'], Key='from-job', Body=b'hi')"
    ran = lab.run(step("p", "Processing", lab.processing(["python", "-c", code], environment={"BUCKET": lab.bucket})))
    assert ran.status == "Succeeded"
    assert lab.read("from-job") == "hi"


def test_a_job_that_fails_says_its_exit_code_and_the_message_that_it_left_and_uploads_nothing(lab):
    script = "echo x > /opt/ml/processing/output/result/x; printf 'define: no target' > /opt/ml/output/message; exit 3"
    ran = lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"})))
    job = lab.job(ran, "p")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "define: no target")
    assert ran.reason("p") == "ClientError: AlgorithmError: See job logs for more information, exit code: 3"
    assert lab.keys("out") == []


def test_the_exit_message_is_cut_at_1024_characters(lab):
    script = "head -c 3000 /dev/zero | tr '\\0' x > /opt/ml/output/message"
    job = lab.job(lab.run(step("p", "Processing", lab.processing(script))), "p")
    assert (job["ProcessingJobStatus"], len(job["ExitMessage"])) == ("Completed", 1024)


def test_a_message_that_is_no_utf_8_fails_the_job(lab):
    ran = lab.run(step("p", "Processing", lab.processing("printf '\\377\\376' > /opt/ml/output/message")))
    assert "not UTF-8" in ran.reason("p")


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


def test_an_isolated_job_has_neither_credentials_nor_the_address_of_anything(lab):
    script = "env > /opt/ml/processing/output/result/env"
    request = lab.processing(script, outputs={"result": "out"}, NetworkConfig={"EnableNetworkIsolation": True})
    assert lab.run(step("p", "Processing", request)).status == "Succeeded"
    assert "AWS_" not in lab.read("out/env")


ALONE = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
    pass
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2)
except OSError:
    print("nobody there")
else:
    raise SystemExit("the machine outside can be reached")
"""


def test_an_isolated_job_reaches_its_own_processes_and_nobody_else(lab):
    if not lab.server.emulator.options.mounted:
        pytest.skip("this machine allows no namespaces")
    lab.put("code/script.py", ALONE.replace("PORT", lab.server.address.endpoint.rpartition(":")[2]))
    request = lab.processing(
        ["python", "/opt/ml/processing/input/code/script.py"],
        inputs={"code": "code/"},
        NetworkConfig={"EnableNetworkIsolation": True},
    )
    assert lab.run(step("p", "Processing", request)).status == "Succeeded"


def test_symbolic_links_in_an_output_are_passed_over(lab):
    script = "cd /opt/ml/processing/output/result; echo x > real; ln -s /etc/passwd link; ln -s /etc etc"
    lab.run(step("p", "Processing", lab.processing(script, outputs={"result": "out"})))
    assert lab.keys("out") == ["out/real"]


def test_an_object_whose_name_leads_elsewhere_fails_the_job(lab):
    lab.put("in/../../../../escaped", "x")
    ran = lab.run(step("p", "Processing", lab.processing("true", inputs={"data": "in/"})))
    assert "leads out" in ran.reason("p")


@pytest.mark.parametrize("mounts", [True, False])
def test_the_contract_is_the_same_where_opt_ml_is_mounted_and_where_paths_are_rewritten(lab, tmp_path, mounts):
    emulator = Emulator(lab.server.address.clients, tmp_path / "e'2 ü", Options(grace=1, sync=0.1, mounts=mounts))
    lab.put("in/a", "a")
    script = 'cat /opt/ml/processing/input/data/a "$OTHER" > /opt/ml/processing/output/result/b; echo private > "$TMPDIR/t"; test ! -e /opt/mlflow'
    request = lab.processing(
        script,
        inputs={"data": "in/"},
        outputs={"result": f"out-{mounts}"},
        environment={"OTHER": "/opt/ml/config/resourceconfig.json"},
    )
    emulator.create_job("Processing", {**request, "ProcessingJobName": "job"})
    job = lab.until(
        lambda: (
            (found := emulator.job("Processing", {"ProcessingJobName": "job"}))["ProcessingJobStatus"] != "InProgress"
            and found
        )
    )
    assert job["ProcessingJobStatus"] == "Completed", (tmp_path / "e'2 ü/jobs/job/algo-1.log").read_text()
    assert lab.read(f"out-{mounts}/b").startswith("a{")
    assert [each.name for each in (tmp_path / "e'2 ü/jobs/job").iterdir() if each.is_dir()] == []


def test_nothing_of_a_job_outlives_it(lab):
    ran = lab.run(step("p", "Processing", lab.processing("sleep 98765 & sleep 0.1")))
    assert ran.status == "Succeeded"
    assert [each for each in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x0098765" in read_if_there(each)] == []


def read_if_there(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_quick_emulator_keeps_awss_grace_time_unless_told_otherwise():
    assert Options().grace == 120
    assert QUICK.grace == 2
