"""The SQL that a problem file may hold: one query over named tables, and nothing that opens a file itself.

The engine's table functions read any path that the process can, whether or not it is declared, digested and shown. So the
text is checked before it is run. Only plain SQL passes: text in '...', names in "...", no comments, no other quotes; then the
words of the text here are the words of the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from steps.errors import InputError

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*")
    | (?P<refused>--|/\*|[`$'"\\]|[^\W\d]\w*['"])
    | (?P<word>[^\W\d]\w*)
    | (?P<number>\d+)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_READER = re.compile(r"(read|scan)_\w+", re.IGNORECASE)
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
    """The token: text and names without their quotes, words in lower case."""

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


@dataclass
class _Level:
    """What is known inside one pair of parentheses."""

    clause: bool = True
    """True if FROM starts a clause inside."""
    tables: bool = False
    """True if a comma is followed by another table."""


def check_query(query: str, what: str) -> None:
    """Check that a statement is a SELECT over named tables.

    Raises:
        InputError: it is another statement, is not plain SQL, or calls a function in the place of a table.
    """
    first = next((token for token in _tokens(query, what) if token.text != "("), None)
    if first is None or not first.is_word("select", "with"):
        start = "nothing" if first is None else repr(first.text)
        raise InputError(f"{what} does not run: it starts with {start}; write one statement, SELECT or WITH ... SELECT")
    check_tables(query, what)


def check_tables(sql: str, what: str) -> None:
    """Check that SQL takes rows only from tables by name.

    Raises:
        InputError: it is not plain SQL, calls a function in the place of a table, or one that reads files anywhere.
    """
    tokens = list(_tokens(sql, what))
    for token, following in pairwise(tokens):
        if following.text == "(" and _READER.fullmatch(token.text):
            raise InputError(f"{what} calls {token.text}(...), which reads files; {_DECLARE}")
    for name in _functions_as_tables(tokens):
        raise InputError(f"{what} takes rows from {name}(...), a function; {_DECLARE}, and name it in FROM")


def names_after_as(sql: str, what: str) -> set[str]:
    """Return the names, in lower case, that a query gives to its own columns and tables."""
    return {following.text.lower() for token, following in pairwise(_tokens(sql, what)) if token.is_word("as")}


def _functions_as_tables(tokens: list[_Token]) -> Iterator[str]:
    """Yield the functions that are called where a table would be named."""
    levels = [_Level()]
    table_next = False
    before = [_Token("mark", "")] * 2
    for token, following in zip(tokens, [*tokens[1:], before[0]], strict=True):
        level = levels[-1]
        if token.kind == "mark" and token.text == "(":
            levels.append(_Level(clause=not before[-1].is_word(*_NO_CLAUSE), tables=table_next))
        elif token.kind == "mark" and token.text == ")":
            levels[1:] = levels[1:-1]
            table_next = False
        elif token.kind == "mark" and token.text == ",":
            table_next = level.tables
        elif token.is_word("from") and level.clause and not _is_comparison(before):
            level.tables = table_next = True
        elif token.is_word("join", "apply"):
            table_next = True
        elif token.is_word(*_AFTER_TABLES, "values"):
            level.tables = table_next = False
        elif token.text != "." and not token.is_word("lateral", "table", "only"):
            if table_next and following.text == "(" and token.kind != "mark":
                yield token.text
            table_next = table_next and following.text == "."
        before = [before[-1], token]


def _is_comparison(before: list[_Token]) -> bool:
    """Return whether FROM belongs to IS [NOT] DISTINCT FROM."""
    return before[1].is_word("distinct") and before[0].is_word("is", "not")


def _tokens(sql: str, what: str) -> Iterator[_Token]:
    """Yield words, names, text and marks.

    Raises:
        InputError: the SQL is not plain, so that another reader might see other words in it.
    """
    for match in _TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match.group()
        if kind == "refused":
            raise InputError(
                f"{what} holds {text}, and only plain SQL is run: text in '...' after a blank or a mark, names in "
                '"...", no comments, no backslashes'
            )
        if kind != "blank":
            yield _Token(kind, text[1:-1] if kind in ("text", "name") else text.lower() if kind == "word" else text)
