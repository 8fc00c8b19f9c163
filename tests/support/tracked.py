"""Finished runs as a pipeline leaves them, with a tiny exported model, and what MLflow's sqlite holds of them."""

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from infra.processes import kill_session
from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.store.local import LocalStore
from infra.tracking import follower
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.registry import Registry
from pipelines.training import TRAINING
from steps import documents
from steps.evaluation.document import Estimate, Evaluation, EvaluationData, IntervalMethod, ThresholdResult
from steps.journal import Journal

NAMES = tuple(step.name for step in TRAINING)
LAYER_METRICS = {
    "ingest": {"data/rows": 5.0},
    "train": {"framework/samples_per_second": 1e5},
    "evaluate": {"model/roc_auc": 0.8, "model/roc_auc.region:north east": 0.7, "application/model_mb": 0.1},
}
SCHEMA = {
    "format": 1,
    "task": "binary-classification",
    "target": "late",
    "classes": ["no", "yes"],
    "architecture": "mlp",
    "inputs": [
        {"name": "age", "type": "integer", "kind": "numeric"},
        {"name": "price", "type": "float", "kind": "numeric"},
        {"name": "when", "type": "datetime", "kind": "datetime", "timezone": None},
        {"name": "code", "type": "category", "kind": "category", "vocabulary": ["1", "2", "3"]},
        {"name": "place", "type": "category", "kind": "category", "vocabulary": ["north", "süd 'x'"]},
    ],
    "numeric": ["age", "price", "when"],
    "category": ["code", "place"],
}


def template(directory):
    """An MLflow database with its tables made, to be copied: making them takes seconds."""
    connect(directory, default_uri(directory))
    return directory / "mlflow.db"


def write_model(directory, schema=SCHEMA):
    """A tiny model in the format that the train step publishes; every input moves its answer."""
    import torch

    class Tiny(torch.nn.Module):
        def forward(self, numeric, category):
            scale = torch.tensor([0.01, 0.1, 1e-10], dtype=torch.float64)
            sum_ = (torch.nan_to_num(numeric, nan=-3.0) * scale).sum(1) + category.sum(1).to(torch.float64) / 7
            if not schema["classes"]:
                return sum_
            chance = torch.sigmoid(sum_)
            return torch.stack([1 - chance, chance], dim=1)

    batch = torch.export.Dim("batch")
    example = (torch.zeros(4, 3, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.int64))
    program = torch.export.export(Tiny(), example, dynamic_shapes=({0: batch}, {0: batch}))
    program.example_inputs = None
    directory.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, directory / "model.pt2")
    (directory / "schema.json").write_text(json.dumps(schema))
    return directory


def write_run(
    workspace, run="flights-1", *, model=None, status="pass", smoke=False, cached=(), started=None, epochs=30, number=1
):
    """A run file with published stages and their journals; returns the path of the run file."""
    (workspace / "runs").mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        run=run,
        problem_name="late flights",
        problem_path=str(workspace / "problem.yaml"),
        problem={"name": "late flights", "question": "Will it be late?", "split": {"by": "time", "column": "when"}},
        overrides={"split.by": "time"},
        smoke=smoke,
        status=status,
        started=started or records.now(),
        finished=records.now(),
        message="" if status == "pass" else f"why it is {status}",
        number=number,
    )
    for step in TRAINING:
        name = step.name
        key = f"{name}-{run}"
        directory = workspace / "store" / key
        directory.mkdir(parents=True)
        write_journal(directory / "journal.jsonl", name, epochs, record.status)
        (directory / "manifest.json").write_text(json.dumps({"started": record.started}))
        status, seconds = ("cached", 0.0) if name in cached else ("ran", 1.5)
        stage = StageRecord(
            name,
            key,
            status,
            seconds,
            "first time",
            f"store/{key}/journal.jsonl",
            layer=step.layer,
            job=step.job,
            documents=list(step.documents),
            outputs=list(step.outputs),
            gate=step.gate,
        )
        record.stages.append(stage)
    write_evaluation(workspace / "store" / record.stage("evaluate").key / "evaluation", record.status)
    if model:
        write_registration(workspace, record, model)
    else:
        record.stages.pop()
    records.save(workspace, record)
    return records.path_of(workspace, run)


def write_journal(path, name, epochs, status):
    with Journal(path) as log:
        log.metrics(LAYER_METRICS.get(name, {}))
        if name == "train":
            for epoch in range(epochs):
                log.metric("framework/loss", 1 / (epoch + 1), epoch)
                log.metric("model/train_loss.mlp.fold1", 1 / (epoch + 1), epoch)
            log.metric("framework/cpu_utilization_percentage", 50.0, 0)
        log.parameter(f"{name}.setting", "ü" * 7000 if name == "ingest" else 3)
        log.note("done")
        if name == "split":
            log.warning("a column is nearly the target")
        if name == "evaluate":
            log.verdict(
                "rejected" if status == "rejected" else "pass", ["not good enough"] if status == "rejected" else []
            )
        log.table("counts", [{"column": "a <b>", "rows": 1}])
        log.dataset(
            "table", digest="ab" * 32, rows=5, columns=2, context="training", schema={"a": "integer", "b\u202e": "text"}
        )


