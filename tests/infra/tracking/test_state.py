"""The state of tracking is read whatever its file holds."""

import threading

import pytest

from infra.runs import records
from infra.tracking.state import TrackingStatus, await_parent, is_complete, read_state, state_path, write_state


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "1", "{", "\udcff"])
def test_a_state_that_is_no_json_object_counts_as_none(workspace, content, write_run):
    write_run(workspace)
    state_path(workspace, "flights-1").write_text(content, errors="surrogateescape")
    assert read_state(workspace, "flights-1") == {}
    assert not is_complete(workspace, records.load(workspace, "flights-1"), None)


@pytest.mark.parametrize("status", [TrackingStatus.AWAY, TrackingStatus.ERROR])
def test_nobody_waits_for_a_run_in_mlflow_that_will_not_come(workspace, write_run, status):
    assert await_parent(workspace, "flights-1") is None, "it is not tracked"
    write_run(workspace)
    write_state(workspace, records.load(workspace, "flights-1"), "http://127.0.0.1:5000", status)
    assert await_parent(workspace, "flights-1") is None


def test_the_run_in_mlflow_is_awaited_for_a_while(workspace, write_run):
    write_run(workspace)
    state = workspace, records.load(workspace, "flights-1"), "http://127.0.0.1:5000", TrackingStatus.RUNNING
    write_state(*state)
    assert await_parent(workspace, "flights-1", patience=0.0) is None
    timer = threading.Timer(0.2, lambda: write_state(*state, parent="abc"))
    timer.start()
    assert await_parent(workspace, "flights-1") == "abc"
    timer.join()
