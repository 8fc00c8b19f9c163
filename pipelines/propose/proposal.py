"""``fourscore new``: propose a problem from data, and list what a person must decide.

The data is read by the ingest stage itself, so a run will see the same table. Nothing is dropped in silence: each guess about
a column stands beside it in the problem file.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from infra.sources.files import materialise, resolve
from pipelines.header import first_parts, needs_all
from pipelines.propose.amendments import Amendments, amend, amend_refused, totals
from pipelines.propose.draft import PROBLEM, Draft, Options, amended, is_incomplete, make_draft
from pipelines.propose.problem_text import SUITE, Proposal, incomplete_text, problem_text
from pipelines.propose.profile import Request, profile_table
from pipelines.propose.suite import propose_suite
from pipelines.propose.words import Words, keep_classes, missing_words, remarks
from pipelines.terminal import plain
from steps import documents
from steps.errors import InputError
from steps.ingest import ColumnConfig, IngestConfig, ingest
from steps.journal import Journal, read_events
from steps.tables.document import IngestReport, SourceReport
from steps.tables.readers import Part, read_parts
from steps.tables.schema import TableSchema
from steps.tables.secrets import SecretValues
from steps.tables.strict import RaggedRows, UnparsedValues
from steps.wording import near

_ATTEMPTS = 3
_DIVIDING = ("split", "split.by", "split.key", "split.stratify")
"""The settings by which a person says how rows are divided."""
_FEW_CLASSES = 20
_REPEATS = re.compile("has no values at all|taken as text, which is not a feature")
"""Notes of the ingest stage that the list of columns says too."""


class Unreadable(InputError):
    """The data of a draft cannot be read; what is known can be written all the same."""

    def __init__(self, message: str, draft: Draft, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.draft = draft
        self.columns = columns


def propose(
    directory: Path,
    data: Sequence[str],
    target: str,
    ignore: Sequence[str] = (),
    task: str | None = None,
    split: str | None = None,
    names: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Proposal:
    """Propose a problem from data.

    Args:
        directory: the folder of the problem; data paths are written relative to it.
        data: files, globs or URIs, each as ``FILE`` or ``NAME=FILE``.
        ignore: columns that are not even parsed.
        split: row, group:COLUMN or time:COLUMN; by row or by the group of a repeating id where nobody says.
        names: the names of the columns, separated by commas, instead of the header's.
        settings: values of the problem file by their keys, as in ``--set``.

    Raises:
        Unreadable: the data cannot be read.
        InputError: a problem file exists, or data, target, task and split do not fit together.
    """
    draft = make_draft(Options(directory, tuple(data), target, tuple(ignore), task, split, names, settings))
    request = _request(draft)
    with tempfile.TemporaryDirectory(prefix="fourscore-") as scratch:
        raw = _lay_out(draft, Path(scratch))
        draft, reading = _read(draft, request, raw, Path(scratch))
        schema, report = reading.schema, reading.report
        _check_columns(request, [column.name for column in schema.columns])
        profile = profile_table(reading.table, schema, request, reading.codes)
        expectations = propose_suite(reading.table, schema, profile)
    return Proposal(
        draft=replace(draft, content={**draft.content, "split": {**draft.content["split"], **profile.split}}),
        task=profile.task,
        target=request.target,
        sources={
            name: _source(entry, report.sources[name]) for name, entry in draft.content["data"]["sources"].items()
        },
        query=reading.config.query,
        columns=profile.columns,
        success=profile.success,
        label=profile.label,
        slices=profile.slices,
        expectations=expectations,
        guessed=(*reading.notes, *profile.guessed),
        decide=(*reading.questions, *profile.decide),
        rows=schema.rows,
        other_task=profile.other_task,
        digest=schema.digest,
    )


def _request(draft: Draft) -> Request:
    options, data = draft.options, draft.problem.data
    settings = options.settings or {}
    return Request(
        target=draft.problem.target,
        ignore=options.ignore,
        task=draft.task,
        by=draft.problem.split.by,
        column=draft.problem.split.column,
        split=options.split is not None or any(key in settings for key in _DIVIDING),
        label=draft.content["label"],
        division=draft.content["split"],
        declared=frozenset(name for name, column in data.columns.items() if column.type),
        source=next(iter(data.sources)) if len(data.sources) == 1 and data.query is None else None,
    )


def _check_columns(request: Request, names: Sequence[str], doubts: str = "") -> None:
    """Check that the columns of the request exist and that none has two roles."""
    target, column, by = request.target, request.column, request.by
    options = [("--target", target), *(("--ignore", name) for name in request.ignore)]
    for option, name in [*options, *([("--split", column)] if column else [])]:
        if name not in names:
            numbered = (
                "; no header was found (--names a,b,c gives one)"
                if all(re.fullmatch(r"column_\d+", name) for name in names)
                else doubts
            )
            raise InputError(
                f"{option} {name}: the data has no such column{near(name, names)}{numbered}; its columns are: "
                f"{', '.join(names)}"
            )
    if target in request.ignore:
        raise InputError(f"--ignore {target}: it is the target")
    if column in request.ignore:
        raise InputError(
            f"--ignore {column}: it divides the rows (--split {by}:{column}) and is never a feature anyway"
        )


def _doubts(parts: Mapping[str, Part]) -> str:
    """Return what may be wrong with the reading where a column is not there, and the setting that would change it."""
    for name, part in parts.items():
        setting = f"--set data.sources.{name}"
        if part.report.get("foreign"):
            encoding = part.report["encoding"]
            return f"; {part.name} was read as {encoding}, and its words look wrong: {setting}.encoding=gbk, cp1251 ..."
        if part.dialect and len(part.columns) == 1:
            return f"; the delimiter {part.dialect.delimiter!r} gives a single column: {setting}.delimiter=';'"
        if titles := part.report.get("titles"):
            return f"; {len(titles)} lines above the header were left out: {setting}.skip=0 keeps them"
    return ""


@dataclass(frozen=True)
class _Reading:
    """What the ingest stage made of the data."""

    table: Path
    schema: TableSchema
    report: IngestReport
    config: IngestConfig
    notes: tuple[str, ...]
    questions: tuple[str, ...]
    codes: frozenset[str] = frozenset()
    """Columns whose integers are written with leading zeros."""


def _lay_out(draft: Draft, scratch: Path) -> Path:
    """Return the folder with the files of all sources, as the ingest stage gets it."""
    paths = {name: source.path for name, source in draft.problem.data.sources.items()}
    resolved = resolve(paths, draft.options.directory, scratch / "workspace")
    raw = scratch / "raw"
    raw.mkdir()
    materialise(resolved, raw, links=True)
    return raw


def _read(draft: Draft, request: Request, raw: Path, scratch: Path) -> tuple[Draft, _Reading]:
    """Run the ingest stage, with a query that joins several sources on the columns that they share.

    Where words among numbers or a footer keep columns from being read, it is run again without them.

    Raises:
        Unreadable: a file cannot be read.
    """
    config = draft.problem.table()
    columns: list[str] = []
    try:
        parts = first_parts(config, raw, scratch / "header") if len(config.sources) > 1 or not needs_all(raw) else {}
        columns = list(dict.fromkeys(name for part in parts.values() for name in part.columns))
        if len(config.sources) > 1 and config.query is None:
            config = config.model_copy(update={"query": _join({name: part.columns for name, part in parts.items()})})
    except InputError as error:
        raise Unreadable(str(error), draft, columns) from None
    if columns and draft.problem.data.query is None:
        _check_columns(request, columns, _doubts(parts))
    questions: list[str] = []
    reading: _Reading | None = None
    words: Words = {}
    for attempt in range(_ATTEMPTS):
        try:
            data = draft.problem.table().model_copy(update={"query": config.query})
            reading = _ingest(data, raw, scratch / f"attempt-{attempt}")
            words = missing_words(data, reading.schema, raw, scratch / f"attempt-{attempt}")
            amendments = keep_classes(
                words, reading.table, reading.schema, reading.report, request.target, draft.content
            )
            amendments = amendments or amend(reading.report, draft.content, _class_target(reading, request.target))
        except SecretValues as error:
            amendments = ignore_secrets(error, request.target)
            if not amendments or attempt == _ATTEMPTS - 1:
                raise Unreadable(str(error), draft, columns) from None
        except (UnparsedValues, RaggedRows) as error:
            amendments = amend_refused(error, draft.content)
            if not amendments or attempt == _ATTEMPTS - 1:
                raise Unreadable(str(error), draft, columns) from None
        except InputError as error:
            raise Unreadable(str(error), draft, columns) from None
        if not amendments or attempt == _ATTEMPTS - 1:
            break
        draft = amended(draft, amendments.applied(draft.content))
        questions += amendments.questions
    assert reading is not None
    reading = _with_codes(reading, raw, scratch)
    questions += totals(reading.table, reading.schema, reading.report)
    notes, more_questions = remarks(words, reading.schema, reading.report, request.target)
    return draft, replace(
        reading, notes=(*reading.notes, *notes), questions=(*questions, *more_questions, *reading.questions)
    )


def ignore_secrets(error: SecretValues, target: str) -> Amendments:
    """Return the declarations that leave credentials out, with the question that each of them leaves."""
    result = Amendments()
    if target not in error.secrets:
        for name, secret in error.secrets.items():
            result.columns[name] = {"type": "category", "role": "ignore"}
            result.questions.append(
                f"{secret}: they are left out, and no file keeps them. If the column says which rows belong together: "
                f"--set data.columns.{name}='{{role: group, hash: true}}'"
            )
    return result


def _class_target(reading: _Reading, target: str) -> str | None:
    """Return the target if its words may be classes, since it has few different values."""
    column = next((column for column in reading.schema.columns if column.name == target), None)
    if column is None or column.type not in ("category", "text"):
        return None
    values = pl.scan_parquet(reading.table / "data.parquet", glob=False).select(pl.col(target).n_unique())
    return target if values.collect(engine="streaming").item() <= _FEW_CLASSES else None


def _ingest(config: IngestConfig, raw: Path, scratch: Path) -> _Reading:
    table = scratch / "table"
    table.mkdir(parents=True)
    with Journal(scratch / "journal.jsonl") as log:
        ingest(raw, table, config, log)
    events = read_events(scratch / "journal.jsonl")
    notes = [event for event in events if event["kind"] == "note" and not _REPEATS.search(event["text"])]
    return _Reading(
        table=table,
        schema=documents.read(TableSchema, table),
        report=documents.read(IngestReport, table),
        config=config,
        notes=tuple(note["text"] for note in notes if note["level"] == "info"),
        questions=tuple(note["text"] for note in notes if note["level"] == "warning"),
    )


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


def _with_codes(reading: _Reading, raw: Path, scratch: Path) -> _Reading:
    """Return the reading in which integers with leading zeros, which are codes rather than numbers, are text."""
    integers = {column.name for column in reading.schema.columns if column.type == "integer"}
    codes: set[str] = set()
    for name, source in reading.config.sources.items():
        for part in read_parts(raw / name, name, source, scratch / "codes", whole=False):
            columns = [column for column in part.columns if column in integers - codes]
            if part.dialect is None or not columns:
                continue
            zeros = part.text().select(pl.col(columns).str.strip_chars().str.contains(r"^0\d+$").any())
            codes |= {column for column, any_ in zeros.collect(engine="streaming").row(0, named=True).items() if any_}
    if not codes:
        return reading
    declared = {**reading.config.columns, **{name: ColumnConfig(type="category") for name in codes}}
    again = _ingest(reading.config.model_copy(update={"columns": declared}), raw, scratch / "as-codes")
    return replace(again, config=reading.config, codes=frozenset(codes))


def _source(entry: dict[str, Any], report: SourceReport) -> dict[str, Any]:
    """Return a source as the problem file writes it; a missing header is too important to be detected on each run."""
    return {**entry, **({"header": False} if {file.header for file in report.files} == {False} else {})}


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
        "problem": str(proposal.draft.options.directory / PROBLEM),
        "expectations": str(proposal.draft.options.directory / SUITE),
        "name": proposal.draft.problem.name,
        "task": proposal.task,
        "other_task": proposal.other_task,
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
    directory = proposal.draft.options.directory
    directory.mkdir(parents=True, exist_ok=True)
    problem, suite = directory / PROBLEM, directory / SUITE
    for path in (problem, suite):
        if path.exists() and not (path == problem and is_incomplete(path)):
            raise InputError(f"{path} exists and is not overwritten; remove it, or choose another folder")
    lines = ",\n".join(f"  {json.dumps(expectation, ensure_ascii=False)}" for expectation in proposal.expectations)
    name = json.dumps(proposal.draft.problem.name)
    suite.write_text(f'{{\n "name": {name},\n "expectations": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    _write_problem(problem, problem_text(proposal))


def write_incomplete(error: Unreadable) -> Path:
    """Write ``problem.yaml`` with what is known of a problem whose data cannot be read, and return its path."""
    problem = error.draft.options.directory / PROBLEM
    problem.parent.mkdir(parents=True, exist_ok=True)
    _write_problem(problem, incomplete_text(error.draft, error.columns, str(error)))
    return problem


def _write_problem(path: Path, text: str) -> None:
    if is_incomplete(path):
        path.unlink()
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
