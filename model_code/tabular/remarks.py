"""What is said of foreign values: why they cannot be read, and how they are unlike those of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import polars as pl

from model_code.families import Fault, Remark
from model_code.tabular import pieces
from model_code.tabular.columns import Column
from model_code.tabular.instants import instants_of_text
from model_code.tabular.values import FALSE, MANY_VALUES, TRUE, Form

_SHOWN_ROWS, _SHOWN_VALUES, _LONGEST = 5, 5, 40
"""How many rows and values a sentence names, and the characters of each value."""
EXPECTED = {
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a date with a time",
    "category": "a word of training",
}


def fault_of(column: Column, rows: pl.Series) -> Fault:
    """Return the wrong values of a column and a sentence about them."""
    where = rows.filter(column.wrong).to_list()
    values = column.original.filter(column.wrong)
    count = len(where)
    listed = ", ".join(map(str, where[:_SHOWN_ROWS])) + (", ..." if count > _SHOWN_ROWS else "")
    examples = ", ".join(_quoted(value) for value in values.unique(maintain_order=True).head(3))
    reason = f"; {column.why}" if column.why else ""
    return Fault(
        column.name,
        count,
        tuple(where),
        f"column {column.name!r}: {_values(count)} cannot be read as {EXPECTED[column.entry['type']]} "
        f"(row{'' if count == 1 else 's'} {listed}): {examples}{reason}; training had {_training(column.entry)}",
    )


def _values(count: int) -> str:
    return f"{count:,} value{'' if count == 1 else 's'}"


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "...")


def _training(entry: Mapping[str, Any]) -> str:
    """Say what training had in a column."""
    reading = entry.get("reading") or {}
    span = f" from {_display(entry['range'][0])} to {_display(entry['range'][1])}" if entry.get("range") else ""
    match entry["kind"]:
        case "numeric":
            marks = ["a decimal comma"] if reading.get("decimal") == "," else []
            marks += [f"{reading['thousands']!r} between thousands"] if reading.get("thousands") else []
            marks += [" or ".join(reading["affixes"])] if reading.get("affixes") else []
            numbers = "whole numbers" if entry["type"] == "integer" else "numbers"
            return numbers + (f" with {' and '.join(marks)}" if marks else "") + span
        case "boolean":
            return f"true and false ({', '.join(TRUE)} or {', '.join(FALSE)})"
        case "datetime":
            return f"dates{span}" + (f", written as {reading['format']}" if reading.get("format") else "")
        case _:
            words = entry["vocabulary"]
            return ", ".join(map(_quoted, words[:_SHOWN_VALUES])) + (" ..." if len(words) > _SHOWN_VALUES else "")


def _display(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def remarks_on(column: Column) -> Iterator[Remark]:
    """Say how the values of a column are unlike those of training."""
    entry, values = column.entry, column.values
    present = len(values) - values.null_count()
    if entry.get("missing") == 0 and values.has_nulls():
        text = f"column {column.name!r}: {values.null_count():,} of {_values(len(values))} missing; training had none missing"
        yield Remark(column.name, "missing", values.null_count(), len(values), {}, text)
    if entry["kind"] == "category":
        yield from _strange_words(column, present)
    elif entry.get("range") and present:
        yield from _outside(column, present)


def _strange_words(column: Column, present: int) -> Iterator[Remark]:
    entry = column.entry
    if column.spellings:
        counts = _counted(column.original.filter(column.original.is_in(list(column.spellings))))
        if counts:
            pairs = ", ".join(f"{word} as {column.spellings[word]}" for word in list(counts)[:_SHOWN_VALUES])
            total = sum(counts.values())
            text = f"column {column.name!r}: {total:,} of {_values(present)} spelled otherwise than in training; read {pairs}"
            yield Remark(column.name, "respelled", total, present, dict(list(counts.items())[:_SHOWN_VALUES]), text)
    unseen = _counted(column.values.filter(~column.values.is_in(entry["vocabulary"])))
    if "pieces" in entry:
        unseen = {word: unseen[word] for word in pieces.unknown(unseen, entry)}
    if unseen:
        examples = list(unseen)[:_SHOWN_VALUES]
        count = sum(unseen.values())
        often = f" among its {len(entry['vocabulary']):,} most frequent" if entry.get("rarer") else ""
        text = (
            f"column {column.name!r}: {count:,} of {_values(present)} never seen in training{often} "
            f"({', '.join(examples)}{' ...' if len(unseen) > len(examples) else ''}; training had {_nearest(examples, entry)})"
        )
        yield Remark(column.name, "unseen", count, present, {word: unseen[word] for word in examples}, text)


def _counted(words: pl.Series) -> dict[str, int]:
    """Return words and their counts, the most frequent first."""
    counts = (
        words.rename("word").drop_nulls().value_counts(name="count").sort(["count", "word"], descending=[True, False])
    )
    return dict(counts.iter_rows())


def _nearest(words: Sequence[str], entry: Mapping[str, Any]) -> str:
    """Return words of training, first those that are spelled most like these."""
    many = len(entry["vocabulary"]) > MANY_VALUES  # each comparison takes microseconds
    folded = {} if many else {word.casefold(): word for word in entry["vocabulary"]}
    close = [folded[match] for word in words for match in get_close_matches(word.casefold(), folded, 1)]
    nearest = [*dict.fromkeys([*close, *entry["vocabulary"]])]
    return ", ".join(nearest[:_SHOWN_VALUES]) + (" ..." if len(nearest) > _SHOWN_VALUES else "")


def _outside(column: Column, present: int) -> Iterator[Remark]:
    """Remark on numbers and dates beyond the range that training had."""
    values = column.values.drop_nulls()
    low, high = column.entry["range"]
    if column.entry["kind"] == "datetime":
        low, high = instants_of_text(pl.Series([low, high]), replace(Form.of(column.entry), format=None))
    if values.min() >= low and values.max() <= high:
        return
    outside = values.filter((values < low) | (values > high))
    extremes = [*dict.fromkeys([outside.min(), outside.max()])]
    counts = {_display(value): int((outside == value).sum()) for value in extremes}
    text = (
        f"column {column.name!r}: {len(outside):,} of {_values(present)} outside of what training had, "
        f"{_display(low)} to {_display(high)} ({', '.join(counts)})"
    )
    yield Remark(column.name, "range", len(outside), present, counts, text)
