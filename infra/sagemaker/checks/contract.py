"""What our jobs rely on: the container's command and environment, pinned images, no secrets in sight, tags, one region

The container's side of it is ``infra.container.contract``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.sagemaker.checks.expressions import Place, Scope
from infra.sagemaker.checks.faults import Sheet, below, shown
from infra.sagemaker.checks.rules import at, check_unique, objects

ENTRYPOINT = ["python", "-m", "infra.container"]
JOBS = ("prepare", "train", "assess")
WANTED = ("PYTHONPATH", "FOURSCORE_BASE", "FOURSCORE_ROOT", "FOURSCORE_RUN")
_PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_IMAGES = ("ImageUri", "TrainingImage", "Image")
_SECRET_NAME = re.compile(r"(?i)secret|passw(or)?d|token|api_?key|access_?key|private_?key|credential")
_SECRET_VALUE = re.compile(
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_\w{30,}|\bxox[abp]-|\bsk-\w{20,}"
    r"|://[^/\s:@]+:[^/\s@]+@"
)
_REGION = re.compile(
    r"arn:aws[\w-]*:(?:kms|sagemaker|ecr|mlflow):([a-z0-9-]+):|\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com"
)


def check_contract(places: list[Place], scope: Scope) -> None:
    """Every job's container, and what all steps share."""
    for place in places:
        path = below(place.path, "Arguments")
        if place.step.get("Type") == "Processing":
            _command(at(place.arguments, "AppSpecification"), f"{path}.AppSpecification", scope)
            here = {
                each["InputName"]: at(each, "S3Input", "LocalPath")
                for _, each in objects(place.arguments.get("ProcessingInputs"))
                if isinstance(each.get("InputName"), str)
            }
            _reads(here, below(path, "ProcessingInputs"), scope)
            _environment(place.arguments.get("Environment"), here, below(path, "Environment"), scope)
        if place.step.get("Type") == "Training":
            _command(at(place.arguments, "AlgorithmSpecification"), f"{path}.AlgorithmSpecification", scope)
            here = {
                each["ChannelName"]: f"/opt/ml/input/data/{each['ChannelName']}"
                for _, each in objects(place.arguments.get("InputDataConfig"))
                if isinstance(each.get("ChannelName"), str)
            }
            _reads(here, below(path, "InputDataConfig"), scope)
            _environment(place.arguments.get("Environment"), here, below(path, "Environment"), scope)
        for part in ("Environment", "HyperParameters"):
            _secrets(place.arguments.get(part), below(path, part), scope.sheet)
        _tags(place.arguments.get("Tags"), below(path, "Tags"), scope.sheet)
    _texts(places, scope)


def _command(container: Any, path: str, scope: Scope) -> None:
    if not isinstance(container, dict):
        return
    entrypoint, arguments = container.get("ContainerEntrypoint"), container.get("ContainerArguments")
    if entrypoint != ENTRYPOINT:
        scope.sheet.error(below(path, "ContainerEntrypoint"), f"is {shown(entrypoint)}; wanted {shown(ENTRYPOINT)}")
    if arguments not in [[job] for job in JOBS]:
        wanted = " or ".join(shown([job]) for job in JOBS)
        scope.sheet.error(below(path, "ContainerArguments"), f"is {shown(arguments)}; wanted {wanted}")


def _reads(here: dict[str, Any], path: str, scope: Scope) -> None:
    for wanted in ("code", "job"):
        if wanted not in here:
            scope.sheet.error(path, f"has no {wanted!r}, which the job reads")


def _environment(given: Any, here: dict[str, Any], path: str, scope: Scope) -> None:
    environment = given if isinstance(given, dict) else {}
    for each in WANTED:
        if each not in environment:
            scope.sheet.error(below(path, each), "is missing; the job wants it")
    code = scope.plain(environment.get("PYTHONPATH"))
    if isinstance(code, str) and "code" in here and code != here["code"]:
        scope.sheet.error(below(path, "PYTHONPATH"), f"is {code!r}, and the code lies in {here['code']!r}")
    root = scope.plain(environment.get("FOURSCORE_ROOT"))
    if isinstance(root, str) and not re.fullmatch(r"s3://[^/]+/(?:.*/)?", root):
        scope.sheet.error(below(path, "FOURSCORE_ROOT"), f"is {root!r}; wanted s3://BUCKET/PREFIX/, a slash at its end")
    if isinstance(run := environment.get("FOURSCORE_RUN"), str):
        wanted = shown({"Get": "Parameters.Run"})
        scope.sheet.error(below(path, "FOURSCORE_RUN"), f"is {run!r} for every execution; wanted {wanted}")
    base = scope.plain(environment.get("FOURSCORE_BASE"))
    if isinstance(base, str) and base != "/opt/ml":
        scope.sheet.error(below(path, "FOURSCORE_BASE"), f"is {base!r}; SageMaker puts everything below /opt/ml")


def _secrets(values: Any, path: str, sheet: Sheet) -> None:
    for name, value in values.items() if isinstance(values, dict) else ():
        named = _SECRET_NAME.search(name) and value not in ("", None)
        if named or (isinstance(value, str) and _SECRET_VALUE.search(value)):
            found = "looks like a secret, which everybody who may describe the job could read"
            sheet.error(below(path, name), f"{found}; let the job's role fetch it")


def _tags(tags: Any, path: str, sheet: Sheet) -> None:
    check_unique(tags, "Key", path, sheet)
    for index, tag in objects(tags):
        key = tag.get("Key")
        if isinstance(key, str) and key.lower().startswith("aws:"):
            sheet.error(below(below(path, index), "Key"), f"is {key!r}; names that start with aws: are reserved")


def _texts(places: list[Place], scope: Scope) -> None:
    """Images are pinned; images, keys and containers are in one region, since jobs reach no other."""
    first: tuple[str, str] | None = None
    for place in places:
        for path, value in _strings(place.arguments, below(place.path, "Arguments")):
            name = path.rpartition(".")[2]
            if name in _IMAGES and not _PINNED.fullmatch(value):
                found = f"is {value!r}, which may be another image tomorrow"
                scope.sheet.warning(path, f"{found}; wanted one pinned by digest: ...@sha256:...")
            match = _REGION.search(value)
            region = match[1] or match[2] if match else value if name in ("AWS_REGION", "AWS_DEFAULT_REGION") else ""
            first = first or ((region, path) if region else None)
            if first and region and region != first[0]:
                scope.sheet.error(path, f"is in {region}, and {first[1]} in {first[0]}; wanted one region")


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string of a step's own arguments, not those of steps inside it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("IfSteps", "ElseSteps"):
                yield from _strings(inner, below(path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, below(path, index))
