"""What SageMaker's API takes, from botocore's model: a small extract that is read without botocore

``python -m infra.sagemaker.shapes`` writes ``shapes.json`` anew from the installed botocore (the aws extra).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from infra.files import write_atomically

EXTRACT = Path(__file__).with_name("shapes.json")
ARGUMENTS = {
    "Processing": "CreateProcessingJobRequest",
    "Training": "CreateTrainingJobRequest",
    "RegisterModel": "CreateModelPackageInput",
}
"""Type of a step -> what its arguments are to the API; the pipeline itself gives the job its name."""
PROPERTIES = {
    "Processing": "DescribeProcessingJobResponse",
    "Training": "DescribeTrainingJobResponse",
    "RegisterModel": "DescribeModelPackageOutput",
}
"""Type of a step -> what others may refer to when it is done."""
OTHERS = ("StepName", "StepDisplayName", "StepDescription", "FailStepMetadata", "PipelineDefinition", "ParameterList")

_JAVA = {
    r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)": r"[\w\s.:/=+\-@]*",
    r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}": r"[\w\s.:/=+\-@]*",
    r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,256}": r"[\w\s.:/=+\-@]*",
    r"[\p{L}\p{M}\p{Z}\p{N}\p{P}]{0,1024}": r"[^\x00-\x1f\x7f-\x9f]{0,1024}",
    r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*": r"[^\x00-\x1f\x7f-\x9f]*",
    r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*": r"[\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*",
    r"arn:[\p{Alnum}\-]+:lambda:[\p{Alnum}\-]+:[0-9]{12}:function:.*": r"arn:[a-zA-Z0-9\-]+:lambda:[a-zA-Z0-9\-]+:[0-9]{12}:function:.*",
}
"""Patterns that only Java reads, and as much of them as Python's re can say: white space counts wider, marks narrower."""


def in_python(pattern: str) -> str:
    """A pattern of the model as Python's ``re`` reads it."""
    return _JAVA.get(pattern, pattern)


@cache
def shapes() -> dict[str, dict[str, Any]]:
    """Name -> type, members, limits; the names are botocore's."""
    found: dict[str, dict[str, Any]] = json.loads(EXTRACT.read_bytes())["shapes"]
    return found


def source() -> str:
    """Which botocore the extract was made from."""
    return f"botocore {json.loads(EXTRACT.read_bytes())['botocore']}"


def extract() -> dict[str, Any]:
    """The shapes that the lint needs, out of the installed botocore, without its prose."""
    import botocore
    from botocore.loaders import Loader

    model = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    waiting = [*ARGUMENTS.values(), *PROPERTIES.values(), *OTHERS]
    kept: dict[str, dict[str, Any]] = {}
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept[name] = _bare(model[name])
            waiting.extend([*kept[name].get("members", {}).values()])
            waiting.extend(kept[name][part] for part in ("member", "key", "value") if part in kept[name])
    return {"botocore": botocore.__version__, "shapes": {name: kept[name] for name in sorted(kept)}}


def _bare(shape: dict[str, Any]) -> dict[str, Any]:
    bare: dict[str, Any] = {part: shape[part] for part in ("type", "required", "min", "max", "enum") if part in shape}
    if "members" in shape:
        bare["members"] = {name: member["shape"] for name, member in shape["members"].items()}
    bare |= {part: shape[part]["shape"] for part in ("member", "key", "value") if part in shape}
    if "pattern" in shape:
        bare["pattern"] = in_python(shape["pattern"])
    return bare


def write(path: Path = EXTRACT) -> None:
    """One line a shape, so that a change of botocore's shows as a small difference."""
    made = extract()
    lines = (f" {json.dumps(name)}: {json.dumps(shape)}" for name, shape in made["shapes"].items())
    head = f'{{"botocore": {json.dumps(made["botocore"])}, "shapes": {{\n'
    write_atomically(path, head + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    write()
