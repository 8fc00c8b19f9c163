"""An execution outlives the command that started it; killed, it takes its jobs with it, and a retry goes on from its checkpoints."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import emulated
import pytest
from emulated import content, processes_of, step, wait_until

from infra.emulator import local_cloud
from infra.emulator.api import Api

ROOT = Path(__file__).parents[3]


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "a 0'%20 [ü]"


@pytest.fixture
def lab(workspace):
    return emulated.Lab(Api(local_cloud.home(workspace)))


def test_an_execution_outlives_the_command_that_started_it(workspace, lab):
    lab.define(step("p", "Processing", lab.processing("echo up; sleep 100")))
    code = (
        "import sys; from pathlib import Path; from infra.emulator.local_stack import local_stack\n"
        "client = local_stack(Path(sys.argv[1])).client('sagemaker')\n"
        "print(client.start_pipeline_execution(PipelineName=sys.argv[2], PipelineExecutionDisplayName='r',"
        " PipelineExecutionDescription='w')['PipelineExecutionArn'])"
    )
    command = [sys.executable, "-c", code, str(workspace), lab.pipeline]
    arn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    lab.under_way(arn, "p")
    assert lab.look(arn).status == "Executing"
    assert local_cloud.stop(workspace)
    assert lab.look(arn).status == "Stopped"
    assert not local_cloud.stop(workspace)


WORKING = """
import os, pathlib, sys, time
epoch = pathlib.Path(os.environ["BASE"], "checkpoints/epoch")
print("from", epoch.read_text() if epoch.exists() else "nothing", flush=True)
while not epoch.exists():
    epoch.with_name("new").write_text("MARK")
    epoch.with_name("new").replace(epoch)
    time.sleep(1000)
"""


def test_killed_it_takes_its_job_with_it_and_a_retry_continues_from_the_checkpoint(workspace, lab):
    mark = uuid.uuid4().hex
    command = ["python", "-c", WORKING.replace("MARK", mark)]
    arn = lab.start(step("t", "Training", lab.training(command, CheckpointConfig={"S3Uri": lab.uri("checkpoints/")})))
    wait_until(lambda: lab.keys("checkpoints/epoch"))
    end(workspace, signal.SIGKILL)
    wait_until(lambda: not processes_with(mark))
    ran = lab.ended(arn)
    assert (ran.status, ran.reason("t")) == ("Failed", "the process of this execution on this machine was ended")
    lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    ran = lab.ended(arn)
    assert (ran.status, lab.log(ran, "t")) == ("Succeeded", [f"from {mark}"])


@pytest.mark.timeout(100)  # a job that ignores SIGTERM would have 120 seconds of grace
def test_ended_by_sigterm_it_ends_its_jobs_at_once(workspace, lab):
    mark = uuid.uuid4().hex
    script = f"trap '' TERM; echo up; while :; do sleep 0.1; done # {mark}"
    lab.under_way(lab.start(step("p", "Processing", lab.processing(script))), "p")
    end(workspace)
    assert not processes_with(mark)


def end(workspace, number=signal.SIGTERM):
    """Send a signal to the process of the only execution, and wait until it has ended."""
    (pid,) = processes_of(workspace)
    os.kill(pid, number)
    wait_until(lambda: not processes_of(workspace))


def processes_with(mark):
    """The command lines of running processes that have the mark."""
    lines = [content(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [line for line in lines if mark.encode() in line]
