"""The process that follows a run: never in its way, killed and restarted without loss, ended with the run."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tracked import content_of, free_port, project, promote, rows_of, serving, sync

from infra.runs import records
from infra.tracking import follower
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.state import TrackingStatus, read_state, write_state
from steps.errors import FourscoreError

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own

REPOSITORY = Path(follower.__file__).parents[2]


@pytest.fixture(scope="session")
def whole(tmp_path_factory, database, model, write_run):
    """What MLflow holds of a run that was projected undisturbed."""
    place = tmp_path_factory.mktemp("whole")
    shutil.copy(database, place / "mlflow.db")
    assert project(write_run(place, model=model, epochs=1000), default_uri(place))["status"] == "complete"
    return rows_of(place / "mlflow.db")


def start_projector(run_file, uri):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", follower.URI: uri}
    argv = [sys.executable, "-P", "-m", "infra.track", str(run_file)]
    return subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("table", "moment"),
    [
        ("runs", 1),
        *(
            pytest.param(*later, marks=pytest.mark.slow)
            for later in (("runs", 7), ("logged_models", 1), ("model_versions", 1))
        ),
    ],
)
def test_a_projector_killed_in_the_middle_leaves_nothing_twice(place, model, whole, table, moment, write_run):
    run_file = write_run(place, model=model, epochs=1000)
    process = start_projector(run_file, default_uri(place))
    while rows_of(place / "mlflow.db")[table] < moment and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert project(run_file, default_uri(place))["status"] == "complete"
    assert rows_of(place / "mlflow.db") == whole


@pytest.mark.slow
def test_two_projectors_at_once_on_a_new_database_make_one_run(workspace, model, write_run):
    run_file = write_run(workspace, model=model)
    pair = [start_projector(run_file, default_uri(workspace)) for _ in range(2)]
    output = [process.communicate()[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], output
    assert read_state(workspace, "flights-1")["status"] == "complete"
    assert output == [b"", b""]
    counts = rows_of(workspace / "mlflow.db")
    assert {name: counts[name] for name in ("runs", "logged_models", "model_versions")} == {
        "runs": 9, "logged_models": 1, "model_versions": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_a_server_that_is_away_stops_nothing_and_gets_everything_when_it_is_back(place, model, write_run):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    run_file = write_run(place, model=model)
    process = start_projector(run_file, uri)
    assert (process.communicate()[0], process.returncode) == (b"", 0)
    state = read_state(place, "flights-1")
    assert state["status"] == "away"
    assert "fourscore runs --sync" in state["message"]
    with pytest.raises(FourscoreError, match=r"nothing was changed.*does not answer"):
        promote(place, "flights-1", uri)
    assert sync(place, uri)["flights-1"].startswith("away")
    with serving(place, port):
        assert sync(place, uri) == {"flights-1": "complete"}
        assert sync(place, uri) == {}
        assert read_state(place, "flights-1")["model"] == {
            "name": "late flights",
            "version": "1",
            "alias": "candidate",
        }
        foreign = urllib.request.Request(uri, headers={"Host": "evil.example", "Authorization": "Bearer token"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign)  # noqa: S310


FOLLOWED = """
import sys, time
from pathlib import Path
from infra.runs import records
from infra.tracking import follower
place = Path(sys.argv[1])
with records.locked(records.lock_of(place, "flights-1")):
    process = follower.follow(place, "flights-1", None)
    print(process.pid, flush=True)
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
    assert (content["killed: flights-1"][0], content["07-evaluate"][0]) == ("KILLED", "KILLED")


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
    follower.finish(process)
    assert process.returncode == 0
    state = read_state(place, "flights-1")
    assert (state["status"], state["report"]) == ("complete", True)
    assert (place / "runs" / "flights-1.tracking.log").read_text() == ""
    paths = [entry.path for entry in connect(place, default_uri(place)).list_artifacts(state["parent"])]
    assert "report.html" in paths
    assert run_file.exists()


class Unauthorized(BaseHTTPRequestHandler):
    """Refuses everybody and remembers their credentials."""

    def do_GET(self):
        self.server.credentials.append(self.headers["Authorization"])
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


def test_promoting_uses_the_password_of_the_command_line_that_no_file_holds(place, write_run):
    server = HTTPServer(("127.0.0.1", 0), Unauthorized)
    server.credentials = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://me:secret@127.0.0.1:{server.server_port}"
    write_run(place)
    record = records.load(place, "flights-1")
    write_state(place, record, uri, TrackingStatus.AWAY)
    with pytest.raises(FourscoreError, match="nothing was changed"):
        promote(place, "flights-1", uri)
    server.shutdown()
    server.server_close()
    assert set(server.credentials) == {"Basic " + base64.b64encode(b"me:secret").decode()}


def test_the_module_that_starts_the_projector_imports_nothing_heavy():
    code = "import infra.tracking.follower, sys; print([m for m in ('mlflow', 'pandas', 'torch', 'polars', 'sqlalchemy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
