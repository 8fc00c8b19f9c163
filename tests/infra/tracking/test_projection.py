"""A run in MLflow holds what its journals say, exactly once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tracked import NAMES, content_of, open_local_store, project, rows_of, sync

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.s3.folder import FolderObjects
from infra.store.local import LocalStore
from infra.store.s3 import S3Store
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.projection import Projection, is_job_active, place_for_jobs, share_place
from infra.tracking.stage_run import columnar
from infra.tracking.state import read_state
from steps.journal import Journal

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own


@pytest.fixture(scope="module")
def finished(tmp_path_factory, database, write_run):
    """A workspace with one run that is projected, and the state of the projection; only to be read."""
    place = tmp_path_factory.mktemp("finished %20ü") / ".fourscore"
    place.mkdir()
    shutil.copy(database, place / "mlflow.db")
    return place, project(write_run(place), default_uri(place))


def test_a_run_is_one_parent_with_a_child_for_every_step(place, model, write_run):
    state = project(write_run(place, model=model), default_uri(place))
    assert state["status"] == "complete", state["message"]
    client = connect(place, default_uri(place))
    content = {run.info.run_name: run for run in client.search_runs([state["experiment"]])}
    assert sorted(content) == [*(f"{number:02}-{name}" for number, name in enumerate(NAMES, 1)), "pass: flights-1"]
    parent, split = content["pass: flights-1"], content["05-split"]
    assert split.data.tags["mlflow.parentRunId"] == parent.info.run_id == state["parent"]
    assert {name: split.data.tags[name] for name in ("layer", "step", "key", "fourscore.status", "cached")} == {
        "layer": "data", "step": "split", "key": "split-flights-1", "fourscore.status": "ran", "cached": "false",
    }  # fmt: skip
    assert split.data.tags["mlflow.note.content"] == "- a column is nearly the target\n"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["verdict"] == "pass"
    assert parent.data.params["split.by"] == "time"
    assert {name.partition("/")[0] for name in parent.data.metrics} == {
        "Promised", "data", "framework", "model", "application", "system",
    }  # fmt: skip
    assert parent.data.metrics["model/roc_auc.region:north east"] == 0.7
    assert {entry.path for entry in client.list_artifacts(state["parent"])} >= {"problem.json", "model_card.md"}
    assert parent.inputs.dataset_inputs[0].dataset.digest == "ab" * 18


def test_projecting_again_writes_nothing_again(place, model, write_run):
    run_file = write_run(place, model=model)
    project(run_file, default_uri(place))
    once = rows_of(place / "mlflow.db"), content_of(place)
    state = project(run_file, default_uri(place))
    assert state["status"] == "complete"
    assert (rows_of(place / "mlflow.db"), content_of(place)) == once
    assert sync(place, None) == {}


def test_metrics_keep_the_times_and_steps_of_the_journal(finished):
    place, state = finished
    events = [json.loads(line) for line in (place / "store/train-flights-1/journal.jsonl").read_text().splitlines()]
    output = [
        (event["time"], event["step"], event["value"]) for event in events if event.get("name") == "framework/loss"
    ]
    history = connect(place, default_uri(place)).get_metric_history(state["children"]["train"], "framework/loss")
    assert [(entry.timestamp, entry.step, entry.value) for entry in history] == output


def test_the_parent_has_whole_curves_but_not_those_of_single_folds(finished):
    place, state = finished
    client = connect(place, default_uri(place))
    for name, parents in (("framework/loss", 30), ("model/train_loss.mlp.fold1", 0)):
        assert len(client.get_metric_history(state["parent"], name)) == parents
        assert len(client.get_metric_history(state["children"]["train"], name)) == 30


def test_the_load_of_the_machine_is_where_mlflow_shows_it(place, write_run):
    state = project(write_run(place), default_uri(place))
    client = connect(place, default_uri(place))
    for run in (state["parent"], state["children"]["train"]):
        assert client.get_run(run).data.metrics["system/cpu_utilization_percentage"] == 50
    cached = project(write_run(place, "again", cached=("train",)), default_uri(place))
    assert "system/cpu_utilization_percentage" not in client.get_run(cached["parent"]).data.metrics


def test_the_promised_metric_sorts_before_all_others(place, write_run):
    state = project(write_run(place), default_uri(place))
    metrics = connect(place, default_uri(place)).get_run(state["parent"]).data.metrics
    assert sorted(metrics)[:3] == ["Promised/roc_auc", "Promised/roc_auc_high", "Promised/roc_auc_low"]
    assert metrics["Promised/roc_auc"] == 0.8
    rehearsal = project(write_run(place, "small", smoke=True), default_uri(place))
    assert "Promised/roc_auc" not in connect(place, default_uri(place)).get_run(rehearsal["parent"]).data.metrics


def test_tables_are_artifacts_that_mlflow_shows_as_tables(finished):
    place, state = finished
    client, run = connect(place, default_uri(place)), state["children"]["train"]
    assert json.loads(client.get_run(run).data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "tables/counts.json", "type": "table"}
    ]
    table = json.loads(Path(client.download_artifacts(run, "tables/counts.json")).read_text())
    assert table == {"columns": ["column", "rows"], "data": [["a <b>", 1]]}
    assert columnar([{"a": 1}, {"b": 2}]) == {"columns": ["a", "b"], "data": [[1, None], [None, 2]]}


def test_datasets_have_their_columns_and_types(finished):
    place, state = finished
    (used, *_) = connect(place, default_uri(place)).get_run(state["parent"]).inputs.dataset_inputs
    assert json.loads(used.dataset.schema)["mlflow_colspec"] == [
        {"type": "long", "name": "a", "required": True},
        {"type": "string", "name": "b\u27e8U+202E\u27e9", "required": True},
    ]


def test_a_long_parameter_is_cut_in_the_table_and_whole_in_the_artifact(finished):
    place, state = finished
    client = connect(place, default_uri(place))
    assert len(client.get_run(state["children"]["ingest"]).data.params["ingest.setting"]) == 6000
    artifact = Path(client.download_artifacts(state["children"]["ingest"], "parameters.json"))
    assert json.loads(artifact.read_text())["ingest.setting"] == "ü" * 7000


@pytest.mark.parametrize(
    ("status", "expected", "verdict"),
    [
        ("rejected", "FAILED", "rejected"),
        ("interrupted", "KILLED", "error"),
        # as "rejected" and "interrupted"; each projects a run
        pytest.param("error", "FAILED", "error", marks=pytest.mark.slow),
        pytest.param("killed", "KILLED", "error", marks=pytest.mark.slow),
    ],
)
def test_how_a_run_ended_is_how_it_ends_in_mlflow(place, status, expected, verdict, write_run):
    state = project(write_run(place, status=status), default_uri(place))
    parent = connect(place, default_uri(place)).get_run(state["parent"])
    assert (parent.info.status, parent.data.tags["verdict"]) == (expected, verdict)
    assert f"why it is {status}" in parent.data.tags["mlflow.note.content"]
    assert parent.info.run_name == f"{'rejected (promise)' if status == 'rejected' else status}: flights-1"


@pytest.mark.parametrize(("stage", "status"), [("evaluate", "ran"), ("validate", "refused")])
def test_the_stage_that_said_no_has_failed_too_and_no_other(place, write_run, stage, status):
    run_file = write_run(place, status="rejected")
    record = records.load(place, "flights-1")
    record.stage(stage).status = status
    if status == "refused":
        record.stages = record.stages[: record.stages.index(record.stage(stage)) + 1]
    records.save(place, record)
    state = project(run_file, default_uri(place))
    client = connect(place, default_uri(place))
    statuses = {name: client.get_run(child).info.status for name, child in state["children"].items()}
    expected = dict.fromkeys(statuses, "FINISHED") | ({"evaluate": "FAILED"} if status == "ran" else {stage: "FAILED"})
    assert statuses == expected


def test_a_rehearsal_is_called_that_and_not_a_pass(place, write_run):
    state = project(write_run(place, smoke=True), default_uri(place))
    parent = connect(place, default_uri(place)).get_run(state["parent"])
    assert parent.data.tags["verdict"] == "rehearsal"
    assert parent.info.run_name == "rehearsal: flights-1"
    assert parent.data.tags["mlflow.note.content"].startswith("Rehearsal on a small sample")


def test_who_opens_only_mlflow_reads_the_verdict_the_numbers_and_where_the_report_is(place, model, write_run):
    state = project(write_run(place, status="rejected", model=model), default_uri(place))
    client = connect(place, default_uri(place))
    text = client.get_run(state["parent"]).data.tags["mlflow.note.content"]
    assert text.startswith("Rejected: the model did not keep its promise. ROC AUC: 0.80 (0.71 to 0.83), 100 test rows.")
    assert (
        "- NOT kept: ROC AUC at least 0.75, judged on the lower end of the 95 % interval: 0.80 (0.71 to 0.83)" in text
    )
    assert "**Data:** 400 training rows and 100 test rows, divided by time when" in text
    assert f"(#/experiments/{state['experiment']}/runs/{state['parent']}/artifacts/report.html?" in text
    (logged,) = client.search_logged_models([state["experiment"]])
    assert logged.name == "late flights-rejected"


def test_an_experiment_says_what_it_is_about_unless_a_person_did(place, write_run):
    state = project(write_run(place), default_uri(place))
    client = connect(place, default_uri(place))
    tags = client.get_experiment(state["experiment"]).tags
    assert tags["mlflow.note.content"].startswith("Will it be late?")
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    for by, expected in (("fourscore", "Too late?"), ("a person", "My own words.")):
        if by == "a person":
            client.set_experiment_tag(state["experiment"], "mlflow.note.content", expected)
        run_file = write_run(place, f"by-{by[0]}")
        record = records.load(place, run_file.stem)
        record.problem["question"] = "Too late?"
        records.save(place, record)
        project(run_file, default_uri(place))
        note = client.get_experiment(state["experiment"]).tags["mlflow.note.content"]
        assert note.startswith(expected), by


def test_text_from_data_and_people_is_no_markup_in_a_description(place, model, write_run):
    hostile = "![p](http://evil.example/x.png) <b>&</b> [a](//b) \u202eevil"
    run_file = write_run(place, model=model)
    record = records.load(place, "flights-1")
    record.problem |= {"question": hostile, "decision": hostile, "owner": hostile}
    record.message, record.overrides = f"column {hostile}\nis refused", {"label.rule": hostile}
    records.save(place, record)
    state = project(run_file, default_uri(place))
    client = connect(place, default_uri(place))
    run = client.get_run(state["parent"]).data
    (version,) = client.search_model_versions("name = 'late flights'")
    model_ = client.get_registered_model("late flights")
    experiment = client.get_experiment(state["experiment"])
    notes = {"mlflow.note.content", "fourscore.description"}
    for text, times in (
        (run.tags["mlflow.note.content"], 2),
        (version.description, 1),
        (model_.description, 3),
        (experiment.tags["mlflow.note.content"], 3),
    ):
        assert text.count("!\\[p\\](http&#58;//evil.example/x.png) &lt;b&gt;&amp;&lt;/b&gt; \\[a\\]") == times
        assert "\u202e" not in text
    assert "- is refused" in run.tags["mlflow.note.content"]
    visible = [*run.params.values(), *(value for name, value in run.tags.items() if name not in notes)]
    assert not any("\u202e" in value for value in visible)
    assert run.tags["message"].count("\u27e8U+202E\u27e9evil\nis refused") == 1


def test_cached_steps_are_there_too_and_took_no_time(place, write_run):
    state = project(write_run(place, cached=NAMES[:5]), default_uri(place))
    client = connect(place, default_uri(place))
    split = client.get_run(state["children"]["split"])
    assert (split.data.tags["cached"], split.data.tags["fourscore.status"]) == ("true", "cached")
    assert split.info.end_time <= split.info.start_time + len(NAMES)
    assert client.get_run(state["parent"]).data.metrics["data/rows"] == 5


def test_stages_start_in_their_order_though_a_manifest_knows_only_the_second(place, write_run):
    """The last events of a stage may be of a later millisecond than the whole second in which the next one started."""
    write_run(place)
    record = records.load(place, "flights-1")
    train = next(place.glob("store/train-*/manifest.json"))
    train.write_text(json.dumps({"started": "2100-01-01T00:00:00+00:00"}))
    projection = Projection(place, "flights-1", default_uri(place), open_local_store)
    projection.advance(final=True)
    client = connect(place, default_uri(place))
    starts = [client.get_run(projection.children[stage.name].run.id).info.start_time for stage in record.stages]
    assert starts == sorted(set(starts))


def test_a_run_projected_while_it_goes_on_is_the_same_in_the_end(place, workspace, database, tmp_path, write_run):
    """Live in one workspace, afterwards in another: MLflow holds the same of both."""
    late = tmp_path / "late"
    run_file = write_run(place)
    shutil.copytree(place, late)
    record = records.load(place, "flights-1")
    journals = {stage.name: (place / stage.journal).read_bytes() for stage in record.stages}
    projection = Projection(place, "flights-1", default_uri(place), open_local_store)
    live = RunRecord(**{**record.__dict__, "status": "running", "finished": None})
    for number, stage in enumerate(record.stages):
        live.stages = [*record.stages[:number], replace(stage, status="running")]
        for part in (len(journals[stage.name]) // 2, len(journals[stage.name])):
            (place / stage.journal).write_bytes(journals[stage.name][:part])
            records.save(place, live)
            assert projection.advance(final=False)["status"] == "running"
    records.save(place, record)
    assert projection.advance(final=True)["status"] == "complete"
    assert project(late / run_file.relative_to(place), default_uri(late))["status"] == "complete"
    client = connect(place, default_uri(place))
    for name, child in projection.children.items():
        info = client.get_run(child.run.id).info
        assert info.end_time - info.start_time == 1500, f"{name} took 1.5 seconds"
    one, other = content_of(place), content_of(late)
    for content in (one, other):
        assert content["pass: flights-1"][3].pop("fourscore.workspace")
    assert one == other


def test_a_stopped_run_that_is_run_again_is_still_one_run(place, write_run):
    run_file = write_run(place, status="killed")
    before = project(run_file, default_uri(place))
    record = records.load(place, "flights-1")
    record.status, record.message, record.started = "pass", "", "2099-01-01T00:00:00+00:00"
    records.save(place, record)
    assert sync(place, None) == {"flights-1": "complete"}
    after = read_state(place, "flights-1")
    assert (after["parent"], after["children"]) == (before["parent"], before["children"])
    assert connect(place, default_uri(place)).get_run(after["parent"]).info.status == "FINISHED"


def test_a_run_that_a_person_deleted_in_mlflow_stays_deleted(place, write_run):
    run_file = write_run(place)
    state = project(run_file, default_uri(place))
    connect(place, default_uri(place)).delete_run(state["parent"])
    again = project(run_file, default_uri(place))
    assert again["status"] == "trashed"
    assert "restore it" in again["message"]
    assert sync(place, None) == {}


def test_a_journal_of_a_failed_stage_is_projected_from_beside_the_run(place, write_run):
    run_file = write_run(place, status="error")
    record = records.load(place, "flights-1")
    stage = record.stages[-1]
    stage.status, stage.journal = "failed", "runs/flights-1.evaluate.journal.jsonl"
    shutil.rmtree(place / "store" / stage.key)
    with Journal(place / stage.journal) as log:
        log.metric("model/roc_auc", 0.5)
    records.save(place, record)
    project(run_file, default_uri(place))
    status, histories, *_ = content_of(place)["07-evaluate"]
    assert (status, list(histories)) == ("FAILED", ["model/roc_auc"])


@pytest.mark.parametrize(
    ("on", "uri", "shared"),
    [
        ("sagemaker", "https://mlflow.example.com", True),
        ("sagemaker", "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-tracking-server/dev", True),
        ("sagemaker-local", "http://127.0.0.1:5000", True),
        ("sagemaker", "http://127.0.0.1:5000", False),
        ("sagemaker", "https://me:secret@mlflow.example.com", False),
        ("sagemaker", "sqlite:////home/me/mlflow.db", False),
    ],
)
def test_jobs_hear_of_a_server_that_they_can_reach_and_of_no_password(tmp_path, monkeypatch, on, uri, shared):
    objects = FolderObjects("s3://bucket/", tmp_path / "s3")
    record = RunRecord("a-run", on=on, stack="dev", status="running", started=records.now())
    store = S3Store(tmp_path, "s3://bucket/", objects=objects)
    assert share_place(store, record, uri, "p1") is share_place(store, record, uri, "p1") is shared
    content = objects.get(place_for_jobs("a-run"))
    assert (content and json.loads(content)) == ({"uri": uri, "parent": "p1"} if shared else None)
    assert not share_place(LocalStore(tmp_path), record, uri, "p1")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    assert not share_place(store, record, uri, "p1"), "jobs cannot sign in"


def test_a_stage_is_left_to_its_job_until_the_job_has_ended():
    stage = StageRecord("train", "k", "running", job="train")
    record = RunRecord("a-run", status="running", started=records.now(), jobs={"train": "Executing"})
    assert is_job_active(record, stage)
    assert not is_job_active(record, replace(stage, status="cached"))
    for status in ("Succeeded", "Failed", "Stopped"):
        assert not is_job_active(replace(record, jobs={"train": status}), stage)
    assert not is_job_active(replace(record, status="interrupted"), stage)
