"""A job finds what SageMaker documents, and what it leaves goes where SageMaker puts it."""

import json
import socket
import sys
from pathlib import Path

from emulated import content, step, wait_until

TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
WAITING = "while :; do sleep 0.02; done"


def process(lab, script, **more):
    return lab.run(step("p", "Processing", lab.processing(script, **more)))


def train(lab, script, **more):
    return lab.run(step("t", "Training", lab.training(script, **more)))


def model_of(ran):
    """The prefix of the model that step ``t`` left."""
    return f"models/{ran.job('t')['TrainingJobName']}/output/model/"


# processing


def test_inputs_are_laid_down_and_outputs_are_uploaded_when_the_job_ends(lab):
    for key, text in {"in/table.csv": "a,b", "in/deep/er/x.txt": "deep"}.items():
        lab.put(key, text)
    script = "cd $BASE/processing; cat input/data/table.csv input/data/deep/er/x.txt > output/result/x"
    assert process(lab, script, inputs={"data": "in/"}, output="out").status == "Succeeded"
    assert lab.read("out/x") == "a,bdeep"


def test_an_input_of_which_nothing_is_there_fails_the_job_before_its_container_starts(lab):
    reason = process(lab, "echo never", inputs={"data": "nowhere/"}).reason("p")
    assert reason == f"ClientError: ClientError: Failed to download data: no objects under {lab.uri('nowhere/')}"


