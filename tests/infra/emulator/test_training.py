"""A training job finds what SageMaker documents; its model, checkpoints and failures go where SageMaker puts them."""

import json
import socket

from emulated import step

COUNTING = """
c=$BASE/checkpoints/count; n=0; [ -f $c ] && n=$(cat $c); echo "began at $n"
trap 'echo "told to stop at $n"; exit 143' TERM
while [ $n -lt 12 ]; do n=$((n+1)); echo $n > $c.part; mv $c.part $c; echo "epoch $n" >> $BASE/output/data/said; sleep 0.1; done
echo $n > $BASE/model/weights
"""


def secondary(job):
    return [item["Status"] for item in job["SecondaryStatusTransitions"]]


def log_of(lab, job):
    logs, group = lab.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job['TrainingJobName']}/")[
        "logStreams"
    ]
    return [
        event["message"]
        for stream in sorted(streams, key=lambda item: item["creationTime"])
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)[
            "events"
        ]
    ]


def test_channels_hyperparameters_and_resources_are_where_sagemaker_documents_them(lab):
    lab.put("data/x.csv", "1,2")
    lab.put("more/y.csv", "3")
    script = "cp $BASE/input/config/*.json $BASE/input/data/train/x.csv $BASE/input/data/more/y.csv $BASE/model/; env > $BASE/model/env"
    request = lab.training(
        script,
        channels={"train": "data/", "more": "more/"},
        HyperParameters={"epochs": "3"},
        Environment={"A": "1", "BASE": "/opt/ml"},
    )
    job = lab.job(lab.run(step("t", "Training", request)), "t")
    place = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert place == lab.uri(f"models/{job['TrainingJobName']}/output/model/")
    below = place.removeprefix(lab.uri())
    assert json.loads(lab.read(f"{below}hyperparameters.json")) == {"epochs": "3"}
    channels = json.loads(lab.read(f"{below}inputdataconfig.json"))
    assert channels["train"] == {"TrainingInputMode": "File"}
    resources = json.loads(lab.read(f"{below}resourceconfig.json"))
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert (lab.read(f"{below}x.csv"), lab.read(f"{below}y.csv")) == ("1,2", "3")
    environment = dict(line.split("=", 1) for line in lab.read(f"{below}env").splitlines())
    assert (environment["TRAINING_JOB_NAME"], environment["TRAINING_JOB_ARN"]) == (
        job["TrainingJobName"],
        job["TrainingJobArn"],
    )
    assert not [name for name in environment if name.startswith("SM_")]


def test_a_job_goes_through_the_secondary_statuses_of_sagemaker(lab):
    job = lab.job(lab.run(step("t", "Training", lab.training("true"))), "t")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert secondary(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]


def test_the_failure_file_is_the_failure_reason_cut_at_1024_characters(lab):
    ran = lab.run(step("t", "Training", lab.training("printf 'train: loss is NaN' > $BASE/output/failure; exit 1")))
    job = lab.job(ran, "t")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == "AlgorithmError: train: loss is NaN, exit code: 1"
    assert ran.reason("t") == "ClientError: AlgorithmError: train: loss is NaN, exit code: 1"
    assert ran.described["FailureReason"] == "Step failure: One or multiple steps failed."
    long = "head -c 3000 /dev/zero | tr '\\0' x > $BASE/output/failure; exit 9"
    reason = lab.job(lab.run(step("t", "Training", lab.training(long))), "t")["FailureReason"]
    assert len(reason) <= 1024
    assert reason.endswith("xx, exit code: 9")


def test_checkpoints_are_uploaded_while_the_job_runs_and_restored_when_another_starts(lab):
    request = lab.training(COUNTING, CheckpointConfig={"S3Uri": lab.uri("checkpoints/key/")})
    arn = lab.start(step("t", "Training", request))
    lab.until(lambda: lab.keys("checkpoints/key/count"))
    assert lab.look(arn).status == "Executing"
    assert lab.ended(arn).status == "Succeeded"
    assert lab.read("checkpoints/key/count").strip() == "12"
    ran = lab.run(step("t", "Training", request))
    assert "began at 12" in log_of(lab, lab.job(ran, "t"))


