"""Foreign values as model inputs: whatever types and words a client sends, read as training read them.

``fourscore predict``, the registered model and any server call ``read``. It is driven by the ``inputs`` of schema.json: the
kind of each column, how its text was written in training (``reading``), its vocabulary, and the range that training saw.
How text becomes values is in ``model_code.tabular.values``, which training uses too; here is what only answering needs:
values that already have a type, other spellings of the same value, and what is unlike training.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import polars as pl

from model_code.families import Fault, Readout, Remark
from model_code.tabular import MISSING
from model_code.tabular.moments import CLOCKS, DATES, four_digit_year
from model_code.tabular.values import (
    CURRENCIES,
    FALSE,
    LARGEST,
    LARGEST_VOCABULARY,
    PERCENT,
    TRUE,
    Form,
    canonical_text,
    cleaned,
    converted,
    zoned,
)

Schema = Mapping[str, Any]

PANDAS_MISSING = frozenset(
    {
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    }
)
"""Words that ``pandas.read_csv`` takes for missing values where it is not told otherwise."""
_SHOWN_ROWS, _SHOWN_VALUES, _LONGEST = 5, 5, 40
"""How many rows and values a sentence names, and the characters of each value."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_WHOLE = re.compile(r"([+-]?)0*(\d+?)(?:\.0*)?")
_ISO = r"^(\d{4}-\d{1,2}-\d{1,2})(?:[Tt ]\s*(\d{1,2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$"
"""The variants of ISO 8601 that say the same: T or a blank, seconds and their fractions or none, Z or an offset, date only."""
_EXPECTED = {
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a date with a time",
    "category": "a word of training",
}


@dataclass(frozen=True)
class _Column:
    """One input as it was read."""

    entry: Mapping[str, Any]
    values: pl.Series
    original: pl.Series
    """The values as the client wrote them: text, or the same as ``values``."""
    wrong: pl.Series
    """The rows whose value cannot be read."""
    why: str = ""
    """A reason beside the usual one."""
    spellings: Mapping[str, str] | None = None
    """Words of the client and the words of training that stand for them."""

    @property
    def name(self) -> str:
        name: str = self.entry["name"]
        return name


