"""Rules that no single member shows: spot and its limits, places that collide, prefixes, machines, model packages

Sources: the API's own documentation of the members (botocore) and the SageMaker Developer Guide's "Managed Spot Training" and
"Managed Warm Pools".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from infra.sagemaker.checks.expressions import Place, Scope, is_expression
from infra.sagemaker.checks.faults import Sheet, below, shown
from infra.sagemaker.config import has_local_disk

LONGEST_TRAINING = 28 * 86400
"""Seconds."""
_ENDLESS = "is missing: the job could run for a day, and nobody could say what it may cost"


def check_rules(places: list[Place], scope: Scope) -> None:
    """Each step's own rules."""
    for place in places:
        path = below(place.path, "Arguments")
        match place.step.get("Type"):
            case "Processing":
                _processing(place.arguments, path, scope)
            case "Training":
                _training(place.arguments, path, scope)
            case "RegisterModel":
                _package(place.arguments, path, scope)


def at(value: Any, *names: str) -> Any:
    """What lies at the end of a path of members; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The items of a list that are objects, with their places."""
    items = value if isinstance(value, list) else ()
    return [(index, each) for index, each in enumerate(items) if isinstance(each, dict)]


def check_unique(items: Any, name: str, path: str, sheet: Sheet) -> None:
    """No two items of a list have the same name."""
    seen: list[Any] = []
    for index, item in objects(items):
        value = item.get(name)
        if value is not None and value in seen:
            sheet.error(below(below(path, index), name), f"{shown(value)} is named twice")
        seen.append(value)


def _processing(arguments: dict[str, Any], path: str, scope: Scope) -> None:
    _machine(at(arguments, "ProcessingResources", "ClusterConfig"), f"{path}.ProcessingResources.ClusterConfig", scope)
    if at(arguments, "StoppingCondition", "MaxRuntimeInSeconds") is None:
        scope.sheet.error(f"{path}.StoppingCondition.MaxRuntimeInSeconds", _ENDLESS)
    _isolation(at(arguments, "NetworkConfig", "EnableNetworkIsolation"), f"{path}.NetworkConfig", scope)
    taken: list[tuple[str, str]] = []
    inputs, outputs = at(arguments, "ProcessingInputs"), at(arguments, "ProcessingOutputConfig", "Outputs")
    _ends(inputs, "Input", f"{path}.ProcessingInputs", taken, scope)
    _ends(outputs, "Output", f"{path}.ProcessingOutputConfig.Outputs", taken, scope)


def _ends(listed: Any, what: str, path: str, taken: list[tuple[str, str]], scope: Scope) -> None:
    """Inputs or outputs of a processing job: named apart, somewhere in S3, each in a place of its own."""
    check_unique(listed, f"{what}Name", path, scope.sheet)
    for index, each in objects(listed):
        inside = below(below(path, index), f"S3{what}")
        s3 = each.get(f"S3{what}")
        if isinstance(s3, dict):
            _prefix(s3, "S3Uri", inside, scope, prefix=s3.get("S3DataType", "S3Prefix") == "S3Prefix")
            _local(s3.get("LocalPath"), below(inside, "LocalPath"), taken, scope)
        elif "DatasetDefinition" not in each and "FeatureStoreOutput" not in each:
            scope.sheet.error(inside, f"is missing: the {what.lower()} has no place in S3")


def _local(value: Any, path: str, taken: list[tuple[str, str]], scope: Scope) -> None:
    """Where an input or output lies in the container: below /opt/ml/processing, and apart from all others."""
    if value is None:
        scope.sheet.error(path, "is missing; say where below /opt/ml/processing/ it lies")
    plain = scope.plain(value)
    if not isinstance(plain, str):
        return
    place = PurePosixPath(plain)
    if not plain.startswith("/opt/ml/processing/") or ".." in place.parts:
        scope.sheet.error(path, f"is {plain!r}; wanted a place below /opt/ml/processing/")
    for other, where in taken:
        if place.is_relative_to(other) or PurePosixPath(other).is_relative_to(place):
            scope.sheet.error(path, f"{plain!r} and {other!r} of {where} lie in each other")
    taken.append((plain, path.rpartition(".")[0]))


