"""Two versions in one server: who answers which request, and how a trial ends."""

from dataclasses import replace

import pytest

from infra.deployments import state
from infra.deployments.server import DeploymentServer, Versions
from infra.deployments.state import Desired, Version
from infra.serving.settings import Settings
from model_code.digest import directory_digest
from steps.errors import GateRefused

ONE, TWO = (Version(run, f"training-{run}", ["owner"], "2026-01-01") for run in ("one", "two"))


@pytest.fixture
def directory(tmp_path):
    first = Desired("live", 0, "127.0.0.1", 0, None, ONE, share=0.25, seconds=1000)
    state.change(tmp_path, "deploy", lambda _: first)
    return tmp_path


@pytest.fixture
def versions(directory, model):
    def check(_target, version):
        if version.run == "forged":
            raise GateRefused("nobody has decided about it")
        return model, directory_digest(model)

    return Versions(directory, check)


def try_out(directory, versions, version=TWO, **fields):
    state.change(directory, "deploy", lambda before: replace(before, trial=version, **fields))
    versions.follow()


def test_requests_are_divided_by_their_ids(directory, versions):
    try_out(directory, versions)
    ids = [f"request-{number}" for number in range(2000)]
    answers = [versions.choose(name).version.run for name in ids]
    assert answers == [versions.choose(name).version.run for name in ids]
    assert 0.22 < answers.count("two") / len(ids) < 0.28


def test_a_trial_that_fails_is_taken_back_at_once(directory, versions):
    try_out(directory, versions)
    for _ in range(100):
        versions.stable.window.answered(0.01, failed=False)
        versions.trial.window.answered(0.01, failed=True)
    versions.follow()
    assert (versions.trial, versions.stable.version, state.desired(directory).trial) == (None, ONE, None)
    assert "100 of 100 requests failed, 0 of 100 before" in versions.status().reason
    assert '"event": "trial taken back"' in (directory / "history.jsonl").read_text()


def test_a_trial_without_an_alarm_becomes_the_stable_version_and_the_one_before_stays_in_memory(directory, versions):
    before = versions.stable.model
    try_out(directory, versions, seconds=0)
    versions.follow()
    assert (versions.stable.version, state.desired(directory).stable, state.desired(directory).previous) == (
        TWO,
        TWO,
        ONE,
    )
    state.change(directory, "rollback", lambda target: replace(target, stable=ONE, previous=TWO))
    versions.follow()
    assert (versions.stable.version, versions.stable.model) == (ONE, before)


def test_what_may_not_be_loaded_changes_nothing(directory, versions):
    try_out(directory, versions, Version("forged", "x", [], "now"))
    assert (versions.stable.version, versions.trial, state.desired(directory).trial) == (ONE, None, None)
    assert versions.status().state == "refused"


def test_who_changes_a_mind_while_a_trial_ends_is_heard(directory, versions):
    try_out(directory, versions, seconds=0)
    state.change(directory, "rollback", lambda target: replace(target, trial=None))
    assert state.end_trial(directory, versions.target.number, accepted=True, reason="") is None
    versions.follow()
    assert (versions.stable.version, versions.trial) == (ONE, None)


def test_a_server_that_starts_again_goes_on_with_the_trial(directory, versions):
    try_out(directory, versions)
    again = Versions(directory, versions._check)
    assert (again.stable.version, again.trial.version) == (ONE, TWO)


def test_the_file_of_what_the_server_does_is_written_only_when_it_changes(directory, versions):
    versions.say()
    first = (directory / "status.json").stat().st_ino
    versions.say()
    assert (directory / "status.json").stat().st_ino == first
    try_out(directory, versions)
    versions.say()
    assert state.status(directory).state == "trial"


def test_what_is_served_now_names_itself(directory, versions):
    server = DeploymentServer(versions, Settings())
    assert server.model is versions.stable.model
    try_out(directory, versions, seconds=0)
    trial = versions.trial.model
    versions.follow()
    assert server.model is trial
