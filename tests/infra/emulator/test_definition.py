"""A definition is read whole, and everything that is wrong with it is said at once."""

import json

import pytest

from infra.emulator.definition import read
from steps.errors import InputError

EQUAL = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}


def job(name, arguments=None, **more):
    return {"Name": name, "Type": "Processing", "Arguments": arguments or {}, **more}


def condition(name, conditions=(EQUAL,), yes=(), no=(), **more):
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": list(conditions), "IfSteps": list(yes), "ElseSteps": list(no)},
        **more,
    }


def text(*steps, **top):
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **top})


def test_a_step_waits_for_what_it_names_what_it_refers_to_and_the_condition_that_it_stands_behind():
    found = read(
        text(
            job("a"),
            job("b", {"X": {"Get": "Steps.a.Y"}}, DependsOn=["a"]),
            condition("c", [{**EQUAL, "LeftValue": {"Get": "Steps.b.Z"}}], yes=[job("d")], DependsOn=["a"]),
        )
    )
    assert {name: set(step.waits_for) for name, step in found.steps.items()} == {
        "a": set(),
        "b": {"a"},
        "c": {"a", "b"},
        "d": {"c"},
    }
    assert found.steps["d"].branch == ("c", True)


def test_what_is_ready_is_what_waits_for_nothing_that_has_not_succeeded():
    found = read(text(job("a"), job("b", DependsOn=["a"]), job("c")))
    assert [step.name for step in found.ready({})] == ["a", "c"]
    assert [step.name for step in found.ready({"a": "Failed", "c": "Succeeded"})] == []
    assert [step.name for step in found.ready({"a": "Succeeded", "c": "Executing"})] == ["b"]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "no JSON object"),
        (text(), "wanted a list of steps"),
        (text(job("a"), Version="2019-01-01"), "wanted '2020-12-01'"),
        (text(job("a"), Paramters=[]), "did you mean 'Parameters'"),
        (text(job("a b")), "a step's Name matches"),
        (text(job("x" * 65)), "a step's Name matches"),
        (text(job("a"), job("a")), "two steps have this name"),
        (text({**job("a"), "Type": "Lambda"}), "others are not simulated"),
        (text(job("a", Dependson=["b"])), "Dependson: a Processing step has no such field"),
        (text(job("a", DependsOn=["b"])), "there is no step 'b' to wait for"),
        (text(job("a", {"X": {"Get": "Steps.b.Y"}})), "there is no step 'b' to wait for"),
        (text(job("a", {"X": {"Get": "Parameters.P"}})), "the parameter is not declared"),
        (text(job("a", DependsOn=["b"]), job("b", DependsOn=["a"])), "in a circle"),
        (text(job("a", DependsOn=["a"])), "in a circle"),
        (text(condition("c", []), job("a")), "wanted a list of conditions"),
        (text(condition("c", yes=[condition("d")])), "inside a branch of another"),
        (text(condition("c"), job("a", {"X": {"Get": "Steps.c.Outcome"}})), "a Condition step has no properties"),
        (text(job("a"), condition("c", [{**EQUAL, "LeftValue": {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.a.PropertyFiles.f"}, "Path": "x"}}}])), "declares no such property file"),
        (text({"Name": "f", "Type": "Fail", "Arguments": {"Message": "x"}}), "only argument is ErrorMessage"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "Text"}]), "a Type of String, Integer, Float, Boolean"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "3"}]), "its default is '3'"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": True}]), "its default is True"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "String"}, {"Name": "P", "Type": "String"}]), "is declared twice"),
        (text(job("a"), Parameters=[{"Name": "P", "Type": "String", "DefaultValue": "x", "EnumValues": ["y"]}]), "is none of its EnumValues"),
    ],
)  # fmt: skip
def test_a_definition_with_a_fault_is_refused(definition, words):
    with pytest.raises(InputError) as caught:
        read(definition)
    assert words in str(caught.value)


def test_all_faults_are_said_at_once():
    with pytest.raises(InputError) as caught:
        read(text(job("a", DependsOn=["x"]), job("b", {"Y": {"Get": "Parameters.P"}}, Typo=1)))
    assert len(str(caught.value).splitlines()) == 4
