"""The way of a model can be followed both ways: from a deployment to its data, and from a digest to who uses it."""

import pytest
import signed
from cli import fourscore
from judged import judged, key_of

from infra.deployments import state
from infra.deployments.state import Desired, Version
from infra.store.local import LocalStore
from pipelines.trace import trace
from steps.errors import InputError


@pytest.fixture
def workspace(tmp_path):
    place = tmp_path / ".fourscore"
    for run in ("one", "two"):
        judged(place, run)
    signed.approve(place, "one")
    version = Version("one", key_of("one", "train"), ["owner"], "2026-01-01T00:00")
    state.change(
        state.directory_of(place, "live"), "deploy", lambda _: Desired("live", 0, "127.0.0.1", 0, None, version)
    )
    return place


def test_a_deployment_leads_to_its_model_its_signers_and_its_stages(workspace):
    (way,) = trace(workspace, "live")
    assert way["run"] == "one"
    assert [decision["approver"] for decision in way["decisions"]] == ["owner"]
    assert [stage["stage"] for stage in way["stages"]] == ["define", "train", "evaluate", "register"]
    assert way["deployments"] == [{"name": "live", "role": "stable", "since": "2026-01-01T00:00"}]
    assert way["data"]["raw"] == {"raw": "digest"}
    assert trace(workspace, "one") == [way]


def test_a_digest_leads_to_the_runs_that_have_it_and_to_where_they_answer(workspace):
    model = LocalStore(workspace).look(key_of("one", "train")).files["model/model.pt2"]["sha256"]
    (way,) = trace(workspace, model[:10])
    assert (way["run"], way["where"], len(way["deployments"])) == ("one", ["train/model/model.pt2"], 1)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("nothing", "no run, deployment or digest 'nothing'"),
        ("abc", "no run, deployment"),
        ("f" * 20, "has anything with a digest"),
    ],
)
def test_what_is_unknown_is_said(workspace, subject, message):
    with pytest.raises(InputError, match=message):
        trace(workspace, subject)


def test_people_read_it_from_where_it_is_used_back_to_its_data(workspace):
    text = fourscore("trace", "live", cwd=workspace.parent).stdout
    assert text.index("deployment live (stable since") < text.index("owner approves it") < text.index("source raw")
    assert "by nobody knows whom" in text
