"""The cases of rules of behaviour come from a file or the problem, and each has a right answer."""

import shutil
from pathlib import Path

import pytest

from pipelines.problem.loading import load
from pipelines.training import TRAINING
from steps.errors import InputError

GOOD = Path(__file__).parents[2] / "wrong_inputs/good"


@pytest.fixture
def problem(tmp_path):
    shutil.copytree(GOOD, tmp_path / "p")
    return tmp_path / "p/problem.yaml"


def loaded(problem, content=None, rule="{cases: cases.csv}"):
    if content is not None:
        (problem.parent / "cases.csv").write_text(content, encoding="utf-8")
    return load(problem, {"evaluate.behaviour": f"[{rule}]"})


def test_a_file_of_cases_is_part_of_the_config_and_of_the_digest(problem):
    one, other = loaded(problem, "age,city,bought\n30,,yes\n"), loaded(problem, "age,city,bought\n31,,yes\n")
    (rule,) = one.configs(TRAINING)["evaluate"].behaviour
    assert rule.cases == ({"age": "30", "city": None, "bought": "yes"},)
    assert one.digest() != other.digest()
    assert one.configs(TRAINING)["train"] == other.configs(TRAINING)["train"]


def test_cases_may_be_written_in_the_problem(problem):
    (rule,) = loaded(problem, rule="{cases: [{age: 30, bought: 'yes'}], at_least: 0.5}").problem.evaluate.behaviour
    assert rule.cases == ({"age": 30, "bought": "yes"},)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "evaluate.behaviour.0.cases: no file"),
        ("age,bought\n", "0 cases; write 1 to 1,000"),
        ("age\n30\n", "case 1 has no 'bought', which is its right answer"),
        ("age,bought\n30,yes\n31,\n", "case 2 has no 'bought'"),
        ("age,bought\n30\n", "cases.csv:2: another number of cells than the header has"),
        ('age,bought\n30,"yes\n', "cannot be read as CSV"),
    ],
)
def test_a_file_that_holds_no_cases_is_refused(problem, content, message):
    with pytest.raises(InputError, match=r"cases") as refused:
        loaded(problem, content)
    assert message in str(refused.value)
