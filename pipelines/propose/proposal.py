"""``fourscore new``: look at the data, guess what can be guessed, and say what a person must decide.

The data is read by ``ingest`` itself, so that what is proposed is what a run will see. Nothing is dropped in silence:
each guess about a column stands beside it in the problem file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.sources.files import materialise, resolve
from model_code import tasks
from pipelines.propose import profile, suite
from pipelines.propose.problem_text import SUITE, Proposal, problem_text
from pipelines.terminal import plain
from steps import documents
from steps.errors import InputError, near
from steps.ingest import IngestConfig, Source, ingest
from steps.journal import Journal, read_events
from steps.tables.document import IngestReport
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
    """Look at the data.

    Args:
        directory: where the problem will be; data paths are written relative to it.
        data: files, globs or URIs, each as ``FILE`` or ``NAME=FILE``.
        split: row, group:COLUMN or time:COLUMN.

    Raises:
        InputError: there is a problem file already, or data, target, task or split do not fit together.
    """
    if (directory / PROBLEM).exists():
        raise InputError(f"{directory / PROBLEM} exists and is not overwritten; remove it, or choose another folder")
    if task is not None and task not in tasks.names():
        raise InputError(f"--task {task}: wanted one of {', '.join(tasks.names())}")
    by, column = _split(split)
    sources = _sources(data, directory)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        config, table, notes = _read(sources, directory, target, Path(place))
        schema = documents.read(TableSchema, table)
        for name, option in [
            (target, "--target"),
            *((each, "--ignore") for each in ignore),
            *([(column, "--split")] if column else []),
        ]:
            _known(name, option, schema)
        _apart(target, ignore, by, column)
        looked = profile.look(
            table, schema, profile.Asked(target, tuple(ignore), task, by, column), _raw(config, Path(place))
        )
        expectations = suite.suite(table, schema, looked)
        written = _as_written(documents.read(IngestReport, table), sources)
    described = {"by": by, **({"column": column} if column else {})}
    return Proposal(
        directory=directory,
        name=_name(directory),
        task=looked.task,
        target=target,
        sources=written,
        query=config.query,
        columns=looked.columns,
        success=looked.success,
        label=looked.label,
        split=described,
        slices=looked.slices,
        expectations=expectations,
        guessed=(*notes, *looked.guessed),
        decide=looked.decide,
        rows=schema.rows,
        digest=schema.digest,
    )


def _split(text: str) -> tuple[str, str | None]:
    by, colon, column = text.partition(":")
    if by == "row" and not colon:
        return by, None
    if by in ("group", "time") and column:
        return by, column
    raise InputError(f"--split {text}: wanted row, group:COLUMN or time:COLUMN")


def _known(name: str, option: str, schema: TableSchema) -> None:
    names = [column.name for column in schema.columns]
    if name not in names:
        numbered = "; no header was found" if all(re.fullmatch(r"column_\d+", each) for each in names) else ""
        raise InputError(
            f"{option} {name}: the data has no such column{near(name, names)}{numbered}; its columns are: "
            f"{', '.join(names)}"
        )


def _apart(target: str, ignore: Sequence[str], by: str, column: str | None) -> None:
    """One column cannot play two parts."""
    if target in ignore:
        raise InputError(f"--ignore {target}: it is the target")
    if column == target:
        raise InputError(f"--split {by}:{column}: it is the target; rows are divided by what is known of them before")
    if column in ignore:
        raise InputError(f"--ignore {column}: rows are divided by it (--split {by}:{column}); it is no feature anyway")


def _name(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower()).strip("-_")[:63]
    return name or "problem"


def _sources(data: Sequence[str], directory: Path) -> dict[str, str]:
    """Source name -> path as it will be written: relative to the problem's folder, unless it is far away or a URI."""
    found: dict[str, str] = {}
    for text in data:
        given, equals, path = text.partition("=")
        named = bool(equals) and re.fullmatch(r"[A-Za-z_]\w*", given) is not None and not Path(text).exists()
        path = path if named else text
        stem = re.sub(r"\W+", "_", Path(path.rstrip("/")).name.partition(".")[0]).strip("_").lower()
        name = given if named else (stem if re.fullmatch(r"[a-z_]\w*", stem) else f"data_{stem}".rstrip("_"))
        if name in found:
            raise InputError(f"--data {text}: there is a source {name!r} already; give names: --data NAME=FILE")
        found[name] = path if "://" in path else _relative(Path(path), directory)
    return found


