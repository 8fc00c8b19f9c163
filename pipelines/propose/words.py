"""Words that mean 'no value': how often each column holds one, and where it is rather a class or a value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from model_code.tabular.values import FALSE, TRUE
from pipelines.propose.amendments import Amendments
from steps.ingest import IngestConfig
from steps.label import FEW
from steps.tables.document import IngestReport
from steps.tables.readers import read_parts
from steps.tables.schema import TableSchema

Words = dict[str, dict[str, dict[str, int]]]
"""By source, column and word: the number of cells."""

_A_CLASS = 0.02
"""The share of the rows from which a word of the target is rather a class."""
_FREQUENT = 0.01
"""The share of the rows from which a word is worth a question."""
_NEVER_A_CLASS = ("?", "NaN", "nan", "#N/A", "<NA>")
_LISTED = 5


def missing_words(config: IngestConfig, schema: TableSchema, raw: Path, scratch: Path) -> Words:
    """Return the words that count as missing, of the columns that have missing values or that a query may rename."""
    complete = {column.name for column in schema.columns if not column.missing}
    words: Words = {}
    for name, source in config.sources.items():
        markers = [word for word in source.missing if word]
        counts: dict[str, dict[str, int]] = {}
        for part in read_parts(raw / name, name, source, scratch / "words", whole=False) if markers else ():
            text = part.text()
            dtypes = text.collect_schema()
            columns = [column for column in part.columns if column not in complete and dtypes[column] == pl.String]
            tallies = [
                pl.col(column)
                .str.strip_chars()
                .filter(pl.col(column).str.strip_chars().is_in(markers))
                .value_counts()
                .implode()
                for column in columns
            ]
            for column, tally in zip(columns, text.select(tallies).collect().row(0) if tallies else (), strict=True):
                for entry in tally:
                    word, number = entry[column], entry["count"]
                    of_column = counts.setdefault(column, {})
                    of_column[word] = of_column.get(word, 0) + number
        words[name] = counts
    return words


def keep_classes(
    words: Words, table: Path, schema: TableSchema, report: IngestReport, target: str, content: Mapping[str, Any]
) -> Amendments:
    """Return the settings by which words of the target stay classes, with the question that each of them leaves.

    A word that other columns hold still means 'no value' there.
    """
    result = Amendments()
    column = next((column for column in schema.columns if column.name == target), None)
    if column is None or column.type not in ("category", "text"):
        return result
    values = pl.scan_parquet(table / "data.parquet", glob=False).select(pl.col(target).drop_nulls().unique().head(1000))
    present = {value.lower() for value in values.collect(engine="streaming")[target].to_list()}
    if present <= {*TRUE, *FALSE}:
        return result
    for name, counts in words.items():
        declared = content["data"]["sources"][name]
        if "missing" in declared or "missing" in content["data"].get("columns", {}).get(target, {}):
            continue
        least = max(FEW, _A_CLASS * schema.rows)
        classes = [w for w, number in counts.get(target, {}).items() if number >= least and w not in _NEVER_A_CLASS]
        if not classes:
            continue
        result.sources[name] = {"missing": _without(classes)}
        for neighbour, tally in counts.items():
            if neighbour != target and (shared := [word for word in classes if word in tally]):
                kind = report.sources[name].types.get(neighbour)
                form = {"format": kind.format} if kind and kind.format else {}
                declared_type = next(str(c.type) for c in schema.columns if c.name == neighbour)
                result.columns[neighbour] = {"type": declared_type, **form, "missing": shared}
        result.questions += [_class_question(word, counts[target][word], schema.rows, target) for word in classes]
    return result


def _without(words: list[str]) -> list[str]:
    from model_code.tabular import MISSING

    return [word for word in MISSING if word and word not in words]


def _class_question(word: str, number: int, rows: int, target: str) -> str:
    declaration = shlex.quote(f"{{type: category, missing: [{json.dumps(word, ensure_ascii=False)}]}}")
    return (
        f"{number:,} of {rows:,} rows have {word!r} as {target!r} ({number / rows:.0%}): it is taken for a class, though {word!r} "
        f"means 'no value' in other columns; if it does so here: --set data.columns.{target}={declaration}"
    )


def remarks(words: Words, schema: TableSchema, report: IngestReport, target: str) -> tuple[list[str], list[str]]:
    """Return what is worth knowing of words that count as missing, and what is worth asking, as sentences."""
    of_table = {column.name: str(column.type) for column in schema.columns if column.role != "ignore"}
    left = {column.name for column in schema.columns} - of_table.keys()
    notes, questions = [], []
    for name, counts in words.items():
        of_source = report.sources[name].types if report.query else {}
        types = {column: kind.type for column, kind in of_source.items() if column not in left} | of_table
        for word in dict.fromkeys(word for tally in counts.values() for word in tally):
            of_word = {column: tally[word] for column, tally in counts.items() if word in tally and column in types}
            questionable = {
                column: number
                for column, number in of_word.items()
                if (types[column] in ("category", "text") and number >= max(FEW, _FREQUENT * schema.rows))
                or column == target
            }
            rest = {column: number for column, number in of_word.items() if column not in questionable}
            if questionable:
                setting = shlex.quote(json.dumps(_without([word]), ensure_ascii=False))
                left_out = " (their rows have no label)" if target in questionable else ""
                questions.append(
                    f"cells {word!r} count as missing: {_listed(questionable)}{left_out}; if {word} is a value: "
                    f"--set data.sources.{name}.missing={setting}"
                )
            if rest:
                notes.append(f"cells {word!r} count as missing: {_listed(rest)}")
    return notes, questions


def _listed(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts, key=lambda column: -counts[column])
    more = f" and {len(ordered) - _LISTED} columns more" if len(ordered) > _LISTED else ""
    return ", ".join(f"{counts[column]:,} in {column!r}" for column in ordered[:_LISTED]) + more
