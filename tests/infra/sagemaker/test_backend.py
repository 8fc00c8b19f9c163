"""The breast-cancer example on the local cloud, by the command line: passed, rejected, broken, interrupted, run twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import containers
import pytest
import tracked

from infra.emulator import local_cloud
from infra.emulator.fault_injection import Fault, inject
from infra.emulator.jobs import Options
from infra.places import store_of
from infra.runs import records
from infra.store.local import LocalStore
from pipelines.training import TRAINING

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/breast-cancer/problem.yaml"


class There:
    """A workspace with its local cloud."""

    def __init__(self, workspace, environment=None):
        self.workspace, self.environment = workspace, environment or {}

    def start(self, command, *arguments):
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pipelines",
                command,
                *map(str, arguments),
                "--workspace",
                str(self.workspace),
                "--json",
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command, *arguments):
        """Exit code, document, and what was said besides."""
        return self.end(self.start(command, *arguments))

    def end(self, process):
        out, err = process.communicate(timeout=800)
        return process.returncode, json.loads(out), err

    def run(self, *settings):
        return self("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", *settings)

    @property
    def cloud(self):
        return local_cloud.running(self.workspace)

    def inject(self, step, **fault):
        inject(self.workspace / "cloud/faults.json", Fault(step, **fault))

    def executions(self):
        answer = self.cloud.client("sagemaker").list_pipeline_executions(PipelineName="fourscore-local-breast-cancer")
        return [each["PipelineExecutionArn"] for each in answer["PipelineExecutionSummaries"]]

    def steps(self, run):
        arn = records.load(self.workspace, run).execution
        answer = self.cloud.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=arn)
        return {each["StepName"]: each for each in answer["PipelineExecutionSteps"]}


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("there") / ".fourscore"
    local_cloud.start(workspace, options=Options(haste=1e6))
    yield There(workspace)
    local_cloud.stop(workspace)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A tracking server that jobs reach, too."""
    with tracked.serving(tmp_path_factory.mktemp("server")) as uri:
        yield uri


@pytest.fixture(scope="module")
def passed(there, server):
    """The example as it is, tracked: every other test finds its first five stages cached."""
    code, document, said = there("run", EXAMPLE, "--on", "sagemaker-local", "--tracking-uri", server)
    assert code == 0, said
    return document


def statuses(document):
    return {stage["name"]: stage["status"] for stage in document["stages"]}


def test_a_run_that_passes_leaves_a_model_package_that_waits_for_approval(there, passed):
    assert passed["verdict"] == "pass"
    assert set(statuses(passed).values()) == {"ran"}
    client = there.cloud.client("sagemaker")
    package = client.describe_model_package(ModelPackageName=passed["package"])
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    told = package["CustomerMetadataProperties"]
    assert told["run"] == passed["run"]
    assert told["verdict"] == "pass"
    tracking = json.loads((there.workspace / f"runs/{passed['run']}.tracking.json").read_text())
    assert told["mlflow_run_id"] == tracking["parent"]
    assert tracking["status"] == "complete"
    (container,) = package["InferenceSpecification"]["Containers"]
    place = container["ModelDataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://")
    bucket, _, prefix = place.partition("/")
    found = there.cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    assert {each["Key"].removeprefix(prefix) for each in found["Contents"]} >= {"model.pt2", "schema.json"}


