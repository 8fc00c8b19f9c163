"""``fourscore new``: propose a problem from data, and list what a person must decide.

The data is read by the ingest stage itself, so a run will see the same table. Nothing is dropped in silence: each guess about
a column stands beside it in the problem file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from infra.sources.files import expand_home, materialise, resolve
from model_code import tasks
from pipelines.propose.problem_text import SUITE, Proposal, problem_text
from pipelines.propose.profile import Request, profile_table
from pipelines.propose.suite import propose_suite
from pipelines.terminal import plain
from steps import documents
from steps.errors import InputError, near
from steps.ingest import IngestConfig, Source, ingest
from steps.journal import Journal, read_events
from steps.tables.document import IngestReport, SourceReport
from steps.tables.readers import read_parts
from steps.tables.schema import TableSchema

PROBLEM = "problem.yaml"


def propose(
    directory: Path,
    data: Sequence[str],
    target: str,
    ignore: Sequence[str] = (),
    task: str | None = None,
    split: str = "row",
) -> Proposal:
    """Propose a problem from data.

    Args:
        directory: the folder of the problem; data paths are written relative to it.
        data: files, globs or URIs, each as ``FILE`` or ``NAME=FILE``.
        split: row, group:COLUMN or time:COLUMN.

    Raises:
        InputError: a problem file exists, or data, target, task and split do not fit together.
    """
    if (directory / PROBLEM).exists():
        raise InputError(f"{directory / PROBLEM} exists and is not overwritten; remove it, or choose another folder")
    if task is not None and task not in tasks.names():
        raise InputError(f"--task {task}: use one of {', '.join(tasks.names())}")
    request = Request(target, tuple(ignore), task, *_split(split))
    sources = _sources(data, directory)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as scratch:
        config, table, notes = _ingest(sources, directory, target, Path(scratch))
        schema = documents.read(TableSchema, table)
        _check_columns(request, schema)
        profile = profile_table(table, schema, request, _codes(config, Path(scratch)))
        expectations = propose_suite(table, schema, profile)
        report = documents.read(IngestReport, table)
    return Proposal(
        directory=directory,
        name=_name(directory),
        task=profile.task,
        target=target,
        sources={name: _source(path, report.sources[name]) for name, path in sources.items()},
        query=config.query,
        columns=profile.columns,
        success=profile.success,
        label=profile.label,
        split={"by": request.by, **({"column": request.column} if request.column else {})},
        slices=profile.slices,
        expectations=expectations,
        guessed=(*notes, *profile.guessed),
        decide=profile.decide,
        rows=schema.rows,
        digest=schema.digest,
    )


def _split(text: str) -> tuple[str, str | None]:
    by, colon, column = text.partition(":")
    if by == "row" and not colon:
        return by, None
    if by in ("group", "time") and column:
        return by, column
    raise InputError(f"--split {text}: use row, group:COLUMN or time:COLUMN")


def _check_columns(request: Request, schema: TableSchema) -> None:
    """Check that the columns of the request exist and that none has two roles."""
    target, column, by = request.target, request.column, request.by
    names = [column.name for column in schema.columns]
    options = [("--target", target), *(("--ignore", name) for name in request.ignore)]
    for option, name in [*options, *([("--split", column)] if column else [])]:
        if name not in names:
            numbered = "; no header was found" if all(re.fullmatch(r"column_\d+", name) for name in names) else ""
            raise InputError(
                f"{option} {name}: the data has no such column{near(name, names)}{numbered}; its columns are: "
                f"{', '.join(names)}"
            )
    if target in request.ignore:
        raise InputError(f"--ignore {target}: it is the target")
    if column == target:
        raise InputError(f"--split {by}:{column}: it is the target, which is not known before; split by another column")
    if column in request.ignore:
        raise InputError(
            f"--ignore {column}: it divides the rows (--split {by}:{column}) and is never a feature anyway"
        )


def _name(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower()).strip("-_")[:63]
    return name or "problem"


def _sources(data: Sequence[str], directory: Path) -> dict[str, str]:
    """Return the path of each source as it will be written: relative to the problem's folder, or a URI."""
    sources: dict[str, str] = {}
    for text in data:
        prefix, equals, path = text.partition("=")
        has_name = bool(equals) and re.fullmatch(r"[A-Za-z_]\w*", prefix) is not None and not Path(text).exists()
        path = path if has_name else text
        stem = re.sub(r"\W+", "_", Path(path.rstrip("/")).name.partition(".")[0]).strip("_").lower()
        name = prefix if has_name else (stem if re.fullmatch(r"[a-z_]\w*", stem) else f"data_{stem}".rstrip("_"))
        if name in sources:
            raise InputError(f"--data {text}: a source {name!r} exists already; give names: --data NAME=FILE")
        sources[name] = path if "://" in path else _relative(Path(path), directory)
    return sources


def _relative(path: Path, directory: Path) -> str:
    """Return a path relative to the problem's folder; absolute if they have only the root in common."""
    path, base = expand_home(str(path)).absolute(), directory.resolve()
    absolute = path.parent.resolve() / path.name
    if os.path.commonpath([absolute, base]) == absolute.anchor:
        return absolute.as_posix()
    return Path(os.path.relpath(absolute, base)).as_posix()


