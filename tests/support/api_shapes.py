"""A compiled definition against the installed botocore's model of the API, as a property that the compiler must have."""

import re
from functools import cache
from graphlib import TopologicalSorter

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from infra.sagemaker.definition import all_steps, gets

SHAPES = {
    "Processing": ("CreateProcessingJobRequest", {"ProcessingJobName": "set-by-the-pipeline"}),
    "Training": ("CreateTrainingJobRequest", {"TrainingJobName": "set-by-the-pipeline"}),
    "RegisterModel": ("CreateModelPackageInput", {}),
}
"""Type of a step -> the request that its arguments are, and what the pipeline adds to it."""


@cache
def model():
    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def value_of(value, parameters):
    """A part of a definition as the service sends it to the API."""
    if isinstance(value, list):
        return [value_of(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Get"}:
        return parameters[value["Get"].removeprefix("Parameters.")]
    if set(value) == {"Std:Join"}:
        return value["Std:Join"]["On"].join(str(value_of(item, parameters)) for item in value["Std:Join"]["Values"])
    if set(value) == {"Std:JsonGet"}:
        return "what a job found"
    return {name: value_of(item, parameters) for name, item in value.items()}


def api_faults(definition):
    """Yield everything for which CreateProcessingJob, CreateTrainingJob or CreateModelPackage would refuse a step."""
    parameters = {
        parameter["Name"]: parameter.get("DefaultValue", "flights-0123abcd") for parameter in definition["Parameters"]
    }
    for step in all_steps(definition["Steps"]):
        if step["Type"] in SHAPES:
            name, added = SHAPES[step["Type"]]
            request, shape = value_of(step["Arguments"], parameters) | added, model().shape_for(name)
            report = ParamValidator().validate(request, shape)
            yield from (
                report.generate_report().splitlines()
                if report.has_errors()
                else text_faults(request, shape, step["Name"])
            )


def text_faults(value, shape, path):
    """Yield what botocore does not check by itself: greatest lengths and numbers, enumerations, patterns."""
    size = value if shape.type_name in ("integer", "long", "float") else len(value) if hasattr(value, "__len__") else 0
    if size > shape.metadata.get("max", size):
        yield f"{path}: {value!r} is longer or larger than {shape.metadata['max']}"
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from text_faults(item, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from text_faults(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from text_faults(name, shape.key, f"{path} (name)")
            yield from text_faults(item, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is not one of the {len(shape.enum)} values that it may have"
        if not re.fullmatch(python_pattern(shape.metadata.get("pattern", ".*")), value, re.DOTALL):
            yield f"{path}: {value!r} does not match {shape.metadata['pattern']}"


def python_pattern(pattern):
    """A pattern of the API, which is Java's, as Python reads it; ``.*`` where it cannot."""
    pattern = re.sub(r"\[\\p\{L\}\\p\{Z\}\\p\{N\}", r"[\\w\\s", pattern.replace("${1,256}", "").replace("${1,128}", ""))
    try:
        re.compile(pattern)
    except re.error:
        return ".*"
    return pattern


def check_order(definition):
    """Every step waits for steps before it, and refers to parameters and results that exist by then.

    Raises:
        AssertionError, graphlib.CycleError: the definition would be refused, or would never end.
    """
    steps = {step["Name"]: step for step in all_steps(definition["Steps"])}
    parameters = {parameter["Name"] for parameter in definition["Parameters"]}
    before = {name: set(step.get("DependsOn", ())) for name, step in steps.items()}
    for name, step in steps.items():
        for condition in (step["Arguments"].get("IfSteps", []), step["Arguments"].get("ElseSteps", [])):
            for inner in condition:
                before[inner["Name"]].add(name)
        for kind, referred, *rest in (reference.split(".") for reference in own_references(step)):
            if kind == "Parameters":
                assert referred in parameters, f"{name} refers to a parameter {referred} that is not declared"
            else:
                files = [file["PropertyFileName"] for file in steps[referred].get("PropertyFiles", ())]
                assert rest[0] == "PropertyFiles"
                assert rest[1] in files, f"{name} reads {rest[1]}, which {referred} does not write"
                before[name].add(referred)
    order = list(TopologicalSorter(before).static_order())
    assert sorted(order) == sorted(steps), "a step waits for one that does not exist"
    for name, step in steps.items():
        assert all(steps[other]["Type"] != "Condition" for other in step.get("DependsOn", ())), name


def own_references(step):
    """What a step itself refers to, without the steps in its branches."""
    arguments = {name: value for name, value in step["Arguments"].items() if name not in ("IfSteps", "ElseSteps")}
    return gets({**step, "Arguments": arguments})
