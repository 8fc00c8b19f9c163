"""What a run would refuse of a problem, as far as the problem itself and the header of its data show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_code import tasks
from pipelines.problem.yaml_lines import Document, Location, place_of, read
from steps import define
from steps.define import Fault
from steps.errors import InputError, near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.problem.definition import Loaded, Problem


@dataclass(frozen=True)
class Columns:
    """The names of columns."""

    table: Sequence[str]
    """Of the table."""
    sources: Sequence[str] | None = None
    """Of its sources, which can be declared, too; None where that was checked before."""


def check_problem(loaded: Loaded, columns: Callable[[], Columns | None]) -> None:
    """Check what can be checked before anything runs.

    Args:
        columns: returns the columns of the table; None where they are not known yet.

    Raises:
        InputError: a stage would refuse something; one line per fault, with file and line or the setting.
    """
    document = read(loaded.path)
    refuse(define.faults(loaded.card()), document, loaded.overrides)
    if header := columns():
        refuse(_unknown_columns(loaded.problem, header), document, loaded.overrides)
        if lines := [*_unknown_in_suite(loaded, header.table)]:
            raise InputError("\n".join(lines))


def refuse(faults: Iterable[Fault], document: Document, overrides: Mapping[str, str]) -> None:
    """Raise an InputError with one line per fault, if there are any."""
    if lines := [f"{place_of(document, location, overrides)}: {text}" for location, text in faults]:
        raise InputError("\n".join(lines))


def contradictions(problem: Problem) -> Iterator[Fault]:
    """Yield settings that no data could make possible."""
    split, label, has_classes = problem.split, problem.label, tasks.get(problem.task).has_classes
    of_role = [name for name, column in problem.data.columns.items() if column.role == split.by]
    if split.by != "row" and split.column is None and len(of_role) != 1:
        count = f"{len(of_role)} columns have it: {', '.join(of_role)}" if of_role else "no column has it"
        yield ("split", "by"), f"split.by: {split.by} needs split.column, or one column of role {split.by}; {count}"
    if split.by != "row" and problem.target in (split.column, *of_role):
        yield ("split",), f"split.column: {problem.target!r} is the target, which is not known before"
    name = split.column or next(iter(of_role), "")
    column = problem.data.columns.get(name)
    if split.by == "time" and column and column.type in ("boolean", "category", "text"):
        text = f"split.by: time needs dates or numbers, and column {name!r} is declared as {column.type}"
        yield ("split", "column"), text
    if split.stratify == "exact" and not has_classes:
        yield ("split", "stratify"), "split.stratify: exact gives each class its share, and a regression has no classes"
    for setting in ("positive", "classes", "leave_out"):
        if getattr(label, setting) and not has_classes:
            yield ("label", setting), f"label.{setting}: a regression has no classes"
    if label.positive and label.classes and label.positive not in label.classes:
        yield ("label", "positive"), f"label.positive: {label.positive!r} is not in label.classes"
    if (
        label.rule is None
        and (column := problem.data.columns.get(problem.target))
        and column.type in ("date", "datetime")
    ):
        yield (
            ("target",),
            f"target: {problem.target!r} holds dates; predict a number or a class, computed by label.rule",
        )


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
    slices = [(i, threshold.slice) for i, threshold in enumerate(problem.success) if threshold.slice]
    names += [(("success", i, "slice"), part.partition("=")[0]) for i, part in slices]
    for at, name in names:
        if name not in columns and not (problem.label.rule and name == problem.target):
            what = ".".join(map(str, at[:2] if at[0] != "success" else ("success",)))
            listed = "" if near(name, columns) else f"; its columns are: {', '.join(columns)}"
            yield at, f"{what}: the data has no column {name!r}{near(name, columns)}{listed}"


def _unknown_in_suite(loaded: Loaded, columns: Sequence[str]) -> Iterator[str]:
    path = loaded.path.parent / loaded.problem.expectations
    for position, expectation in enumerate(loaded.suite.suite):
        name = expectation.kwargs.get("column")
        if isinstance(name, str) and name not in columns and expectation.type != "expect_column_to_exist":
            yield f"{path}: expectation {position} ({expectation.type}): the data has no column {name!r}{near(name, columns)}"
