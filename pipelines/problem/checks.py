"""What a run would refuse of a problem, as far as the problem itself and the header of its data show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from infra.secrets import UNSAFE, credentials_in
from model_code import families, tasks
from pipelines.problem.definition import Loaded, Problem
from pipelines.problem.yaml_lines import Location
from steps.define import Fault
from steps.errors import InputError
from steps.wording import near

SOURCE = re.compile(r"[^\W\d][\w-]{0,63}")
"""The names that a source may have; folders and files are named after it."""


@dataclass(frozen=True)
class Columns:
    """The names of columns."""

    table: Sequence[str]
    """Of the table."""
    sources: Sequence[str] | None = None
    """Of its sources, which can be declared, too; None where that was checked before."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Of the columns, where the data was read before."""


def check_columns(loaded: Loaded, header: Columns) -> None:
    """Check that the problem and its suite name no column that the table does not have.

    Raises:
        InputError: they do; one line per fault, with file and line or the setting.
    """
    loaded.document.refuse(column_faults(loaded.problem, header))
    if lines := [*_unknown_in_suite(loaded, header.table)]:
        raise InputError("\n".join(lines))


def column_faults(problem: Problem, header: Columns) -> Iterator[Fault]:
    """Yield names of columns that the table does not have, and columns of no order where one is needed."""
    yield from _unknown_columns(problem, header)
    yield from _unordered(problem, header)


def contradictions(problem: Problem) -> Iterator[Fault]:
    """Yield settings that no data could make possible, and those that are unsafe."""
    yield from _sources(problem)
    if secret := credentials_in(problem.tracking_uri or ""):
        text = (
            f"tracking_uri: holds {secret}, which would be copied to run files and MLflow; write it without, and set the "
            "environment variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or say --tracking-uri"
        )
        yield ("tracking_uri",), text
    yield from _monotone(problem)
    yield from _division(problem)
    yield from _labels(problem)
    yield from _behaviour(problem)


def _sources(problem: Problem) -> Iterator[Fault]:
    for name, source in problem.data.sources.items():
        location = ("data", "sources", name)
        if not SOURCE.fullmatch(name):
            text = (
                f"data.sources.{name}: {name!r} cannot be the name of a source; use letters, digits, _ and -, beginning "
                "with a letter or _, at most 64 characters"
            )
            yield location, text
        for path in [source.path] if isinstance(source.path, str) else source.path:
            if secret := credentials_in(path):
                yield (*location, "path"), f"data.sources.{name}.path: holds {secret}, {UNSAFE}"


def _monotone(problem: Problem) -> Iterator[Fault]:
    task, candidates = tasks.get(problem.task), problem.train.candidates
    able = families.get(families.of_candidates(candidates)).monotone
    for name, column in problem.data.columns.items():
        if not column.monotone:
            continue
        at, what = ("data", "columns", name, "monotone"), f"data.columns.{name}.monotone"
        if task.has_classes and not task.has_positive:
            yield at, f"{what}: it is for numbers and for two classes; of several classes, not all can rise"
        elif not set(able) & set(candidates):
            yield at, f"{what}: none of the candidates can keep it; add {', '.join(able)} to train.candidates"
        elif column.type not in (None, "integer", "float"):
            yield at, f"{what}: {name!r} is of type {column.type}; only a number rises"


def _division(problem: Problem) -> Iterator[Fault]:
    split, of_role = problem.split, problem.columns_of_role(problem.split.by)
    if split.by != "row" and split.column is None and len(of_role) != 1:
        count = f"{len(of_role)} columns have it: {', '.join(of_role)}" if of_role else "no column has it"
        yield ("split", "by"), f"split.by: {split.by} needs split.column, or one column of role {split.by}; {count}"
    if split.by != "row" and problem.target in (split.column, *of_role):
        yield ("split",), f"split.column: {problem.target!r} is the target, which is not known before"
    name = problem.division_column
    column = problem.data.columns.get(name or "")
    if split.by == "time" and column and column.type in ("boolean", "category", "text"):
        text = f"split.by: time needs dates or numbers, and column {name!r} is declared as {column.type}"
        yield ("split", "column"), text
    if split.stratify == "exact" and not tasks.get(problem.task).has_classes:
        yield ("split", "stratify"), "split.stratify: exact gives each class its share, and a regression has no classes"