def read(
    frame: pl.DataFrame,
    schema: Schema,
    *,
    rows: pl.Series | None = None,
    skip: bool = False,
    blanks_hide_words: bool = False,
) -> Readout:
    """Read foreign values as columns of the types that ``encode`` takes; see ``model_code.families.Family.read``.

    Raises:
        ValueError: a column is missing, or, unless ``skip``, a value cannot be read; the message names each column.
    """
    frame = _flat(frame)
    names = _names(frame, schema)
    columns = [_column(frame[names[entry["name"]]], entry, blanks_hide_words) for entry in schema["inputs"]]
    if rows is None:
        rows = pl.Series("row", range(1, frame.height + 1), dtype=pl.Int64)
    faults = tuple(_fault(column, rows) for column in columns if column.wrong.any())
    if faults:
        if not skip:
            raise ValueError("\n".join(fault.text for fault in faults))
        right = ~pl.DataFrame([column.wrong for column in columns]).select(pl.any_horizontal(pl.all())).to_series()
        rows = rows.filter(right)
        columns = [
            replace(column, **{part: getattr(column, part).filter(right) for part in ("values", "original", "wrong")})
            for column in columns
        ]
    remarks = tuple(remark for column in columns for remark in _remarks(column))
    return Readout(pl.DataFrame([column.values for column in columns]), rows, faults, remarks)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the fields of objects as columns of their own, named like ``home.city``, as readers of files do."""
    while objects := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
        parts = [
            part.alias(f"{name}.{part.name}")
            for name in objects
            for part in frame[name].struct.unnest()
            if f"{name}.{part.name}" not in frame.columns
        ]
        frame = frame.drop(objects).with_columns(parts)
    return frame


def _names(frame: pl.DataFrame, schema: Schema) -> dict[str, str]:
    """Return the name that each input has in the frame; blanks around it do not matter.

    Raises:
        ValueError: columns are missing; the message lists them.
    """
    stripped: dict[str, list[str]] = defaultdict(list)
    for column in frame.columns:
        stripped[column.strip()].append(column)
    names, problems = {}, []
    for entry in schema["inputs"]:
        name = entry["name"]
        same = [name] if name in frame.columns else stripped[name.strip()]
        if len(same) == 1:
            names[name] = same[0]
            continue
        alike = [column for column in frame.columns if column.strip().casefold() == name.strip().casefold()]
        hint = f" (there is {alike[0]!r}, which is another name)" if alike else ""
        problems.append(f"column {name!r} is missing; the model needs {_EXPECTED[entry['type']]} there{hint}")
    if problems:
        columns = ", ".join(frame.columns[:20]) + (" ..." if len(frame.columns) > 20 else "")
        raise ValueError("\n".join(problems) + f"\nthe columns are: {columns or 'none'}")
    return names


def _column(values: pl.Series, entry: Mapping[str, Any], blanks_hide_words: bool) -> _Column:
    """Return one input as it was read."""
    values = values.alias(entry["name"])
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        every = pl.Series(entry["name"], [True] * len(values), dtype=pl.Boolean)
        original = pl.Series(entry["name"], [str(value) for value in values], dtype=pl.String)
        return _Column(entry, original, original, every, f"the column holds {values.dtype}")
    if isinstance(values.dtype, pl.Duration):
        values = values.dt.total_microseconds() / 1e6
    return _READERS[entry["kind"]](values, entry, blanks_hide_words)


def _evaluate(expression: pl.Expr) -> pl.Series:
    return pl.select(expression).to_series()


def _first_present(first: pl.Series, second: pl.Series) -> pl.Series:
    return _evaluate(pl.coalesce(pl.lit(first), pl.lit(second)))


def _text(values: pl.Series, entry: Mapping[str, Any], more: Sequence[str] = ()) -> pl.Series:
    """Return values as cleaned text: what a CSV file would hold, without the words for missing values."""
    if isinstance(values.dtype, pl.Datetime):
        text = values.dt.cast_time_unit("us").dt.to_string("iso:strict")
    elif values.dtype == pl.Boolean:
        text = values.replace_strict({True: "True", False: "False"}, default=None, return_dtype=pl.String)
    else:
        text = _evaluate(canonical_text(pl.lit(values), values.dtype))
    markers = (entry.get("reading") or {}).get("missing")
    return _evaluate(cleaned(pl.lit(text), {*(MISSING if markers is None else markers), *more})).alias(entry["name"])


def _numbers(values: pl.Series, entry: Mapping[str, Any], _: bool) -> _Column:
    """Read numbers, typed or written; a column that was text in training takes no truth values, as its text took none."""
    was_text = bool(entry.get("reading"))
    form, why = Form.of(entry), ""
    if values.dtype.is_numeric():
        original = values.fill_nan(None) if values.dtype.is_float() else values
        numbers = original.cast(pl.Float64)
        if set(form.affixes) & set(PERCENT):
            numbers = pl.Series([None] * len(original), dtype=pl.Float64)
            why = f"send text with {' or '.join(form.affixes)}, since 0.5 may be 50 %"
    else:
        original = _text(values, entry, (*MISSING, *PANDAS_MISSING))
        numbers = _numbers_of_text(original, form)
        if not was_text:
            truth = original.str.to_lowercase().replace_strict(
                {"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64
            )
            numbers = _first_present(numbers, truth)
    wrong = original.is_not_null() & ~(numbers.abs() <= LARGEST).fill_null(False)
    if entry["type"] == "integer":
        wrong |= (numbers % 1 != 0).fill_null(False)
    if was_text and (marks := _numeric_markers(entry)):
        marked = numbers.is_in(marks).fill_null(False)
        numbers, wrong = _evaluate(pl.when(~marked).then(numbers)), wrong & ~marked
    return _Column(entry, numbers.alias(entry["name"]), original, wrong, why if wrong.any() else "")


def _numbers_of_text(text: pl.Series, form: Form) -> pl.Series:
    """Return numbers as training wrote them or, if that fails, in the one other way that is beyond doubt."""
    numbers = _evaluate(converted(pl.lit(text), replace(form, type="float")))
    if numbers.null_count() == text.null_count():
        return numbers
    candidates = [_evaluate(converted(pl.lit(text), other)) for other in _other_forms(form)]
    fitting = [candidate for candidate in candidates if candidate.null_count() == text.null_count()]
    return fitting[0] if fitting and all(other.equals(fitting[0]) for other in fitting) else numbers


def _other_forms(form: Form) -> Iterator[Form]:
    """Return ways to write numbers that are as good as training's: other marks, other signs, money; never percent."""
    affixes = form.affixes if set(form.affixes) & set(PERCENT) else CURRENCIES
    for decimal, signs in ((".", (None, ",", " ", "'")), (",", (None, ".", " ", "'"))):
        for thousands in signs:
            yield replace(form, type="float", decimal=decimal, thousands=thousands, affixes=affixes, signs=True)


