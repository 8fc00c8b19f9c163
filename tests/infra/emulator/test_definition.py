"""A definition is read as it was compiled; what our compiler does not write is refused by its name."""

import json
from pathlib import Path

import pytest
from emulated import equals, get, join, verdict_of

from infra.emulator.definition import Scope, parameter_values, resolve
from infra.sagemaker.definition import all_steps
from steps.errors import InputError

GOLDEN = sorted((Path(__file__).parents[2] / "golden/sagemaker").glob("*.json"))
SCOPE = Scope({"Word": "w", "Number": 3, "Share": 0.25}, lambda step, file: {"verdict": f"{step} {file}", "score": 0.5})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_definition_that_we_compile_is_read(path):
    definition = json.loads(path.read_bytes())
    declared = [parameter["Name"] for parameter in definition["Parameters"]]
    values = parameter_values(definition, {"Run": "a-run"} if "Run" in declared else {})
    scope = Scope(values, lambda *_: {"verdict": "pass", "reasons": "", "card": "{}"})
    for compiled in all_steps(definition["Steps"]):
        arguments = resolve(compiled["Arguments"], scope)
        assert '"Get"' not in json.dumps(arguments)
        assert arguments.get("Conditions", [True]) == [True]


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
    assert resolve(equals(get("Parameters.Word"), "w"), SCOPE) is True
    assert resolve(equals(verdict_of("assess"), "rejected"), SCOPE) is False
    with pytest.raises(InputError, match="the condition In"):
        resolve({"Type": "In", "LeftValue": 1}, SCOPE)


def test_a_parameter_has_its_default_or_the_argument_in_its_type():
    declared = [
        {"Name": "Run", "Type": "String"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
    ]
    definition = {"Parameters": declared}
    assert parameter_values(definition, {"Run": "3"}) == {"Run": "3", "Count": 1}
    assert parameter_values(definition, {"Run": "r", "Count": "2"})["Count"] == 2
    for arguments, words in (
        ({}, "Run: not declared, or missing"),
        ({"Run": "r", "Rnu": "r"}, "Rnu: not declared, or missing"),
    ):
        with pytest.raises(InputError, match=words):
            parameter_values(definition, arguments)
