"""An approved model answers on this machine; the next one takes its place, or does not, and no request is lost."""

import http.client
import json
import os
import shutil
import signal
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import signed
import tracked
import yaml
from cli import fourscore
from judged import judged, key_of

from infra.deployments import state
from infra.store.local import LocalStore
from model_code.digest import directory_digest
from pipelines import deployment
from pipelines.approval import revoke
from steps.errors import FourscoreError, GateRefused, InputError

WAYS = {"host": "127.0.0.1", "port": 0, "share": 0.5, "seconds": 1.0, "shift": 0.2}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Two approved runs with models that answer alike, and one that answers otherwise."""
    place = tmp_path_factory.mktemp("deployed")
    model = tracked.write_model(place / "model")
    for run in ("one", "two"):
        other = place / run
        shutil.copytree(model, other)
        (other / "note.txt").write_text(run)
        judged(place / ".fourscore", run, model=other)
        signed.approve(place / ".fourscore", run)
    judged(place / ".fourscore", "undecided", model=model)
    yield place / ".fourscore"
    for name in state.names(place / ".fourscore"):
        deployment.destroy(place / ".fourscore", name)


@pytest.fixture(scope="module")
def live(workspace):
    return deployment.deploy(workspace, "one", "live", **WAYS)


class Load:
    """Clients that ask without a pause."""

    def __init__(self, address, schema):
        self.host = address.removeprefix("http://")
        names = [entry["name"] for entry in schema["inputs"]]
        self.body = json.dumps([dict.fromkeys(names)]).encode()
        self.answers, self.faults, self.ending = Counter(), [], threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(3)]

    def ask(self):
        client = http.client.HTTPConnection(self.host, timeout=30)
        while not self.ending.is_set():
            try:
                client.request(
                    "POST",
                    "/invocations",
                    self.body,
                    {"content-type": "application/json", "x-request-id": uuid.uuid4().hex},
                )
                response = client.getresponse()
                response.read()
                self.answers[response.status, response.headers["x-fourscore-run"]] += 1
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
                client.close()
                client = http.client.HTTPConnection(self.host, timeout=30)
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()


def schema_of(workspace):
    return json.loads((workspace.parent / "model/schema.json").read_text())


def test_a_deploy_and_a_rollback_under_load_lose_no_request(workspace, live):
    with Load(live["address"], schema_of(workspace)) as load:
        deployed = deployment.deploy(workspace, "two", "live", **WAYS)
        back = deployment.roll_back(workspace, "live")
        time.sleep(0.3)
    assert (deployed["stable"]["run"], back["stable"]["run"]) == ("two", "one")
    assert (load.faults, {status for status, _ in load.answers}) == ([], {200})
    assert {run for _, run in load.answers} == {"one", "two"}
    (document,) = deployment.every(workspace)
    assert (document["up"], document["stable"]["approved_by"], document["previous"]["run"]) == (True, ["owner"], "two")
    assert document["last_request"]


def test_what_is_not_approved_is_not_deployed(workspace, live):
    with pytest.raises(GateRefused, match="run undecided is not approved"):
        deployment.deploy(workspace, "undecided", "live", **WAYS)
    with pytest.raises(InputError, match="the model of run one answers already"):
        deployment.deploy(workspace, "one", "live", **WAYS)
    with pytest.raises(InputError, match="a name has lower-case letters"):
        deployment.deploy(workspace, "one", "../live", **WAYS)


def test_a_state_that_was_edited_serves_no_model_that_nobody_approved(workspace, live):
    """What decides is the approval, not the file that says what people want."""
    directory = state.directory_of(workspace, "live")

    def forge(before):
        return replace(before, trial=state.Version("two", key_of("undecided", "train"), ["owner"], "now"), seconds=0.5)

    target = state.change(directory, "forged", forge)
    with pytest.raises(GateRefused, match="is not approved: nobody has decided about it"):
        deployment._await(directory, target, lambda _: None)
    assert state.status(directory).stable == "one"


def test_a_server_that_is_killed_answers_again(workspace, live):
    directory = state.directory_of(workspace, "live")
    before = state.status(directory).pid
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while state.status(directory).pid == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert state.status(directory).pid != before
    assert state.status(directory).stable == "one"


def test_a_supervisor_that_is_killed_leaves_the_server_and_a_new_one_finds_it(workspace, live):
    directory = state.directory_of(workspace, "live")
    server = state.status(directory).pid
    os.kill(int((directory / "supervisor.pid").read_text()), signal.SIGKILL)
    time.sleep(0.2)
    deployment._start(directory, workspace)
    assert next(deployment.every(workspace))["up"]
    assert state.status(directory).pid == server


def test_there_is_no_way_back_to_what_was_revoked(workspace, live):
    directory = state.directory_of(workspace, "live")
    deployment.deploy(workspace, "two", "live", **WAYS | {"seconds": 0})
    deployment.roll_back(workspace, "live")
    entry = signed.approve(workspace, "two")
    revoke(LocalStore(workspace), entry.digest, "a mistake", signed.signer(1))
    with pytest.raises(FourscoreError, match="is not approved"):
        deployment.roll_back(workspace, "live")
    assert state.desired(directory).stable.run == "one"


def test_people_see_what_runs_and_what_stays(workspace, live):
    def run(*arguments):
        return fourscore(*arguments, cwd=workspace.parent)

    assert "live  serving  one" in run("deployments").stdout
    unit = run("deployments", "unit", "live").stdout
    assert "ExecStart=" in unit
    assert "infra.deployments.supervisor" in unit
    service = yaml.safe_load(run("deployments", "compose", "live").stdout)["services"]["live"]
    (volume,) = service["volumes"]
    assert (volume["read_only"], directory_digest(Path(volume["source"]))) == (
        True,
        service["environment"]["FOURSCORE_MODEL_DIGEST"],
    )
    assert "history.jsonl" in run("deployments", "destroy", "live").stdout
    assert "nothing is deployed" in run("deployments").stdout
    missing = run("deployments", "rollback", "live")
    assert (missing.returncode, "no deployment 'live'" in missing.stderr) == (2, True)
