"""Foreign values as model inputs: whatever types and words a client sends, read as training read them.

``fourscore predict``, the registered model and any server call ``read``. It is driven by the ``inputs`` of schema.json: the
kind of each column, how its text was written in training (``reading``), its vocabulary, and the range that training saw.
How text becomes values is in ``model_code.tabular.values``, which training uses too; here is what only answering needs:
values that already have a type, and other spellings of the same value. A number that a client sends is that number; numbers
in text are read as training wrote them or in the one other way that all values of a column allow, and refused otherwise.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import polars as pl

from model_code.families import Readout
from model_code.tabular import MISSING
from model_code.tabular.columns import PANDAS_MISSING, Column, clean_text, evaluate, first_present
from model_code.tabular.instants import read_instants
from model_code.tabular.remarks import EXPECTED, fault_of, remarks_on
from model_code.tabular.values import (
    CURRENCIES,
    LARGEST,
    PERCENT,
    Form,
    converted,
)

Schema = Mapping[str, Any]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_WHOLE = re.compile(r"([+-]?)0*(\d+?)(?:\.0*)?")


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
    faults = tuple(fault_of(column, rows) for column in columns if column.wrong.any())
    if faults:
        if not skip:
            raise ValueError("\n".join(fault.text for fault in faults))
        right = ~pl.DataFrame([column.wrong for column in columns]).select(pl.any_horizontal(pl.all())).to_series()
        rows = rows.filter(right)
        columns = [
            replace(column, **{part: getattr(column, part).filter(right) for part in ("values", "original", "wrong")})
            for column in columns
        ]
    remarks = tuple(remark for column in columns for remark in remarks_on(column))
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
        problems.append(f"column {name!r} is missing; the model needs {EXPECTED[entry['type']]} there{hint}")
    if problems:
        columns = ", ".join(frame.columns[:20]) + (" ..." if len(frame.columns) > 20 else "")
        raise ValueError("\n".join(problems) + f"\nthe columns are: {columns or 'none'}")
    return names


def _column(values: pl.Series, entry: Mapping[str, Any], blanks_hide_words: bool) -> Column:
    """Return one input as it was read."""
    values = values.alias(entry["name"])
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        every = pl.Series(entry["name"], [True] * len(values), dtype=pl.Boolean)
        original = pl.Series(entry["name"], [str(value) for value in values], dtype=pl.String)
        return Column(entry, original, original, every, f"the column holds {values.dtype}")
    if isinstance(values.dtype, pl.Duration):
        values = values.dt.total_microseconds() / 1e6
    return _READERS[entry["kind"]](values, entry, blanks_hide_words)


def _numbers(values: pl.Series, entry: Mapping[str, Any], _: bool) -> Column:
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
        original = clean_text(values, entry, (*MISSING, *PANDAS_MISSING))
        numbers, why = _numbers_of_text(original, form)
        if not was_text:
            truth = original.str.to_lowercase().replace_strict(
                {"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64
            )
            numbers = first_present(numbers, truth)
    number = pl.lit(numbers)
    is_wrong = pl.lit(original).is_not_null() & ~(number.abs() <= LARGEST).fill_null(False)
    if entry["type"] == "integer":
        is_wrong |= (number % 1 != 0).fill_null(False)
    if was_text and (marks := numeric_markers(entry)):
        is_marked = number.is_in(marks).fill_null(False)
        numbers, is_wrong = evaluate(pl.when(~is_marked).then(number)), is_wrong & ~is_marked
    wrong = evaluate(is_wrong)
    return Column(entry, numbers.alias(entry["name"]), original, wrong, why if wrong.any() else "")


def _numbers_of_text(text: pl.Series, form: Form) -> tuple[pl.Series, str]:
    """Return numbers as training wrote them or, if that fails, in the one other way that is beyond doubt, and the doubt."""
    numbers = evaluate(converted(pl.lit(text), replace(form, type="float")))
    if numbers.null_count() == text.null_count():
        return numbers, ""
    candidates = [evaluate(converted(pl.lit(text), other)) for other in _other_forms(form)]
    fitting = [candidate for candidate in candidates if candidate.null_count() == text.null_count()]
    if fitting and all(other.equals(fitting[0]) for other in fitting):
        return fitting[0], ""
    doubtful = (numbers.is_null() & text.is_not_null()).arg_true()[0]
    meanings = sorted({value for candidate in candidates if (value := candidate[doubtful]) is not None})
    if len(meanings) < 2:
        return numbers, ""
    choice = " or ".join(f"{meaning:.15g}" for meaning in meanings)
    return numbers, f"{text[doubtful]!r} may be {choice}: write it as training did, or send a number instead of text"


def _other_forms(form: Form) -> Iterator[Form]:
    """Return ways to write numbers that are as good as training's: other marks, other signs, money; never percent."""
    affixes = form.affixes if set(form.affixes) & set(PERCENT) else CURRENCIES
    for decimal, signs in ((".", (None, ",", " ", "'")), (",", (None, ".", " ", "'"))):
        for thousands in signs:
            yield replace(form, type="float", decimal=decimal, thousands=thousands, affixes=affixes, signs=True)


