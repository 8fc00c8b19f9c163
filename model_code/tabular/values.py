"""Values from text: how the cells of a column become numbers, truth values, dates or words.

Training (``steps.tables``) and answering (``model_code.tabular.reading``) share this module, so that a file means the same to
both. A new form of writing, such as a sign between thousands, is added here once: a field of ``Form``, a line in
``converted`` (for numbers: in ``with_point``), and the same field in ``steps.tables.schema.Reading``, by which it reaches
schema.json and from there ``Form.of``. Another way to write dates is one more format in ``model_code.tabular.moments``.
"""

# ruff: noqa: RUF001 - signs and digits of other scripts

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from model_code.tabular.moments import DATE, DATETIME, EPOCHS, four_digit_year, parsed

TRUE = ("true", "t", "yes", "y", "1", "on")
FALSE = ("false", "f", "no", "n", "0", "off")
LARGEST = 3.4e38
"""The largest number of a table: models compute in float32, which ends here; larger values are marks or accidents."""
_SIGNS = "$ € £ ¥ ₹ ₩ ₽ ₺ ₫ ₪ ₱ ฿ ₦ ₴ ₸ ₵ ₡ ₲ ₾ US$ A$ AU$ C$ CA$ R$ NT$ HK$ S$ MX$ NZ$"
_CODES = (
    "USD EUR GBP CHF JPY CNY INR AUD CAD NZD SEK NOK DKK ISK PLN CZK HUF RON BGN RUB UAH TRY ILS BRL MXN ARS CLP COP ZAR KRW "
    "SGD HKD TWD THB IDR MYR PHP VND"
)
_NAMES = "euro euros dollar dollars kr kr. zł Kč Ft lei лв лв. руб руб. р. Fr. SFr. Rs Rs. Rp RM 元 円 원"
CURRENCIES = (*_SIGNS.split(), *_CODES.split(), *_NAMES.split())
"""The signs of money before or behind a number; words and codes of three letters also in small ones."""
PERCENT = ("%", "‰")
SCALES = {
    "k": 3,
    "K": 3,
    "M": 6,
    "mn": 6,
    "mln": 6,
    "Mio": 6,
    "Mio.": 6,
    "B": 9,
    "bn": 9,
    "G": 9,
    "Mrd": 9,
    "Mrd.": 9,
    "T": 12,
    "tn": 12,
    "lakh": 5,
    "crore": 7,
}
"""Affixes that multiply a number, and the powers of ten for which they stand."""
LARGEST_VOCABULARY = 50_000
"""Values that are rarer than this many others are encoded as unknown."""
MANY_VALUES = 5_000
"""Beyond so many, values of a single row are encoded as unknown, too: nothing can be learned of them."""
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
    """What stands before or behind the numbers, such as $ or %, and is left out; those of ``SCALES`` multiply."""
    clock_change: str | None = None
    """earlier, later or missing: what a local time means that comes twice when clocks are set back."""
    signs: bool = False
    """True if numbers have other minus signs than the hyphen, parentheses for negative ones, or other digits than 0 to 9."""

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
        """True if the text itself says which instant it means."""
        counted = self.format in EPOCHS and self.timezone is not None
        return counted or bool(self.format and self.format.endswith("z"))


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
            return four_digit_year(parsed(text, "date", form.format or DATE))
        case "datetime":
            return zoned(four_digit_year(parsed(text, "datetime", form.format or DATETIME)), form, aware=form.aware)
        case _:
            return text


def digits(text: pl.Expr, form: Form) -> pl.Expr:
    """Return numbers as any program reads them; text that is no number of this form stays unreadable."""
    if form.plain:
        return with_point(text, form.decimal)
    number = multiplied(without_affixes(with_usual_signs(text), form.affixes), form.affixes)
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


_DIGITS = "０１２３４５６７８９٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९"
_MARKS = dict(zip("，．％＄￥٫٬٪（）＋", ",.%$¥.,%()+", strict=True))
_USUAL = {digit: str(place % 10) for place, digit in enumerate(_DIGITS)} | _MARKS


def with_usual_signs(text: pl.Expr) -> pl.Expr:
    """Return numbers of the digits 0 to 9 with a hyphen as minus sign in front, one kind of blank and of apostrophe."""
    text = text.str.replace_many(list(_USUAL), list(_USUAL.values()))
    for pattern, sign in (
        (r"[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]", ""),
        (r"[\u2212\u2010-\u2014\ufe63\uff0d]", "-"),
        (r"\s", " "),
        ("[\u2018\u2019\u02bc\u00b4`]", "'"),
    ):
        text = text.str.replace_all(pattern, sign)
    for pattern, replacement in (
        (r"(\d)\s*[.,:]-{1,2}([^\d-]|$)", "$1$2"),  # no cents
        (r"^([^\d()+-]*)\(([^()]*\d[^()]*)\)([^\d()]*)$", "-$1$2$3"),
        (r"^([^+-].*\d)\s*-(\s*[^\d\s-]{1,4})?$", "-$1$2"),
        (r"^([+-])\s+", "$1"),
    ):
        text = text.str.replace(pattern, replacement)
    return text


def without_affixes(number: pl.Expr, affixes: Iterable[str]) -> pl.Expr:
    """Return numbers without what stands before or behind them; what multiplies them stays."""
    if not (choices := affix_pattern(affix for affix in affixes if affix not in SCALES)):
        return number
    number = number.str.replace(rf"^([+-]?)\s*(?:{choices})\s*([+-]?)\s*", "$1$2")
    return number.str.replace(rf"\s*(?:{choices})$", "")


def multiplied(number: pl.Expr, affixes: Iterable[str]) -> pl.Expr:
    """Return numbers with exponents instead of k, M and the like behind them."""
    for affix in affixes:
        if affix in SCALES:
            number = number.str.replace(rf"(\d[.,]?)\s*{re.escape(affix)}$", f"${{1}}e{SCALES[affix]}")
    return number


def affix_pattern(affixes: Iterable[str]) -> str:
    return "|".join(
        f"(?i:{affix})" if affix.isalpha() and len(affix) > 2 else re.escape(affix)
        for affix in sorted(affixes, key=len, reverse=True)
    )


def number_pattern(thousands: str | None, decimal: str) -> str:
    """Return the pattern of numbers whose thousands, if they are separated at all, are groups of three digits.

    Commas may also stand before groups of two, as in 12,34,567 (lakhs and crores).
    """
    whole = r"\d+"
    if thousands is not None:
        lakhs = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if thousands == "," else ""
        whole = rf"(?:0|[1-9]\d*|[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+{lakhs})"
    mark = re.escape(decimal)
    return rf"^[+-]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?$"


def with_point(text: pl.Expr, decimal: str) -> pl.Expr:
    """Return numbers with a decimal point instead of the decimal mark.

    Where the mark is a comma, a point may separate thousands or be a decimal mark, so a number with one must not parse.
    """
    if decimal != ",":
        return text
    return text.str.replace(".", "_", literal=True).str.replace(",", ".", literal=True)


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
