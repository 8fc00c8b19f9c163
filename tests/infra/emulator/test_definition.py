"""A definition is read as it was compiled; what our compiler does not write is refused by its name."""

import json
from pathlib import Path

import pytest
from emulated import condition, equals, get, join, step, verdict_of

from infra.emulator.definition import Scope, holds, parameter_values, read_steps, resolve
from infra.sagemaker.definition import all_steps
from steps.errors import InputError

GOLDEN = sorted((Path(__file__).parents[2] / "golden/sagemaker").glob("*.json"))
SCOPE = Scope({"Word": "w", "Number": 3, "Share": 0.25}, lambda step, file: {"verdict": f"{step} {file}", "score": 0.5})


def text(*steps, parameters=()):
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), "Parameters": parameters})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_definition_that_we_compile_is_read(path):
    definition = path.read_text(encoding="utf-8")
    assert list(read_steps(definition)) == [step["Name"] for step in all_steps(json.loads(definition)["Steps"])]
    values = parameter_values(definition, {"Run": "a-run"} if '"Parameters.Run"' in definition else {})
    scope = Scope(values, lambda *_: {"verdict": "pass", "reasons": ""})
    for read in read_steps(definition).values():
        assert '"Get"' not in json.dumps(resolve({**read.arguments, "Conditions": []}, scope))
        assert all(holds(item, scope) in (True, False) for item in read.arguments.get("Conditions", []))


def test_a_step_waits_for_what_it_depends_on_reads_from_and_stands_behind():
    check = condition("c", equals(verdict_of("b"), "1"), yes=[step("d", "Processing", {})])
    steps = read_steps(text(step("a", "Processing", {}), step("b", "Processing", {}, DependsOn=["a"]), check))
    waits = {name: set(read.waits_for) for name, read in steps.items()}
    assert waits == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}}
    assert steps["d"].branch == ("c", True)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (step("a", "Lambda", {}), "step a: the local cloud does not know Lambda"),
        (step("a", "Processing", {}, CacheConfig={}), "step a: the local cloud does not know CacheConfig"),
        (condition("c", no=[step("d", "Lambda", {})]), "step d: the local cloud does not know Lambda"),
    ],
)
def test_a_step_that_we_never_compile_is_refused(raw, words):
    with pytest.raises(InputError, match=words):
        read_steps(text(raw))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ({"a": [get("Parameters.Word"), {"b": get("Parameters.Number")}]}, {"a": ["w", {"b": 3}]}),
        (join("s3://", get("Parameters.Word"), "/", get("Parameters.Share")), "s3://w/0.25"),
        (join(join("a", "b"), verdict_of("assess")), "abassess verdict"),
        (verdict_of("assess", "score"), 0.5),
    ],
)
def test_a_value_is_resolved_however_deep_its_functions_stand(value, expected):
    assert resolve(value, SCOPE) == expected


@pytest.mark.parametrize(
    "value", [get("Steps.train.Status"), {"Std:Split": {}}, {"Std:JsonGet": {"S3Uri": "s3://b/x"}}]
)
def test_a_function_that_we_never_compile_is_refused(value):
    with pytest.raises(InputError, match="the local cloud does not know"):
        resolve([value], SCOPE)


def test_a_condition_holds_or_not():
    assert holds(equals(get("Parameters.Word"), "w"), SCOPE)
    assert not holds(equals(verdict_of("assess"), "rejected"), SCOPE)
    assert holds({"Type": "LessThanOrEqualTo", "LeftValue": get("Parameters.Number"), "RightValue": 3.0}, SCOPE)
    with pytest.raises(InputError, match="the condition In"):
        holds({"Type": "In"}, SCOPE)


def test_a_parameter_has_its_default_or_the_argument_in_its_type():
    declared = [
        {"Name": "Run", "Type": "String"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Dollars", "Type": "Float", "DefaultValue": 2.5},
    ]
    definition = text(parameters=declared)
    assert parameter_values(definition, {"Run": "3"}) == {"Run": "3", "Count": 1, "Dollars": 2.5}
    assert parameter_values(definition, {"Run": "r", "Count": "2", "Dollars": "3"})["Count"] == 2
    for arguments, words in (
        ({}, "Run: missing"),
        ({"Run": "r", "Rnu": "r"}, "Rnu: not declared"),
        ({"Run": "r", "Count": "x"}, "'x'"),
    ):
        with pytest.raises(InputError, match=words):
            parameter_values(definition, arguments)