def _numeric_markers(entry: Mapping[str, Any]) -> list[float]:
    """Return the words for missing values that are numbers, which a client may send as such."""
    texts = pl.Series("", entry["reading"]["missing"], dtype=pl.String)
    numbers = _evaluate(converted(pl.lit(texts), replace(Form.of(entry), type="float")))
    return numbers.drop_nulls().to_list()


def _truth(values: pl.Series, entry: Mapping[str, Any], _: bool) -> _Column:
    """Read truth values: the words that ``ingest`` reads, and the numbers 1 and 0."""
    if values.dtype == pl.Boolean:
        return _Column(entry, values, values, pl.Series([False] * len(values), dtype=pl.Boolean))
    original = _text(values, entry, (*MISSING, *PANDAS_MISSING))
    truth = _evaluate(converted(pl.lit(original).str.replace(r"^([01])\.0*$", "$1"), Form("boolean")))
    return _Column(entry, truth.alias(entry["name"]), original, original.is_not_null() & truth.is_null())


def _instants(values: pl.Series, entry: Mapping[str, Any], _: bool) -> _Column:
    """Read dates and instants: typed, in training's form, in a variant of ISO 8601, or in a form that is beyond doubt."""
    form = Form.of(entry)
    dtype = values.dtype
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        instant = four_digit_year(pl.lit(values))
        if form.type == "date":
            instant = instant.cast(pl.Date)
        else:
            instant = zoned(
                instant.cast(pl.Datetime("us", getattr(dtype, "time_zone", None))), form, aware=_aware(dtype)
            )
        instants, original = _plain(_evaluate(instant), form), values
    else:
        original = _text(values, entry, (*MISSING, *PANDAS_MISSING))
        instants = _instants_of_text(original, form)
    wrong = original.is_not_null() & instants.is_null()
    why = ""
    if form.clock_change == "missing" and wrong.any():
        earlier = _instants(values, {**entry, "reading": {**entry["reading"], "clock_change": "earlier"}}, False)
        wrong &= earlier.values.is_null()
    if form.timezone and wrong.any() and _is_local_time(original.filter(wrong), form):
        why = f"clocks in {form.timezone} show this time twice or never; write it with its offset"
    return _Column(entry, instants.alias(entry["name"]), original, wrong, why)


def _aware(dtype: pl.DataType) -> bool:
    return getattr(dtype, "time_zone", None) is not None


def _is_local_time(original: pl.Series, form: Form) -> bool:
    """Return whether values are dates and times but for the time zone."""
    if isinstance(original.dtype, pl.Datetime):
        return True
    return original.dtype == pl.String and not _instants_of_text(original, replace(form, timezone=None)).has_nulls()


def _instants_of_text(text: pl.Series, form: Form) -> pl.Series:
    """Return dates or instants in one type: training's form first, then ISO 8601, then the text's own form."""
    usual = _plain(_evaluate(converted(pl.lit(text), form)), form)
    if not re.match(r"%Y\W?%d", form.format or ""):
        usual = _first_present(usual, _iso(text, form))
    rest = text.filter(usual.is_null() & text.is_not_null())
    if rest.is_empty() or (own := _own_form(rest, form)) is None:
        return usual
    return _first_present(usual, _plain(_evaluate(converted(pl.lit(text), own)), form))