def _labels(problem: Problem) -> Iterator[Fault]:
    label, column = problem.label, problem.data.columns.get(problem.target)
    for setting in ("positive", "classes", "leave_out"):
        if getattr(label, setting) and not tasks.get(problem.task).has_classes:
            yield ("label", setting), f"label.{setting}: a regression has no classes"
    if label.positive and label.classes and label.positive not in label.classes:
        yield ("label", "positive"), f"label.positive: {label.positive!r} is not in label.classes"
    if label.rule is None and column and column.type in ("date", "datetime"):
        text = f"target: {problem.target!r} holds dates; predict a number or a class, computed by label.rule"
        yield ("target",), text


def _behaviour(problem: Problem) -> Iterator[Fault]:
    task = tasks.get(problem.task)
    for position, rule in enumerate(problem.evaluate.behaviour):
        at, what = ("evaluate", "behaviour", position), f"evaluate.behaviour.{position}"
        directed = rule.rises_with or rule.falls_with
        column = problem.data.columns.get(directed or "")
        if rule.column == problem.target:
            yield at, f"{what}: {rule.column!r} is the target, which no answer is made from"
        if directed and task.has_classes and not task.has_positive:
            yield at, f"{what}: of several classes, not all can rise; only numbers and two classes have a direction"
        elif column and column.type not in (None, "integer", "float"):
            yield at, f"{what}: {directed!r} is of type {column.type}; only a number rises"
        if rule.cases is not None and not task.has_classes and not rule.tolerance:
            yield at, f"{what}: a predicted number is never exactly right; give a tolerance"


def _unknown_columns(problem: Problem, header: Columns) -> Iterator[Fault]:
    """Yield names of columns that the table does not have."""
    columns = header.table
    declared = problem.data.columns if header.sources is not None else ()
    names: list[tuple[Location, str]] = [
        (("data", "columns", name), name) for name in declared if name not in (header.sources or ())
    ]
    if problem.label.rule is None:
        names.append((("target",), problem.target))
    if problem.split.column and problem.split.by != "row":
        names.append((("split", "column"), problem.split.column))
    names += [(("split", "key", i), name) for i, name in enumerate(problem.split.key)]
    names += [(("split", "allow_proxies", name), name) for name in problem.split.allow_proxies]
    names += [(("evaluate", "slices", i), name) for i, name in enumerate(problem.evaluate.slices)]
    names += [(("evaluate", "fairness", i), name) for i, name in enumerate(problem.evaluate.fairness)]
    rules = problem.evaluate.behaviour
    names += [(("evaluate", "behaviour", i), rule.column) for i, rule in enumerate(rules) if rule.column]
    slices = [(i, threshold.slice) for i, threshold in enumerate(problem.success) if threshold.slice]
    names += [(("success", i, "slice"), part.partition("=")[0]) for i, part in slices]
    for at, name in names:
        if name not in columns and not (problem.label.rule and name == problem.target):
            what = ".".join(map(str, at[:2] if at[0] != "success" else ("success",)))
            listed = "" if near(name, columns) else f"; its columns are: {', '.join(columns)}"
            yield at, f"{what}: the data has no column {name!r}{near(name, columns)}{listed}"


def _unordered(problem: Problem, header: Columns) -> Iterator[Fault]:
    """Yield columns that have no order although a time or a direction is made of them."""
    directed = {rule.rises_with or rule.falls_with: i for i, rule in enumerate(problem.evaluate.behaviour)}
    used: list[tuple[Location, str | None]] = [(("evaluate", "behaviour", i), name) for name, i in directed.items()]
    if problem.split.by == "time":
        used.append((("split", "column"), problem.division_column))
    for at, name in used:
        kind = header.types.get(name or "")
        if kind in ("boolean", "category", "text"):
            text = f"{'.'.join(map(str, at))}: {name!r} was read as {kind}; give data.columns.{name} a type, such as date or float"
            yield at, text


def _unknown_in_suite(loaded: Loaded, columns: Sequence[str]) -> Iterator[str]:
    path = loaded.document.path.parent / loaded.problem.expectations
    for position, expectation in enumerate(loaded.suite.suite):
        name = expectation.kwargs.get("column")
        if isinstance(name, str) and name not in columns and expectation.type != "expect_column_to_exist":
            yield f"{path}: expectation {position} ({expectation.type}): the data has no column {name!r}{near(name, columns)}"
