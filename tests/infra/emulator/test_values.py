"""Parameters, joins, property files and conditions have the values that SageMaker computes."""

import pytest

from infra.emulator.values import Scope, Unresolvable, holds, parameter_values, resolve
from steps.errors import InputError

SCOPE = Scope(
    parameters={"Word": "w", "Number": 3, "Share": 0.25},
    property_file=lambda step, file: {"verdict": "pass", "score": 0.5, "nothing": None, "step": f"{step} {file}"},
)


def join(*values, on=""):
    return {"Std:Join": {"On": on, "Values": list(values)}}


def get(name):
    return {"Get": f"Parameters.{name}"}


def json_get(path, reference="Steps.assess.PropertyFiles.file"):
    return {"Std:JsonGet": {"PropertyFile": {"Get": reference}, "Path": path}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        (get("Number"), 3),
        ({"a": [get("Word"), {"b": get("Number")}]}, {"a": ["w", {"b": 3}]}),
        (join("s3:/", get("Word"), get("Number"), on="/"), "s3://w/3"),
        (join(get("Share"), "x"), "0.25x"),
        (join(join("a", "b", on="-"), json_get("verdict")), "a-bpass"),
        (json_get("score"), 0.5),
        (json_get("step"), "assess file"),
    ],
)
def test_a_value_is_resolved_however_deep_its_functions_stand(value, expected):
    assert resolve(value, SCOPE) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (get("Wrod"), "Parameters.Wrod: the parameter is not declared; did you mean 'Word'"),
        ({"Get": "Steps.train.Status"}, "Get: 'Steps.train.Status': the local cloud knows {'Get': 'Parameters.NAME'}"),
        ({"Get": "Execution.PipelineName"}, "the local cloud knows"),
        ({"Get": ["x"]}, "the local cloud knows"),
        ({"Get": "Parameters.Word", "Other": 1}, "the local cloud knows"),
        ({"Std:Join": ["a"]}, "Std:Join: ['a']: the local cloud knows"),
        ({"Std:Split": {}}, "Std:Split: {}: the local cloud knows"),
        ({"Std:JsonGet": {"S3Uri": "s3://b/x", "Path": "x"}}, "Std:JsonGet with PropertyFile and Path"),
        (join({"a": 1}), "joins text and numbers, not {'a': 1}"),
        (json_get("x", "Steps.train.f"), "'Steps.train.f' is not Steps.STEP.PropertyFiles.NAME"),
        (json_get("other"), "the file has no 'other'"),
        (json_get("nothing"), "'nothing' is neither text nor a number"),
    ],
)
def test_a_value_that_cannot_be_resolved_is_named(value, words):
    with pytest.raises(Unresolvable) as caught:
        resolve(value, SCOPE)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        ("Equals", get("Word"), "w", True),
        ("Equals", 1, 1.0, True),
        ("Equals", json_get("verdict"), "rejected", False),
        ("LessThanOrEqualTo", get("Number"), 3.0, True),
        ("LessThanOrEqualTo", 3, 2, False),
    ],
)
def test_a_condition_holds_or_not(kind, left, right, expected):
    assert holds({"Type": kind, "LeftValue": left, "RightValue": right}, SCOPE) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"Type": "Equals", "LeftValue": "3", "RightValue": 3},
        {"Type": "LessThanOrEqualTo", "LeftValue": 1, "RightValue": "a"},
        {"Type": "In", "QueryValue": 1, "Values": [1]},
        {"Type": "Equals", "LeftValue": 1},
    ],
)
def test_a_condition_that_compares_text_with_a_number_or_is_of_another_type_is_refused(condition):
    with pytest.raises(Unresolvable):
        holds(condition, SCOPE)


def declare(kind, **more):
    return [{"Name": "P", "Type": kind, **more}]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("String", "3", "3"),
        ("Integer", "-3", -3),
        ("Float", "2.5", 2.5),
        ("Float", "3", 3.0),
    ],
)
def test_a_parameter_arrives_as_text_and_has_the_type_that_it_is_declared_with(kind, text, value):
    assert parameter_values(declare(kind), [{"Name": "P", "Value": text}]) == {"P": value}


@pytest.mark.parametrize(("kind", "text"), [("Integer", "3.0"), ("Integer", ""), ("Float", "x"), ("Float", "nan")])
def test_text_that_is_not_of_a_parameters_type_is_refused(kind, text):
    with pytest.raises(InputError, match=f"P is of type {kind}"):
        parameter_values(declare(kind), [{"Name": "P", "Value": text}])


def test_everything_that_is_wrong_with_parameters_is_reported_at_once():
    declared = [*declare("Integer"), {"Name": "Q", "Type": "String"}, {"Name": "Status", "Type": "String", "EnumValues": ["A", "B"]}]  # fmt: skip
    passed = [{"Name": "P", "Value": "x"}, {"Name": "R", "Value": "y"}, {"Name": "Status", "Value": "C"}]
    with pytest.raises(InputError) as caught:
        parameter_values(declared, passed)
    words = ("P is of type Integer, not 'x'", "Q has no default", "R is not declared", "Status is one of A, B, not 'C'")
    assert all(word in str(caught.value) for word in words)