def _plain(values: pl.Series, form: Form) -> pl.Series:
    """Return values as the column's one type; instants of a column without a time zone become those of UTC."""
    if form.type == "date":
        return values.cast(pl.Date)
    if values.dtype == pl.Date:
        return _evaluate(zoned(pl.lit(values).cast(pl.Datetime("us")), form, aware=False))
    if _aware(values.dtype) and form.timezone is None:
        return values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values


def _iso(text: pl.Series, form: Form) -> pl.Series:
    """Return what is written in a variant of ISO 8601."""
    day, clock, second, fraction, offset = (pl.lit(text).str.extract(_ISO, group) for group in range(1, 6))
    if form.type == "date":
        return _evaluate(four_digit_year(day.str.to_date("%Y-%m-%d", strict=False)))
    original = pl.format(
        "{}T{}:{}.{}", day, clock.fill_null("00:00"), second.fill_null("00"), fraction.fill_null("0")
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    original = four_digit_year(original)
    digits = offset.str.replace(":", "").str.replace("(?i)z", "+0000").str.pad_end(5, "0")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    minutes = pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)
    universal = (original - pl.duration(minutes=minutes)).dt.replace_time_zone("UTC")
    local = zoned(original, form, aware=False)
    if form.timezone is None:
        instants = pl.when(offset.is_null()).then(local).otherwise(universal.dt.replace_time_zone(None))
    else:
        instants = pl.when(offset.is_null()).then(local).otherwise(universal.dt.convert_time_zone(form.timezone))
    return _evaluate(instants)


def _own_form(text: pl.Series, form: Form) -> Form | None:
    """Return the one form that all of these dates fit, unless it puts day and month in another order than training did."""
    clocks = ("", *(f" {clock}" for clock in CLOCKS)) if form.type == "datetime" else ("",)
    fitting = []
    for date in DATES:
        for clock in clocks:
            candidate = replace(form, type="datetime" if clock else "date", format=date + clock)
            if all(not _evaluate(converted(pl.lit(part), candidate)).has_nulls() for part in (text.head(100), text)):
                fitting.append(candidate)
    usual = form.format or ""
    if same := [candidate for candidate in fitting if str(candidate.format)[:8] == usual[:8]]:
        return same[0]  # a date without its time
    orders = {_order(candidate) for candidate in fitting}
    reverse = {"%d": "%m", "%m": "%d"}.get(_order(form))
    return fitting[0] if len(orders) == 1 and reverse not in orders else None


def _order(form: Form) -> str:
    """Return what comes first in dates of this form; where the month has a name, no order can be mistaken."""
    return "name" if "%B" in (form.format or "") else (form.format or "")[:2]