def test_a_spot_interruption_sends_sigterm_and_the_job_starts_again_from_its_checkpoints(lab):
    lab.inject("t", after_checkpoints=3)
    request = lab.training(COUNTING, spot=True, CheckpointConfig={"S3Uri": lab.uri("checkpoints/key")})
    job = lab.job(lab.run(step("t", "Training", request)), "t")
    assert secondary(job) == ["Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading", "Training", "Uploading", "Completed"]  # fmt: skip
    lines = log_of(lab, job)
    assert lines[0] == "began at 0"
    at = int(next(line for line in lines if line.startswith("told")).split()[-1])
    assert 0 < at < 12
    assert [line for line in lines if line.startswith("began")] == ["began at 0", f"began at {at}"]
    place = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(lab.uri())
    assert lab.read(f"{place}weights").strip() == "12"


def test_a_container_that_does_not_heed_sigterm_is_killed_after_the_grace_time(lab):
    lab.inject("t", after_seconds=0.2)
    script = "if [ -f $BASE/checkpoints/x ]; then exit 0; fi; echo > $BASE/checkpoints/x; trap '' TERM; while :; do sleep 0.1; done"
    job = lab.job(
        lab.run(step("t", "Training", lab.training(script, spot=True, CheckpointConfig={"S3Uri": lab.uri("c/")}))), "t"
    )
    assert job["TrainingJobStatus"] == "Completed"
    first = next(item for item in job["SecondaryStatusTransitions"] if item["Status"] == "Interrupted")
    assert (first["EndTime"] - first["StartTime"]).total_seconds() >= 2


def test_an_instance_that_is_no_spot_instance_is_not_taken_away(lab):
    lab.inject("only-here")
    job = lab.job(
        lab.run(step("only-here", "Training", lab.training("sleep 0.3", CheckpointConfig={"S3Uri": lab.uri("c/")}))),
        "only-here",
    )
    assert "Interrupted" not in secondary(job)


def test_interruptions_end_when_the_waiting_time_is_over(lab):
    lab.inject("t", after_seconds=0.1, times=100)
    script = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    request = lab.training(script, spot=True, StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1})
    ran = lab.run(step("t", "Training", request))
    job = lab.job(ran, "t")
    assert (ran.status, job["TrainingJobStatus"]) == ("Failed", "Stopped")
    assert job["SecondaryStatus"] in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded")


def test_a_job_that_runs_longer_than_it_may_is_stopped_and_keeps_the_model_that_it_saved_meanwhile(lab):
    script = "trap 'echo late > $BASE/model/weights; exit 0' TERM; while :; do sleep 0.05; done"
    ran = lab.run(step("t", "Training", lab.training(script, StoppingCondition={"MaxRuntimeInSeconds": 1})))
    job = lab.job(ran, "t")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert lab.keys(job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(lab.uri()))
    assert "MaxRuntimeExceeded" in ran.reason("t")


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
    request = lab.training(["python", "-c", MEETING, str(port)])
    request["ResourceConfig"]["InstanceCount"] = 2
    job = lab.job(lab.run(step("t", "Training", request)), "t")
    place = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(lab.uri())
    assert lab.read(f"{place}meeting") == "127.0.0.2 meets 127.0.0.1"


def test_of_several_instances_one_that_fails_ends_the_job(lab):
    script = 'grep -q \'"current_host": "127.0.0.2"\' $BASE/input/config/resourceconfig.json && { printf two > $BASE/output/failure; exit 1; }; sleep 30'
    request = lab.training(f"mkdir -p $BASE/output; {script}")
    request["ResourceConfig"]["InstanceCount"] = 2
    assert lab.run(step("t", "Training", request)).reason("t") == "ClientError: AlgorithmError: two, exit code: 1"


def test_a_model_that_is_to_be_compressed_fails_the_step(lab):
    request = lab.training("true", OutputDataConfig={"S3OutputPath": lab.uri("models/")})
    assert "CompressionType is not NONE" in lab.run(step("t", "Training", request)).reason("t")
