"""The cabinet of wrong inputs: each ends in a clear message with the right exit code, and leaves nothing half-written."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipelines.__main__ import main

CABINET = Path(__file__).with_name("wrong_inputs")
CASES = yaml.safe_load((CABINET / "cases.yaml").read_text(encoding="utf-8"))


def text(content):
    """A text, or [start, what is repeated, how often] for one that is too long to be written here."""
    return content if isinstance(content, str) else content[0] + content[1] * content[2]


def prepare(case, place):
    """The good problem with the one change of the case; returns the arguments."""
    for path in (CABINET / "good").iterdir():
        shutil.copy(path, place)
    problem = place / "problem.yaml"
    problem_text = problem.read_text(encoding="utf-8")
    for old, new in case.get("replace", ()):
        assert old in problem_text, f"the cabinet's case {case['name']!r} replaces what is not there: {old!r}"
        problem_text = problem_text.replace(old, text(new))
    problem.write_text(case.get("problem", problem_text), encoding="utf-8")
    if "suite" in case:
        (place / "expectations.json").write_text(text(case["suite"]), encoding="utf-8")
    if "arguments" in case:
        return case["arguments"]
    arguments = ["run", "problem.yaml", "--no-tracking"]
    if case.get("until", "split"):
        arguments += ["--until", "split"]
    if "data" in case:
        if (CABINET / "data" / case["data"]).is_file():
            shutil.copy(CABINET / "data" / case["data"], place)
        problem_text = problem.read_text(encoding="utf-8").replace(
            "path: people.csv", f"path: {json.dumps(case['data'])}"
        )
        problem.write_text(problem_text, encoding="utf-8")
    return arguments


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_wrong_input_ends_in_a_clear_message(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = prepare(case, tmp_path)
    result = CliRunner().invoke(main, arguments)
    report = f"{case['name']}: exit {result.exit_code}\n{result.output}"
    assert result.exit_code == case["exit"], report + (f"\n{result.exception!r}" if result.exception else "")
    assert "Traceback" not in result.output, report
    for word in case.get("says", ()):
        assert word in result.output, f"{report}\n(does not say {word!r})"
    assert not (tmp_path / "ran").exists(), "a command of the input was run"
    assert not list(tmp_path.glob(".fourscore/working/*")), "something half-written was left behind"


def test_the_cabinet_has_at_least_sixty_cases_and_uses_every_file_in_it():
    assert len(CASES) >= 60
    files = {case.get("data") for case in CASES}
    assert {path.name for path in (CABINET / "data").iterdir()} <= files
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_case_of_the_cabinet_can_fail(case):
    """One exit code, and of whatever is refused a word that the message must have and no other message would."""
    assert case["exit"] in (0, 2, 3)
    words = case.get("says", [])
    assert all(isinstance(word, str) and len(word) > 1 for word in words)
    assert words or case["exit"] == 0


def test_with_json_an_error_is_one_document_on_standard_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [*prepare({"name": "", "data": "age_not_integer.csv"}, tmp_path), "--json"]
    result = CliRunner().invoke(main, arguments)
    document = json.loads(result.stdout)
    assert result.exit_code == 2
    assert document["verdict"] == "error"
    assert "forty" in result.stderr


def test_a_workspace_that_cannot_be_written_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = prepare({"name": ""}, tmp_path)
    (tmp_path / "file").write_text("in the way")
    result = CliRunner().invoke(main, [*arguments, "--workspace", "file/inside"])
    assert result.exit_code == 1
    assert "error: file/inside: Not a directory" in result.output
    assert "Traceback" not in result.output
