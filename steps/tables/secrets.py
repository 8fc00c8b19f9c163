"""Columns whose values look like credentials: refused, unless they are ignored or hashed, and kept out of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import polars as pl

from steps.credentials import ANY, KINDS
from steps.errors import InputError
from steps.tables import parquet

_FEWEST, _SHARE = 3, 0.02
"""A column holds credentials from this many values and this share of its values on; a text may mention one."""
_NAME = re.compile(r"(^|[\W_])(secret|token|password|passwd|pwd|credentials?|(api|access|private|secret)[\W_]?key)s?$")
_OPAQUE = ("^[A-Za-z0-9_.~+=/-]{16,}$", "[A-Za-z]", "[0-9]")
"""What nearly all values of a column with such a name match if they are credentials."""
_BATCH = 50


@dataclass(frozen=True)
class Secret:
    """A column whose values look like credentials."""

    column: str
    kind: str
    count: int
    values: int

    def __str__(self) -> str:
        return f"column {self.column!r}: {self.count:,} of {self.values:,} values look like {self.kind}"


class SecretValues(InputError):
    """Columns hold what looks like credentials, and no declaration says what becomes of them."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        names = [secret.column for secret in secrets]
        super().__init__(
            "\n".join(
                f"{secret}; they would be copied to tables, suites and reports. Write data.columns.{secret.column}: "
                "{role: ignore} to leave them out, or {role: key, hash: true} (or group) to keep who is who"
                for secret in secrets
            )
        )
        self.secrets = dict(zip(names, secrets, strict=True))


def find_secrets(path: Path, columns: Iterable[str]) -> Iterator[Secret]:
    """Yield the columns of text whose values look like credentials."""
    data = pl.scan_parquet(path, glob=False)
    names = [*columns]
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        counts = _counts(data, [(pl.col(name).count(), pl.col(name).str.contains(ANY).sum()) for name in batch])
        for name, (values, matches) in zip(batch, counts, strict=True):
            if matches >= max(1, min(_FEWEST, values), _SHARE * values):
                kinds = _counts(data, [[pl.col(name).str.contains(form).sum() for form in KINDS.values()]])[0]
                yield Secret(name, max(zip(kinds, KINDS, strict=True))[1], matches, values)
            elif values and _NAME.search(name.lower()):
                opaque = pl.all_horizontal(pl.col(name).str.contains(form) for form in _OPAQUE).sum()
                if (count := _counts(data, [[opaque]])[0][0]) >= 0.9 * values:
                    yield Secret(name, "credentials", count, values)


def _counts(data: pl.LazyFrame, questions: Sequence[Sequence[pl.Expr]]) -> list[list[int]]:
    """Return the answer to each question, in the same shape."""
    flat = [expression for group in questions for expression in group]
    row = data.select(e.alias(str(i)) for i, e in enumerate(flat)).collect(engine="streaming").row(0)
    answers = iter(int(answer or 0) for answer in row)
    return [[next(answers) for _ in group] for group in questions]


def protect(path: Path, emptied: Iterable[str], hashed: Iterable[str]) -> None:
    """Rewrite a table without the values of some columns, and with digests for those of others."""
    changes = [
        *(pl.lit(None, pl.String).alias(name) for name in emptied),
        *(pl.col(name).cast(pl.String).map_batches(_digests, pl.String).alias(name) for name in hashed),
    ]
    if changes:
        parquet.write(pl.scan_parquet(path, glob=False).with_columns(changes), path)


def _digests(values: pl.Series) -> pl.Series:
    distinct = values.drop_nulls().unique().to_list()
    digests = [blake2b(value.encode(), digest_size=16).hexdigest() for value in distinct]
    return values.replace_strict(distinct, digests, default=None, return_dtype=pl.String)
