"""What a second reading of the data would mend: words that mean no value, and footers below the table."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from steps.tables.document import IngestReport, NearlyType, SourceReport
from steps.tables.parsing import Odd
from steps.tables.schema import TableSchema
from steps.tables.strict import RaggedRows, UnparsedValues

_LONGEST_FOOTER = 5
_MOST_WORDS = 12
"""With more different words, a column is hardly one of numbers or dates."""
_TOTAL = re.compile(
    r"(grand|sub|sum)?[ -]*(total|totals|totaux|totale|sum|summe|gesamt|insgesamt|suma|somma|ukupno|average|mean)\b.*"
    r"|page -?\d+( of \d+)?|\d+ (rows|records)( .*)?|end of (file|report|data).*|(source|notes?|quelle|fuente): .*"
    r"|(exported|generated|printed|created) (by|on|at|from)\b.*",
    re.IGNORECASE,
)


@dataclass
class Amendments:
    """Settings of sources and declarations of columns, with the question that each of them leaves."""

    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sources or self.columns)

    def applied(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return the content of a problem with the amendments in it."""
        content = copy.deepcopy(content)
        data = content["data"]
        for name, settings in self.sources.items():
            data["sources"][name] |= settings
        columns = data.setdefault("columns", {})
        for name, fields in self.columns.items():
            columns[name] = {**columns.get(name, {}), **fields}
        return content


def amend(report: IngestReport, content: dict[str, Any], untouched: str | None = None) -> Amendments:
    """Return what the columns of text that nearly hold numbers or dates suggest.

    Args:
        untouched: a column whose odd words may be classes, and no missing values.
    """
    result = Amendments()
    for name, source in report.sources.items():
        settings = content["data"]["sources"][name]
        nearly = {column: kind.almost for column, kind in source.types.items() if kind.almost}
        if lines := _footer(source, list(nearly.values())):
            last = source.rows + (source.blank_records or 0)
            words = dict.fromkeys(word for a in nearly.values() if min(a.rows) > last - lines for word in a.words)
            _leave_out_footer(result, name, source.files[0].file, settings, lines, words)
            continue
        rows = _shared_rows(source, list(nearly.values()))
        if rows:
            words = dict.fromkeys(word for almost in nearly.values() if almost.rows == rows for word in almost.words)
            _leave_out_rows(result, name, source.files[0].file, settings, rows, words)
        for column, almost in nearly.items():
            if column == untouched or almost.rows == rows:
                continue
            odd = Odd(almost.type, almost.words, almost.rows, almost.odd)
            _declare(result, column, odd, {"format": almost.format} if almost.format else {})
    return result


def amend_refused(error: UnparsedValues | RaggedRows, content: dict[str, Any]) -> Amendments:
    """Return what the values or records suggest that could not be read."""
    result = Amendments()
    if isinstance(error, RaggedRows):
        _leave_out(result, error, content["data"]["sources"][error.source])
        return result
    for column, odd in error.columns.items():
        if odd.type not in ("category", "text", "boolean"):
            _declare(result, column, odd, {})
    return result


def _leave_out(result: Amendments, error: RaggedRows, settings: dict[str, Any]) -> None:
    """Leave out a footer, and records inside that are totals or hold a single cell."""
    if error.at_end and len(error.rows) <= _LONGEST_FOOTER:
        _leave_out_footer(result, error.source, error.file, settings, len(error.rows), list(error.rows.values()))
    elif all(_TOTAL.match(text) or not re.search(r"\w.*[,;|\t].*\w", text) for text in error.rows.values()):
        _leave_out_rows(result, error.source, error.file, settings, tuple(error.rows), list(error.rows.values()))


def _leave_out_footer(
    result: Amendments, source: str, file: str, settings: dict[str, Any], lines: int, words: Collection[str]
) -> None:
    count = settings.get("skip_footer", 0) + lines
    result.sources[source] = {"skip_footer": count}
    result.questions.append(
        f"the end of {file} looks like a footer ({_quoted(words)}): {lines} left out (data.sources.{source}.skip_footer: {count})"
    )


