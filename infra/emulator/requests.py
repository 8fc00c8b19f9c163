"""What AWS refuses when a job or a model package is asked for: shapes, enums, patterns, roles, images, paths.

Botocore checks the types of a request; enums, patterns and lengths are in its model and checked here. What no model
says is from the Amazon SageMaker API Reference, CreateProcessingJob, CreateTrainingJob, StoppingCondition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from infra.emulator.cloud import Cloud
from infra.emulator.roles import faults_of_role
from steps.errors import InputError

IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"/[a-z0-9]+(?:[._/-][a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


class Refused(InputError):
    """SageMaker's ValidationException: everything that is wrong with a request."""


def check_processing(request: Mapping[str, Any], cloud: Cloud) -> None:
    """Raise everything for which CreateProcessingJob is refused.

    Raises:
        Refused: the request is not one that AWS takes, or not one that is simulated.
    """
    faults = list(faults_of_shape("CreateProcessingJob", request))
    if not faults:
        faults += faults_of_role(request["RoleArn"], cloud)
        faults += _faults_of_image(request["AppSpecification"]["ImageUri"], cloud)
        faults += _faults_of_processing(request)
    _refuse(faults)


def check_training(request: Mapping[str, Any], cloud: Cloud) -> None:
    """Raise everything for which CreateTrainingJob is refused; like :func:`check_processing`."""
    faults = list(faults_of_shape("CreateTrainingJob", request))
    if not faults:
        faults += faults_of_role(request["RoleArn"], cloud)
        faults += _faults_of_image(request["AlgorithmSpecification"].get("TrainingImage", ""), cloud)
        faults += _faults_of_training(request)
        faults += _faults_of_inputs(request, cloud)
    _refuse(faults)


def check_model_package(request: Mapping[str, Any]) -> None:
    """Raise everything for which CreateModelPackage is refused; like :func:`check_processing`."""
    faults = list(faults_of_shape("CreateModelPackage", request))
    if not faults and bool(request.get("ModelPackageName")) == bool(request.get("ModelPackageGroupName")):
        faults.append("one of ModelPackageGroupName (a version in a group) and ModelPackageName is wanted")
    _refuse(faults)


def _refuse(faults: list[str]) -> None:
    if faults:
        raise Refused("; ".join(faults))


@cache
def _model() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")


