"""Two hundred hostile texts: what browsers, Markdown, terminals, spreadsheets, templates and paths might act on."""

from __future__ import annotations

from collections.abc import Iterator

ADDRESS = "http://evil.example/x"
SCRIPT = "document.title='owned'"
_MARKUP = (
    f"<script>{SCRIPT}</script>",
    f"<img src={ADDRESS} onerror={SCRIPT}>",
    f"<svg onload={SCRIPT}>",
    f"<details open ontoggle={SCRIPT}>",
    f"<iframe src=javascript:{SCRIPT}>",
    f"<math><mtext><style><img src={ADDRESS}>",
    f"<link rel=stylesheet href={ADDRESS}>",
    f"<base href={ADDRESS}>",
    f"<meta http-equiv=refresh content='0;url={ADDRESS}'>",
    f"<form action={ADDRESS}><button>",
)
_AROUND = (
    ("", ""),
    ("</style>", ""),
    ("</title></summary></details>", ""),
    ("--></script>", "<!--"),
    ("]]></svg>", ""),
    ('">', '<"'),
    ("'/>", "<'"),
    ("&lt;", "&gt;"),
    ("\u202e", "\u202c"),
    ("a\n\n", "\n\nb"),
)
_TRICKS = (
    f"![p]({ADDRESS}.png)", f"[p]({ADDRESS})", f"<{ADDRESS}>", f"{ADDRESS}", "[p]: http://evil.example", "# heading", "---", "===",
    "***", "> quote", "- item", "1. item", "| a | b |", "```", "`code`", "~~~", "**bold**", "__init__", "\\", "\\|", "$x$", "$$x$$",
    "{{ 7 * 7 }}", "{% raw %}", "{{ facts.record }}", "{# note #}", "${7*7}", "#{7*7}", "<%= 7 %>", "%(name)s", "{0.__class__}", "%s%n",
    "=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://evil.example")', "\tx", "\r\nx", "a\u2028b", "a\u2029b", "a\u0085b",
    "\x00", "\x01\x02\x03", "\x1b[31mred", "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "\x07", "\x08\x08", "\x7f", "\x9b31m",
    "\u202eevil", "\u2066a\u2069", "\u200bzero", "a\u200db", "\ufeffbom", "\u061cmark", "\ud800", "e\u0301" * 20, "Z\u0351\u0352\u0353" * 9,
    "👩‍👩‍👧‍👦", "مرحبا", "שלום", "漢字", "ﷺ", "ß", "İ", "\u0131", "ﬀ", "\uff21", "½",
    "__proto__", "constructor", "toString", "null", "None", "NaN", "true", "undefined", "-0", "1e999",
    "../../etc/passwd", "C:\\con", "/dev/null", "~root", "a/b", "a\\b", "file:///etc/passwd", "javascript:alert(1)",
    "' OR 1=1 --", "; DROP TABLE runs;", "`; touch x`", "$(touch x)", "| touch x", "& touch x", '"; x', "';x",
    "x" * 5_000, " ", "  leading", "trailing  ", "\u00a0", "\u3000",
)  # fmt: skip


def hostile_texts() -> Iterator[str]:
    """Yield the texts, each once."""
    yield from dict.fromkeys([*(f"{before}{text}{after}" for before, after in _AROUND for text in _MARKUP), *_TRICKS])