def test_the_environment_is_the_definitions_and_the_clouds_and_nothing_of_this_machine(lab, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_ENGINEER", "x")
    script = (
        "env > $BASE/processing/output/result/env; cp $BASE/config/resourceconfig.json $BASE/processing/output/result"
    )
    process(
        lab, script, output="out", Environment={"BASE": "/opt/ml", "INPUT": "/opt/ml/processing/input", "WORD": "a b ü"}
    )
    variables = dict(line.split("=", 1) for line in lab.read("out/env").splitlines())
    assert (variables["WORD"], variables["INPUT"]) == ("a b ü", f"{variables['BASE']}/processing/input")
    assert variables["FOURSCORE_FOLDER"] == str(lab.place / "s3")
    assert "SECRET_OF_THE_ENGINEER" not in variables
    assert json.loads(lab.read("out/resourceconfig.json")) == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_python_in_an_entrypoint_is_the_python_that_runs_here(lab):
    code = "import os, sys; open(os.environ['BASE'] + '/processing/output/result/x', 'w').write(sys.executable)"
    assert process(lab, ["python", "-c", code], output="out").status == "Succeeded"
    assert lab.read("out/x") == sys.executable


def test_a_job_that_fails_says_its_exit_code_and_the_message_that_it_left_and_uploads_nothing(lab):
    script = "echo x > $BASE/processing/output/result/x; printf 'define: no target' > $BASE/output/message; exit 3"
    ran = process(lab, script, output="out")
    assert (ran.job("p")["ProcessingJobStatus"], ran.job("p")["ExitMessage"]) == ("Failed", "define: no target")
    assert ran.reason("p") == "ClientError: AlgorithmError: See job logs for more information, exit code: 3"
    assert lab.keys("out") == []


def test_a_job_that_takes_longer_than_it_may_is_stopped_and_its_step_fails(lab):
    ran = process(lab, f"trap 'exit 0' TERM; {WAITING}", StoppingCondition={"MaxRuntimeInSeconds": 0.3})
    assert "MaxRuntimeExceeded" in ran.reason("p")


def test_what_the_container_says_is_in_cloudwatch_line_by_line(lab):
    ran = process(lab, "echo first; echo second >&2; printf 'no newline'")
    assert lab.log(ran, "p") == ["first", "second", "no newline"]


def test_nothing_of_a_job_outlives_it(lab):
    assert process(lab, "sleep 98765 & sleep 0.1").status == "Succeeded"
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x0098765" in content(path)]
    assert list((lab.place / "containers").iterdir()) == []


# training


def test_channels_are_where_sagemaker_documents_them_and_the_model_goes_below_the_output_path(lab):
    lab.put("data/x.csv", "1,2")
    script = "cp $BASE/input/config/resourceconfig.json $BASE/input/data/cells/x.csv $BASE/model/"
    ran = train(lab, script, channels={"cells": "data/"})
    assert lab.read(f"{model_of(ran)}x.csv") == "1,2"
    assert json.loads(lab.read(f"{model_of(ran)}resourceconfig.json"))["hosts"] == ["algo-1"]


def test_the_failure_file_is_the_failure_reason_cut_at_1024_characters(lab):
    ran = train(lab, "head -c 3000 /dev/zero | tr '\\0' x > $BASE/output/failure; exit 9")
    reason = ran.job("t")["FailureReason"]
    assert (ran.job("t")["TrainingJobStatus"], len(reason)) == ("Failed", 1024)
    assert (reason[:17], reason[-17:]) == ("AlgorithmError: x", "x, exit code: 9"[-17:].rjust(17, "x"))


COUNTING = """
c=$BASE/checkpoints/count; n=0; [ -f $c ] && n=$(cat $c); echo "began at $n"
trap 'echo "stopped at $n"; exit 143' TERM
while [ $n -lt 8 ]; do n=$((n+1)); echo $n > $c.part; mv $c.part $c; sleep 0.1; done
echo $n > $BASE/model/weights
"""


def test_a_spot_instance_that_is_taken_away_gets_sigterm_and_the_job_goes_on_from_its_checkpoints(lab):
    (lab.place / "interrupt").touch()
    checkpoints = {"S3Uri": lab.uri("checkpoints/key/")}
    ran = train(lab, COUNTING, EnableManagedSpotTraining=True, CheckpointConfig=checkpoints)
    job = ran.job("t")
    assert job["TrainingJobStatus"] == "Completed"
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == ["Interrupted"]
    first, stopped, again = lab.log(ran, "t")
    reached = int(stopped.split()[-1])
    assert (first, again) == ("began at 0", f"began at {reached}")
    assert 0 < reached < 8
    assert (lab.read(f"{model_of(ran)}weights"), lab.read("checkpoints/key/count")) == ("8\n", "8\n")
    assert not (lab.place / "interrupt").exists(), "once"


def test_an_instance_that_is_no_spot_instance_is_not_taken_away(lab):
    (lab.place / "interrupt").touch()
    ran = train(lab, "echo > $BASE/checkpoints/x; sleep 0.3", CheckpointConfig={"S3Uri": lab.uri("c/")})
    assert ran.job("t")["SecondaryStatusTransitions"] == []
    (lab.place / "interrupt").unlink()


MEETING = """
import json, os, pathlib, socket, sys, time
base = pathlib.Path(os.environ["BASE"])
resources = json.loads((base / "input/config/resourceconfig.json").read_text())
host, hosts = resources["current_host"], resources["hosts"]
port = int(sys.argv[1])
if host == hosts[0]:
    with socket.create_server((host, port)) as server:
        text = server.accept()[0].recv(100).decode()
    (base / "model/meeting").write_text(text)
else:
    for _ in range(100):
        try:
            with socket.create_connection((hosts[0], port)) as connection:
                connection.sendall(f"{host} meets {hosts[0]}".encode())
            break
        except OSError:
            time.sleep(0.05)
"""


def test_several_instances_are_several_processes_that_reach_each_other(lab):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ran = train(lab, ["python", "-c", MEETING, str(port)], ResourceConfig=TWO)
    assert lab.read(f"{model_of(ran)}meeting") == "127.0.0.2 meets 127.0.0.1"


def test_of_several_instances_one_that_fails_ends_the_job(lab):
    second = 'grep -q \'"current_host": "127.0.0.2"\' $BASE/input/config/resourceconfig.json'
    script = f"{second} && {{ printf two > $BASE/output/failure; exit 1; }}; sleep 30"
    assert train(lab, script, ResourceConfig=TWO).reason("t") == "ClientError: AlgorithmError: two, exit code: 1"


RESUMING = "[ -f $BASE/checkpoints/x ] && exit 0; trap '' TERM; echo > $BASE/checkpoints/x; " + WAITING


def test_checkpoints_are_uploaded_when_a_job_is_stopped_and_laid_down_for_the_next(lab):
    """A container that does not heed SIGTERM is killed after the grace time."""
    checkpoints = {"S3Uri": lab.uri("checkpoints/key/")}
    arn = lab.start(step("t", "Training", lab.training(RESUMING, CheckpointConfig=checkpoints)))
    wait_until(lambda: lab.keys("checkpoints/key/x"))
    lab.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert lab.ended(arn).statuses() == {"t": "Stopped"}
    assert train(lab, RESUMING, CheckpointConfig=checkpoints).status == "Succeeded"
