"""The leak checks: does anything of the answer reach the model that will not be there when it is asked?

Each check gives findings; only those of level ``refused`` stop the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.errors import InputError, near
from steps.splitting.document import Finding, Level
from steps.splitting.proxies import Strength, fold_of_rows, identity, number_array, strength, truth_array
from steps.splitting.rowhash import row_hashes
from steps.tables.schema import Column, TableSchema, unused

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Array = np.ndarray[Any, Any]

SAMPLE = 50_000
"""Training rows on which columns are compared with the target."""
ENOUGH = 300
"""With fewer rows, a number that separates the classes may just be good; a column of few values that does is
still the target.
"""
AUC, SKILL, R2 = 0.995, 0.95, 0.999
"""From here on a single column counts as the target itself."""
STRONG = 0.985
"""From here on it is worth a question."""


@dataclass(frozen=True)
class Parts:
    """The two published parts and how they came to be.

    Attributes:
        proxies: columns that may give the target away, and why that is fine.
        duplicates: the share of test rows that may have an equal row in the training part.
    """

    train: Path
    test: Path
    schema: TableSchema
    by: str
    column: str | None
    proxies: Mapping[str, str] = field(default_factory=dict)
    duplicates: float = 0.01


def find_leaks(parts: Parts) -> list[Finding]:
    """Every check over the published parts.

    Raises:
        InputError: no column is a feature, or ``allow_proxies`` names a column that the table has not.
    """
    names = [column.name for column in parts.schema.columns]
    if not parts.schema.features():
        raise InputError(
            f"there is no feature column to learn from; the columns are: {_unused(parts.schema)}; give more columns, or "
            "change their type, role or available in data.columns"
        )
    for name in parts.proxies:
        if name not in names:
            raise InputError(
                f"split.allow_proxies: the table has no column {name!r}{near(name, names)}; its columns are: "
                f"{', '.join(names)}"
            )
    return [*_later(parts), *_duplicates(parts), *_groups(parts), *_times(parts), *_near_target(parts)]


def _unused(schema: TableSchema) -> str:
    """Every column with what keeps it from being a feature."""
    target = schema.target.name if schema.target else None
    return ", ".join(f"{column.name} ({_kept_out(column, target)})" for column in schema.columns)


def _kept_out(column: Column, target: str | None) -> str:
    if column.name == target:
        return "the target"
    if column.role != "feature":
        return f"role {column.role}"
    return f"type {column.type}" if column.available == "at-prediction" else f"available {column.available}"


def _later(parts: Parts) -> Iterator[Finding]:
    """Columns that are not known at prediction time are no features; say which, and make sure."""
    later = [column.name for column in parts.schema.columns if column.available == "later" and column.role == "feature"]
    later = [name for name in later if parts.schema.target is None or name != parts.schema.target.name]
    used = {column.name for column in parts.schema.features()} & set(later)
    assert not used, f"declared as available later, and yet features: {used}"
    if later:
        text = f"not given to the model, since they are declared available: later: {', '.join(later)}"
        yield Finding(check="available later", level="note", columns=tuple(later), text=text, numbers={})


def _duplicates(parts: Parts) -> Iterator[Finding]:
    """Rows of the test part whose features are those of a training row."""
    import numpy as np

    features = [column.name for column in parts.schema.features()]
    test = row_hashes(parts.test / "data.parquet", features)
    same = int(np.isin(test, row_hashes(parts.train / "data.parquet", features)).sum())
    share = same / len(test)
    if not same:
        return
    found = f"{same:,} of {len(test):,} test rows ({share:.2%}) have a row with equal features in the training part"
    over = share > parts.duplicates
    if parts.by == "time":
        level: Level = "warning" if over else "note"
        text = f"{found}; by time that may be the world repeating itself"
    else:
        level = "refused" if over else "note"
        text = f"{found}, and {parts.duplicates:.2%} may"
        if over:
            way = (
                "leave split.key out, so that equal rows stay together"
                if parts.by == "row"
                else "drop one of each pair with data.query"
            )
            text += f"; {way}, or raise split.duplicates_at_most where repetition is the nature of the data"
    yield Finding(check="duplicates", level=level, columns=(), text=text, numbers={"rows": same, "share": share})


def _groups(parts: Parts) -> Iterator[Finding]:
    """Groups with rows in both parts."""
    divided_by = {parts.column} if parts.by == "group" and parts.column else set()
    for name in sorted(divided_by | {column.name for column in parts.schema.of_role("group")}):
        both, in_test = _in_both(parts, name)
        if not both:
            continue
        text = f"{both:,} of the {in_test:,} groups of {name!r} in the test part have rows in the training part too"
        level: Level = "note" if parts.by == "time" else "refused"
        if level == "refused":
            text += (
                f"; write split.by: group with column: {name}, or role: ignore for the column when its rows "
                f"are independent"
            )
        yield Finding(check="groups", level=level, columns=(name,), text=text, numbers={"groups": both})


def _in_both(parts: Parts, name: str) -> tuple[int, int]:
    import numpy as np

    test = np.unique(row_hashes(parts.test / "data.parquet", [name]))
    train = np.unique(row_hashes(parts.train / "data.parquet", [name]))
    return int(np.isin(test, train).sum()), len(test)


def _times(parts: Parts) -> Iterator[Finding]:
    """By time nothing in training is as late as the test; otherwise training has seen the future, which flatters."""
    import polars as pl

    for name in [parts.column] if parts.by == "time" else _time_columns(parts):
        last = (
            pl.scan_parquet(parts.train / "data.parquet", glob=False).select(pl.col(str(name)).max()).collect().item()
        )
        first = (
            pl.scan_parquet(parts.test / "data.parquet", glob=False).select(pl.col(str(name)).min()).collect().item()
        )
        if last is None or first is None or last < first:
            continue
        if parts.by == "time":
            text = f"the training part has rows of {name!r} that are not before the test part"
            yield Finding(check="times", level="refused", columns=(str(name),), text=text, numbers={})
        else:
            text = (
                f"the training part has rows from after the first test row by {name!r}: a model that is asked "
                f"about the future "
                f"looks better here than it will be; split.by: time shows how it would do"
            )
            yield Finding(check="times", level="warning", columns=(str(name),), text=text, numbers={})


def _time_columns(parts: Parts) -> list[str]:
    """Columns of role time, and what a division by time would have used."""
    named = [column.name for column in parts.schema.columns if column.name == parts.column and "date" in column.type]
    return sorted({*named, *(column.name for column in parts.schema.of_role("time"))})


def _near_target(parts: Parts) -> Iterator[Finding]:
    """Single columns, sums of columns, and columns that say the same as another."""
    target = parts.schema.target
    assert target is not None, "the labelled table has a target"
    features = parts.schema.features()
    frame = _sample(parts.train / "data.parquet", [*(column.name for column in features), target.name])
    truth = truth_array(frame[target.name], target)
    fold = fold_of_rows(len(truth))
    single: list[str] = []
    for column in features:
        found = strength(frame[column.name], column, truth, len(target.classes), fold)
        level = _judge(found, len(truth), len(target.classes))
        if level:
            single.append(column.name)
            yield _proxy(parts, column.name, level, found)
    yield from _sums(parts, frame, [column for column in features if column.name not in single], truth)
    yield from _same(frame, features)


def _sample(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """At most SAMPLE rows, scattered over the file, always the same."""
    import numpy as np
    import polars as pl

    lazy = pl.scan_parquet(path, glob=False)
    rows = lazy.select(pl.len()).collect().item()
    if rows <= SAMPLE:
        return lazy.select(columns).collect()
    chosen = np.zeros(rows, bool)
    chosen[np.random.default_rng(0).choice(rows, SAMPLE, replace=False)] = True
    mark = unused("_chosen", columns)
    marked = pl.concat([lazy.select(columns), pl.LazyFrame({mark: chosen})], how="horizontal")
    return marked.filter(mark).drop(mark).collect(engine="streaming")


def _judge(found: Strength, rows: int, classes: int) -> Level | None:
    """Whether a single column is the target, is suspiciously strong, or neither."""
    if not classes:
        return "refused" if found.score >= R2 else "warning" if found.score >= STRONG else None
    is_target = found.skill >= SKILL and found.score >= AUC
    few_values = found.distinct <= max(10, 2 * classes)
    if is_target and (rows >= ENOUGH or few_values):
        return "refused"
    return "warning" if found.score >= STRONG and found.skill >= 0.9 else None


def _proxy(parts: Parts, name: str, level: Level, found: Strength) -> Finding:
    target = parts.schema.target
    assert target is not None
    evidence = (
        f"column {name!r} alone predicts {target.name!r} with {found.measure} {found.score:.4f} on "
        f"held-out training rows"
    )
    if level == "refused" and name in parts.proxies:
        level, text = "allowed", f"{evidence}; allowed: {parts.proxies[name]}"
    elif level == "refused":
        text = f"{evidence}: it is (nearly) the target. {_ways_out([name])}"
    else:
        text = f"{evidence}; make sure that it is known when the prediction is made"
    return Finding(
        check="near target",
        level=level,
        columns=(name,),
        text=text,
        numbers={found.measure: found.score, "skill": found.skill},
    )


def _ways_out(names: Sequence[str]) -> str:
    one = names[0]
    return (
        f"Write data.columns.{one}: {{role: ignore}} or {{available: later}}, "
        f"or split.allow_proxies: "
        f"{{{', '.join(f'{name}: <why it is known when the prediction is made>' for name in names)}}}"
    )


def _sums(parts: Parts, frame: pl.DataFrame, features: Sequence[Column], truth: Array) -> Iterator[Finding]:
    """Columns of which a weighted sum is the target."""
    import numpy as np

    target = parts.schema.target
    assert target is not None
    numeric = [column.name for column in features if column.type in ("integer", "float", "boolean")]
    numeric = [name for name in numeric if frame[name].null_count() <= frame.height / 2]
    if len(numeric) < 2:
        return
    matrix = np.column_stack([number_array(frame[name]) for name in numeric])
    found = identity(matrix, numeric, truth, len(target.classes))
    if found is None:
        return
    names, _, score = found
    evidence = (
        f"a weighted sum of {' and '.join(map(repr, names))} gives {target.name!r} with R2 {score:.6f} on "
        f"held-out training rows"
    )
    if all(name in parts.proxies for name in names):
        level: Level = "allowed"
        text = f"{evidence}; allowed: {'; '.join(parts.proxies[name] for name in names)}"
    else:
        level = "refused"
        text = f"{evidence}: together they are the target. {_ways_out(names)}"
    yield Finding(check="sum is target", level=level, columns=tuple(names), text=text, numbers={"R2": score})


def _same(frame: pl.DataFrame, features: Sequence[Column]) -> Iterator[Finding]:
    """Columns that divide the rows in the same way as another: harmless, but one of them is enough."""
    import numpy as np

    seen: dict[bytes, str] = {}
    for column in features:
        series = frame[column.name]
        if not 2 <= series.n_unique() <= frame.height / 10:
            continue  # constants say nothing; columns of many different values divide rows alike by chance
        codes = series.rank("dense").fill_null(0).to_numpy().astype(np.int64)
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        signature = np.argsort(np.argsort(first))[place].tobytes()
        if signature in seen:
            text = f"{column.name!r} says the same as {seen[signature]!r} under other names; one of them is enough"
            yield Finding(
                check="redundant", level="note", columns=(seen[signature], column.name), text=text, numbers={}
            )
        seen.setdefault(signature, column.name)
