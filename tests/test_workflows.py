"""The workflows keep to themselves: least rights, no code of strangers beside them, no expression in a script, no secrets."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from templates import load

FOLDER = Path(__file__).parents[1] / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
WORKFLOWS = {path.stem: yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader) for path in FILES}  # noqa: S506 - "on" stays text
JOBS = [(name, job, body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]


def test_zizmor_finds_nothing():
    command = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--quiet", *map(str, FILES)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_workflow_runs_with_a_strangers_words_and_the_repositorys_rights(name):
    triggers = WORKFLOWS[name]["on"]
    assert not {"pull_request_target", "workflow_run", "issue_comment", "issues"} & set(triggers)
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_each_job_has_its_own_few_rights_an_end_and_a_pinned_machine(name, job, body):
    assert set(body["permissions"]) <= {"contents", "id-token", "pull-requests"}
    assert body["permissions"].get("contents", "read") == "read"
    assert int(body["timeout-minutes"]) <= 240
    assert body["runs-on"] == "ubuntu-24.04"


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_a_job_that_may_write_has_no_code_of_the_pull_request(name, job, body):
    if "write" in body["permissions"].get("pull-requests", ""):
        text = json.dumps(body["steps"])
        assert "actions/checkout" not in text
        assert not re.search(r"\b(make|python|pip|npm|bash \.ci)\b", text)


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_credentials_exist_only_behind_an_environment_and_after_everything_is_installed(name, job, body):
    steps = body["steps"]
    signed_in = [index for index, step in enumerate(steps) if "configure-aws-credentials" in step.get("uses", "")]
    assert bool(signed_in) == ("id-token" in body["permissions"]) == ("environment" in body)
    for index in signed_in:
        assert "aws-access-key-id" not in steps[index]["with"]
        assert all("make setup" not in step.get("run", "") for step in steps[index:])


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_no_expression_stands_in_a_script_and_checkouts_keep_no_token(name, job, body):
    for step in body["steps"]:
        assert "${{" not in step.get("run", ""), "values come by env, where the shell does not read them as code"
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] == "false"


def test_there_are_no_secrets():
    for path in FILES:
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_the_environments_are_those_that_the_roles_trust():
    from infra.aws import templates

    for name in ("train", "deploy"):
        assert WORKFLOWS[name]["jobs"][name]["environment"] == templates.defaults()[f"{name.capitalize()}Environment"]
    assert WORKFLOWS["train"]["on"]["push"]["branches"] == [templates.defaults()["Branch"]]


def test_credentials_last_no_longer_than_the_role_allows():
    longest = load("compute")["Resources"]["GithubTrainRole"]["Properties"]["MaxSessionDuration"]
    (step,) = (step for step in WORKFLOWS["train"]["jobs"]["train"]["steps"] if "configure-aws" in step.get("uses", ""))
    assert int(step["with"]["role-duration-seconds"]) <= longest


def commands():
    return re.findall(r"\.venv/bin/(fourscore [^\n>|]+)", "\n".join(path.read_text(encoding="utf-8") for path in FILES))


def test_the_commands_of_the_workflows_exist():
    from pipelines.__main__ import main
    from pipelines.commands.infra import infra

    names = {**main.commands, **{f"infra {name}": command for name, command in infra.commands.items()}}
    assert len(commands()) >= 4
    for line in commands():
        words = line.split()
        name = " ".join(words[1:3]) if words[1] == "infra" else words[1]
        options = {option for entry in names[name].params for option in (*entry.opts, *entry.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.skipif(shutil.which("jq") is None, reason="GitHub's machines have jq; this one has none")
def test_the_comment_holds_numbers_under_harmless_names_whatever_a_pull_request_wrote(tmp_path):
    (script,) = (
        step["run"] for step in WORKFLOWS["ci"]["jobs"]["metrics"]["steps"] if step.get("name") == "Make the table"
    )
    metrics = {
        "model/roc_auc": 0.99,
        "`| <img src=x> ![x](https://evil) @everyone": 1,
        "text": "**bold**",
        **{f"data/{n}": n for n in range(100)},
    }
    (tmp_path / "run.json").write_text(json.dumps({"metrics": metrics, "message": "<script>"}))
    command = ["bash", "-eo", "pipefail", "-c", script]
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    table = (tmp_path / "table.md").read_text()
    assert (tmp_path / "summary").read_text() == table
    assert "| `model/roc_auc` | 0.99 |" in table
    assert "| ` img srcx xhttps//evil @everyone` | 1 |" in table, "in code, where nobody is called"
    assert "bold" not in table
    assert "script" not in table
    assert len(table.splitlines()) < 70
