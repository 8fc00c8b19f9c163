"""Tracking is a projection of the journals: complete, exactly once, and never in the way of a run."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tracked import NAMES, content_of, open_local_store, project, promote, rows_of, sync

from infra.runs import records
from infra.runs.records import RunRecord, StageRecord
from infra.tracking import follower
from infra.tracking.mlflow_client import connect, default_uri, without_credentials
from infra.tracking.mlflow_server import serve, ui
from infra.tracking.state import TrackingStatus, read_state, state_path, write_state
from steps.errors import FourscoreError, InputError
from steps.journal import Journal

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own

REPOSITORY = Path(follower.__file__).parents[2]


@pytest.fixture
def place(workspace, database):
    """A workspace with a nasty path whose MLflow database has its tables already."""
    shutil.copy(database, workspace / "mlflow.db")
    return workspace


@pytest.fixture(scope="session")
def whole(tmp_path_factory, database, model, write_run):
    """What MLflow holds of a run that was projected undisturbed."""
    place = tmp_path_factory.mktemp("whole")
    shutil.copy(database, place / "mlflow.db")
    assert project(write_run(place, model=model, epochs=1000), default_uri(place))["status"] == "complete"
    return rows_of(place / "mlflow.db")


def start_projector(run_file, uri):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-P", "-m", "infra.track", "--follow", str(run_file), "--uri", uri]
    return subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )


def test_a_run_is_one_parent_with_a_child_for_every_step(place, model, write_run):
    state = project(write_run(place, model=model), default_uri(place))
    assert state["status"] == "complete", state["message"]
    client = connect(place, default_uri(place))
    content = {run.info.run_name: run for run in client.search_runs([state["experiment"]])}
    assert sorted(content) == [*(f"{number:02}-{name}" for number, name in enumerate(NAMES, 1)), "flights-1"]
    parent, split = content["flights-1"], content["05-split"]
    assert split.data.tags["mlflow.parentRunId"] == parent.info.run_id == state["parent"]
    assert {name: split.data.tags[name] for name in ("layer", "step", "key", "fourscore.status", "cached")} == {
        "layer": "data", "step": "split", "key": "split-flights-1", "fourscore.status": "ran", "cached": "false",
    }  # fmt: skip
    assert split.data.tags["mlflow.note.content"] == "a column is nearly the target"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["verdict"] == "pass"
    assert parent.data.params["split.by"] == "time"
    assert {name.partition("/")[0] for name in parent.data.metrics} == {"data", "framework", "model", "application"}
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


def test_metrics_keep_the_times_and_steps_of_the_journal(place, write_run):
    state = project(write_run(place), default_uri(place))
    events = [json.loads(line) for line in (place / "store/train-flights-1/journal.jsonl").read_text().splitlines()]
    output = [
        (event["time"], event["step"], event["value"]) for event in events if event.get("name") == "framework/loss"
    ]
    history = connect(place, default_uri(place)).get_metric_history(state["children"]["train"], "framework/loss")
    assert [(entry.timestamp, entry.step, entry.value) for entry in history] == output


def test_a_long_parameter_is_cut_in_the_table_and_whole_in_the_artifact(place, write_run):
    state = project(write_run(place), default_uri(place))
    client = connect(place, default_uri(place))
    assert len(client.get_run(state["children"]["ingest"]).data.params["ingest.setting"]) == 6000
    artifact = Path(client.download_artifacts(state["children"]["ingest"], "parameters.json"))
    assert json.loads(artifact.read_text())["ingest.setting"] == "ü" * 7000


@pytest.mark.parametrize(
    ("status", "expected", "verdict"),
    [
        ("pass", "FINISHED", "pass"),
        ("rejected", "FINISHED", "rejected"),
        ("error", "FAILED", "error"),
        ("interrupted", "KILLED", "error"),
        ("killed", "KILLED", "error"),
    ],
)
def test_how_a_run_ended_is_how_it_ends_in_mlflow(place, status, expected, verdict, write_run):
    state = project(write_run(place, status=status), default_uri(place))
    parent = connect(place, default_uri(place)).get_run(state["parent"])
    assert (parent.info.status, parent.data.tags["verdict"]) == (expected, verdict)
    assert status == "pass" or f"why it is {status}" in parent.data.tags["mlflow.note.content"]


def test_cached_steps_are_there_too_and_took_no_time(place, write_run):
    state = project(write_run(place, cached=NAMES[:5]), default_uri(place))
    client = connect(place, default_uri(place))
    split = client.get_run(state["children"]["split"])
    assert (split.data.tags["cached"], split.data.tags["fourscore.status"]) == ("true", "cached")
    assert split.info.end_time <= split.info.start_time + len(NAMES)
    assert client.get_run(state["parent"]).data.metrics["data/rows"] == 5


def test_a_run_projected_while_it_goes_on_is_the_same_in_the_end(place, workspace, database, tmp_path, write_run):
    """Live in one workspace, afterwards in another: MLflow holds the same of both."""
    late = tmp_path / "late"
    run_file = write_run(place)
    shutil.copytree(place, late)
    record = records.load(place, "flights-1")
    journals = {stage.name: (place / stage.journal).read_bytes() for stage in record.stages}
    projector = follower.Projector(place, "flights-1", default_uri(place), open_local_store)
    live = RunRecord(**{**record.__dict__, "status": "running", "finished": None})
    for number, stage in enumerate(record.stages):
        live.stages = [*record.stages[:number], StageRecord(stage.name, stage.key, "running", journal=stage.journal)]
        for part in (len(journals[stage.name]) // 2, len(journals[stage.name])):
            (place / stage.journal).write_bytes(journals[stage.name][:part])
            records.save(place, live)
            assert projector.advance(final=False)["status"] == "running"
    records.save(place, record)
    assert projector.advance(final=True)["status"] == "complete"
    assert project(late / run_file.relative_to(place), default_uri(late))["status"] == "complete"
    client = connect(place, default_uri(place))
    for name, child in projector.projection.children.items():
        info = client.get_run(child.run_id).info
        assert info.end_time - info.start_time == 1500, f"{name} took 1.5 seconds"
    one, other = content_of(place), content_of(late)
    for content in (one, other):
        assert content["flights-1"][3].pop("fourscore.workspace")
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


@pytest.mark.parametrize(("table", "moment"), [("runs", 1), ("runs", 7), ("logged_models", 1), ("model_versions", 1)])
def test_a_projector_killed_in_the_middle_leaves_nothing_twice(place, model, whole, table, moment, write_run):
    run_file = write_run(place, model=model, epochs=1000)
    process = start_projector(run_file, default_uri(place))
    while rows_of(place / "mlflow.db")[table] < moment and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert project(run_file, default_uri(place))["status"] == "complete"
    assert rows_of(place / "mlflow.db") == whole


def test_two_projectors_at_once_on_a_new_database_make_one_run(workspace, model, write_run):
    run_file = write_run(workspace, model=model)
    pair = [start_projector(run_file, default_uri(workspace)) for _ in range(2)]
    output = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], output
    assert read_state(workspace, "flights-1")["status"] == "complete"
    assert output == [b"", b""]
    counts = rows_of(workspace / "mlflow.db")
    assert {name: counts[name] for name in ("runs", "logged_models", "model_versions")} == {
        "runs": 9, "logged_models": 1, "model_versions": 1,
    }  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_server_that_is_away_stops_nothing_and_gets_everything_when_it_is_back(place, model, write_run):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    run_file = write_run(place, model=model)
    process = start_projector(run_file, uri)
    assert (process.communicate(timeout=60)[0], process.returncode) == (b"", 0)
    state = read_state(place, "flights-1")
    assert state["status"] == "away"
    assert "fourscore runs --sync" in state["message"]
    with pytest.raises(FourscoreError, match=r"nothing was changed.*does not answer"):
        promote(place, "flights-1", uri)
    assert sync(place, uri)["flights-1"].startswith("away")
    server_ui = ui(place, default_uri(place), port)
    assert server_ui.link == f"{uri}/?workflowType=machine_learning"
    server = subprocess.Popen(
        server_ui.argv, env=server_ui.environment, cwd=server_ui.directory, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _until_answering(uri)
        assert sync(place, uri) == {"flights-1": "complete"}
        assert sync(place, uri) == {}
        assert read_state(place, "flights-1")["model"] == {
            "name": "late flights",
            "version": "1",
            "alias": "candidate",
        }
        foreign = urllib.request.Request(uri, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign)  # noqa: S310
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _until_answering(uri):
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{uri}/health").close()  # noqa: S310
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server did not start")


FOLLOWED = """
import sys, time
from pathlib import Path
from infra.runs import records
from infra.tracking import follower
place = Path(sys.argv[1])
with records.locked(records.lock_of(place, "flights-1")):
    process = follower.follow(place, "flights-1", None)
    print(process.process.pid, flush=True)
    time.sleep(120)
