"""Dates and times from text: the formats that people use, months in other languages, and counts since an epoch.

A format is one of chrono's strftime codes, or one of these:

    %B %Y, %m/%Y ...   a month: its first day
    %Y-Q%q             a quarter, also written Q1 2023, 1Q2023 or T1 2023: its first day
    %G-W%V             a week: its Monday
    %s, %Q             seconds and milliseconds since 1970
    excel              days since 1899-12-30, as spreadsheets count them
"""

# ruff: noqa: RUF001 - letters of other languages

from __future__ import annotations

import re

import polars as pl

DATE, DATETIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f"
"""The formats of columns whose problem file declares no format and that inference never saw."""
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d"),
    *("%d-%B-%Y", "%d-%B-%y", "%d %B %Y", "%d %B %y", "%d %B, %Y", "%d. %B %Y", "%d/%B/%Y", "%d.%B.%Y", "%d%B%Y"),
    *("%B %d, %Y", "%B %d %Y", "%B-%d-%Y", "%Y-%B-%d", "%Y %B %d", "%A, %B %d, %Y", "%A, %d %B %Y", "%A %d %B %Y"),
    *("%A, %d. %B %Y", "%A %B %d, %Y", "%A %B %d %Y", "%d/%B/%y", "%B %d, %y", "%Y年%m月%d日"),
)
"""How people write dates; %B takes the names of months in full and short, in the languages of ``_NAMES``."""
PERIODS = (
    "%Y-%m",
    "%Y/%m",
    "%Y.%m",
    "%m/%Y",
    "%m-%Y",
    "%m.%Y",
    "%B %Y",
    "%B-%Y",
    "%B, %Y",
    "%Y %B",
    "%Y-%B",
    "%B/%Y",
    "%Y-Q%q",
    "%G-W%V",
)
"""How people write months, quarters and weeks."""
CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S,%3f", "%H.%M", "%Hh%M")
"""How people write times; a.m. and pm stand for %p, with or without a blank before them."""

_NAMES = {
    "january": "januar janvier enero gennaio janeiro januari stycznia styczeń ledna leden ocak января январь",
    "february": "februar février fevrier febrero febbraio fevereiro februari lutego luty února únor şubat февраля февраль",
    "march": "märz maerz mars marzo março marco maart marts marca marzec března březen mart марта март",
    "april": "avril abril aprile kwietnia kwiecień dubna duben nisan апреля апрель",
    "may": "mai mayo maggio maio mei maj maja května květen mayıs мая май",
    "june": "juni juin junio giugno junho czerwca czerwiec června červen haziran июня июнь",
    "july": "juli juillet julio luglio julho lipca lipiec července červenec temmuz июля июль",
    "august": "août aout agosto augustus augusti sierpnia sierpień srpna srpen ağustos августа август",
    "september": "septembre septiembre setiembre settembre setembro września wrzesień září eylül сентября сентябрь sept",
    "october": "oktober octobre octubre ottobre outubro października październik října říjen ekim октября октябрь",
    "november": "novembre noviembre novembro listopada listopad listopadu kasım ноября ноябрь",
    "december": "dezember décembre decembre diciembre dicembre dezembro desember grudnia grudzień prosince prosinec aralık декабря декабрь",
    "jan": "jän janv ene gen sty led oca янв",
    "feb": "fév fevr févr fev lut úno şub фев февр",
    "mar": "mär mrz mrt břez мар",
    "apr": "avr abr kwi dub nis апр",
    "may ": "mag may",
    "jun": "giu cze haz июн",
    "jul": "juil lug lip tem июл",
    "aug": "ago août aou sie ağu авг",
    "sep": "set wrz zář eyl сен сент",
    "oct": "okt ott out paź říj eki окт",
    "nov": "lis kas ноя нояб",
    "dec": "dez déc dic des gru pro ara дек",
    "monday": "montag lundi lunes lunedì segunda-feira maandag måndag mandag",
    "tuesday": "dienstag mardi martes martedì terça-feira dinsdag tisdag tirsdag",
    "wednesday": "mittwoch mercredi miércoles mercoledì quarta-feira woensdag onsdag",
    "thursday": "donnerstag jeudi jueves giovedì quinta-feira donderdag torsdag",
    "friday": "freitag vendredi viernes venerdì sexta-feira vrijdag fredag",
    "saturday": "samstag sonnabend samedi sábado sabato zaterdag lördag lørdag",
    "sunday": "sonntag dimanche domingo domenica zondag söndag søndag",
}
"""Months and weekdays in English, and in other languages of Europe."""
_ENGLISH = {name: english.strip() for english, names in _NAMES.items() for name in (english.strip(), *names.split())}
_LONGEST_FIRST = sorted(_ENGLISH, key=len, reverse=True)
_QUARTERS = (
    (r"^(\d{4})[-/ ]?[QqTt]([1-4])$", "$1 $2"),
    (r"^[QqTt]([1-4])[-/ ]?(\d{4})$|^([1-4])[QqTt][-/ ]?(\d{4})$", "$2$4 $1$3"),
    *((rf"^(\d{{4}}) {quarter}$", rf"$1-quarter-{3 * quarter - 2}-1") for quarter in range(1, 5)),
)
EPOCHS = {"%s": 1_000_000, "%Q": 1_000}
"""Microseconds in a unit of the counts since 1970."""
EXCEL = "excel"


