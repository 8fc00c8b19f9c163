"""The page to try a model: a form of its columns, the answer, and what moved it; it asks nobody but its own server.

What the form begins with comes from the ranges and vocabularies of schema.json, and from no row of the data.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
STYLE, SCRIPT = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
_MOST_CHOICES, _MOST_HINTS = 50, 500
"""Words up to which a column is a list to choose from, and those that a text field offers."""
_FEW_CLASSES = 3
"""Classes up to which a phone keeps the answer in view."""
_SKEWED = 20
"""A range whose ends differ by this factor is that of amounts, whose middle is the geometric one."""


def policy() -> str:
    """Return the content security policy: the page's own script and style, its own server, and nothing else."""
    script, style = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (SCRIPT, STYLE)
    )
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


def html(schema: Mapping[str, Any], digest: str) -> str:
    """Return the page of the model with this schema.json."""
    fields = "\n".join(_field(f"field-{i}", entry) for i, entry in enumerate(schema["inputs"]))
    classes = schema["classes"]
    positive = escape(classes[1]) if len(classes) == 2 else ""
    measure = f"the probability of {positive or 'the answer'}" if classes else "the answer"
    levels = (schema.get("intervals") or {}).get("levels") or {}
    level = "0.95" if "0.95" in levels else max(levels, default="")
    return PAGE.substitute(
        style=STYLE,
        script=SCRIPT,
        target=escape(str(schema["target"])),
        task=escape(str(schema["task"])),
        digest=escape(digest[:12]),
        level=escape(level),
        positive=positive,
        measure=measure,
        size="few" if len(classes) <= _FEW_CLASSES else "many",
        chances="" if classes else " hidden",
        fields=fields,
    )


def _field(place: str, entry: Mapping[str, Any]) -> str:
    """Return a column's label and control; a number also has a slider over the range of training."""
    name, kind = escape(entry["name"]), entry["kind"]
    common = f'id="{place}" name="{name}" data-kind="{kind}"'
    label = f'<label for="{place}">{name}</label>'
    if kind == "numeric":
        control = _number(place, common, entry)
    elif kind == "boolean":
        control = f"<select {common}>{_options(['true', 'false'], entry)}</select>"
    elif kind == "datetime":
        last = str((entry.get("range") or ["", ""])[1])
        form, value = ("date", last[:10]) if entry["type"] == "date" else ("datetime-local", last[:19])
        control = f'<input {common} type="{form}" step="1" value="{escape(value)}">'
    elif len(entry["vocabulary"]) <= _MOST_CHOICES:
        control = f"<select {common}>{_options(entry['vocabulary'], entry)}</select>"
    else:
        words = entry["vocabulary"]
        hints = "".join(f'<option value="{escape(word)}"></option>' for word in words[:_MOST_HINTS])
        control = f'<input {common} list="{place}-words" value="{escape(words[0])}"><datalist id="{place}-words">{hints}</datalist>'
    return f'<div class="field">{label}{control}</div>'


def _options(words: list[str], entry: Mapping[str, Any]) -> str:
    missing = '<option value="">(missing)</option>' if entry.get("missing") != 0 else ""
    first = "".join(f'<option value="{escape(word)}" selected>{escape(word)}</option>' for word in words[:1])
    return first + "".join(f'<option value="{escape(word)}">{escape(word)}</option>' for word in words[1:]) + missing


def _number(place: str, common: str, entry: Mapping[str, Any]) -> str:
    if not entry.get("range"):
        return f'<input {common} type="number" step="any" value="0">'
    low, high = entry["range"]
    is_whole = entry["type"] == "integer"
    low_text, high_text, value = (_text(number, is_whole) for number in (low, high, middle(low, high)))
    step = "1" if is_whole else "any"
    slider = (
        f'<input type="range" id="{place}-slider" data-partner="{place}" aria-label="{escape(entry["name"])}, slider" '
        f'min="{low_text}" max="{high_text}" step="{step}" value="{value}">'
    )
    return f'<input {common} data-partner="{place}-slider" type="number" step="{step}" value="{value}">{slider}'


def middle(low: float, high: float) -> float:
    """Return the middle of a range, the geometric one where its ends are of different orders."""
    return math.sqrt(low * high) if low > 0 and high / low > _SKEWED else (low + high) / 2


def _text(number: float, is_whole: bool) -> str:
    return str(round(number)) if is_whole else f"{number:.6g}"
