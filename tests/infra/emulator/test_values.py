"""References, joins, JSON paths, conditions and parameters come to what SageMaker makes of them."""

import pytest

from infra.emulator.values import Scope, Unresolvable, holds, parameters, referenced_steps, resolve, tokens
from steps.errors import InputError

JOB = {"Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": "s3://b/x"}}], "Status": "Completed", "Seconds": 3}
SCOPE = Scope(
    parameters={"Word": "w", "Number": 3, "Share": 0.25, "Flag": True},
    execution={"PipelineName": "p", "PipelineExecutionId": "abc"},
    properties=lambda step: {"train": JOB}[step],
    property_file=lambda step, file: {"a b": [{"c": 1}], "none": None, "text": "x"},
    json_at=lambda uri: {"uri": uri},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ({"Get": "Parameters.Number"}, 3),
        ({"Get": "Execution.PipelineName"}, "p"),
        ({"Get": "Steps.train.Status"}, "Completed"),
        ({"Get": "Steps.train.Outputs['result'].S3Output.S3Uri"}, "s3://b/x"),
        ({"Get": 'Steps.train.Outputs["result"].S3Output.S3Uri'}, "s3://b/x"),
        ({"Get": "Steps.train.Outputs[0].OutputName"}, "result"),
        ({"a": [{"Get": "Parameters.Word"}, {"b": {"Get": "Parameters.Flag"}}]}, {"a": ["w", {"b": True}]}),
        (
            {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Word"}, {"Get": "Parameters.Number"}]}},
            "s3://w/3",
        ),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Share"}, {"Get": "Parameters.Flag"}]}}, "0.25true"),
        ({"Std:Join": {"Values": [{"Std:Join": {"On": "-", "Values": ["a", "b"]}}]}}, "a-b"),
        ({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.train.PropertyFiles.f"}, "Path": "['a b'][0].c"}}, 1),
        ({"Std:JsonGet": {"PropertyFile": {"Get": "Steps.train.PropertyFiles.f"}, "Path": "$.text"}}, "x"),
        ({"Std:JsonGet": {"S3Uri": {"Std:Join": {"On": "", "Values": ["s3://", "b"]}}, "Path": "uri"}}, "s3://b"),
    ],
)
def test_a_value_comes_to_what_it_refers_to(value, expected):
    assert resolve(value, SCOPE) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Get": "Parameters.Wrod"}, "did you mean 'Word'"),
        ({"Get": "Steps.train.Outputs['other']"}, "there is no 'other'"),
        ({"Get": "Steps.train.Statsu"}, "did you mean 'Status'"),
        ({"Get": "Execution.Nothing"}, "wanted Parameters.NAME"),
        ({"Get": "Nothing.x"}, "wanted Parameters.NAME"),
        ({"Get": ["x"]}, "wants the text of a reference"),
        ({"Get": "Steps.train[[x"}, "is no path"),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Steps.train.Outputs"}]}}, "joins text and numbers"),
        ({"Std:Join": ["a"]}, "wants On and Values"),
        ({"Std:JsonGet": {"Path": "x"}}, "wants PropertyFile or S3Uri"),
        (
            {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.train.f"}, "Path": "x"}},
            "wanted Steps.STEP.PropertyFiles.NAME",
        ),
        (
            {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.train.PropertyFiles.f"}, "Path": "none"}},
            "holds no text or number",
        ),
    ],
)
def test_what_comes_to_nothing_is_named(value, words):
    with pytest.raises(Unresolvable, match=words.replace("[", r"\[")):
        resolve(value, SCOPE)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Type": "Equals", "LeftValue": {"Get": "Parameters.Word"}, "RightValue": "w"}, True),
        ({"Type": "Equals", "LeftValue": 1, "RightValue": 1.0}, True),
        ({"Type": "GreaterThan", "LeftValue": 2, "RightValue": 2}, False),
        ({"Type": "GreaterThanOrEqualTo", "LeftValue": 2, "RightValue": 2}, True),
        ({"Type": "LessThan", "LeftValue": 1.5, "RightValue": 2}, True),
        ({"Type": "LessThanOrEqualTo", "LeftValue": 3, "RightValue": 2}, False),
        ({"Type": "In", "QueryValue": {"Get": "Parameters.Word"}, "Values": ["v", {"Get": "Parameters.Word"}]}, True),
        ({"Type": "Not", "Expression": {"Type": "In", "QueryValue": "w", "Values": ["w"]}}, False),
        ({"Type": "Or", "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 2}]}, False),
    ],
)
def test_a_condition_holds_or_not(condition, expected):
    assert holds(condition, SCOPE) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"Type": "Equals", "LeftValue": "3", "RightValue": 3},
        {"Type": "Equals", "LeftValue": True, "RightValue": 1},
        {"Type": "GreaterThan", "LeftValue": "a", "RightValue": 1},
        {"Type": "Equal", "LeftValue": 1, "RightValue": 1},
        {"Type": "Equals", "LeftValue": 1},
        {"Type": "Or", "Conditions": {}},
    ],
)
def test_a_condition_that_compares_text_with_numbers_or_is_none_is_refused(condition):
    with pytest.raises(Unresolvable):
        holds(condition, SCOPE)


def test_the_steps_that_a_value_refers_to_are_found_however_deep():
    value = {
        "a": [
            {
                "Std:Join": {
                    "On": "",
                    "Values": [
                        {"Get": "Steps.x.Y"},
                        {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.z.PropertyFiles.f"}, "Path": "p"}},
                    ],
                }
            }
        ]
    }
    assert referenced_steps(value) == {"x", "z"}
    assert tokens("a.b[0]['c d'].e") == ["a", "b", "0", "c d", "e"]


def declared(kind, **more):
    return [{"Name": "P", "Type": kind, **more}]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("String", "3", "3"),
        ("Integer", "-3", -3),
        ("Float", "2.5", 2.5),
        ("Float", "3", 3.0),
        ("Boolean", "true", True),
        ("Boolean", "False", False),
    ],
)
def test_a_parameter_arrives_as_text_and_has_the_type_that_it_is_declared_with(kind, text, value):
    assert parameters(declared(kind), [{"Name": "P", "Value": text}]) == {"P": value}


@pytest.mark.parametrize(
    ("kind", "text"), [("Integer", "3.0"), ("Integer", ""), ("Float", "x"), ("Float", "nan"), ("Boolean", "yes")]
)
def test_text_that_is_not_of_a_parameters_type_is_refused(kind, text):
    with pytest.raises(InputError, match=f"P is of type {kind}"):
        parameters(declared(kind), [{"Name": "P", "Value": text}])


def test_all_that_is_wrong_with_parameters_is_said_at_once():
    with pytest.raises(InputError) as caught:
        parameters(
            [*declared("Integer"), {"Name": "Q", "Type": "String"}],
            [{"Name": "P", "Value": "x"}, {"Name": "R", "Value": "y"}],
        )
    assert all(word in str(caught.value) for word in ("P is of type", "Q has no default", "R is not declared"))
