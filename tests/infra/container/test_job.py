"""A job in its container makes what the same steps make on a laptop, and says why when it does not.

That all three jobs do, byte for byte, is in tests/infra/sagemaker/test_backend.py.
"""

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import containers
import pytest

from infra.backends.local import LocalBackend
from infra.container.job import main
from infra.runs.plan import Plan
from infra.runs.records import RunRecord, StageRecord
from infra.s3.folder import FolderObjects
from infra.sagemaker.jobs import fuse
from infra.sagemaker.upload import upload
from infra.store.local import LocalStore
from infra.store.s3 import S3Store
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.projection import place_for_jobs
from pipelines.request import Request, prepare
from pipelines.training import TRAINING

EXAMPLE = Path(__file__).parents[3] / "examples/breast-cancer/problem.yaml"


@dataclass
class Training:
    """A plan whose first stages ran on this machine, and its job that trains."""

    plan: Plan
    text: str
    """What job.json holds."""
    key: str
    store: S3Store


def run_locally(store, plan):
    stages = [StageRecord(planned.step.name, planned.key) for planned in plan.steps]
    record = RunRecord("alone", "x", "", {}, {}, smoke=False, status="running", started="", stages=stages)
    LocalBackend(store).run(plan, record, lambda *_: None)


@pytest.fixture
def training(root, tmp_path, monkeypatch):
    monkeypatch.setenv("FOURSCORE_ROOT", root)
    laptop = tmp_path / "laptop"
    settings = {"train.candidates": "[mlp]", "train.folds": "2", "train.budget.epochs": "5"}
    request = Request(problem=EXAMPLE, workspace=laptop, settings=settings, until="split", tracking=False)
    run_locally(LocalStore(laptop), prepare(request).plan)
    plan, store = prepare(replace(request, until="train")).plan, S3Store(laptop, root)
    (job,) = fuse(plan)
    upload(store, plan, (job,), lambda *_: None)
    return Training(plan, job.text, plan.steps[-1].key, store)


def run_in_process(base, job, text, monkeypatch):
    for name, value in containers.lay(base, job, text).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FOURSCORE_ROOT", "s3://nowhere/")
    return main([job])


def test_a_container_with_other_packages_than_the_plan_runs_nothing(tmp_path, monkeypatch):
    plan = prepare(Request(problem=EXAMPLE, workspace=tmp_path, settings={}, tracking=False)).plan
    spec = json.loads(fuse(plan)[0].text)
    spec["steps"][1]["ingredients"]["package polars"] = "0.1"
    assert run_in_process(tmp_path / "prepare", "prepare", json.dumps(spec), monkeypatch) == 1
    for words in ("package polars is", "fourscore infra image"):
        assert words in (tmp_path / "prepare/output/failure").read_text()


def test_outside_of_a_job_it_says_what_it_is_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FOURSCORE_BASE", str(tmp_path / "nothing"))
    assert main(["prepare"]) == 1
    assert "runs inside a SageMaker job" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own
def test_a_job_tracks_its_stages_below_the_parent_though_nobody_follows_the_run(tmp_path, monkeypatch, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    client = connect(tmp_path, default_uri(tmp_path))
    experiment = client.create_experiment("breast-cancer", str(tmp_path / "artifacts"))
    parent = client.create_run(experiment).info.run_id
    place = json.dumps({"uri": default_uri(tmp_path), "parent": parent}).encode()
    FolderObjects("s3://nowhere/", tmp_path / "s3").put(place_for_jobs("a-run"), place)
    monkeypatch.setenv("FOURSCORE_FOLDER", str(tmp_path / "s3"))
    plan = prepare(Request(EXAMPLE, tmp_path / "laptop", {}, until="define", tracking=False)).plan
    assert run_in_process(tmp_path / "prepare", "prepare", fuse(plan)[0].text, monkeypatch) == 0
    (child,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert (child.info.run_name, child.info.status) == ("01-define", "FINISHED")
    assert child.data.tags["layer"] == next(iter(TRAINING)).layer
    assert client.get_run(parent).info.status == "RUNNING", "whoever follows the run ends it"


@pytest.mark.slow
def test_sigterm_keeps_a_checkpoint_from_which_the_next_attempt_ends_bit_equal(training, tmp_path, monkeypatch):
    """As a spot interruption: the process is asked to end, and the job begins again with its checkpoints.

    Two trainings beside that of the fixture. In the fast suite tests/infra/sagemaker/test_backend.py stops a job and retries it,
    and tests/model_code/test_training.py kills a training whose next attempt ends bit-equal.
    """
    shutil.copytree(tmp_path / "laptop", tmp_path / "alone")
    base, store, key = tmp_path / "train", training.store, training.key
    environment = containers.lay(base, "train", training.text)
    process = containers.start(base, "train", environment)
    until = time.monotonic() + 120
    while not list((base / "checkpoints").rglob("*.pt")) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "interrupted in stage train" in (base / "output/failure").read_text()
    assert store.find(key) is None
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["train"]) == 0
    alone = LocalStore(tmp_path / "alone")
    run_locally(alone, training.plan)
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
def test_two_hosts_train_one_model_and_one_of_them_publishes(training, tmp_path):
    codes, printed = both_hosts(tmp_path, training.text)
    assert codes == [0, 0], printed
    assert training.store.find(training.key).verdict == "pass"
    assert (tmp_path / "127.0.0.1/model/model.pt2").is_file()
    assert not (tmp_path / "127.0.0.2/model").exists()
    wrong = json.loads(training.text)
    wrong["steps"][0] |= {"key": "f" * 64, "config": {**wrong["steps"][0]["config"], "device": "cuda"}}
    codes, printed = both_hosts(tmp_path / "wrong", json.dumps(wrong))
    assert codes == [2, 2], printed
    assert "device 'cuda' is not available here" in (tmp_path / "wrong/127.0.0.1/output/failure").read_text()
