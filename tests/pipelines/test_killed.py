"""A run that was killed is marked, here and in MLflow, when the next one starts; what was not tracked can be later."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from cli import fourscore

from infra.runs import records
from infra.tracking.mlflow_client import connect, default_uri
from infra.tracking.state import read_state, state_path

EXAMPLES = Path(__file__).parents[2] / "examples"
LONG = ("--set", "train.folds=10", "--set", "train.budget.epochs=1000", "--set", "train.candidates=[mlp]")
DIABETES = ("run", EXAMPLES / "diabetes/problem.yaml", "--until", "ingest", "--json")


@pytest.fixture
def place(workspace, database):
    """A folder whose workspace has MLflow's tables: making them takes as long as the runs."""
    shutil.copy(database, workspace / "mlflow.db")
    return workspace.parent


def command(*arguments, python=()):
    return [sys.executable, *python, "-m", "pipelines", *map(str, arguments)]


def in_a_process(*arguments, cwd, python=()):
    return subprocess.run(
        command(*arguments, python=python), cwd=cwd, capture_output=True, text=True, check=False, timeout=280
    )


def until(met, process=None):
    for _ in range(1200):
        if met():
            return
        assert process is None or process.poll() is None
        time.sleep(0.1)
    pytest.fail("it did not happen")


def killed_in_the_middle(place, workspace, *arguments):
    """Kill -9 a run after its first stages, and whoever it started; returns the name of the run."""
    process = subprocess.Popen(
        command("run", EXAMPLES / "breast-cancer/problem.yaml", *LONG, *arguments),
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: list(workspace.glob("store/*/table")), process)
    (record,) = records.every(workspace)
    if "--no-tracking" not in arguments:
        until(lambda: read_state(workspace, record.run).get("parent"), process)
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        member.kill()
    process.wait()
    assert records.load(workspace, record.run).status == "running"
    return record.run


@pytest.mark.slow
def test_a_run_killed_in_the_middle_is_marked_when_another_starts_here_and_in_mlflow(place, workspace):
    run = killed_in_the_middle(place, workspace)
    result = fourscore(*DIABETES, cwd=place)
    assert result.returncode == 0, result.stderr
    assert f"run {run} was killed and is now marked as killed" in result.stderr
    assert records.load(workspace, run).status == "killed"
    until(lambda: read_state(workspace, run)["status"] == "complete")
    client = connect(workspace, default_uri(workspace))
    assert client.get_run(read_state(workspace, run)["parent"]).info.status == "KILLED"


def test_a_run_killed_in_the_middle_is_marked_by_one_that_tracks_nothing_and_later_projected(place, workspace):
    run = killed_in_the_middle(place, workspace, "--no-tracking")
    result = fourscore(*DIABETES, "--no-tracking", cwd=place)
    assert f"run {run} was killed and is now marked as killed" in result.stderr
    assert records.load(workspace, run).status == "killed"
    assert not state_path(workspace, run).exists()
    synced = json.loads(fourscore("runs", "--sync", "--json", cwd=place).stdout)["sync"]
    assert synced[run] == "complete"
    client = connect(workspace, default_uri(workspace))
    assert client.get_run(read_state(workspace, run)["parent"]).info.status == "KILLED"


def test_a_run_that_finished_untracked_is_projected_when_it_is_asked_for_with_tracking_and_then_answers_at_once(
    place, workspace
):
    """The third time nothing of MLflow is imported and no process is started."""
    first = fourscore(*DIABETES, "--no-tracking", cwd=place)
    run = json.loads(first.stdout)["run"]
    assert read_state(workspace, run) == {}
    fourscore(*DIABETES, "--no-tracking", cwd=place)
    assert read_state(workspace, run) == {}
    assert fourscore(*DIABETES, cwd=place).returncode == 0
    state = read_state(workspace, run)
    assert (state["status"], state["report"]) == ("complete", True)
    modified = state_path(workspace, run).stat().st_mtime_ns
    third = in_a_process(*DIABETES, cwd=place, python=("-X", "importtime"))
    assert third.returncode == 0
    assert not re.search(r"\|\s+(mlflow|torch|polars)$", third.stderr, re.MULTILINE)
    assert state_path(workspace, run).stat().st_mtime_ns == modified


@pytest.mark.slow
def test_a_run_that_rotted_before_it_was_projected_says_so_and_is_put_right_when_it_is_asked_for_again(
    place, workspace
):
    """Four commands; tests/infra/tracking/test_registry.py projects changed files of each kind without a command."""
    run = json.loads(fourscore(*DIABETES, "--no-tracking", cwd=place).stdout)["run"]
    (card,) = workspace.glob("store/*/card/card.md")
    whole = card.read_bytes()
    card.write_text("# Another card\n")
    fourscore("runs", "--sync", cwd=place)
    state = read_state(workspace, run)
    assert state["status"] == "error"
    assert "card.md differs from its manifest" in state["message"]
    assert "nothing was registered" in state["message"]
    assert fourscore(*DIABETES, cwd=place).returncode == 0
    assert (card.read_bytes(), read_state(workspace, run)["status"]) == (whole, "complete")