def test_jobs_track_their_stages_below_the_one_parent(there, passed, server):
    import mlflow

    client = mlflow.MlflowClient(server, server)
    (experiment,) = client.search_experiments(filter_string="name = 'breast-cancer'")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    (parent,) = [each for each in found if "mlflow.parentRunId" not in each.data.tags]
    assert (parent.info.status, parent.data.tags["fourscore.on"]) == ("FINISHED", "sagemaker-local")
    children = [each for each in found if each.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert [each.info.run_name for each in children] == [f"{n:02}-{step.name}" for n, step in enumerate(TRAINING, 1)]
    assert {each.info.status for each in children} == {"FINISHED"}
    assert parent.data.metrics["model/roc_auc"] > 0.95
    assert len(client.get_metric_history(children[5].info.run_id, "model/train_loss")) > 1


def test_three_jobs_did_the_work_of_eight_stages(there, passed):
    steps = there.steps(passed["run"])
    assert [name for name, step in steps.items() if {"ProcessingJob", "TrainingJob"} & set(step["Metadata"])] == [
        "prepare", "train", "assess",
    ]  # fmt: skip


def test_a_second_run_is_cached_and_starts_no_job(there, passed):
    before = there.executions()
    code, document, _ = there.run()
    assert (code, document["verdict"]) == (0, "pass")
    assert there.executions() == before


def test_the_jobs_made_byte_for_byte_what_a_laptop_makes(there, passed, tmp_path):
    """The contract of all backends; tests/infra/container/test_job.py has its third part, the container without a cloud."""
    alone = There(tmp_path / ".fourscore")
    code, document, said = alone("run", EXAMPLE, "--no-tracking")
    assert code == 0, said
    assert [stage["key"] for stage in document["stages"]] == [stage["key"] for stage in passed["stages"]]
    store = store_of(there.workspace, records.load(there.workspace, passed["run"]))
    for stage, made in zip(passed["stages"], TRAINING, strict=True):
        for artifact in made.outputs:
            store.open(stage["key"], artifact)
        mine = LocalStore(alone.workspace).directory(stage["key"])
        assert containers.contents(store.directory(stage["key"])) == containers.contents(mine), stage["name"]


def test_a_laptop_run_after_it_is_cached_too(there, passed, tmp_path):
    laptop = There(tmp_path / ".fourscore", there.cloud.environment)
    code, document, said = laptop("run", EXAMPLE, "--no-tracking", "--store", passed["store"])
    assert code == 0, said
    assert set(statuses(document).values()) == {"cached"}


def test_a_threshold_that_is_not_met_ends_with_exit_code_3_and_the_fail_step_names_it(there, passed):
    code, document, _ = there.run("--set", "success.0.at_least=0.9999")
    assert (code, document["verdict"]) == (3, "rejected")
    assert "roc_auc >= 0.9999" in document["message"]
    steps = there.steps(document["run"])
    assert "roc_auc >= 0.9999" in steps["rejected"]["FailureReason"]
    assert document["package"] is None


def test_a_gate_that_refuses_stops_before_training(there, passed, tmp_path):
    shutil.copytree(EXAMPLE.parent, tmp_path / "problem")
    more = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10_000}, "severity": "critical"}
    (tmp_path / "problem/expectations.json").write_text(json.dumps({"expectations": [more]}))
    problem = tmp_path / "problem/problem.yaml"
    code, document, _ = there("run", problem, "--on", "sagemaker-local", "--no-tracking")
    assert (code, document["verdict"]) == (3, "rejected")
    assert "row count" in document["message"]
    assert (statuses(document)["validate"], statuses(document)["train"]) == ("failed", "skipped")
    assert there("run", problem, "--on", "sagemaker-local", "--no-tracking")[0] == 3, "and again, without a job"


def test_a_training_that_breaks_names_stage_and_cause_and_nothing_after_it_is_executed(there, passed):
    code, document, said = there.run("--set", "train.device=cuda")
    assert code == 2, said
    assert "stage train: train.device: device 'cuda' is not available here" in document["message"]
    assert statuses(document) | {"x": 1} == {
        **dict.fromkeys(("define", "ingest", "validate", "label", "split"), "cached"),
        "train": "failed", "evaluate": "skipped", "register": "skipped", "x": 1,
    }  # fmt: skip
    assert document["jobs"] == {
        "affordable": "Succeeded", "train": "Failed", "assess": "NotExecuted", "verdict": "NotExecuted",
        "too-expensive": "NotExecuted", "register-model": "NotExecuted", "rejected": "NotExecuted",
    }  # fmt: skip
    assert "Traceback" not in said


def test_wrong_input_that_a_job_finds_ends_with_exit_code_2(there, passed):
    code, document, said = there.run("--set", "label.rule='nonexistent > 1'")
    assert code == 2, said
    assert "job prepare failed: stage label: label.rule" in document["message"]


