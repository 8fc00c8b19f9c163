"""The local cloud outlives the command that started it; killed, it loses no object, and its executions can be retried."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import emulated
import pytest
from emulated import QUICK, step, wait_until

from infra.emulator import local_cloud

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("a 0'%20 [ü]") / ".fourscore"


@pytest.fixture(scope="module")
def cloud(workspace):
    yield local_cloud.start(workspace, options=QUICK)
    local_cloud.stop(workspace)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][0] != "Z"
    except FileNotFoundError:
        return False


def test_starting_it_again_answers_with_the_one_that_runs(workspace, cloud):
    assert local_cloud.start(workspace) == cloud
    assert local_cloud.running(workspace) == cloud


def test_it_outlives_the_command_that_started_it_and_several_that_start_it_at_once_share_one(tmp_path):
    code = f"from pathlib import Path; from infra.emulator import local_cloud; print(local_cloud.start(Path({str(tmp_path)!r})).pid)"
    command = [sys.executable, "-c", code]
    with ThreadPoolExecutor(3) as pool:
        runs = list(
            pool.map(lambda _: subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True), range(3))
        )
    try:
        (pid,) = {int(run.stdout) for run in runs}
        assert local_cloud.running(tmp_path).pid == pid
    finally:
        assert local_cloud.stop(tmp_path)
    assert local_cloud.running(tmp_path) is None
    assert not local_cloud.stop(tmp_path)


def test_it_ends_by_itself_when_there_is_no_request_and_no_job(tmp_path):
    pid = local_cloud.start(tmp_path, idle_minutes=0.005).pid
    wait_until(lambda: not alive(pid))
    assert "no request and no job" in (tmp_path / "cloud/server.log").read_text()


def test_it_ends_when_its_workspace_is_deleted(tmp_path):
    pid = local_cloud.start(tmp_path).pid
    shutil.rmtree(tmp_path / "cloud")
    wait_until(lambda: not alive(pid))


def test_it_listens_on_loopback_only_and_only_its_owner_can_read_the_key(workspace, cloud):
    assert cloud.endpoint.startswith("http://127.0.0.1:")
    port = f"{int(cloud.endpoint.rpartition(':')[2]):04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{port}")] == [f"0100007F:{port}"]
    assert stat.S_IMODE((workspace / "cloud/server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((workspace / "cloud").stat().st_mode) == 0o700


def test_what_is_not_deleted_stays_and_what_runs_is_not_deleted(tmp_path):
    local_cloud.start(tmp_path).client("s3").put_object(Bucket="fourscore-local", Key="kept", Body=b"x")
    with pytest.raises(ValueError, match="runs; end it before its data is deleted"):
        local_cloud.delete(tmp_path)
    local_cloud.stop(tmp_path)
    again = local_cloud.start(tmp_path)
    assert again.client("s3").get_object(Bucket="fourscore-local", Key="kept")["Body"].read() == b"x"
    local_cloud.stop(tmp_path)
    local_cloud.delete(tmp_path)
    assert not (tmp_path / "cloud").exists()


WORKING = """
import os, pathlib, subprocess, sys, time
base = pathlib.Path(os.environ["BASE"])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(MARK)"])
state = base / "checkpoints/epoch"
epoch = int(state.read_text()) if state.exists() else 0
print("from", epoch, flush=True)
while epoch < 5 or (epoch < 500 and not (base / "input/data/code/go").exists()):
    epoch += 1
    state.write_text(str(epoch))
    time.sleep(0.05)
child.kill()
(base / "model/epochs").write_text(str(epoch))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A workspace whose cloud was killed with -9 during a training; the lab is that of the next process."""
    workspace = tmp_path_factory.mktemp("killed") / ".fourscore"
    cloud = local_cloud.start(workspace, options=QUICK)
    lab = emulated.Lab(workspace / "cloud", cloud)
    lab.mark = f"600.{uuid.uuid4().int}"
    lab.put("code/x", "")
    train = lab.training(
        ["python", "-c", WORKING.replace("MARK", lab.mark)],
        channels={"code": "code/"},
        CheckpointConfig={"S3Uri": lab.uri("checkpoints/")},
    )
    lab.arn = lab.start(
        step("first", "Processing", lab.processing("echo hello")),
        step("train", "Training", train, DependsOn=["first"]),
        step("last", "Processing", lab.processing("true"), DependsOn=["train"]),
    )
    lab.until(lambda: lab.keys("checkpoints/epoch"))
    os.kill(cloud.pid, signal.SIGKILL)
    lab.until(lambda: local_cloud.running(workspace) is None)
    lab.address, lab.clients = local_cloud.start(workspace, options=QUICK), {}
    yield lab
    local_cloud.stop(workspace)


def test_killed_it_takes_its_jobs_with_it(killed):
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if killed.mark.encode() in command]


def test_killed_it_has_its_executions_and_logs(killed):
    ran = killed.look(killed.arn)
    assert (ran.status, ran.statuses()) == ("Failed", {"first": "Succeeded", "train": "Failed"})
    assert "The local cloud ended while the execution ran" in ran.described["FailureReason"]
    job = killed.job(ran, "first")["ProcessingJobName"]
    logs, group = killed.client("logs"), "/aws/sagemaker/ProcessingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in events] == ["hello"]


def test_killed_it_goes_on_from_the_checkpoint_with_a_retry(killed):
    reached = int(killed.read("checkpoints/epoch"))
    killed.put("code/go", "")
    killed.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=killed.arn)
    again = killed.ended(killed.arn)
    assert again.statuses() == dict.fromkeys(["first", "train", "last"], "Succeeded")
    job = killed.job(again, "train")["TrainingJobName"]
    (log,) = (killed.place / "logs" / job).glob("*.log")
    assert int(log.read_text().split("from ")[1].split()[0]) >= reached > 0


@pytest.mark.timeout(100)  # a job that ignores SIGTERM would have 120 seconds of grace
def test_stopped_it_ends_the_jobs_at_once_and_the_next_one_has_them_as_failed(tmp_path):
    lab = emulated.Lab(tmp_path / "cloud", local_cloud.start(tmp_path))
    arn = lab.start(step("p", "Processing", lab.processing("trap '' TERM; while :; do sleep 0.1; done")))
    lab.under_way(arn, "p")
    local_cloud.stop(tmp_path)
    lab.address, lab.clients = local_cloud.start(tmp_path), {}
    try:
        assert lab.look(arn).status == "Failed"
    finally:
        local_cloud.stop(tmp_path)