def _leave_out_rows(
    result: Amendments, source: str, file: str, settings: dict[str, Any], rows: Sequence[int], words: Collection[str]
) -> None:
    result.sources[source] = {"drop_rows": sorted({*settings.get("drop_rows", ()), *rows})}
    result.questions.append(
        f"row{'' if len(rows) == 1 else 's'} {', '.join(map(str, rows))} of {file} seem to be no rows of the "
        f"table ({_quoted(words)}): they are left out (data.sources.{source}.drop_rows)"
    )


def _declare(result: Amendments, column: str, odd: Odd, fields: dict[str, Any]) -> None:
    if not 0 < len(odd.words) < _MOST_WORDS:
        return
    what = {"integer": "whole number", "float": "number"}.get(odd.type, "date")
    verbs, plural = (("is", "counts"), "") if odd.count == 1 else (("are", "count"), "s")
    rows = ", ".join(map(str, odd.rows)) + (" ..." if odd.count > len(odd.rows) else "")
    result.columns[column] = {"type": odd.type, **fields, "missing": list(odd.words)}
    result.questions.append(
        f"column {column!r}: {odd.count:,} value{plural} {verbs[0]} no {what} and {verbs[1]} as missing: {_quoted(odd.words)} "
        f"(row{plural} {rows}; data.columns.{column}.missing)"
    )


def _quoted(words: Any) -> str:
    return ", ".join(repr(word[:40]) for word in words)


def _footer(source: SourceReport, nearly: list[NearlyType]) -> int:
    """Return the number of records at the end of the only file that do not fit the columns above them."""
    last = source.rows + (source.blank_records or 0)
    if len(source.files) != 1 or source.files[0].format not in ("csv", "tsv", "excel"):
        return 0
    ends = [
        almost
        for almost in nearly
        if almost.odd == len(almost.rows) <= _LONGEST_FOOTER
        and almost.rows == tuple(range(last - almost.odd + 1, last + 1))
        and (almost.odd > 1 or _is_total(almost))
    ]
    return max((almost.odd for almost in ends), default=0)


def _is_total(almost: NearlyType) -> bool:
    """Return whether all odd values are totals or remarks, rather than words for missing values."""
    return all(_TOTAL.fullmatch(word) for word in almost.words)


def _shared_rows(source: SourceReport, nearly: list[NearlyType]) -> tuple[int, ...]:
    """Return the records of the only file that are none of the table, such as subtotals, or units below the header."""
    if len(source.files) != 1 or source.files[0].format not in ("csv", "tsv", "excel"):
        return ()
    few = [almost for almost in nearly if almost.odd == len(almost.rows) <= _LONGEST_FOOTER]
    if sums := [almost.rows for almost in few if _is_total(almost)]:
        return sums[0]
    shared = Counter(almost.rows for almost in few)
    return next((rows for rows, columns in shared.most_common(1) if columns > 1), ())


def totals(table: Path, schema: TableSchema, report: IngestReport) -> Iterator[str]:
    """Ask about words for totals in the last records of a single source."""
    names = [column.name for column in schema.columns if column.type in ("category", "text")]
    if len(report.sources) > 1 or not names:
        return
    end = pl.scan_parquet(table / "data.parquet", glob=False).select(names).tail(3).collect(engine="streaming")
    for back, row in enumerate(reversed(end.rows()), 1):
        word = next((cell for cell in row if cell and _TOTAL.fullmatch(cell)), None)
        if word is not None:
            yield (
                f"the record {'at the end' if back == 1 else f'{back} before the end'} holds {word!r}: if it is a total, leave it "
                f"out with --set data.sources.{next(iter(report.sources))}.skip_footer={back}"
            )
