"""Text that people or data supplied stays text."""

import pytest

from steps.cards.markdown import bullets, escape, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roc_auc is 0.5", "roc_auc is 0.5"),
        ("0.81", "0.81"),
        ("-0.1", "-0.1"),
        ("<b>&lt;", "&lt;b&gt;&amp;lt;"),
        ("# title", "\\# title"),
        ("1. first", "1\\. first"),
        ("- point", "\\- point"),
        ("---", "\\---"),
        ("a\n\n# b", "a # b"),
        ("_x_ *y* `z`", "\\_x\\_ \\*y\\* \\`z\\`"),
        ("![i](http://e.org/i.png)", "!\\[i\\](http&#58;//e.org/i.png)"),
        ("back\\slash", "back\\\\slash"),
        ("a\u202eb\x1bc", "a\u27e8U+202E\u27e9b\u27e8U+001B\u27e9c"),
        ("", ""),
    ],
)
def test_what_markdown_or_html_would_act_on_is_escaped(text, expected):
    assert escape(text) == expected


def test_a_very_long_text_is_cut():
    assert len(escape("x" * 10_000)) == 500


def test_a_cell_cannot_leave_its_table():
    assert table(("a",), [("x | y\nz",), (None,)]) == "| a |\n| --- |\n| x \\| y z |\n|  |\n"
    assert bullets(["one\n- two"]) == "- one - two\n"
