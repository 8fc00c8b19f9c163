"""The local cloud outlives the command that started it; killed, it loses no object, and takes its jobs with it."""

import contextlib
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
from emulated import step, wait_until

from infra.emulator import local_cloud

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("a 0'%20 [ü]") / ".fourscore"


@pytest.fixture(scope="module")
def cloud(workspace):
    yield local_cloud.start(workspace)
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


WORKING = """
import os, pathlib, subprocess, sys, time
epoch = pathlib.Path(os.environ["BASE"], "checkpoints/epoch")
print("from", epoch.read_text() if epoch.exists() else "nothing", flush=True)
while not os.environ.get("GO"):
    epoch.with_name("new").write_text("MARK")
    epoch.with_name("new").replace(epoch)
    time.sleep(0.02)
"""


def test_killed_it_takes_its_job_with_it_and_the_next_one_continues_from_the_checkpoint(tmp_path):
    mark = uuid.uuid4().hex
    lab = emulated.Lab(tmp_path / "cloud", local_cloud.start(tmp_path))
    checkpoints = {"S3Uri": lab.uri("checkpoints/")}
    train = lab.training(["python", "-c", WORKING.replace("MARK", mark)], CheckpointConfig=checkpoints)
    arn = lab.start(step("train", "Training", train))
    wait_until(lambda: lab.keys("checkpoints/epoch"))
    os.kill(lab.address.pid, signal.SIGKILL)
    wait_until(lambda: not processes_with(mark))
    wait_until(lambda: local_cloud.running(tmp_path) is None)
    again = emulated.Lab(tmp_path / "cloud", local_cloud.start(tmp_path))
    try:
        assert emulated.refused(lambda: again.look(arn)) == "ResourceNotFound"
        ran = again.run(step("train", "Training", {**train, "Environment": {"BASE": "/opt/ml", "GO": "1"}}))
        assert again.log(ran, "train") == [f"from {mark}"]
    finally:
        local_cloud.stop(tmp_path)


@pytest.mark.timeout(100)  # a job that ignores SIGTERM would have 120 seconds of grace
def test_stopped_it_ends_its_jobs_at_once(tmp_path):
    mark = uuid.uuid4().hex
    lab = emulated.Lab(tmp_path / "cloud", local_cloud.start(tmp_path))
    arn = lab.start(
        step("p", "Processing", lab.processing(f"trap '' TERM; echo up; while :; do sleep 0.1; done # {mark}"))
    )
    lab.under_way(arn, "p")
    local_cloud.stop(tmp_path)
    assert not processes_with(mark)


def processes_with(mark):
    """The command lines of running processes that have the mark."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return [line for line in lines if mark.encode() in line]
