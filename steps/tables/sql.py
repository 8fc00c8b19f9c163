"""What SQL of a problem file may say: one query over tables that are named, and nothing that opens a file itself.

The engine's table functions read whatever path the process can, past the sources that are declared, digested and shown.
So the text is looked at before it is run, cut into words as the engine's grammar cuts it: what is quoted is a value or
a name, what is in a comment says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from steps.errors import InputError

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|--[^\n]*)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    | (?P<word>[^\W\d]\w*)
    | (?P<number>\d+)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_READER = re.compile(r"(read|scan)_\w+", re.IGNORECASE)
_OTHER_TEXT = ("e", "r", "b", "br", "u", "q", "nq")
"""Words right before a quote after which a backslash or another sign may decide where the text ends."""
_NO_CLAUSE = ("extract", "substring", "trim", "overlay", "position", "ceil", "floor")
"""Functions in whose parentheses FROM starts no clause."""
_AFTER_TABLES = (
    *("select", "where", "group", "having", "order", "limit", "offset", "fetch", "window", "qualify"),
    *("union", "intersect", "except"),
)
_DECLARE = "SQL reads only the sources that are declared under data.sources; declare the file there"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    """Of names and text without the quotes; of words in lower case."""

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


@dataclass
class _Level:
    """What is known inside one pair of parentheses."""

    clause: bool = True
    """Whether FROM starts a clause here."""
    tables: bool = False
    """Whether a comma is followed by another table."""


def check_query(query: str, what: str) -> None:
    """Whether a statement is a SELECT over named tables.

    Raises:
        InputError: it is another statement, or calls a function in the place of a table.
    """
    first = next((token for token in _tokens(query, what) if token.text != "("), None)
    if first is None or not first.says("select", "with"):
        found = "nothing" if first is None else repr(first.text)
        raise InputError(
            f"{what} does not run: it starts with {found}; wanted one statement, SELECT or WITH ... SELECT"
        )
    check_tables(query, what)


def check_tables(sql: str, what: str) -> None:
    """Whether SQL takes rows only from tables by name.

    Raises:
        InputError: it calls a function in the place of a table, or one that reads files anywhere.
    """
    tokens = list(_tokens(sql, what))
    for token, following in pairwise(tokens):
        if following.text == "(" and _READER.fullmatch(token.text):
            raise InputError(f"{what} calls {token.text}(...), which reads files; {_DECLARE}")
    for name in _called_as_tables(tokens):
        raise InputError(f"{what} takes rows from {name}(...), a function; {_DECLARE}, and name it in FROM")


def made_names(sql: str, what: str) -> set[str]:
    """The names, in lower case, that a query gives to what it makes: what follows AS."""
    return {following.text.lower() for token, following in pairwise(_tokens(sql, what)) if token.says("as")}


def _called_as_tables(tokens: list[_Token]) -> Iterator[str]:
    """The functions that stand where a table would."""
    levels = [_Level()]
    wanted = False  # whether a table comes next
    before = [_Token("mark", "")] * 2
    for token, following in zip(tokens, [*tokens[1:], before[0]], strict=True):
        level = levels[-1]
        if token.kind == "mark" and token.text == "(":
            levels.append(_Level(clause=not before[-1].says(*_NO_CLAUSE), tables=wanted))
        elif token.kind == "mark" and token.text == ")":
            levels[1:] = levels[1:-1]
            wanted = False
        elif token.kind == "mark" and token.text == ",":
            wanted = level.tables
        elif token.says("from") and level.clause and not _compares(before):
            level.tables = wanted = True
        elif token.says("join", "apply"):
            wanted = True
        elif token.says(*_AFTER_TABLES, "values"):
            level.tables = wanted = False
        elif token.text != "." and not token.says("lateral", "table", "only"):
            if wanted and following.text == "(" and token.kind != "mark":
                yield token.text
            wanted = wanted and following.text == "."
        before = [before[-1], token]


def _compares(before: list[_Token]) -> bool:
    """Whether FROM belongs to IS [NOT] DISTINCT FROM."""
    return before[1].says("distinct") and before[0].says("is", "not")


def _tokens(sql: str, what: str) -> Iterator[_Token]:
    """Words, names, text and signs, without blanks and comments.

    Raises:
        InputError: a way of writing that would leave open what is text and what is not.
    """
    place, end, word = 0, -1, ""
    while place < len(sql):
        if sql.startswith("/*", place):
            if sql[place + 2 : place + 3] in ("!", "+"):
                raise InputError(f"{what} holds {sql[place : place + 3]!r}, a comment that is run; write it as SQL")
            place = _after_comment(sql, place)
            continue
        found = _TOKEN.match(sql, place)
        assert found is not None
        start, place = place, found.end()
        kind, text = str(found.lastgroup), found.group()
        if kind == "blank":
            continue
        if kind == "text" and start == end and word in _OTHER_TEXT:
            raise InputError(
                f"{what} holds text written as {word.upper()}'...'; write it as '...', a quote in it twice"
            )
        if text == "$":
            raise InputError(f"{what} holds $, which starts text in other ways than '...'; write it as '...'")
        word = text.lower() if kind == "word" else ""
        yield _Token(kind, text[1:-1] if kind in ("text", "quoted") else word or text)
        end = place


def _after_comment(sql: str, place: int) -> int:
    """Where a comment ends; comments nest."""
    depth = 0
    for found in _COMMENT.finditer(sql, place):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)
