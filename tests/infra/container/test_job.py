"""A job in its container makes what the same steps make on a laptop, and says why when it does not."""

import json
import os
import signal
import time
from pathlib import Path

import containers
import pytest
from moto.server import ThreadedMotoServer

from infra.backends.local import LocalBackend
from infra.runs.records import RunRecord, StageRecord
from infra.sagemaker.jobs import fuse
from infra.sagemaker.upload import upload
from infra.store.local import LocalStore
from infra.store.s3 import S3Store
from pipelines.request import Request, prepare

EXAMPLE = Path(__file__).parents[3] / "examples/breast-cancer/problem.yaml"


@pytest.fixture(scope="module")
def s3():
    """S3 as a server on loopback, for this process and those that it starts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        import boto3

        boto3.client("s3").create_bucket(Bucket="fourscore-tests")
        yield
    server.stop()


def planned(workspace, settings=None):
    request = Request(problem=EXAMPLE, workspace=workspace, settings=settings or {}, tracking=False)
    return prepare(request).plan


@pytest.fixture
def send_jobs(s3, tmp_path, monkeypatch):
    """``send_jobs(settings)``: a plan, its jobs by name, and the store that they were sent to."""
    root = f"s3://fourscore-tests/{tmp_path.name}/"
    monkeypatch.setenv("FOURSCORE_ROOT", root)

    def send(settings=None):
        plan = planned(tmp_path / "laptop", settings)
        store = S3Store(tmp_path / "laptop", root)
        jobs = fuse(plan)
        upload(store, plan, jobs, lambda *_: None)
        return plan, {job.name: job for job in jobs}, store

    return send


@pytest.mark.slow  # tests/infra/sagemaker/test_backend.py compares the same through the local cloud
def test_three_jobs_make_byte_for_byte_what_a_laptop_makes(send_jobs, tmp_path):
    plan, jobs, store = send_jobs()
    assert list(jobs) == ["prepare", "train", "assess"]
    for name, job in jobs.items():
        code, printed = containers.run(tmp_path / name, name, job.text)
        assert code == 0, printed
    alone = LocalStore(tmp_path / "alone")
    stages = [StageRecord(planned_step.step.name, planned_step.key) for planned_step in plan.steps]
    record = RunRecord("alone", "x", "", {}, {}, smoke=False, status="running", started="", stages=stages)
    LocalBackend(alone).run(plan, record, lambda *_: None)
    for planned_step in plan.steps:
        for artifact in planned_step.step.outputs:
            store.open(planned_step.key, artifact)
        assert containers.contents(store.directory(planned_step.key)) == containers.contents(
            alone.directory(planned_step.key)
        ), planned_step.step.name
    verdict = json.loads((tmp_path / "assess/processing/output/result/verdict.json").read_text())
    assert verdict == {"verdict": "pass", "reasons": "", "run": "a-run"}
    model = tmp_path / "train/model"
    assert sorted(path.name for path in model.iterdir()) == ["model.pt2", "schema.json", "training.json"]


def test_a_gate_that_says_no_ends_the_job_with_exit_code_3_and_its_reason(send_jobs, tmp_path):
    plan, jobs, store = send_jobs()
    suite = json.loads(jobs["prepare"].text)
    validate = next(
        planned_step for planned_step in suite["steps"] if planned_step["step"] == "steps.validate:validate"
    )
    validate["config"]["suite"] = [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10_000}, "severity": "critical"}
    ]
    code, printed = containers.run(tmp_path / "prepare", "prepare", json.dumps(suite))
    assert code == 3, printed
    assert containers.reason(tmp_path / "prepare").startswith("refused: validate: ")
    key = next(planned_step.key for planned_step in plan.steps if planned_step.step.name == "validate")
    assert store.find(key).verdict == "refused"


def test_a_container_with_other_packages_than_the_plan_runs_nothing(send_jobs, tmp_path):
    _, jobs, _ = send_jobs()
    spec = json.loads(jobs["prepare"].text)
    spec["steps"][1]["ingredients"]["package polars"] = "0.1"
    code, _ = containers.run(tmp_path / "prepare", "prepare", json.dumps(spec))
    assert code == 1
    assert "package polars is" in containers.reason(tmp_path / "prepare")
    assert "fourscore infra image" in containers.reason(tmp_path / "prepare")


def test_a_job_that_sagemaker_told_nothing_says_what_it_is_for(tmp_path):
    process = containers.start(tmp_path, "prepare", {"FOURSCORE_BASE": str(tmp_path / "nothing")})
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "runs inside a SageMaker job" in printed
    assert "Traceback" not in printed


def test_sigterm_keeps_a_checkpoint_from_which_the_next_attempt_ends_bit_equal(send_jobs, tmp_path):
    """As a spot interruption: the process is asked to end, and the job begins again with its checkpoints."""
    plan, jobs, store = send_jobs({"train.candidates": "[mlp]"})
    code, printed = containers.run(tmp_path / "prepare", "prepare", jobs["prepare"].text)
    assert code == 0, printed
    key = next(planned_step.key for planned_step in plan.steps if planned_step.step.name == "train")
    base = tmp_path / "train"
    environment = containers.lay(base, "train", jobs["train"].text)
    process = containers.start(base, "train", environment)
    until = time.monotonic() + 120
    while not list((base / "checkpoints").rglob("*.pt")) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "interrupted in stage train" in containers.reason(base)
    assert store.find(key) is None
    again = containers.start(base, "train", environment)
    printed = again.communicate(timeout=200)[0]
    assert again.returncode == 0, printed
    alone = LocalStore(tmp_path / "alone")
    stages = [StageRecord(planned_step.step.name, planned_step.key) for planned_step in plan.steps]
    record = RunRecord("alone", "x", "", {}, {}, smoke=False, status="running", started="", stages=stages)
    LocalBackend(alone).run(plan, record, lambda *_: None)
    for artifact in ("model", "yardsticks"):
        store.open(key, artifact)
    assert containers.contents(store.directory(key)) == containers.contents(alone.directory(key))


def both_hosts(tmp_path, spec):
    """The train job on two hosts at once, which are two addresses of this machine; exit codes and what they printed."""
    hosts = ("127.0.0.1", "127.0.0.2")
    started = [
        containers.start(tmp_path / host, "train", containers.lay(tmp_path / host, "train", spec, hosts, host))
        for host in hosts
    ]
    printed = [process.communicate(timeout=280)[0] for process in started]
    return [process.returncode for process in started], "\n".join(printed)


@pytest.mark.slow  # four trainings
def test_two_hosts_train_one_model_and_one_of_them_publishes(send_jobs, tmp_path):
    plan, jobs, store = send_jobs()
    code, printed = containers.run(tmp_path / "prepare", "prepare", jobs["prepare"].text)
    assert code == 0, printed
    codes, printed = both_hosts(tmp_path, jobs["train"].text)
    assert codes == [0, 0], printed
    key = next(planned_step.key for planned_step in plan.steps if planned_step.step.name == "train")
    assert store.find(key).verdict == "pass"
    assert (tmp_path / "127.0.0.1/model/model.pt2").is_file()
    assert not (tmp_path / "127.0.0.2/model").exists()
    wrong = json.loads(jobs["train"].text)
    wrong["steps"][0] |= {"key": "f" * 64, "config": {**wrong["steps"][0]["config"], "device": "cuda"}}
    codes, printed = both_hosts(tmp_path / "wrong", json.dumps(wrong))
    assert codes == [2, 2], printed
    assert "device 'cuda' is not available here" in containers.reason(tmp_path / "wrong/127.0.0.1")
