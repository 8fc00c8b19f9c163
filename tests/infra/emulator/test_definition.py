"""A definition is read whole, and everything that is wrong with it is reported at once."""

import json
from pathlib import Path

import pytest

from infra.emulator.definition import read
from steps.errors import InputError

GOLDEN = sorted((Path(__file__).parents[2] / "golden/sagemaker").glob("*.json"))
EQUAL = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}


def job(name, arguments=None, **more):
    return {"Name": name, "Type": "Processing", "Arguments": arguments or {}, **more}


def condition(name, conditions=(EQUAL,), yes=(), no=(), **more):
    arguments = {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **more}


def reads(step, file="f"):
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{file}"}, "Path": "x"}}


def text(*steps, **top):
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **top})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_definition_that_we_compile_is_read(path):
    definition = read(path.read_text(encoding="utf-8"))
    assert len(definition.parameters) == len(json.loads(path.read_text(encoding="utf-8"))["Parameters"])


def test_a_step_waits_for_what_it_depends_on_reads_from_and_stands_behind():
    writes = job("b", DependsOn=["a"], PropertyFiles=[{"PropertyFileName": "f"}])
    check = condition("c", [{**EQUAL, "LeftValue": reads("b"), "RightValue": "1"}], yes=[job("d")])
    definition = read(text(job("a"), writes, check))
    assert {name: set(step.waits_for) for name, step in definition.steps.items()} == {
        "a": set(),
        "b": {"a"},
        "c": {"b"},
        "d": {"c"},
    }
    assert definition.steps["d"].branch == ("c", True)


def test_a_step_is_ready_when_everything_that_it_waits_for_has_succeeded():
    definition = read(text(job("a"), job("b", DependsOn=["a"]), job("c")))
    assert [step.name for step in definition.ready({})] == ["a", "c"]
    assert [step.name for step in definition.ready({"a": "Failed", "c": "Succeeded"})] == []
    assert [step.name for step in definition.ready({"a": "Succeeded", "c": "Executing"})] == ["b"]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "not a JSON object"),
        (text(), "Steps: not a list of steps"),
        (text(job("a"), Version="2019-01-01"), "Version: '2019-01-01' is not '2020-12-01'"),
        (text(job("a"), Paramters=[]), "did you mean 'Parameters'"),
        (text({"Type": "Processing"}), "a step has no Name"),
        (text(job("a"), job("a")), "a: two steps have this name"),
        (text({**job("a"), "Type": "Lambda"}), "a: Type is 'Lambda'; the local cloud knows Processing, Training"),
        (text(job("a", CacheConfig={})), "a: CacheConfig: the local cloud knows no such field of a Processing step"),
        (text(job("a", DependsOn=["b"])), "a: there is no step 'b' to wait for"),
        (text(job("a", DependsOn=[{"Step": "b"}])), "DependsOn a list of names"),
        (text(job("a", {"X": {"Get": "Steps.b.Y"}})), "a: Get: 'Steps.b.Y': the local cloud knows"),
        (text(job("a", {"X": {"Get": "Parameters.P"}})), "a: Parameters.P: the parameter is not declared"),
        (text(job("a", DependsOn=["b"]), job("b", DependsOn=["a"])), "in a circle: a <- b <- a"),
        (text({"Name": "c", "Type": "Condition", "Arguments": {}}), "c: Arguments has no Conditions"),
        (text(condition("c", [{**EQUAL, "Type": "Not"}])), "c: condition {'Type': 'Not'"),
        (
            text(condition("c", yes=[condition("d")])),
            "d: the local cloud knows no condition inside a branch of another",
        ),
        (text(job("a"), job("b", {"X": reads("a")})), "b: step a declares no property file 'f'"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "Text"}]), "no Type of String, Integer, Float"),
    ],
)
def test_a_definition_with_a_fault_is_refused(definition, words):
    with pytest.raises(InputError) as caught:
        read(definition)
    assert words in str(caught.value)


def test_all_faults_are_reported_at_once():
    with pytest.raises(InputError) as caught:
        read(text(job("a", DependsOn=["x"]), job("b", {"Y": {"Get": "Parameters.P"}}, Typo=1)))
    assert len(str(caught.value).splitlines()) == 4
