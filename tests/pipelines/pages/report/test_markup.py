"""Text of data and people on the page: two hundred hostile ones, through every filter and into every form."""

from __future__ import annotations

import re

import pytest
from hostile import hostile_texts
from reported import Page

from pipelines.pages.report.markup import data, prose, style_text, text
from steps.cards.markdown import escape
from steps.wording import clean, cut, isolate

TEXTS = list(hostile_texts())
LONG = 10_000


def test_there_are_two_hundred_texts():
    assert len(TEXTS) >= 200


@pytest.mark.parametrize(
    ("through", "tags"),
    [
        (lambda value: data(value, LONG), {"bdi"}),
        (lambda value: text(value, LONG), set()),
        (
            lambda value: prose(f"The column {isolate(value, LONG)} is `{isolate(value, LONG)}`.", 5 * LONG),
            {"bdi", "code"},
        ),
    ],
    ids=["data", "text", "a sentence"],
)
def test_no_text_becomes_markup_and_none_is_lost(through, tags):
    for value in TEXTS:
        page = Page(str(through(value)))
        assert {tag for tag, _ in page.tags} <= tags, value
        assert all(set(attributes) <= {"class"} for _, attributes in page.tags), value
        words = clean(value).replace("`", "").split()
        assert not words or " ".join(words) in " ".join(page.text.replace("`", "").split()), value


def test_no_text_that_goes_into_a_sentence_as_it_is_becomes_markup():
    for value in TEXTS:
        assert {tag for tag, _ in Page(str(prose(value, LONG))).tags} <= {"bdi", "code"}, value


def test_no_text_leaves_a_string_of_the_style_sheet():
    for value in TEXTS:
        assert re.fullmatch(r"([A-Za-z0-9]|\\[0-9a-f]+ )*", style_text(value)), value


def test_no_text_becomes_markup_in_markdown():
    for value in TEXTS:
        line = escape(value)
        assert "\n" not in line
        assert "<" not in line
        assert "://" not in line
        assert not re.search(r"(?<!\\)[\]\[|`*$~]", line.replace("\\\\", "")), value
        assert not re.match(r"(#+\s|#+$|>|[-+=]\s|\d+[.)]\s|---|===)", line), value


def test_no_text_is_obeyed_or_turned_around_when_it_is_cut():
    unseen = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
    for value in TEXTS:
        for length in (1000, 60, 12):
            assert not unseen.search(cut(value, length)), value