def is_date(form: str) -> bool:
    """Return whether a format has no clock."""
    return form in DATES or form in PERIODS or form == "%Y%m"


def parsed(text: pl.Expr, kind: str, form: str, *, strict: bool = False) -> pl.Expr:
    """Return dates or times of text in one format; other text becomes missing, or fails if ``strict``."""
    if form in EPOCHS or form == EXCEL:
        number = text.cast(pl.Float64, strict=strict)
        micro = number * EPOCHS[form] if form in EPOCHS else (number - 25_569) * 86_400_000_000
        instant = micro.round().cast(pl.Int64, strict=strict).cast(pl.Datetime("us"))
        return instant.dt.date() if kind == "date" else instant
    text, form = _usual(text, form)
    if kind == "date":
        return text.str.to_date(form, strict=strict)
    return text.str.to_datetime(form, strict=strict, time_unit="us")


def _usual(text: pl.Expr, form: str) -> tuple[pl.Expr, str]:
    """Return text and its format in words and codes that chrono knows."""
    if "%q" in form:
        for pattern, replacement in _QUARTERS:
            text = text.str.replace(pattern, replacement)
        return text, "%Y-quarter-%m-%d"
    if form == "%G-W%V":
        return text.str.replace(r"^(\d{4})-?[Ww](\d{1,2})$", "$1-W$2-1"), "%G-W%V-%u"
    if re.search("%[bBhaA]", form):
        text = _in_english(text)
    if "%p" in form:
        text = text.str.replace(r"(?i)(^|\s)(\d{1,2})\s*([ap])\.?\s?m\.?$", "$1$2:00 ${3}m")
        text = text.str.replace(r"(?i)\s*([ap])\.?\s?m\.?$", " ${1}m")
        form = re.sub(r"\s*%p", " %p", form)
    if form.endswith("%#z"):
        text = text.str.replace(r"\s?(?:UTC|GMT)$", "+00:00").str.replace(r"\s\(.*\)$", "")
    if not re.search("%[deDFjxcus]", form):
        text, form = text.str.replace("^", "1 "), f"%d {form}"
    return text, form


def _in_english(text: pl.Expr) -> pl.Expr:
    """Return dates with English names of months and weekdays, and without ordinals (3rd, 1er) and particles (de, of)."""
    text = text.str.to_lowercase()
    for pattern, replacement in (
        (r"(\d)\.?(?:st|nd|rd|th|er|re|º|ª|°)(\s|,|$)", "$1$2"),
        (r"(\d,?)\s+(?:de|del|of|do)\s", "$1 "),
        (r"(\p{L})\s+(?:de|del|of|do)\s+(\d)", "$1 $2"),
        (r"(\p{L}{3,})\.(\s|,|-|$)", "$1$2"),
    ):
        text = text.str.replace_all(pattern, replacement)
    return text.str.replace_many(_LONGEST_FIRST, [_ENGLISH[name] for name in _LONGEST_FIRST], leftmost=True)


def four_digit_year(value: pl.Expr) -> pl.Expr:
    """Return dates; those with a shorter year become missing, since %Y takes 21 for the year 21."""
    return pl.when(value.dt.year() >= 1000).then(value)