@pytest.mark.slow  # a run that tries twice
def test_where_there_is_no_capacity_the_next_type_is_tried(there, passed):
    there.inject("train", reason="CapacityError: Unable to provision requested ML compute capacity.")
    code, document, said = there.run("--set", "train.seed=12", "--set", "sagemaker.train.fallback=[ml.m5.2xlarge]")
    assert code == 0, said
    assert "there is no capacity for ml.m5.xlarge; trying the next type" in said
    client = there.cloud.client("sagemaker")
    job = there.steps(document["run"])["train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    assert client.describe_training_job(TrainingJobName=job)["ResourceConfig"]["InstanceType"] == "ml.m5.2xlarge"


@pytest.mark.slow  # a training that is interrupted; tests/infra/container/test_job.py has the job alone
def test_a_spot_interruption_in_the_middle_of_training_ends_bit_equal(there, passed, tmp_path):
    settings = ("--set", "train.candidates=[mlp]", "--set", "train.seed=5")
    there.inject("train")
    code, document, said = there.run(*settings, "--set", "sagemaker.train.spot=true")
    assert code == 0, said
    assert "job train: AWS took the spot instance back" in said
    job = there.steps(document["run"])["train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    told = there.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert "Interrupted" in [each["Status"] for each in told["SecondaryStatusTransitions"]]
    alone = There(tmp_path / "alone")
    code, plain, said = alone("run", EXAMPLE, "--no-tracking", *settings, "--until", "train")
    assert code == 0, said
    keys = [next(stage["key"] for stage in each["stages"] if stage["name"] == "train") for each in (document, plain)]
    assert keys[0] == keys[1]
    mine = LocalStore(alone.workspace).directory(keys[1]) / "model/model.pt2"
    there_too = there.cloud.client("s3").get_object(Bucket="fourscore-local", Key=f"store/{keys[0]}/model/model.pt2")
    assert there_too["Body"].read() == mine.read_bytes()


@pytest.mark.slow  # a whole run
def test_ctrl_c_detaches_and_attach_watches_again(there, passed):
    process = there.start("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", "--set", "train.seed=7")
    wait_for(lambda: running_execution(there))
    process.send_signal(signal.SIGINT)
    code, document, said = there.end(process)
    assert code == 130
    assert f"fourscore attach {document['run']}" in said
    assert document["verdict"] == "running"
    run = document["run"]
    code, document, said = there("attach", run)
    assert (code, document["verdict"]) == (0, "pass"), said
    assert not (there.workspace / f"runs/{run}.tracking.json").exists(), "it was not to be tracked"
    finished = records.load(there.workspace, run).finished
    assert there("attach", run)[0] == 0
    assert records.load(there.workspace, run).finished == finished, "watching what is over changes nothing"
    for command in ("stop", "retry"):
        code, document, _ = there(command, run)
        assert (code, document["verdict"]) == (2, "error")
        assert "Succeeded; there is nothing to" in document["message"]


@pytest.mark.slow  # two runs at once
def test_two_different_plans_of_one_problem_at_once_both_run(there, passed):
    pair = [
        there.start("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", "--set", f"train.seed={seed}")
        for seed in (41, 42)
    ]
    ended = [there.end(process) for process in pair]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert len({document["execution"] for _, document, _ in ended}) == 2


@pytest.mark.slow  # two runs
def test_a_run_that_ended_while_nobody_watched_is_found_by_runs_sync(there, passed):
    process = there.start("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", "--set", "train.seed=43")
    record = wait_for(lambda: running_execution(there))
    process.kill()
    process.communicate()
    client = there.cloud.client("sagemaker")
    wait_for(lambda: client.describe_pipeline_execution(PipelineExecutionArn=record.execution)["PipelineExecutionStatus"] == "Succeeded")  # fmt: skip
    assert there("runs", "--sync")[0] == 0
    assert records.load(there.workspace, record.run).status == "pass"


def test_stop_and_retry(there, passed):
    process = there.start("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking", "--set", "train.seed=8")
    record = wait_for(lambda: running_execution(there))
    assert there("stop", record.run)[0] == 0
    code, document, _ = there.end(process)
    assert (code, document["status"]) == (130, "interrupted")
    code, document, _ = there("attach", record.run)
    assert (code, document["status"]) == (130, "interrupted"), "watching what was stopped says the same"
    code, document, said = there("retry", record.run)
    assert (code, document["verdict"]) == (0, "pass"), said


@pytest.mark.slow  # two runs
def test_the_local_cloud_killed_in_the_middle_of_train_is_survived_by_the_same_command(tmp_path):
    there = There(tmp_path / ".fourscore")
    process = there.start("run", EXAMPLE, "--on", "sagemaker-local", "--no-tracking")
    checkpoints = there.workspace / "cloud/s3/fourscore-local/checkpoints"
    wait_for(lambda: [path for path in checkpoints.rglob("*") if path.is_file()], seconds=250)
    os.kill(there.cloud.pid, signal.SIGKILL)
    code, _, said = there.end(process)
    assert code != 0
    assert "Traceback" not in said
    code, document, said = there.run()
    try:
        assert (code, document["verdict"]) == (0, "pass"), said
        assert statuses(document) == {
            **dict.fromkeys(("define", "ingest", "validate", "label", "split"), "cached"),
            **dict.fromkeys(("train", "evaluate", "register"), "ran"),
        }
        assert "prepare" not in there.steps(document["run"])
    finally:
        local_cloud.stop(there.workspace)


def test_two_who_start_the_same_plan_at_once_get_one_execution(there, passed, tmp_path):
    before = set(there.executions())
    settings = ("--on", "sagemaker-local", "--no-tracking", "--set", "train.seed=10")
    pair = [there.start("run", EXAMPLE, *settings, "--name", name) for name in ("first", "second")]
    ended = [there.end(process) for process in pair]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert len(set(there.executions()) - before) == 1


def running_execution(there):
    return next((each for each in records.every(there.workspace) if each.status == "running" and each.execution), None)


def wait_for(look, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come")