def _training(arguments: dict[str, Any], path: str, scope: Scope) -> None:
    sheet = scope.sheet
    for name in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition", "InputDataConfig"):
        if name not in arguments:
            sheet.error(below(path, name), "is missing; the training job wants it")
    algorithm = at(arguments, "AlgorithmSpecification")
    if isinstance(algorithm, dict) and ("TrainingImage" in algorithm) == ("AlgorithmName" in algorithm):
        inside = f"{path}.AlgorithmSpecification.TrainingImage"
        sheet.error(inside, "wanted exactly one of TrainingImage and AlgorithmName")
    if not at(arguments, "ResourceConfig", "InstanceGroups"):
        _machine(at(arguments, "ResourceConfig"), f"{path}.ResourceConfig", scope)
    _isolation(arguments.get("EnableNetworkIsolation"), path, scope)
    _channels(at(arguments, "InputDataConfig"), f"{path}.InputDataConfig", scope)
    for name, uri in (("OutputDataConfig", "S3OutputPath"), ("CheckpointConfig", "S3Uri")):
        if isinstance(arguments.get(name), dict):
            _prefix(arguments[name], uri, below(path, name), scope)
    local = at(arguments, "CheckpointConfig", "LocalPath")
    if isinstance(local, str) and PurePosixPath(local) != PurePosixPath("/opt/ml/checkpoints"):
        inside = f"{path}.CheckpointConfig.LocalPath"
        sheet.error(inside, f"is {local!r}; the job keeps its checkpoints in /opt/ml/checkpoints")
    _limits(arguments, path, scope)
    _spot(arguments, path, scope)


def _channels(channels: Any, path: str, scope: Scope) -> None:
    check_unique(channels, "ChannelName", path, scope.sheet)
    for index, channel in objects(channels):
        inside = f"{below(path, index)}.DataSource"
        source = at(channel, "DataSource", "S3DataSource")
        if isinstance(source, dict):
            prefix = source.get("S3DataType") == "S3Prefix"
            _prefix(source, "S3Uri", below(inside, "S3DataSource"), scope, prefix=prefix)
        elif isinstance(channel.get("DataSource"), dict) and "FileSystemDataSource" not in channel["DataSource"]:
            scope.sheet.error(below(inside, "S3DataSource"), "is missing: the channel has no place in S3")


def _limits(arguments: dict[str, Any], path: str, scope: Scope) -> None:
    if not isinstance(arguments.get("StoppingCondition"), dict):
        return
    inside = f"{path}.StoppingCondition.MaxRuntimeInSeconds"
    run = scope.plain(arguments["StoppingCondition"].get("MaxRuntimeInSeconds"))
    if run is None:
        scope.sheet.error(inside, _ENDLESS)
    elif isinstance(run, int) and run > LONGEST_TRAINING:
        scope.sheet.error(inside, f"is {run}; at most 28 days ({LONGEST_TRAINING}) are taken")


def _spot(arguments: dict[str, Any], path: str, scope: Scope) -> None:
    sheet = scope.sheet
    spot = arguments.get("EnableManagedSpotTraining", False)
    inside = f"{path}.StoppingCondition.MaxWaitTimeInSeconds"
    wait = at(arguments, "StoppingCondition", "MaxWaitTimeInSeconds")
    run = scope.plain(at(arguments, "StoppingCondition", "MaxRuntimeInSeconds"))
    if spot is not True and not is_expression(spot):
        if wait is not None:
            sheet.error(inside, "is for spot only; leave it out, or set EnableManagedSpotTraining")
        return
    known = scope.plain(wait)
    if wait is None:
        sheet.error(inside, "is missing; spot wants to know how long it may wait and run together")
    elif isinstance(known, int) and isinstance(run, int) and known < run:
        sheet.error(inside, f"is {known}; wanted at least MaxRuntimeInSeconds ({run})")
    if "CheckpointConfig" not in arguments:
        sheet.error(f"{path}.CheckpointConfig", "is missing: an interrupted training would start from nothing")
    if scope.plain(at(arguments, "ResourceConfig", "KeepAlivePeriodInSeconds")):
        inside = f"{path}.ResourceConfig.KeepAlivePeriodInSeconds"
        sheet.error(inside, "spot capacity cannot be kept warm; leave one of the two out")


