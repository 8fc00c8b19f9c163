"""Values from text: how the cells of a column become numbers, truth values, dates or words.

Training (``steps.tables``) and answering (``model_code.tabular.reading``) share this module, so that a file means the same to
both. A new form of writing, such as a sign between thousands, is added here once: a field of ``Form``, a line in
``converted`` (for numbers: in ``with_point``), and the same field in ``steps.tables.schema.Reading``, by which it reaches
schema.json and from there ``Form.of``. Another way to write dates is one more format in ``DATES``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

TRUE = ("true", "t", "yes", "y", "1", "on")
FALSE = ("false", "f", "no", "n", "0", "off")
LARGEST = 3.4e38
"""The largest number of a table: models compute in float32, which ends here; larger values are marks or accidents."""
DATE, DATETIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f"
"""The formats of columns whose problem file declares no format and that inference never saw."""
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d"),
    *("%d-%B-%Y", "%d-%B-%y", "%d %B %Y", "%d %B %y", "%d %B, %Y", "%d. %B %Y", "%d/%B/%Y", "%d.%B.%Y", "%d%B%Y"),
    *("%B %d, %Y", "%B %d %Y", "%B-%d-%Y", "%Y-%B-%d", "%Y %B %d", "%A, %B %d, %Y", "%A, %d %B %Y", "%A %d %B %Y"),
)
"""How people write dates; %B takes the names of months in full and short."""
CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p")
CURRENCIES = (
    "US$",
    "A$",
    "C$",
    "R$",
    "$",
    "€",
    "£",
    "¥",
    "₹",
    "₩",
    "₽",
    "₺",
    "₫",
    "₪",
    "₱",
    "฿",
    "USD",
    "EUR",
    "GBP",
    "CHF",
    "JPY",
    "CNY",
    "INR",
    "AUD",
    "CAD",
    "NZD",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "HUF",
    "RUB",
    "TRY",
    "BRL",
    "MXN",
    "ZAR",
    "kr.",
    "kr",
    "zł",
    "Kč",
    "Ft",
    "lei",
    "Fr.",
    "Rs.",
    "Rs",
)
"""The signs of money before or behind a number."""
PERCENT = ("%", "‰")
LARGEST_VOCABULARY = 5_000
"""Values that are rarer than this many others are encoded as unknown."""
_EXACT = 1 << 53
"""Below it, float64 holds every whole number exactly."""


@dataclass(frozen=True)
class Form:
    """How the values of one column are written."""

    type: str
    """A type of the table schema: integer, float, boolean, category, text, date or datetime."""
    format: str | None = None
    """The strftime codes of dates, as chrono defines them."""
    timezone: str | None = None
    """The timezone in which naive datetimes are local and aware ones are kept."""
    decimal: str = "."
    thousands: str | None = None
    """The sign between groups of three digits; a blank and an apostrophe stand for all signs like them."""
    affixes: tuple[str, ...] = ()
    """What stands before or behind the numbers, such as $ or %, and is left out."""
    clock_change: str | None = None
    """earlier, later or missing: what a local time means that comes twice when clocks are set back."""
    signs: bool = False
    """True if numbers have other minus signs than the hyphen, or parentheses for negative ones."""

    @property
    def plain(self) -> bool:
        """True if numbers need no more than a decimal point to be read by any program."""
        return not (self.thousands or self.affixes or self.signs)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Form:
        """Return the form of an input of a model schema; inputs that were never text have the usual one."""
        reading = entry.get("reading") or {}
        names = ("format", "decimal", "thousands", "affixes", "signs", "clock_change")
        form = {name: reading[name] for name in names if reading.get(name)}
        return cls(entry["type"], timezone=entry.get("timezone"), **form)

    @property
    def aware(self) -> bool:
        return bool(self.format and self.format.endswith("z"))


def cleaned(column: pl.Expr, missing: Iterable[str]) -> pl.Expr:
    """Return text without surrounding blanks; missing markers become missing."""
    text = column.str.strip_chars()
    return pl.when(text.is_in(sorted({*missing, ""})).not_()).then(text)


def converted(text: pl.Expr, form: Form) -> pl.Expr:
    """Return the values of cleaned text; text that does not parse becomes missing."""
    match form.type:
        case "integer":
            return whole_digits(text, form).cast(pl.Int64, strict=False)
        case "float":
            value = digits(text, form).cast(pl.Float64, strict=False)
            return pl.when(value.abs() <= LARGEST).then(value)
        case "boolean":
            words = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}
            return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
        case "date":
            return four_digit_year(text.str.to_date(form.format or DATE, strict=False))
        case "datetime":
            instant = text.str.to_datetime(form.format or DATETIME, strict=False, time_unit="us")
            return zoned(four_digit_year(instant), form, aware=form.aware)
        case _:
            return text


def digits(text: pl.Expr, form: Form) -> pl.Expr:
    """Return numbers as any program reads them; text that is no number of this form stays unreadable."""
    if form.plain:
        return with_point(text, form.decimal)
    number = without_affixes(with_usual_signs(text), form.affixes)
    fits = number.str.contains(number_pattern(form.thousands, form.decimal))
    if set(form.affixes) & set(PERCENT):  # 5 beside 5% may be 500%
        fits &= text.str.contains(affix_pattern(PERCENT))
    point = number.str.replace_all(form.thousands, "", literal=True) if form.thousands else number
    return pl.when(fits).then(point.str.replace(form.decimal, ".", literal=True)).otherwise(pl.lit("_") + number)


def whole_digits(text: pl.Expr, form: Form) -> pl.Expr:
    """Return whole numbers as any program reads them, without a fraction of zeros."""
    if form.plain:
        return text.str.replace(rf"^([+-]?\d+){re.escape(form.decimal)}0*$", "$1")
    return digits(text, form).str.replace(r"^([+-]?\d+)\.0*$", "$1")


def with_usual_signs(text: pl.Expr) -> pl.Expr:
    """Return numbers with a hyphen as minus sign in front, one kind of blank and one kind of apostrophe."""
    for pattern, sign in (
        (r"[\u2212\u2010-\u2014\ufe63\uff0d]", "-"),
        (r"[\s\u200b]", " "),
        ("[\u2018\u2019\u02bc\u00b4`]", "'"),
    ):
        text = text.str.replace_all(pattern, sign)
    text = text.str.replace(r"^\((.*\d.*)\)$", "-$1")
    return text.str.replace(r"^([^+-].*\d)\s*-$", "-$1").str.replace(r"^([+-])\s+", "$1")


def without_affixes(number: pl.Expr, affixes: Iterable[str]) -> pl.Expr:
    """Return numbers without what stands before or behind them."""
    if not (choices := affix_pattern(affixes)):
        return number
    return number.str.replace(rf"^([+-]?)\s*(?:{choices})\s*([+-]?)", "$1$2").str.replace(rf"\s*(?:{choices})$", "")


def affix_pattern(affixes: Iterable[str]) -> str:
    return "|".join(re.escape(affix) for affix in sorted(affixes, key=len, reverse=True))


def number_pattern(thousands: str | None, decimal: str) -> str:
    """Return the pattern of numbers whose thousands, if they are separated at all, are groups of three digits."""
    whole = r"\d+" if thousands is None else rf"(?:0|[1-9]\d*|[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+)"
    mark = re.escape(decimal)
    return rf"^[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?$"


def with_point(text: pl.Expr, decimal: str) -> pl.Expr:
    """Return numbers with a decimal point instead of the decimal mark.

    Where the mark is a comma, a point may separate thousands or be a decimal mark, so a number with one must not parse.
    """
    if decimal != ",":
        return text
    return text.str.replace(".", "_", literal=True).str.replace(",", ".", literal=True)


def four_digit_year(value: pl.Expr) -> pl.Expr:
    """Return dates; those with a shorter year become missing, since %Y takes 21 for the year 21."""
    return pl.when(value.dt.year() >= 1000).then(value)


def zoned(value: pl.Expr, form: Form, *, aware: bool) -> pl.Expr:
    """Return instants in the column's timezone.

    A local time that clocks skip becomes missing, and so does one that they show twice, unless the form says which is meant.
    """
    if aware:
        return value.dt.convert_time_zone(form.timezone or "UTC")
    if form.timezone:
        which: Any = {"earlier": "earliest", "later": "latest"}.get(form.clock_change or "", "null")
        return value.dt.replace_time_zone(form.timezone, ambiguous=which, non_existent="null")
    return value


def canonical_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return typed values as the text of a CSV file: whole numbers without a decimal point."""
    if not dtype.is_float():
        return column.cast(pl.String)
    value = column.fill_nan(None)
    whole = (value == value.round()) & (value.abs() < _EXACT)
    return pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