"""


def test_the_projector_notices_that_the_process_of_the_run_was_killed(place, write_run):
    write_run(place)
    record = records.load(place, "flights-1")
    record.status, record.finished, record.stages[-1].status = "running", None, "running"
    records.save(place, record)
    process = subprocess.Popen(
        [sys.executable, "-c", FOLLOWED, str(place)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    _until(lambda: read_state(place, "flights-1").get("parent"))
    process.kill()
    process.communicate()
    _until(lambda: read_state(place, "flights-1")["status"] == "complete")
    assert records.load(place, "flights-1").status == "killed"
    content = content_of(place)
    assert (content["flights-1"][0], content["07-evaluate"][0]) == ("KILLED", "KILLED")


def _until(met):
    for _ in range(600):
        if met():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen")


def test_following_ends_soon_after_the_run_and_takes_the_report_along(place, model, write_run):
    run_file = write_run(place, model=model)
    process = follower.follow(place, "flights-1", None)
    (place / "reports").mkdir()
    (place / "reports" / "flights-1.html").write_text("<p>report</p>")
    process.finish()
    assert process.process.returncode == 0
    state = read_state(place, "flights-1")
    assert (state["status"], state["report"]) == ("complete", True)
    assert (place / "runs" / "flights-1.tracking.log").read_text() == ""
    paths = [entry.path for entry in connect(place, default_uri(place)).list_artifacts(state["parent"])]
    assert "report.html" in paths
    assert run_file.exists()


def test_a_plain_folder_is_no_tracking_server_and_the_message_says_what_is(place, write_run):
    state = project(write_run(place), "file:///tmp/mlruns")
    assert state["status"] == "error"
    assert "use sqlite:///FILE, http(s)://HOST:PORT or a database URI" in state["message"]


def test_a_password_in_the_uri_is_written_nowhere(place, write_run):
    uri = f"http://someone:secret@127.0.0.1:{free_port()}"
    project(write_run(place), uri)
    assert "secret" not in state_path(place, "flights-1").read_text()
    assert without_credentials(uri) == uri.replace("someone:secret@", "")


@pytest.mark.parametrize(
    "use",
    [
        sync,
        lambda place, uri: serve(place, uri, 5000, print),
        lambda place, uri: follower.load_registered(place, uri, "model"),
    ],
    ids=["sync", "ui", "predict"],
)
def test_what_is_no_uri_is_refused_by_name_without_its_password(place, use, write_run):
    write_run(place)
    with pytest.raises(InputError, match=r"'http://\[bad': .*use sqlite:///FILE, http\(s\)://HOST:PORT") as refused:
        use(place, "http://me:secret@[bad")
    assert "secret" not in str(refused.value)
    with pytest.raises(InputError, match="invalid characters") as refused:
        use(place, "http://me:secret@a\u2100b")
    assert "secret" not in str(refused.value)


class Unauthorized(BaseHTTPRequestHandler):
    """Refuses everybody and remembers their credentials."""

    def do_GET(self):
        self.server.credentials.append(self.headers["Authorization"])
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


def test_promoting_uses_the_password_of_the_problem_that_the_state_does_not_hold(place, write_run):
    server = HTTPServer(("127.0.0.1", 0), Unauthorized)
    server.credentials = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://me:secret@127.0.0.1:{server.server_port}"
    write_run(place)
    record = records.load(place, "flights-1")
    record.problem["tracking_uri"] = uri
    records.save(place, record)
    write_state(place, record, uri, TrackingStatus.AWAY)
    with pytest.raises(FourscoreError, match="nothing was changed"):
        promote(place, "flights-1", None)
    server.shutdown()
    server.server_close()
    assert set(server.credentials) == {"Basic " + base64.b64encode(b"me:secret").decode()}


def test_the_module_that_starts_the_projector_imports_nothing_heavy():
    code = "import infra.tracking.follower, sys; print([m for m in ('mlflow', 'pandas', 'torch', 'polars', 'sqlalchemy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


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
