"""What a run would refuse of a problem, as far as the problem itself and the header of its data show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.problem.yaml_lines import Location, read, refuse
from steps import define
from steps.define import Fault
from steps.errors import InputError, near

if TYPE_CHECKING:
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
