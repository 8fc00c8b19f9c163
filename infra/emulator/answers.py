"""Answers in the shapes of the API: executions, steps, jobs, pages of lists, errors.

SageMaker lists the steps that it started, and no others; times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.emulator.definition import read
from infra.emulator.executions import NOT_EXECUTED, Execution
from infra.emulator.requests import faults_of_shape
from infra.emulator.values import as_text

Answer = dict[str, Any]
OF_SUMMARY = {
    "Training": ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
                 "TrainingJobStatus", "SecondaryStatus"),
    "Processing": ("ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
                   "ProcessingJobStatus", "FailureReason", "ExitMessage"),
}  # fmt: skip


@dataclass
class ApiError(Exception):
    """An error as the API returns it."""

    code: str
    message: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid(message: object) -> ApiError:
    return ApiError("ValidationException", str(message))


def check_shape(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse what is not of the operation's shape.

    Raises:
        ApiError: ValidationException with everything that is wrong.
    """
    if faults := list(faults_of_shape(operation, request)):
        raise invalid("; ".join(faults))


def of_execution(execution: Execution) -> Answer:
    return without_none(
        {
            "PipelineArn": execution.arn_of_pipeline,
            "PipelineExecutionArn": execution.arn,
            "PipelineExecutionDisplayName": execution.display_name,
            "PipelineExecutionStatus": execution.status,
            "PipelineExecutionDescription": execution.description,
            "FailureReason": execution.reason,
            "CreationTime": execution.created,
            "LastModifiedTime": execution.modified,
            "CreatedBy": {},
            "LastModifiedBy": {},
            "ParallelismConfiguration": {"MaxParallelExecutionSteps": execution.parallel}
            if execution.parallel
            else None,
            "PipelineVersionId": execution.version,
        }
    )


def of_executions(request: Mapping[str, Any], executions: Iterable[Execution]) -> Answer:
    found = chosen(request, [(each.created, each) for each in executions], "Created")
    summaries = [
        {
            "PipelineExecutionArn": each.arn,
            "StartTime": each.created,
            "PipelineExecutionStatus": each.status,
            "PipelineExecutionDescription": each.description,
            "PipelineExecutionDisplayName": each.display_name,
            "PipelineExecutionFailureReason": each.reason,
        }
        for each in found
    ]
    return page(request, "PipelineExecutionSummaries", [without_none(each) for each in summaries])


def of_steps(request: Mapping[str, Any], execution: Execution) -> Answer:
    definition = read(execution.definition)
    listed = [(name, state) for name, state in execution.steps.items() if state.status != NOT_EXECUTED]
    listed.sort(key=lambda each: each[1].started or 0, reverse=request.get("SortOrder", "Ascending") == "Descending")
    steps = [
        {
            "StepName": name,
            "StepDisplayName": definition.steps[name].raw.get("DisplayName"),
            "StepDescription": definition.steps[name].raw.get("Description"),
            "StartTime": state.started,
            "EndTime": state.ended,
            "StepStatus": state.status,
            "FailureReason": state.reason,
            "Metadata": state.metadata,
            "AttemptCount": state.attempts,
        }
        for name, state in listed
    ]
    return page(request, "PipelineExecutionSteps", [without_none(each) for each in steps])


def of_parameters(request: Mapping[str, Any], execution: Execution) -> Answer:
    given = {each["Name"]: each["Value"] for each in execution.parameters}
    declared = read(execution.definition).parameters
    values = [(each["Name"], given.get(each["Name"], as_text(each.get("DefaultValue", "")))) for each in declared]
    return page(request, "PipelineParameters", [{"Name": name, "Value": value} for name, value in values])


def of_jobs(kind: str, request: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Answer:
    found = [
        each
        for each in records
        if request.get("NameContains", "").lower() in each[f"{kind}JobName"].lower()
        and request.get("StatusEquals", each[f"{kind}JobStatus"]) == each[f"{kind}JobStatus"]
    ]
    records = chosen(request, [(each["CreationTime"], each) for each in found], "CreationTime")
    summaries = [{name: each[name] for name in OF_SUMMARY[kind] if name in each} for each in records]
    return page(request, f"{kind}JobSummaries", summaries)


def chosen(request: Mapping[str, Any], dated: list[tuple[float, Any]], prefix: str) -> list[Any]:
    """Those created between the two times that may be in the request, the newest first unless asked otherwise."""
    after, before = request.get(f"{prefix}After", 0.0), request.get(f"{prefix}Before", float("inf"))
    found = sorted((each for each in dated if after <= each[0] <= before), key=lambda each: each[0])
    return [each for _, each in (found if request.get("SortOrder") == "Ascending" else reversed(found))]


def page(request: Mapping[str, Any], name: str, items: list[Any]) -> Answer:
    """One page of a list, and the token of the next."""
    start, most = int(request.get("NextToken") or 0), request.get("MaxResults") or 100
    rest = {"NextToken": str(start + most)} if start + most < len(items) else {}
    return {name: items[start : start + most], **rest}


def without_none(fields: Mapping[str, Any]) -> Answer:
    return {name: value for name, value in fields.items() if value is not None}