class Vocabulary:
    """The words that training saw in one column, and other spellings of them."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.index = frozenset(words)

    def spelling(self, word: str) -> list[str]:
        """Return the words of training that may be meant by a truth value or a number spelled ``word``."""
        if word.lower() in ("true", "false"):
            return [candidate for candidate in self.words if candidate.lower() == word.lower()]
        return [*dict.fromkeys(candidate for key in _number_keys(word) for candidate in self._numbers.get(key, ()))]

    @cached_property
    def _numbers(self) -> dict[str, list[str]]:
        numbers: dict[str, list[str]] = defaultdict(list)
        for word in self.words:
            for key in _number_keys(word):
                numbers[key].append(word)
        return numbers


def _number_keys(word: str) -> Iterator[str]:
    """Return what is equal for spellings of one number: 01234, 1234 and 1234.0; long ones also as a float shows them."""
    if whole := _WHOLE.fullmatch(word):
        digits = whole[2]
        yield ("-" if whole[1] == "-" and digits != "0" else "") + digits
        if len(digits) > 15:
            yield repr(float(word))
    elif re.fullmatch(_NUMBER, word):
        number = float(word)
        yield str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _words(values: pl.Series, entry: Mapping[str, Any], blanks_hide_words: bool) -> _Column:
    """Read words; a number or a truth value that stands for exactly one word of training becomes that word."""
    vocabulary = Vocabulary(entry["vocabulary"])
    text = _text(values, entry)
    spellings: dict[str, str] = {}
    uncertain = []
    for word in text.drop_nulls().unique().to_list():
        if word in vocabulary.index and values.dtype in (pl.String, pl.Categorical, pl.Enum):
            continue
        candidates = vocabulary.spelling(word)
        if len(candidates) == 1 and candidates[0] != word:
            spellings[word] = candidates[0]
        elif len(candidates) > 1 and (values.dtype.is_numeric() or values.dtype == pl.Boolean):
            uncertain.append(word)
    words = text.replace(spellings) if spellings else text
    wrong = text.is_in(uncertain).fill_null(False)
    why = "several words of training stand for this value; send text" if uncertain else ""
    if blanks_hide_words and entry.get("missing") == 0:
        hidden = [word for word in vocabulary.words if word in PANDAS_MISSING]
        if len(hidden) == 1 and text.has_nulls():
            words, text = words.fill_null(hidden[0]), text.fill_null("(missing)")
            spellings["(missing)"] = hidden[0]
    return _Column(entry, words, text, wrong, why, spellings)


_READERS = {"numeric": _numbers, "boolean": _truth, "datetime": _instants, "category": _words}


def _fault(column: _Column, rows: pl.Series) -> Fault:
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
        f"column {column.name!r}: {_values(count)} cannot be read as {_EXPECTED[column.entry['type']]} "
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


def _remarks(column: _Column) -> Iterator[Remark]:
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


def _strange_words(column: _Column, present: int) -> Iterator[Remark]:
    entry = column.entry
    if column.spellings:
        counts = _counted(column.original.filter(column.original.is_in(list(column.spellings))))
        if counts:
            pairs = ", ".join(f"{word} as {column.spellings[word]}" for word in list(counts)[:_SHOWN_VALUES])
            total = sum(counts.values())
            text = f"column {column.name!r}: {total:,} of {_values(present)} spelled otherwise than in training; read {pairs}"
            yield Remark(column.name, "respelled", total, present, dict(list(counts.items())[:_SHOWN_VALUES]), text)
    unseen = _counted(column.values.filter(~column.values.is_in(entry["vocabulary"])))
    if unseen:
        examples = list(unseen)[:_SHOWN_VALUES]
        count = sum(unseen.values())
        full = len(entry["vocabulary"]) >= LARGEST_VOCABULARY
        often = f" among its {LARGEST_VOCABULARY:,} most frequent" if full else ""
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
    folded = {word.casefold(): word for word in entry["vocabulary"]}
    close = [folded[match] for word in words for match in get_close_matches(word.casefold(), folded, 1)]
    nearest = [*dict.fromkeys([*close, *entry["vocabulary"]])]
    return ", ".join(nearest[:_SHOWN_VALUES]) + (" ..." if len(nearest) > _SHOWN_VALUES else "")


def _outside(column: _Column, present: int) -> Iterator[Remark]:
    """Remark on numbers and dates beyond the range that training had."""
    values = column.values.drop_nulls()
    low, high = column.entry["range"]
    if column.entry["kind"] == "datetime":
        low, high = _instants_of_text(pl.Series([low, high]), replace(Form.of(column.entry), format=None))
    outside = values.filter((values < low) | (values > high))
    if outside.is_empty():
        return
    extremes = [*dict.fromkeys([outside.min(), outside.max()])]
    counts = {_display(value): int((outside == value).sum()) for value in extremes}
    text = (
        f"column {column.name!r}: {len(outside):,} of {_values(present)} outside of what training had, "
        f"{_display(low)} to {_display(high)} ({', '.join(counts)})"
    )
    yield Remark(column.name, "range", len(outside), present, counts, text)