def faults_of_shape(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """Where the request is not of the operation's shape: fields, types, enums, patterns, lengths."""
    from botocore.validate import ParamValidator

    shape = _model().operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
    else:
        yield from _faults_of_text(request, shape, operation)


def _faults_of_text(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, each in value.items():
            yield from _faults_of_text(each, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _faults_of_length(len(value), shape, path)
        for index, each in enumerate(value):
            yield from _faults_of_text(each, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map":
        yield from _faults_of_length(len(value), shape, path)
        for name, each in value.items():
            yield from _faults_of_text(name, shape.key, f"{path} (key)")
            yield from _faults_of_text(each, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        yield from _faults_of_length(len(value), shape, path)
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is none of {', '.join(shape.enum[:12])}{' ...' if len(shape.enum) > 12 else ''}"
        pattern = shape.metadata.get("pattern")
        if pattern and not _matches(pattern, value):
            yield f"{path}: {value!r} does not match {pattern}"
    elif shape.type_name in ("integer", "long") and (most := shape.metadata.get("max")) is not None and value > most:
        yield f"{path}: {value} is more than {most}"


def _matches(pattern: str, value: str) -> bool:
    """Whether the whole value matches; a pattern that only Java can read counts as matched."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return True


def _faults_of_length(length: int, shape: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", length)
    if not least <= length <= most:
        yield f"{path}: has length {length}, wanted {least} to {most}"


def _faults_of_image(uri: str, cloud: Cloud) -> Iterator[str]:
    match = IMAGE.fullmatch(uri)
    if match is None:
        yield f"image {uri!r}: wanted ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG or ...@sha256:DIGEST"
    elif match["region"] != cloud.region:
        yield f"image {uri!r}: its registry is in {match['region']}, the job in {cloud.region}; they must be the same"


def _faults_of_processing(request: Mapping[str, Any]) -> Iterator[str]:
    if not request["AppSpecification"].get("ContainerEntrypoint"):
        yield "AppSpecification.ContainerEntrypoint: wanted; no image is here whose own entrypoint could be run"
    names: set[str] = set()
    for each in request.get("ProcessingInputs", []):
        source = each.get("S3Input", {})
        if not source.get("LocalPath", "").startswith("/opt/ml/processing/"):
            yield f"ProcessingInputs {each['InputName']}: LocalPath begins with /opt/ml/processing/"
        if source.get("S3DataType", "S3Prefix") != "S3Prefix" or source.get("S3InputMode", "File") != "File":
            yield f"ProcessingInputs {each['InputName']}: only S3Prefix in File mode is simulated"
        if source.get("S3CompressionType", "None") != "None":
            yield f"ProcessingInputs {each['InputName']}: S3CompressionType Gzip is not simulated"
        yield from _twice(each["InputName"], names)
    names = set()
    for each in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        if not each.get("S3Output", {}).get("LocalPath", "/opt/ml/processing/").startswith("/opt/ml/processing/"):
            yield f"Outputs {each['OutputName']}: LocalPath begins with /opt/ml/processing/"
        yield from _twice(each["OutputName"], names)


def _twice(name: str, names: set[str]) -> Iterator[str]:
    if name in names:
        yield f"{name}: two have this name"
    names.add(name)


def _faults_of_training(request: Mapping[str, Any]) -> Iterator[str]:
    spot = request.get("EnableManagedSpotTraining", False)
    stopping, resources = request.get("StoppingCondition", {}), request.get("ResourceConfig", {})
    most, wait = stopping.get("MaxRuntimeInSeconds", 86400), stopping.get("MaxWaitTimeInSeconds")
    if not request["AlgorithmSpecification"].get("ContainerEntrypoint"):
        yield "AlgorithmSpecification.ContainerEntrypoint: wanted; no image is here whose own entrypoint could be run"
    if spot and (wait is None or wait < most):
        yield f"StoppingCondition: managed spot training wants MaxWaitTimeInSeconds of at least MaxRuntimeInSeconds ({most})"
    if not spot and wait is not None:
        yield "StoppingCondition: MaxWaitTimeInSeconds is for managed spot training only"
    if spot and resources.get("KeepAlivePeriodInSeconds"):
        yield "ResourceConfig: a warm pool (KeepAlivePeriodInSeconds) cannot be had with managed spot training"
    if "InstanceGroups" in resources or not resources.get("InstanceType"):
        yield "ResourceConfig: InstanceType and InstanceCount are wanted; instance groups are not simulated"
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    names: set[str] = set()
    for each in request.get("InputDataConfig", []):
        source = each["DataSource"].get("S3DataSource", {})
        if source.get("S3DataType") != "S3Prefix" or each.get("InputMode", mode) == "Pipe":
            yield f"InputDataConfig {each['ChannelName']}: only S3Prefix in File or FastFile mode is simulated"
        if each.get("CompressionType", "None") != "None" or each.get("RecordWrapperType", "None") != "None":
            yield f"InputDataConfig {each['ChannelName']}: CompressionType and RecordWrapperType are not simulated"
        yield from _twice(each["ChannelName"], names)


def _faults_of_inputs(request: Mapping[str, Any], cloud: Cloud) -> Iterator[str]:
    """CreateTrainingJob looks for the data at once; CreateProcessingJob does not, and its job fails."""
    for each in request.get("InputDataConfig", []):
        uri = each["DataSource"].get("S3DataSource", {}).get("S3Uri", "")
        if uri and not cloud.any_object(uri):
            yield (
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
                f"exists in the selected region ({cloud.region}), that objects exist under that S3 prefix"
            )