def _ingest(paths: dict[str, str], directory: Path, target: str, scratch: Path) -> tuple[IngestConfig, Path, list[str]]:
    """Run the ingest stage, with a query that joins several sources on the columns that they share."""
    sources = {name: Source(path=path) for name, path in paths.items()}
    resolved = resolve(paths, directory, scratch / "workspace")
    raw = scratch / "raw"
    raw.mkdir()
    materialise(resolved, raw)
    query = None
    if len(sources) > 1:
        query = _join(
            {
                name: read_parts(raw / name, name, source, scratch / "columns")[0].columns
                for name, source in sources.items()
            }
        )
    config = IngestConfig(sources=sources, query=query, target=target)
    table = scratch / "table"
    table.mkdir()
    with Journal(scratch / "journal.jsonl") as log:
        ingest(raw, table, config, log)
    notes = [event["text"] for event in read_events(scratch / "journal.jsonl") if event["kind"] == "note"]
    return config, table, notes


def _join(columns: dict[str, tuple[str, ...]]) -> str:
    """Return a query that joins the other sources to the first on the columns that they share with it."""
    first, *joined = columns
    quoted = {name: f'"{name}"' for name in columns}
    selected = [f"{quoted[first]}.*"]
    joins = []
    names = set(columns[first])
    for name in joined:
        shared = [column for column in columns[name] if column in columns[first]]
        if not shared:
            raise InputError(
                f"sources {first!r} and {name!r} share no column to join them on; give one file to 'fourscore new' "
                "and write data.query by hand"
            )
        on = " AND ".join(f'{quoted[first]}."{column}" = {quoted[name]}."{column}"' for column in shared)
        joins.append(f"LEFT JOIN {quoted[name]} ON {on}")
        selected += [f'{quoted[name]}."{column}"' for column in columns[name] if column not in names]
        names |= set(columns[name])
    return f"SELECT {', '.join(selected)}\nFROM {quoted[first]}\n" + "\n".join(joins) + "\n"


def _codes(config: IngestConfig, scratch: Path) -> set[str]:
    """Return the columns of integers with leading zeros, which are codes rather than numbers."""
    codes: set[str] = set()
    for name, source in config.sources.items():
        for part in read_parts(scratch / "raw" / name, name, source, scratch / "codes"):
            if part.dialect is None:
                continue
            zeros = part.text().select(pl.all().str.strip_chars().str.contains(r"^0\d+$").any())
            codes |= {column for column, any_ in zeros.collect(engine="streaming").row(0, named=True).items() if any_}
    return codes


def _source(path: str, report: SourceReport) -> dict[str, Any]:
    """Return a source as the problem file writes it; a missing header is too important to be detected on each run."""
    return {"path": path, **({"header": False} if {file.header for file in report.files} == {False} else {})}


def describe(proposal: Proposal) -> str:
    """Return the proposal as text: the columns, what was guessed, what a person must decide."""
    lines = [
        f"{proposal.rows:,} rows, {len(proposal.columns)} columns; target {proposal.target!r}, task {proposal.task}",
        "",
    ]
    width = max(len(column.name) for column in proposal.columns)
    for column in proposal.columns:
        note = f"  {column.note}" if column.note else ""
        lines.append(f"  {column.name:{width}}  {column.type:9} {column.role:8}{note}".rstrip())
    for title, texts in (("Guessed", proposal.guessed), ("For you to decide", proposal.decide)):
        if texts:
            lines += ["", f"{title}:", *(f"  - {text}" for text in texts)]
    return plain("\n".join(lines))


def as_document(proposal: Proposal) -> dict[str, Any]:
    """Return the proposal as the document of ``--json``."""
    return {
        "problem": str(proposal.directory / PROBLEM),
        "expectations": str(proposal.directory / SUITE),
        "name": proposal.name,
        "task": proposal.task,
        "target": proposal.target,
        "rows": proposal.rows,
        "columns": [{"name": c.name, "type": c.type, "role": c.role, "note": c.note} for c in proposal.columns],
        "success": list(proposal.success),
        "guessed": list(proposal.guessed),
        "decide": list(proposal.decide),
    }


def write(proposal: Proposal) -> None:
    """Write ``problem.yaml`` and ``expectations.json``.

    Raises:
        InputError: either exists already.
    """
    proposal.directory.mkdir(parents=True, exist_ok=True)
    problem, suite = proposal.directory / PROBLEM, proposal.directory / SUITE
    for path in (problem, suite):
        if path.exists():
            raise InputError(f"{path} exists and is not overwritten; remove it, or choose another folder")
    lines = ",\n".join(f"  {json.dumps(expectation, ensure_ascii=False)}" for expectation in proposal.expectations)
    name = json.dumps(proposal.name)
    suite.write_text(f'{{\n "name": {name},\n "expectations": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    with problem.open("x", encoding="utf-8") as file:
        file.write(problem_text(proposal))