def write_evaluation(directory, status):
    """What the evaluate stage publishes, with one promise."""
    met = status != "rejected"
    promise = ThresholdResult(
        metric="roc_auc", wanted="roc_auc >= 0.75 (95 % bound)", at_least=0.75, met=met, value=0.8, low=0.77 if met else 0.71,
        high=0.83, reason=None if met else "the value is 0.8 with a 95 % interval from 0.71 to 0.83",
    )  # fmt: skip
    directory.mkdir()
    documents.write(
        directory,
        Evaluation(
            task="binary-classification",
            target="late",
            classes=("no", "yes"),
            rows=100,
            verdict="pass" if met else "rejected",
            headline="roc_auc",
            metrics={"roc_auc": Estimate(value=0.8, low=promise.low, high=promise.high)},
            thresholds=(promise,),
            interval=IntervalMethod(method="bootstrap", level=0.95, resamples=9, seed=0, resampled="rows", drawn=100),
            data=EvaluationData(train_rows=400, train_digest="t" * 64, test_rows=100, test_digest="u" * 64),
        ),
    )


def write_registration(workspace, record, model):
    shutil.copytree(model, workspace / "store" / record.stage("train").key / "model")
    verdict = "pass" if record.status == "pass" else "rejected"
    request = {
        "name": "late flights",
        "verdict": verdict,
        "alias": "candidate" if verdict == "pass" and not record.smoke else None,
        "smoke": record.smoke,
        "metrics": {},
        "inputs": [],
        "outputs": [],
        "tags": {"model_digest": f"m-{record.run}", "data_digest": "d", "problem_digest": "p", "verdict": verdict},
        "description": "roc_auc 0.8 on 100 test rows",
    }
    directory = workspace / "store" / record.stage("register").key / "registration"
    directory.mkdir()
    (directory / "registration.json").write_text(json.dumps(request))
    (directory / "model_card.md").write_text("# Model card\n")


def free_port():
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def open_local_store(workspace, record):
    """The store of a run on this machine."""
    return LocalStore(workspace)


def project(run_file, uri):
    """Project a run whose results are in its workspace."""
    return follower.project(run_file, uri, open_local_store)


def sync(workspace, uri):
    """Project all runs of a workspace that holds their results."""
    return follower.sync(workspace, uri, open_local_store)


def promote(workspace, run, uri):
    """Move the registry's champion to the version of a run whose results are in its workspace."""
    registering = records.load(workspace, run).producer("registration")
    content = {"name": "", "tags": {"model_digest": ""}}
    if registering:
        request = LocalStore(workspace).directory(registering.key) / "registration/registration.json"
        content = json.loads(request.read_text())
    models, digest = Registry(workspace, uri, open_local_store), content["tags"]["model_digest"]
    version = models.version_of(run, digest)
    models.move_champion(run, content["name"], version, digest)
    return version


def rows_of(database: Path):
    """How many rows each table holds: the same after a second projection as after the first."""
    tables = ("runs", "metrics", "latest_metrics", "params", "inputs", "datasets", "logged_models", "model_versions")
    with sqlite3.connect(database) as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608
    connection.close()
    return counts


def content_of(workspace):
    """All that MLflow knows of the workspace's runs, without the ids and times that it gives itself."""
    client = connect(workspace, default_uri(workspace))
    experiment = client.get_experiment_by_name("late flights")
    content = {}
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        histories = {
            name: sorted(
                (entry.timestamp, entry.step, entry.value) for entry in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        }
        tags = {name: value.replace(run.info.run_id, "ID") for name, value in run.data.tags.items()}
        tags.pop("mlflow.parentRunId", None)
        inputs = sorted((entry.dataset.name, entry.dataset.digest) for entry in run.inputs.dataset_inputs)
        files = sorted(entry.path for entry in client.list_artifacts(run.info.run_id))
        assert run.info.run_name not in content, f"two runs are named {run.info.run_name}"
        content[run.info.run_name] = (run.info.status, histories, run.data.params, tags, inputs, files)
    return content


@contextlib.contextmanager
def serving(place, port=None):
    """MLflow as a server of its own on loopback that asks nobody to sign in, as jobs need it; its URI."""
    port = port or free_port()
    place.mkdir(parents=True, exist_ok=True)
    options = {
        "backend-store-uri": default_uri(place),
        "artifacts-destination": place,
        "host": "127.0.0.1",
        "port": port,
    }
    words = [f"--{name}={value}" for name, value in {**options, "workers": 1}.items()]
    with (place / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        kill_session(server)