def _relative(path: Path, directory: Path) -> str:
    """From the problem's folder; absolute where they share nothing but the root."""
    path, base = path.expanduser().absolute(), directory.resolve()
    absolute = path.parent.resolve() / path.name
    if os.path.commonpath([absolute, base]) == absolute.anchor:
        return absolute.as_posix()
    return Path(os.path.relpath(absolute, base)).as_posix()


def _read(sources: dict[str, str], directory: Path, target: str, place: Path) -> tuple[IngestConfig, Path, list[str]]:
    """Ingest, with a query that joins what shares columns where there are several sources."""
    given = {name: Source(path=path) for name, path in sources.items()}
    resolved = resolve(given, directory, place / "workspace")
    raw = place / "raw"
    raw.mkdir()
    materialise(resolved, raw)
    query = None
    if len(given) > 1:
        query = _join({name: _columns(raw, name, place, source) for name, source in given.items()})
    config = IngestConfig(sources=given, query=query, target=target)
    table = place / "table"
    table.mkdir()
    with Journal(place / "journal.jsonl") as log:
        ingest(raw, table, config, log)
    notes = [event["text"] for event in read_events(place / "journal.jsonl") if event["kind"] == "note"]
    return config, table, notes


def _columns(raw: Path, name: str, place: Path, source: Source) -> list[str]:
    from steps.tables.readers import read_parts

    return list(read_parts(raw / name, name, source, place / "columns")[0].columns)


def _join(columns: dict[str, list[str]]) -> str:
    """The first source with the others joined on the columns that they share with it."""
    first, *others = columns
    quoted = {name: f'"{name}"' for name in columns}
    selected = [f"{quoted[first]}.*"]
    joins = []
    taken = set(columns[first])
    for name in others:
        shared = [column for column in columns[name] if column in columns[first]]
        if not shared:
            raise InputError(
                f"sources {first!r} and {name!r} share no column to join them on; give one file to 'fourscore new' "
                "and write data.query by hand"
            )
        on = " AND ".join(f'{quoted[first]}."{column}" = {quoted[name]}."{column}"' for column in shared)
        joins.append(f"LEFT JOIN {quoted[name]} ON {on}")
        selected += [f'{quoted[name]}."{column}"' for column in columns[name] if column not in taken]
        taken |= set(columns[name])
    return f"SELECT {', '.join(selected)}\nFROM {quoted[first]}\n" + "\n".join(joins) + "\n"


def _raw(config: IngestConfig, place: Path) -> set[str]:
    """Columns of whole numbers that are written with leading zeros: codes rather than numbers."""
    import polars as pl

    from steps.tables.readers import read_parts

    found: set[str] = set()
    for name, source in config.sources.items():
        for part in read_parts(place / "raw" / name, name, source, place / "codes"):
            if part.dialect is None:
                continue
            asked = part.text().select(pl.all().str.strip_chars().str.contains(r"^0\d+$").any())
            found |= {column for column, yes in asked.collect(engine="streaming").row(0, named=True).items() if yes}
    return found


def _as_written(report: IngestReport, sources: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The sources with what matters too much to be detected anew each time: that there is no header."""
    written: dict[str, dict[str, Any]] = {}
    for name, path in sources.items():
        headers = {file.header for file in report.sources[name].files}
        written[name] = {"path": path, **({"header": False} if headers == {False} else {})}
    return written


def describe(proposal: Proposal) -> str:
    """For a person: what was found, what was guessed, what is theirs to decide."""
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
    """For ``--json``."""
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
        InputError: either is there already.
    """
    proposal.directory.mkdir(parents=True, exist_ok=True)
    problem, suite = proposal.directory / PROBLEM, proposal.directory / SUITE
    for path in (problem, suite):
        if path.exists():
            raise InputError(f"{path} exists and is not overwritten; remove it, or choose another folder")
    lines = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in proposal.expectations)
    name = json.dumps(proposal.name)
    suite.write_text(f'{{\n "name": {name},\n "expectations": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    with problem.open("x", encoding="utf-8") as file:
        file.write(problem_text(proposal))
