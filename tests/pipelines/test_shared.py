"""Two machines, one store on S3: what one ran is cached on the other, which can report it, predict with it and promote it."""

import json
import shutil
import subprocess
import sys

import cli
import numpy as np
import polars as pl
import pytest
import signed


@pytest.fixture(scope="module")
def fourscore(s3_server, database, tmp_path_factory):
    """The command line on a machine of some name, with the store of the team."""
    root = f"s3://lake/{tmp_path_factory.getbasetemp().name}/team"

    def command(machine, *arguments, store=root):
        folder = tmp_path_factory.getbasetemp() / machine
        if not folder.exists():
            cli.small_example(folder / "example")
            (folder / ".fourscore").mkdir()
            shutil.copy(database, folder / ".fourscore")
        s3_server.client().create_bucket(Bucket="lake")
        environment = s3_server.environment | ({"FOURSCORE_STORE": store} if store else {})
        return cli.fourscore(*arguments, cwd=folder, environment=environment)

    command.root = root
    command.folder = tmp_path_factory.getbasetemp()
    return command


@pytest.fixture(scope="module")
def shared(fourscore):
    """What the first machine ran, and the same on a second, empty one."""
    first, second = (fourscore(name, "run", "example/problem.yaml", "--json") for name in ("first", "second"))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    return json.loads(first.stdout), json.loads(second.stdout)


def test_the_same_run_on_another_machine_is_cached_and_comes_to_the_same(shared):
    first, second = shared
    assert {stage["status"] for stage in first["stages"]} == {"ran"}
    assert {stage["status"] for stage in second["stages"]} == {"cached"}
    for name in ("run", "verdict", "thresholds", "yardsticks", "metrics"):
        assert first[name] == second[name]
    assert second["model"]["path"].rstrip("/").endswith("/model")


def test_its_report_there_has_what_the_report_here_has(fourscore, shared):
    texts = []
    for machine in ("first", "second"):
        path = fourscore(machine, "report").stdout.strip()
        texts.append((fourscore.folder / machine / path).read_text(encoding="utf-8"))
    assert "the model kept" in texts[1]
    assert "no longer in the store" not in texts[1]
    assert abs(len(texts[0]) - len(texts[1])) < 0.1 * len(texts[0])


def test_a_report_is_written_of_what_is_cached_when_s3_is_away(fourscore, shared):
    result = fourscore("second", "show", "--json", store=None)
    assert json.loads(result.stdout)["verdict"] == "pass"


def test_the_model_that_the_other_machine_trained_answers_here(fourscore, shared):
    run = shared[0]["run"]
    rows = pl.DataFrame({name: np.linspace(0, 1, 5) for name in _inputs(fourscore, shared)})
    answers = []
    for machine in ("first", "second"):
        rows.write_csv(fourscore.folder / machine / "rows.csv")
        result = fourscore(machine, "predict", run, "rows.csv", "answers.csv")
        assert result.returncode == 0, result.stderr
        answers.append((fourscore.folder / machine / "answers.csv").read_bytes())
    assert answers[0] == answers[1]


def _inputs(fourscore, shared):
    path = fourscore.folder / "first" / shared[0]["model"]["path"] / "schema.json"
    return [entry["name"] for entry in json.loads(path.read_text())["inputs"]]


def test_tracking_there_has_the_run_too_and_it_can_be_promoted(fourscore, shared):
    run = shared[0]["run"]
    key, root = signed.key_file(fourscore.folder / "key", 1), fourscore.root
    assert fourscore("second", "approvers", "init", "--key", key, "--store", root).returncode == 0
    assert fourscore("first", "approve", run, "--key", key, "--anyway", "--reason", "good enough").returncode == 0
    result = fourscore("second", "promote", run, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["run"] == run
    for machine in ("first", "never seen before"):
        plan = fourscore(machine, "plan", "example/problem.yaml", "--set", "train.seed=1", "--json")
        stages = {stage["name"]: stage for stage in json.loads(plan.stdout)["stages"]}
        assert "champion changed" in stages["evaluate"]["reason"] or machine != "first"
        assert (fourscore.folder / machine / ".fourscore/champions/breast-cancer.json").is_file()


def test_a_change_on_another_machine_runs_only_what_it_changes(fourscore, shared):
    result = fourscore("third", "plan", "example/problem.yaml", "--set", "split.seed=3", "--json")
    statuses = {stage["name"]: stage["status"] for stage in json.loads(result.stdout)["stages"]}
    assert list(statuses.values()) == ["cached"] * 4 + ["runs"] * 4


def test_a_run_that_was_made_without_a_store_is_brought_there_when_it_is_asked_for_with_one(fourscore, shared):
    alone = fourscore("alone", "run", "example/problem.yaml", "--until", "split", "--no-tracking", "--json", store=None)
    other = f"{fourscore.root}/other/"
    requests = ("run", "example/problem.yaml", "--until", "split", "--no-tracking", "--json")
    again = fourscore("alone", *requests, "--store", other)
    keys = [[stage["key"] for stage in json.loads(result.stdout)["stages"]] for result in (alone, again)]
    assert keys[0] == keys[1]
    elsewhere = json.loads(fourscore("elsewhere", *requests, "--store", other).stdout)["stages"]
    assert [stage["status"] for stage in elsewhere] == ["cached"] * 5 + ["skipped"] * 3


def test_the_doctor_says_whether_the_store_has_what_runs_left_there(fourscore, shared):
    phrase = {entry["check"]: entry for entry in json.loads(fourscore("second", "doctor", "--json").stdout)["checks"]}
    assert phrase["store on S3"]["ok"]
    assert "has all 8 executions" in phrase["store on S3"]["found"]


@pytest.mark.parametrize(
    ("store", "code", "phrase"),
    [
        ("s3://Team/x", 2, "wanted s3://bucket/prefix/"),
        ("s3://no-such-bucket/x", 2, "NoSuchBucket"),
    ],
)
def test_a_store_that_cannot_be_is_said_in_one_line(fourscore, store, code, phrase):
    result = fourscore("wrong", "plan", "example/problem.yaml", "--store", store)
    assert result.returncode == code
    assert phrase in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_store_on_s3_nothing_of_it_is_imported(fourscore, shared):
    """A cached run of this machine alone starts in a blink; one with a store on S3 asks it for the champion."""
    code = (
        "import runpy, sys; sys.argv = ['fourscore', 'run', 'example/problem.yaml', '--no-tracking'];\n"
        "try: runpy.run_module('pipelines', run_name='__main__')\n"
        "except SystemExit: print('boto3' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=fourscore.folder / "first", capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[-1] == "False", result.stderr
