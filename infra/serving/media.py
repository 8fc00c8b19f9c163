"""Content types: the forms of a request's body and of the answers, by the names that clients have for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra.serving.refusals import Refusal

Form = Literal["csv", "json", "lines", "parquet"]

FORMS: Mapping[str, Form] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonlines": "lines",
    "application/jsonl": "lines",
    "application/x-jsonlines": "lines",
    "application/x-ndjson": "lines",
    "application/x-parquet": "parquet",
    "application/vnd.apache.parquet": "parquet",
}
ANSWERS: Mapping[str, Form] = {name: form for name, form in FORMS.items() if form != "parquet"}
"""The forms of answers."""
_ANY: Mapping[str, Form] = {"*/*": "json", "application/*": "json", "text/*": "csv"}
_UTF8 = ("utf-8", "utf8", "us-ascii")


@dataclass(frozen=True)
class MediaType:
    """A content type with the parameters that mean something here."""

    name: str
    form: Form
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def header(self) -> bool | None:
        """Whether a CSV body begins with the names of its columns (RFC 4180, section 3); None: it does not say."""
        return {"present": True, "absent": False}.get(self.parameters.get("header", ""))


def content_type(text: str) -> MediaType:
    """Return the content type of a body.

    Raises:
        Refusal: 415, there is none, or none that is read here.
    """
    name, parameters = _parsed(text)
    if name not in FORMS:
        problem = "no content type" if not name else f"content type {name[:60]!r}"
        raise Refusal(415, f"{problem}: send one of {', '.join(FORMS)}")
    if (charset := parameters.get("charset", "utf-8").lower()) not in _UTF8:
        raise Refusal(415, f"charset {charset[:60]!r}: send UTF-8")
    return MediaType(name, FORMS[name], parameters)


def answer_type(text: str) -> MediaType:
    """Return the best content type of answers that an Accept header allows; JSON where it does not say.

    Raises:
        Refusal: 406, the client takes none of them.
    """
    ranges = [_parsed(part) for part in text.split(",")] if text.strip() else [("*/*", {})]
    for name, parameters in sorted(ranges, key=lambda accepted: -_quality(accepted[1])):
        if _quality(parameters) > 0 and (form := ANSWERS.get(name) or _ANY.get(name)):
            chosen = name if name in ANSWERS else next(full for full, its in ANSWERS.items() if its == form)
            return MediaType(chosen, form, parameters)
    raise Refusal(406, f"Accept {text[:60]!r}: answers are {', '.join(ANSWERS)}")


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", 1))
    except ValueError:
        return 0.0


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    """Return the name of a type in small letters and its parameters."""
    name, *parameters = text.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
