"""Dataclasses from JSON: strict types, forgiving about fields of later versions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from infra.typed_json import parse


@dataclass
class Part:
    name: str
    seconds: float = 0.0
    tags: list[str] = field(default_factory=list)


@dataclass
class Whole:
    title: str
    verdict: Literal["pass", "refused"] = "pass"
    parts: list[Part] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    note: str | None = None
    is_new: bool = False
    more: dict[str, Any] = field(default_factory=dict)


def whole(**fields: Any) -> Whole:
    return parse(Whole, json.dumps({"title": "a", **fields}).encode())


def test_fields_are_read_with_their_types_and_unknown_ones_are_left_out():
    content = {"parts": [{"name": "x", "seconds": 2, "later": 1}], "counts": {"rows": 3}, "note": "n", "is_new": True}
    expected = Whole("a", parts=[Part("x", 2.0)], counts={"rows": 3}, note="n", is_new=True, more={"k": [1, None]})
    read = whole(**content, more={"k": [1, None]}, later=[])
    assert read == expected
    assert type(read.parts[0].seconds) is float


def test_fields_that_are_left_out_have_their_defaults():
    assert whole() == Whole("a")
    assert whole(note=None).note is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"title": 3}, "title is 3, not text"),
        ({"title": None}, "title is None, not text"),
        ({"verdict": "passed"}, "verdict is 'passed', not one of 'pass', 'refused'"),
        ({"verdict": ["pass"]}, "verdict is ['pass'], not one of"),
        ({"parts": {}}, "parts is {}, not a list"),
        ({"parts": [{"name": "x"}, 5]}, "parts.1 is 5, not an object"),
        ({"parts": [{"name": "x", "seconds": "2"}]}, "parts.0.seconds is '2', not a number"),
        ({"parts": [{"name": "x", "seconds": 10**400}]}, "parts.0.seconds is 1000"),
        ({"parts": [{"seconds": 2.0}]}, "it has no field 'parts.0.name'"),
        ({"counts": {"rows": True}}, "counts.rows is True, not a whole number"),
        ({"counts": {"rows": 3.0}}, "counts.rows is 3.0, not a whole number"),
        ({"note": 5}, "note is 5, not text"),
        ({"is_new": 1}, "is_new is 1, not true or false"),
        ({"more": "x"}, "more is 'x', not an object"),
        ({"more": {"k": "\ud800"}}, "a text in it holds half a character"),
    ],
)
def test_a_field_of_another_type_is_named(fields, message):
    with pytest.raises(ValueError) as caught:
        whole(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[]", "it is [], not an object"), (b"{", "Expecting property name"), (b"[" * 100_000, "its values are nested too deeply"), (b"\xff\x00", "")],
)  # fmt: skip
def test_what_is_no_object_is_refused(content, message):
    with pytest.raises(ValueError) as caught:
        parse(Whole, content)
    assert str(caught.value).startswith(message)