def _package(arguments: dict[str, Any], path: str, scope: Scope) -> None:
    sheet = scope.sheet
    grouped = "ModelPackageGroupName" in arguments
    if grouped == ("ModelPackageName" in arguments):
        inside = below(path, "ModelPackageGroupName")
        sheet.error(inside, "wanted exactly one of ModelPackageGroupName and ModelPackageName")
    if grouped and "Tags" in arguments:
        sheet.error(below(path, "Tags"), "a version in a group has the group's tags and takes none; leave them out")
    status, inside = arguments.get("ModelApprovalStatus"), below(path, "ModelApprovalStatus")
    if status is None:
        sheet.error(inside, "is missing; wanted PendingManualApproval, which a person then decides")
    elif "Approved" in (scope.plain(status), scope.default(status)):
        sheet.error(inside, "is Approved before anybody has looked; wanted PendingManualApproval")
    containers, inside = at(arguments, "InferenceSpecification", "Containers"), f"{path}.InferenceSpecification"
    if not objects(containers):
        sheet.error(below(inside, "Containers"), "is missing: the version would hold no model")
    for index, container in objects(containers):
        _container(container, below(f"{inside}.Containers", index), scope)
    for where, uri in _uris(arguments.get("ModelMetrics"), f"{path}.ModelMetrics"):
        if isinstance(plain := scope.plain(uri), str) and plain.endswith("/"):
            sheet.error(where, f"is {plain!r}; wanted the file itself, not a prefix")


def _container(container: dict[str, Any], path: str, scope: Scope) -> None:
    if "Image" not in container:
        scope.sheet.error(below(path, "Image"), "is missing; the version wants the image that serves it")
    if ("ModelDataUrl" in container) == ("ModelDataSource" in container):
        scope.sheet.error(below(path, "ModelDataSource"), "wanted exactly one of ModelDataSource and ModelDataUrl")
    if "ModelDataSource" in container and isinstance(container["ModelDataSource"], dict):
        source, inside = container["ModelDataSource"].get("S3DataSource"), f"{path}.ModelDataSource.S3DataSource"
        if source is None:
            scope.sheet.error(inside, "is missing: the model has no place in S3")
        elif isinstance(source, dict):
            _prefix(source, "S3Uri", inside, scope, prefix=source.get("S3DataType") == "S3Prefix")


def _uris(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name == "S3Uri":
            yield below(path, name), inner
        else:
            yield from _uris(inner, below(path, name))


def _machine(config: Any, path: str, scope: Scope) -> None:
    if not isinstance(config, dict):
        return
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if name not in config:
            scope.sheet.error(below(path, name), "is missing; the job wants a machine")
    types = [each for each, _ in scope.samples(config.get("InstanceType")) if isinstance(each, str)]
    if "VolumeKmsKeyId" in config and any(map(has_local_disk, types)):
        found = f"{types[0]} keeps data on a disk of its own, encrypted by hardware, and refuses a key"
        scope.sheet.error(below(path, "VolumeKmsKeyId"), f"{found}; leave it out")


def _isolation(value: Any, path: str, scope: Scope) -> None:
    if value is not None and scope.plain(value) is not False:
        found = "the job reads and writes the store itself, which an isolated network does not let it"
        scope.sheet.error(below(path, "EnableNetworkIsolation"), f"{found}; leave it out")


def _prefix(holder: dict[str, Any], name: str, path: str, scope: Scope, *, prefix: bool = True) -> None:
    """An S3 prefix ends in a slash: it is a prefix of strings, and ``store/ab`` would also match ``store/abc``."""
    value, inside = holder.get(name), below(path, name)
    values = at(value, "Std:Join", "Values") if is_expression(value) else [value]
    if not isinstance(values, list) or not values or any(isinstance(each, list) for each in values):
        return
    first, last = scope.plain(values[0]), scope.plain(values[-1])
    if len(values) > 1 and not isinstance(values[0], str):
        found = f"begins with {shown(values[0])}"
        scope.sheet.error(inside, f"{found}; wanted the bucket as text, so that it can be seen who may read what")
    if isinstance(first, str) and "//" in scope.sketch(value).partition("://")[2]:
        scope.sheet.error(inside, f"is {scope.sketch(value)!r}, with an empty part between two slashes; leave one out")
    known = isinstance(last, (str, int, float))
    if prefix and (known or len(values) > 1) and not str(last).endswith("/"):
        found = f"ends with {shown(last[-40:] if isinstance(last, str) else values[-1])}"
        scope.sheet.error(inside, f"{found}; a prefix ends in /, or it matches its neighbours too")
    if not prefix and known and str(last).endswith("/"):
        scope.sheet.error(inside, f"ends with {shown(last)}; wanted the object itself, not a prefix")
