"""What the compiler makes is what the emulator takes: its own reading of the language and of the API's shapes agrees."""

from pathlib import Path

import pytest

from infra.emulator.definition import read
from infra.emulator.requests import faults_of_shape
from infra.emulator.values import Scope, parameters, resolve

GOLDEN = sorted((Path(__file__).parents[2] / "golden/sagemaker").glob("*.json"))
OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
}
ANYTHING = {"String": "text", "Integer": "1", "Float": "1.5", "Boolean": "true"}
VERDICT = {"verdict": "pass", "reasons": "none", "run": "r", "model_key": "k"}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_definition_is_read_and_its_requests_are_of_the_apis_shapes(path):
    definition = read(path.read_text(encoding="utf-8"))
    given = [
        {"Name": each["Name"], "Value": ANYTHING[each["Type"]]}
        for each in definition.parameters
        if "DefaultValue" not in each
    ]
    execution = dict.fromkeys(("PipelineName", "PipelineExecutionId", "PipelineExecutionArn", "StartDateTime"), "text")
    scope = Scope(parameters(definition.parameters, given), execution, property_file=lambda *_: VERDICT)
    for step in definition.steps.values():
        if step.type in OPERATIONS:
            request = resolve(step.arguments, scope)
            named = {} if step.type == "RegisterModel" else {f"{step.type}JobName": "job"}
            assert list(faults_of_shape(OPERATIONS[step.type], {**request, **named})) == [], step.name
