"""A half-made, cut or rotten database of MLflow is made again, and everything that it held with it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
import tracked
from tracked import content_of

from infra.runs import records
from infra.tracking import database as own
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.state import is_complete
from pipelines import doctor


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path):
    path.write_bytes(b"no database" * 1000)


def unmake(path):
    """Tables as a process leaves them that was killed in MLflow's first migration."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '181f10493468'")


FAULTS = {"cut": (cut, "damaged"), "overwritten": (overwrite, "damaged"), "half made": (unmake, "half made")}


@pytest.fixture(scope="module")
def original(tmp_path_factory, database, write_run):
    """A workspace with a run in MLflow, to be copied."""
    place = tmp_path_factory.mktemp("original") / ".fourscore"
    place.mkdir()
    shutil.copy(database, place / "mlflow.db")
    tracked.project(write_run(place), default_uri(place))
    return place


@pytest.fixture
def quickly(database, monkeypatch):
    """New tables are copied, since to make them takes seconds."""
    migrate = own._migrate
    monkeypatch.setattr(own, "_migrate", lambda path: migrate(path) if path.exists() else shutil.copy(database, path))


def content(place):
    """What MLflow knows, but for the digest of the workspace's place."""
    runs = content_of(place)
    for run in runs.values():
        run[3].pop("fourscore.workspace", None)
    return runs


@pytest.mark.usefixtures("quickly")
# What is overwritten is damaged as what is cut is; each makes a database.
@pytest.mark.parametrize(
    "fault", [pytest.param(f, marks=pytest.mark.slow) if f == "overwritten" else f for f in FAULTS]
)
def test_a_broken_database_is_named_by_doctor_and_made_again_from_the_journals(original, tmp_path, fault):
    damage, name = FAULTS[fault]
    place = shutil.copytree(original, tmp_path / "copy")
    path = place / "mlflow.db"
    before = content(original)  # a client of MLflow keeps the file open that it opened first
    damage(path)
    (finding,) = doctor._tracking(place)
    assert not finding["ok"]
    assert name in finding["found"]
    assert "'fourscore runs --sync' makes it again" in finding["found"]
    assert set(tracked.sync(place, None).values()) == {"complete"}
    assert content(place) == before
    assert [finding["ok"] for finding in doctor._tracking(place)] == [True]
    assert len(list(place.glob("mlflow.db.damaged-*"))) == 1, "what was there is put aside"


def test_a_run_is_not_complete_in_a_database_that_does_not_have_it(original, tmp_path):
    place = shutil.copytree(original, tmp_path / "copy")
    record = records.load(place, "flights-1")
    assert is_complete(place, record, None)
    (place / "mlflow.db").unlink()
    assert not is_complete(place, record, None)


def test_a_database_of_an_older_mlflow_is_migrated_in_a_copy(original, tmp_path, monkeypatch):
    """The older one stays until the migration of the copy has ended."""
    from mlflow.store.db import utils

    path = shutil.copytree(original, tmp_path / "copy") / "mlflow.db"
    before = path.read_bytes()
    monkeypatch.setattr(utils, "_get_latest_schema_revision", lambda: "newer")
    migrated = []
    monkeypatch.setattr(utils, "_upgrade_db", lambda engine: migrated.append(path.read_bytes()))
    own.prepare(path)
    assert (migrated, path.read_bytes()) == ([before], before)
    assert not list(path.parent.glob("*damaged*"))


@pytest.mark.usefixtures("quickly")
def test_a_process_that_is_killed_while_it_makes_the_tables_leaves_no_database(workspace):
    program = (
        "import sys; from pathlib import Path; from infra.tracking import database; database.prepare(Path(sys.argv[1]))"
    )
    path = workspace / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stderr=subprocess.DEVNULL)
    beside = path.with_name(".mlflow.db.new")
    until = time.monotonic() + 60
    while time.monotonic() < until and not (beside.exists() and beside.stat().st_size > 50_000):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert beside.exists()
    assert not path.exists()
    connect(workspace, default_uri(workspace))
    assert own.fault_of(path) is None
    assert not beside.exists()
