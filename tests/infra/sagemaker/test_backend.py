"""The breast-cancer example on the local cloud: passed, rejected, broken, interrupted, run twice.

One whole run is shared; the others repeat as few of its stages as prove their point.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import containers
import pytest
import tracked
from click.testing import CliRunner
from emulated import processes_of

from infra.backends.local import LocalBackend
from infra.emulator.local_stack import local_objects, local_stack
from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.local import LocalStore
from infra.tracking.projection import place_for_jobs
from pipelines import detached
from pipelines.__main__ import main
from pipelines.request import Request, prepare
from pipelines.training import TRAINING
from steps.errors import FourscoreError

pytestmark = pytest.mark.xdist_group("local cloud")  # they share the run that passed
ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/breast-cancer/problem.yaml"
QUICK = {"train.candidates": "[linear]", "train.choose": "best", "train.folds": "2", "train.budget.epochs": "3"}
OTHER_LABELS = {"label.rule": "benign = 1"}
"""Leaves nothing to do but the stage label, if the run ends there."""


def options(settings):
    return [word for name, value in {**QUICK, **settings}.items() for word in ("--set", f"{name}={value}")]


class Workspace:
    """A workspace with its local cloud."""

    def __init__(self, path):
        self.path, self.before = path, set()

    def __call__(self, command, *arguments):
        """Return the exit code, the document, and what was printed besides."""
        result = CliRunner().invoke(main, [command, *map(str, arguments), "--workspace", str(self.path), "--json"])
        return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr

    def run(self, settings=None, *more):
        on = ("--on", "sagemaker-local", *(more or ("--no-tracking",)))
        return self("run", EXAMPLE, *on, *options(settings or {}))

    def start(self, settings, *more):
        """Run in a process of its own."""
        self.before = {record.run for record in records.every(self.path)}
        words = ["run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", *options(settings), *more]
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines", *map(str, words), "--workspace", str(self.path), "--json"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process):
        out, err = process.communicate(timeout=250)
        return process.returncode, json.loads(out), err

    def prepare(self, settings=None, **more):
        return prepare(Request(EXAMPLE, self.path, {**QUICK, **(settings or {})}, tracking=False, **more))

    @property
    def sagemaker(self):
        return local_stack(self.path).client("sagemaker")

    @property
    def objects(self):
        return local_objects(local_stack(self.path))

    def executions(self):
        answer = self.sagemaker.list_pipeline_executions(PipelineName="fourscore-local-breast-cancer")
        return [item["PipelineExecutionArn"] for item in answer["PipelineExecutionSummaries"]]

    def steps(self, run):
        arn = records.load(self.path, run).execution
        answer = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {item["StepName"]: item for item in answer["PipelineExecutionSteps"]}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("cloud") / ".fourscore"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield Workspace(workspace)


@pytest.fixture(scope="module")
def passed(workspace):
    """The example with a short training: every other test finds stages of it cached."""
    code, document, printed = workspace.run()
    assert code == 0, printed
    return document


def statuses(document):
    return {stage["name"]: stage["status"] for stage in document["stages"]}


def test_a_run_that_passes_leaves_a_model_package_that_waits_for_approval(workspace, passed):
    assert passed["verdict"] == "pass"
    assert set(statuses(passed).values()) == {"ran"}
    package = workspace.sagemaker.describe_model_package(ModelPackageName=passed["package"])
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["ModelCard"]["ModelCardStatus"] == "PendingReview"
    card = json.loads(package["ModelCard"]["ModelCardContent"])
    assert card["model_overview"].keys() == {"model_creator"}
    assert card["additional_information"]["custom_details"]["Verdict"] == "pass"
    described = package["CustomerMetadataProperties"]
    assert described["run"] == passed["run"]
    assert described["mlflow_run_id"] == "none", "the run is not tracked"
    assert described["verdict"] == "pass"
    (container,) = package["InferenceSpecification"]["Containers"]
    place = container["ModelDataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://fourscore-local/")
    assert {"model.pt2", "schema.json"} <= set(workspace.objects.list(place))


def test_jobs_leave_what_sagemaker_itself_reads(workspace, passed):
    run = workspace.path / "cloud/s3/fourscore-local/runs" / passed["run"]
    verdict = json.loads((run / "result/verdict.json").read_text())
    assert json.loads(verdict.pop("card"))["intended_uses"]["purpose_of_model"] == "Is this mass malignant?"
    assert verdict == {"verdict": "pass", "reasons": "", "run": passed["run"]}
    (model,) = run.glob("output/*/output/model")
    assert sorted(path.name for path in model.iterdir()) == ["model.onnx", "model.pt2", "schema.json", "training.json"]


def test_three_jobs_did_the_work_of_eight_stages(workspace, passed):
    steps = workspace.steps(passed["run"])
    assert [name for name, step in steps.items() if {"ProcessingJob", "TrainingJob"} & set(step["Metadata"])] == [
        "prepare", "train", "assess",
    ]  # fmt: skip


def test_a_second_run_is_cached_and_starts_no_job(workspace, passed):
    before = workspace.executions()
    code, document, _ = workspace.run()
    assert (code, document["verdict"]) == (0, "pass")
    assert workspace.executions() == before


def test_the_jobs_made_byte_for_byte_what_a_laptop_makes(workspace, passed, tmp_path):
    """The contract of all backends."""
    alone, plan = LocalStore(tmp_path), Workspace(tmp_path).prepare().plan
    stages = [planned.record() for planned in plan.steps]
    LocalBackend(alone).run(plan, RunRecord("alone", stages=stages, status="running", started=""), lambda *_: None)
    assert [planned.key for planned in plan.steps] == [stage["key"] for stage in passed["stages"]]
    store = store_of(workspace.path, records.load(workspace.path, passed["run"]))
    for planned in plan.steps:
        for artifact in planned.step.outputs:
            store.open(planned.key, artifact)
        directories = store.directory(planned.key), alone.directory(planned.key)
        assert containers.contents(directories[0]) == containers.contents(directories[1]), planned.step.name


def test_another_promise_is_judged_without_a_training_and_the_fail_step_names_one_that_is_not_kept(workspace, passed):
    code, document, _ = workspace.run({"success.0.at_least": "0.99999"})
    assert (code, document["verdict"]) == (3, "rejected")
    assert (statuses(document)["train"], statuses(document)["evaluate"]) == ("cached", "ran")
    assert "roc_auc" in document["message"]
    steps = workspace.steps(document["run"])
    assert "train" not in steps
    assert "roc_auc" in steps["rejected"]["FailureReason"]
    assert document["package"] is None


def test_a_gate_that_refuses_stops_before_training(workspace, passed):
    unlabeled = {"label.rule": "CASE WHEN mean_radius > 14 THEN benign = 0 END"}
    code, document, _ = workspace.run(unlabeled)
    assert (code, document["verdict"]) == (3, "rejected")
    assert "label" in document["message"]
    assert (statuses(document)["label"], statuses(document)["train"]) == ("failed", "skipped")
    before = workspace.executions()
    assert workspace.run(unlabeled)[0] == 3
    assert workspace.executions() == before, "the refusal is in the store: no job is started"


def test_a_job_that_breaks_names_stage_and_cause_and_nothing_after_it_is_executed(workspace, passed):
    code, document, printed = workspace.run({"label.rule": "nonexistent > 1"})
    assert code == 2, printed
    assert "job prepare failed: stage label: label.rule" in document["message"]
    assert statuses(document) == {
        **dict.fromkeys(("define", "ingest", "validate"), "cached"),
        "label": "failed", **dict.fromkeys(("split", "train", "evaluate", "register"), "skipped"),
    }  # fmt: skip
    assert document["jobs"] == {
        "prepare": "Failed", "train": "NotExecuted", "assess": "NotExecuted",
        "verdict": "NotExecuted", "register-model": "NotExecuted",
        "rejected": "NotExecuted",
    }  # fmt: skip
    assert "Traceback" not in printed


@pytest.mark.slow  # a whole run, tracked by its jobs; tests/infra/container/test_job.py has one job alone
def test_jobs_track_their_stages_below_the_one_parent_of_the_run(tmp_path):
    import mlflow

    workspace = Workspace(tmp_path / ".fourscore")
    with tracked.serving(tmp_path / "server") as server:
        code, document, printed = workspace.run(None, "--tracking-uri", server)
        assert code == 0, printed
        place = json.loads(workspace.objects.get(place_for_jobs(document["run"])))
        client = mlflow.MlflowClient(server, server)
        (experiment,) = client.search_experiments(filter_string="name = 'breast-cancer'")
        listed = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        (parent,) = [item for item in listed if "mlflow.parentRunId" not in item.data.tags]
        assert place == {"uri": server, "parent": parent.info.run_id}
        assert (parent.info.status, parent.data.tags["fourscore.on"]) == ("FINISHED", "sagemaker-local")
        children = [item for item in listed if item.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert sorted(item.info.run_name for item in children) == [
            f"{n:02}-{step.name}" for n, step in enumerate(TRAINING, 1)
        ]
        assert {item.info.status for item in children} == {"FINISHED"}
        assert parent.data.metrics["model/roc_auc"] > 0.95
        package = workspace.sagemaker.describe_model_package(ModelPackageName=document["package"])
        assert package["CustomerMetadataProperties"]["mlflow_run_id"] == parent.info.run_id


@pytest.mark.slow  # a run that is interrupted, and its training alone
def test_a_spot_interruption_in_the_middle_of_training_ends_bit_equal(workspace, passed, tmp_path):
    settings = {"train.candidates": "[mlp]", "train.seed": "5"}
    (workspace.path / "cloud/interrupt").touch()
    code, document, printed = workspace.run({**settings, "sagemaker.train.spot": "true"})
    assert code == 0, printed
    assert "job train: AWS took the spot instance back" in printed
    alone = Workspace(tmp_path / "alone")
    code, plain, printed = alone("run", EXAMPLE, "--no-tracking", *options(settings), "--until", "train")
    assert code == 0, printed
    keys = [next(stage["key"] for stage in item["stages"] if stage["name"] == "train") for item in (document, plain)]
    assert keys[0] == keys[1]
    model = LocalStore(alone.path).directory(keys[1]) / "model/model.pt2"
    assert workspace.objects.get(f"store/{keys[0]}/model/model.pt2") == model.read_bytes()


@pytest.mark.slow  # a whole run on two instances
def test_several_instances_of_the_local_cloud_train_one_model(workspace, passed):
    code, document, printed = workspace.run({"train.candidates": "[mlp]", "sagemaker.train.instances": "2"})
    assert (code, document["verdict"]) == (0, "pass"), printed
    (logs,) = workspace.path.glob(
        f"cloud/logs/*{records.load(workspace.path, document['run']).execution[-12:]}-train-*"
    )
    assert {path.name.rpartition("-")[0] for path in logs.iterdir()} == {"127.0.0.1", "127.0.0.2"}


@pytest.mark.slow  # a whole run
def test_ctrl_c_detaches_and_attach_watches_again(workspace, passed):
    process = workspace.start({"train.seed": "7"})
    wait_for(lambda: running_execution(workspace))
    process.send_signal(signal.SIGINT)
    code, document, printed = workspace.end(process)
    assert code == 130
    assert f"fourscore attach {document['run']}" in printed
    assert document["verdict"] == "running"
    run = document["run"]
    code, document, printed = workspace("attach", run)
    assert (code, document["verdict"]) == (0, "pass"), printed
    assert not (workspace.path / f"runs/{run}.tracking.json").exists(), "it was not to be tracked"
    finished = records.load(workspace.path, run).finished
    assert workspace("attach", run)[0] == 0
    assert records.load(workspace.path, run).finished == finished, "watching what is over changes nothing"
    for command in ("stop", "retry"):
        code, _, printed = workspace(command, run)
        assert code == 2
        assert "Succeeded; there is nothing to" in printed


@pytest.mark.slow  # two runs at once
def test_two_different_plans_of_one_problem_at_once_both_run(workspace, passed):
    pair = [workspace.start({"train.seed": str(seed)}) for seed in (41, 42)]
    results = [workspace.end(process) for process in pair]
    assert [code for code, _, _ in results] == [0, 0], results
    assert len({document["execution"] for _, document, _ in results}) == 2


@pytest.mark.slow  # two runs
def test_a_run_that_ended_while_nobody_watched_is_found_by_runs_sync(workspace, passed):
    process = workspace.start({"train.seed": "43"})
    record = wait_for(lambda: running_execution(workspace))
    process.kill()
    process.communicate()
    client = workspace.sagemaker
    wait_for(lambda: client.describe_pipeline_execution(PipelineExecutionArn=record.execution)["PipelineExecutionStatus"] == "Succeeded")  # fmt: skip
    assert workspace("runs", "--sync")[0] == 0
    assert records.load(workspace.path, record.run).status == "pass"


def test_a_run_that_was_stopped_says_so_and_is_retried(workspace, passed):
    process = workspace.start(OTHER_LABELS, "--until", "label")
    record = wait_for(lambda: running_execution(workspace))
    detached.stop(workspace.path, record.run)
    code, document, _ = workspace.end(process)
    assert (code, document["status"], statuses(document)["label"]) == (130, "interrupted", "stopped")
    assert "fourscore retry" in document["message"]
    code, document, _ = workspace("attach", record.run)
    assert (code, document["status"]) == (130, "interrupted"), "watching what was stopped says the same"
    code, document, printed = workspace("retry", record.run)
    assert (code, document["verdict"], statuses(document)["label"]) == (0, "pass", "ran"), printed


@pytest.mark.slow  # two runs
def test_an_execution_killed_in_the_middle_of_train_is_survived_by_the_same_command(tmp_path):
    workspace = Workspace(tmp_path / ".fourscore")
    process = workspace.start({"train.candidates": "[mlp]", "train.budget.epochs": "30"})
    checkpoints = workspace.path / "cloud/s3/fourscore-local/checkpoints"
    wait_for(lambda: [path for path in checkpoints.rglob("*") if path.is_file()], seconds=250)
    (pid,) = processes_of(workspace.path)
    os.kill(pid, signal.SIGKILL)
    code, _, printed = workspace.end(process)
    assert code != 0
    assert "Traceback" not in printed
    code, document, printed = workspace.run({"train.candidates": "[mlp]", "train.budget.epochs": "30"})
    assert (code, document["verdict"]) == (0, "pass"), printed
    assert statuses(document) == {
        **dict.fromkeys(("define", "ingest", "validate", "label", "split"), "cached"),
        **dict.fromkeys(("train", "evaluate", "register"), "ran"),
    }
    assert "prepare" not in workspace.steps(document["run"])


def test_a_run_whose_execution_is_forgotten_is_closed_and_says_how_it_goes_on(workspace):
    arn = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/aaaaaaaaaaaa"
    place = {"on": "sagemaker-local", "store": "s3://fourscore-local/", "execution": arn}
    stages = [StageRecord("split", "a", status="ran"), StageRecord("train", "b", status="running")]
    for run in ("attached", "synced"):
        record = RunRecord(run=run, status="running", started=records.now(), stages=stages, **place)
        records.save(workspace.path, record)
    with pytest.raises(
        FourscoreError, match="run the same command again, which continues from the last published stage"
    ):
        detached.attach(workspace.path, "attached", lambda *_: None)
    detached.refresh(workspace.path)
    for run in ("attached", "synced"):
        record = records.load(workspace.path, run)
        assert (record.status, [stage.status for stage in record.stages]) == ("error", ["ran", "failed"])


def test_two_who_start_the_same_plan_at_once_get_one_execution(workspace, passed):
    before, barrier = set(workspace.executions()), threading.Barrier(2)
    rule = {"label.rule": "benign = 1 OR benign IS NULL"}
    pair = [workspace.prepare(rule, on="sagemaker-local", until="label", name=name) for name in ("first", "second")]

    def begin(prepared):
        stages = [planned.record() for planned in prepared.plan.steps]
        record = RunRecord(prepared.run, "breast-cancer", stages=stages, status="running", started=records.now())
        barrier.wait()
        prepared.place.backend.run(prepared.plan, record, lambda *_: None)

    threads = [threading.Thread(target=begin, args=(prepared,)) for prepared in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [records.load(workspace.path, name).status for name in ("first", "second")] == ["pass", "pass"]
    (execution,) = set(workspace.executions()) - before
    assert {records.load(workspace.path, name).execution for name in ("first", "second")} == {execution}


def test_a_plan_makes_no_local_cloud(tmp_path):
    code, document, printed = Workspace(tmp_path)("plan", EXAMPLE, "--on", "sagemaker-local")
    assert code == 0, printed
    assert [job["job"] for job in document["jobs"]] == ["prepare", "train", "assess"]
    assert not (tmp_path / "cloud").exists()


def running_execution(workspace):
    """Return the record of the run that was started last, as soon as its execution is active."""
    active = [item for item in records.every(workspace.path) if item.status == "running" and item.execution]
    return next((item for item in active if item.run not in workspace.before), None)


def wait_for(look, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if listed := look():
            return listed
        time.sleep(0.1)
    raise AssertionError("it did not come")