def numeric_markers(entry: Mapping[str, Any]) -> list[float]:
    """Return the words for missing values that are numbers, which a client may send as such."""
    texts = pl.Series("", filter(re.compile(r"\d").search, entry["reading"]["missing"]), dtype=pl.String)
    if texts.is_empty():
        return []
    numbers = evaluate(converted(pl.lit(texts), replace(Form.of(entry), type="float")))
    return numbers.drop_nulls().to_list()


def _truth(values: pl.Series, entry: Mapping[str, Any], _: bool) -> Column:
    """Read truth values: the words that ``ingest`` reads, and the numbers 1 and 0."""
    if values.dtype == pl.Boolean:
        return Column(entry, values, values, pl.Series([False] * len(values), dtype=pl.Boolean))
    original = clean_text(values, entry, (*MISSING, *PANDAS_MISSING))
    truth = evaluate(converted(pl.lit(original).str.replace(r"^([01])\.0*$", "$1"), Form("boolean")))
    return Column(entry, truth.alias(entry["name"]), original, original.is_not_null() & truth.is_null())


class Vocabulary:
    """The words that training saw in one column, and other spellings of them."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.index = frozenset(words)

    def spelling(self, word: str) -> list[str]:
        """Return the words of training that may be meant by a truth value or a number spelled ``word``."""
        if word.lower() in ("true", "false"):
            return [candidate for candidate in self.words if candidate.lower() == word.lower()]
        return next((self._numbers[key] for key in _number_keys(word) if key in self._numbers), [])

    @cached_property
    def _numbers(self) -> dict[str, list[str]]:
        numbers: dict[str, list[str]] = defaultdict(list)
        for word in self.words:
            keys = list(_number_keys(word))
            if len(keys) > 1:  # spreadsheets and the JSON of pandas leave 15 digits
                keys.append(repr(float(f"{float(word):.15g}")))
            for key in dict.fromkeys(keys):
                numbers[key].append(word)
        return dict(numbers)


def _number_keys(word: str) -> Iterator[str]:
    """Yield what is equal for spellings of one number: 01234, 1234 and 1234.0; then long ones as a float shows them."""
    if whole := _WHOLE.fullmatch(word):
        digits = whole[2]
        yield ("-" if whole[1] == "-" and digits != "0" else "") + digits
        if len(digits) > 15:
            yield repr(float(word))
    elif re.fullmatch(_NUMBER, word):
        number = float(word)
        yield str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _words(values: pl.Series, entry: Mapping[str, Any], blanks_hide_words: bool) -> Column:
    """Read words; a number or a truth value that stands for exactly one word of training becomes that word."""
    vocabulary = Vocabulary(entry["vocabulary"])
    text = clean_text(values, entry)
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
    return Column(entry, words, text, wrong, why, spellings)


_READERS = {"numeric": _numbers, "boolean": _truth, "datetime": read_instants, "category": _words}
