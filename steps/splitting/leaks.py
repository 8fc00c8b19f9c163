"""The leak checks: whether the model learns from anything that will not be known when it predicts.

Each check yields findings; only those of level ``refused`` stop the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steps.errors import InputError
from steps.splitting.copies import MOST_COLUMNS, near_copies
from steps.splitting.document import Finding, Level
from steps.splitting.ids import names_id, names_subject
from steps.splitting.moments import parts_of_moment
from steps.splitting.proxies import (
    PAIR_IS_TARGET,
    PRODUCT_IS_TARGET,
    SUM_IS_TARGET,
    Strength,
    fold_of_rows,
    identity,
    pair,
    product,
    strength,
)
from steps.splitting.rowhash import row_hashes
from steps.splitting.shifted import later_targets
from steps.tables.schema import Column, TableSchema, unused
from steps.tables.truth import Array, number_array, truth_array
from steps.wording import listed, near

NEAR_TARGET, LATER_TARGET = "near target", "later target"
GIVES_AWAY = (NEAR_TARGET, SUM_IS_TARGET, PRODUCT_IS_TARGET, PAIR_IS_TARGET, LATER_TARGET)
"""The checks of columns that give the target away."""
SAMPLE = 50_000
"""The training rows on which columns are compared with the target."""
ENOUGH = 300
"""With fewer rows, a number that separates the classes may just be a good feature; a column of few values is not."""
NEARLY_ALL, SKILL = 0.99, 0.95
"""The score from which a single column counts as the target itself; of more than two classes, the skill as well."""
MOST_SUMMED, MOST_PAIRED = 500, 16
"""The columns, the best by themselves first, of which sums and pairs are tried."""
RARE = 20
"""With fewer rows of the rarer class, one column may separate it by chance."""
STRONG = 0.985
"""The score from which a column is reported."""
FEW_IDS = 20
"""With fewer values, a column with the name of an id is a category, unless it names a person or a thing."""


@dataclass(frozen=True)
class Parts:
    """The two published parts and how they were divided.

    Attributes:
        proxies: columns that may predict the target nearly alone, and why that is fine.
        duplicates: the largest share of test rows with an equal row in the training part.
    """

    train: Path
    test: Path
    schema: TableSchema
    by: str
    column: str | None
    proxies: Mapping[str, str] = field(default_factory=dict)
    duplicates: float = 0.01


def find_leaks(parts: Parts) -> list[Finding]:
    """Run every check over the published parts.

    Raises:
        InputError: no column is a feature, or ``allow_proxies`` names a column that does not exist.
    """
    names = [column.name for column in parts.schema.columns]
    if not parts.schema.features():
        raise InputError(
            f"no column is a feature to learn from; the columns are: {_excluded(parts.schema)}; add columns, or change their "
            "type, role or available in data.columns"
        )
    for name in parts.proxies:
        if name not in names:
            raise InputError(
                f"split.allow_proxies: the table has no column {name!r}{near(name, names)}; its columns are: "
                f"{', '.join(names)}"
            )
    checks = (_later, _duplicates, _near_copies, _groups, _ids, _times, _near_target, _later_target)
    return [finding for check in checks for finding in check(parts)]


def _excluded(schema: TableSchema) -> str:
    """List every column with the reason why it is not a feature."""
    target = schema.target.name if schema.target else None
    return ", ".join(f"{column.name} ({_reason(column, target)})" for column in schema.columns)


def _reason(column: Column, target: str | None) -> str:
    if column.name == target:
        return "the target"
    if column.role != "feature":
        return f"role {column.role}"
    return f"type {column.type}" if column.available == "at-prediction" else f"available {column.available}"


def _later(parts: Parts) -> Iterator[Finding]:
    """Name the columns that are not known at prediction time, and make sure that none is a feature."""
    target = parts.schema.target.name if parts.schema.target else None
    later = [
        column.name
        for column in parts.schema.columns
        if column.available == "later" and column.role == "feature" and column.name != target
    ]
    assert not {column.name for column in parts.schema.features()} & set(later)
    if later:
        text = f"not used as features, since they are declared available: later: {', '.join(later)}"
        yield Finding(check="available later", level="note", columns=tuple(later), text=text)


def _duplicates(parts: Parts) -> Iterator[Finding]:
    """Report test rows whose features equal those of a training row."""
    features = [column.name for column in parts.schema.features()]
    test = row_hashes(parts.test / "data.parquet", features)
    same = int(np.isin(test, row_hashes(parts.train / "data.parquet", features)).sum())
    share = same / len(test)
    if not same:
        return
    count = f"{same:,} of {len(test):,} test rows ({share:.2%}) have an equal row in the training part (same features)"
    over = share > parts.duplicates
    if parts.by == "time":
        level: Level = "warning" if over else "note"
        text = f"{count}; over time, the same values may simply occur again"
    else:
        level = "refused" if over else "note"
        text = f"{count}; at most {parts.duplicates:.2%} are allowed"
        if over:
            way = (
                "leave split.key out, so that equal rows stay together"
                if parts.by == "row"
                else "drop one of each pair with data.query"
            )
            text += f"; {way}, or raise split.duplicates_at_most if equal rows are normal in this data"
    yield Finding(check="duplicates", level=level, columns=(), text=text, numbers={"rows": same, "share": share})


def _near_copies(parts: Parts) -> Iterator[Finding]:
    """Count test rows that equal a training row but for one feature, or once numbers are rounded."""
    features = parts.schema.features()
    copies = near_copies(parts.train / "data.parquet", parts.test / "data.parquet", features)
    if copies is None or not (copies.all_but_one or copies.rounded):
        return
    faults = []
    if copies.all_but_one:
        listed = ", ".join(map(repr, copies.differing[:3])) + (" ..." if len(copies.differing) > 3 else "")
        faults.append(f"{copies.all_but_one:,} equal a training row in all features but one ({listed})")
    if copies.rounded:
        faults.append(f"{copies.rounded:,} equal a training row once numbers are rounded to three digits")
    chance = copies.all_but_one > copies.rounded and not copies.telling
    share = max(copies.all_but_one, copies.rounded) / copies.rows
    warns = share > parts.duplicates and not chance and parts.by != "time"
    text = f"of {copies.rows:,} test rows, {' and '.join(faults)}"
    if len(features) > MOST_COLUMNS:
        text += f"; each of the first {MOST_COLUMNS} features was left out in turn"
    if chance:
        text += "; features with few values agree that often by chance"
    elif warns:
        text += "; if they are repeated measurements, split.by: group and a column that says what was measured keep them together"
    numbers = {"all_but_one": copies.all_but_one, "rounded": copies.rounded, "share": share}
    yield Finding(check="near copies", level="warning" if warns else "note", text=text, numbers=numbers)


def _ids(parts: Parts) -> Iterator[Finding]:
    """Warn of features that are named like an id and whose values repeat across the parts."""
    for column in parts.schema.features():
        if column.name == parts.column or not names_id(column.name) or column.type in ("boolean", "date", "datetime"):
            continue
        both, in_test = _in_both(parts, column.name)
        if both < (3 if names_subject(column.name) else FEW_IDS):
            continue
        text = (
            f"{column.name!r} is named like an id, it is a feature, and {both:,} of its {in_test:,} values in the test part also "
            "have rows in the training part, so the model is tested on rows whose id it knows"
        )
        if parts.by != "time":
            text += (
                f"; for a model that will meet new ones, write split.by: group with column: {column.name}, or role: ignore "
                "where its rows are independent"
            )
        level: Level = "note" if parts.by == "time" else "warning"
        yield Finding(check="ids", level=level, columns=(column.name,), text=text, numbers={"values": both})


def _groups(parts: Parts) -> Iterator[Finding]:
    """Report groups with rows in both parts."""
    divided_by = {parts.column} if parts.by == "group" and parts.column else set()
    for name in sorted(divided_by | {column.name for column in parts.schema.of_role("group")}):
        both, in_test = _in_both(parts, name)
        if not both:
            continue
        text = f"{both:,} of the {in_test:,} groups of {name!r} in the test part also have rows in the training part"
        level: Level = "note" if parts.by == "time" else "refused"
        if level == "refused":
            text += (
                f"; write split.by: group with column: {name}, or role: ignore for the column when its rows "
                f"are independent"
            )
        yield Finding(check="groups", level=level, columns=(name,), text=text, numbers={"groups": both})


def _in_both(parts: Parts, name: str) -> tuple[int, int]:
    test = np.unique(row_hashes(parts.test / "data.parquet", [name]))
    train = np.unique(row_hashes(parts.train / "data.parquet", [name]))
    return int(np.isin(test, train).sum()), len(test)


def _times(parts: Parts) -> Iterator[Finding]:
    """Report training rows that are not before the test rows; a model that has seen the future looks too good."""
    for name in [parts.column] if parts.by == "time" else _time_columns(parts):
        last = _value(parts.train, pl.col(str(name)).max())
        first = _value(parts.test, pl.col(str(name)).min())
        if last is None or first is None or last < first:
            continue
        level: Level = "refused"
        text = f"by {name!r}, the training part has rows that are not before the test part"
        if parts.by != "time":
            level = "warning"
            text = (
                f"the training part has rows from after the first test row by {name!r}, so a model that predicts the "
                f"future looks better here than it will be; split.by: time shows how it would do"
            )
        yield Finding(check="times", level=level, columns=(str(name),), text=text)


def _value(part: Path, expression: pl.Expr) -> Any:
    return pl.scan_parquet(part / "data.parquet", glob=False).select(expression).collect().item()


def _time_columns(parts: Parts) -> list[str]:
    """Return the columns of role time, and the column by which a split by time would divide."""
    dates = [column.name for column in parts.schema.columns if column.name == parts.column and "date" in column.type]
    return sorted({*dates, *(column.name for column in parts.schema.of_role("time"))})


def _near_target(parts: Parts) -> Iterator[Finding]:
    """Report columns that are nearly the target alone or in combination, and columns that duplicate another."""
    target = parts.schema.target
    assert target is not None, "the labelled table has a target"
    features = parts.schema.features()
    frame = _sample(parts.train / "data.parquet", [*(column.name for column in features), target.name])
    truth = truth_array(frame[target.name], target)
    words = [column.name for column in features if column.type in ("category", "text")]
    frame = frame.with_columns(pl.col(words).cast(pl.String).rank("dense"))
    fold = fold_of_rows(len(truth))
    moment = parts_of_moment(features)  # a trend over time is no leak: when a row is made is known
    single: list[str] = []
    scores: dict[str, float] = {}
    dividing: list[Column] = []
    for column in features:
        result = strength(frame[column.name], column, truth, len(target.classes), fold)
        if 2 <= result.distinct + bool(frame[column.name].null_count()) <= frame.height / 10:
            dividing.append(column)
        level = _judge(result, truth, len(target.classes))
        if level == "refused" and column.name in moment:
            level = "warning"
        if level:
            single.append(column.name)
            yield _proxy(parts, column.name, level, result)
        elif _is_quantity(column, frame) and column.name not in moment:
            scores[column.name] = result.score
    yield from _combinations(parts, frame, scores, truth)
    yield from _same(frame, dividing)


def _sample(path: Path, columns: Sequence[str], size: int = SAMPLE) -> pl.DataFrame:
    """Return at most ``size`` rows, scattered over the file, always the same."""
    lazy = pl.scan_parquet(path, glob=False)
    rows = lazy.select(pl.len()).collect().item()
    if rows <= size:
        return lazy.select(columns).collect()
    chosen = np.zeros(rows, bool)
    chosen[np.random.default_rng(0).choice(rows, size, replace=False)] = True
    mark = unused("_chosen", columns)
    marked = pl.concat([lazy.select(columns), pl.LazyFrame({mark: chosen})], how="horizontal")
    return marked.filter(mark).drop(mark).collect(engine="streaming")


def _judge(result: Strength, truth: Array, classes: int) -> Level | None:
    """Judge whether a single column is the target, suspiciously strong, or neither."""
    if _is_target(result, truth, classes):
        return "refused"
    return "warning" if result.score >= STRONG and (not classes or result.skill >= 0.9) else None


def _is_target(result: Strength, truth: Array, classes: int) -> bool:
    """Return whether a column that predicts this well counts as the target itself.

    Args:
        truth: class index or number of each row that was compared.
    """
    if result.score < NEARLY_ALL:
        return False
    if not classes:
        return True
    skilled = result.skill >= SKILL
    if result.distinct <= max(10, 2 * classes) and skilled:
        return True
    return _are_enough(truth, classes) and (skilled or classes == 2)


def _are_enough(truth: Array, classes: int) -> bool:
    """Return whether there are so many rows that no column separates the classes by chance."""
    return len(truth) >= ENOUGH and (classes != 2 or int(np.bincount(truth, minlength=2).min()) >= RARE)


def _proxy(parts: Parts, name: str, level: Level, result: Strength) -> Finding:
    target = parts.schema.target
    assert target is not None
    evidence = (
        f"column {name!r} alone predicts {target.name!r} with {result.measure} {result.score:.4f} on "
        f"held-out training rows"
    )
    if level == "refused":
        level, text = _unless_allowed(parts, [name], evidence, "it is nearly the target")
    else:
        text = f"{evidence}; make sure that it is known at prediction time"
    numbers = {result.measure: result.score, "skill": result.skill}
    return Finding(check=NEAR_TARGET, level=level, columns=(name,), text=text, numbers=numbers)


def _unless_allowed(parts: Parts, names: Sequence[str], evidence: str, verdict: str) -> tuple[Level, str]:
    """Return the level and text about columns that are the target: refused, unless the problem allows all of them."""
    if all(name in parts.proxies for name in names):
        return "allowed", f"{evidence}; allowed: {'; '.join(parts.proxies[name] for name in names)}"
    reasons = ", ".join(f"{name}: <why it is known at prediction time>" for name in names)
    return "refused", (
        f"{evidence}: {verdict}. Write data.columns.{names[0]}: {{role: ignore}} or {{available: later}}; a column that "
        f"legitimately predicts this well goes under split.allow_proxies: {{{reasons}}}"
    )


def _is_quantity(column: Column, frame: pl.DataFrame) -> bool:
    is_number = column.type in ("integer", "float", "boolean")
    return is_number and frame[column.name].null_count() <= frame.height / 2


def _combinations(parts: Parts, frame: pl.DataFrame, scores: Mapping[str, float], truth: Array) -> Iterator[Finding]:
    """Report columns of which a weighted sum, a product of powers, or a simple function of two is the target.

    Args:
        scores: columns of numbers, and how well each of them predicts the target by itself.
    """
    target = parts.schema.target
    assert target is not None
    best = sorted(scores, key=lambda name: -scores[name])
    summed = set(best[:MOST_SUMMED])
    names = [name for name in scores if name in summed]
    if len(names) < 2:
        return
    classes = len(target.classes)
    matrix = np.column_stack([number_array(frame[name]) for name in names])
    result = identity(matrix, names, truth, classes)
    if result is None and not classes:
        result = product(matrix, names, truth)
    if result is None and classes <= 2 and _are_enough(truth, classes):
        few = [names.index(name) for name in best[:MOST_PAIRED]]
        result = pair(matrix[:, few], best[:MOST_PAIRED], truth, classes)
    if result is None:
        return
    evidence = (
        f"{result.what} of {listed(map(repr, result.columns))} gives {target.name!r} with {result.measure} {result.score:.6f} on "
        "held-out training rows"
    )
    level, text = _unless_allowed(parts, result.columns, evidence, "together they are the target")
    numbers = {result.measure: result.score}
    yield Finding(check=result.check, level=level, columns=tuple(result.columns), text=text, numbers=numbers)


def _later_target(parts: Parts) -> Iterator[Finding]:
    """Report columns that hold the target of a later row."""
    target = parts.schema.target
    assert target is not None
    columns = [column for column in parts.schema.features() if column.type not in ("date", "datetime")]
    for name, distance, share in later_targets((parts.train, parts.test), columns, target.name):
        rows = "the next row" if distance == 1 else f"the row {distance} rows later"
        evidence = f"column {name!r} is the {target.name!r} of {rows} in {share:.1%} of the rows"
        level, text = _unless_allowed(parts, [name], evidence, "it is not known yet when the prediction is made")
        numbers = {"share": share}
        yield Finding(check=LATER_TARGET, level=level, columns=(name,), text=text, numbers=numbers)


def _same(frame: pl.DataFrame, columns: Sequence[Column]) -> Iterator[Finding]:
    """Report columns that divide the rows in the same way as another: harmless, but one of them is enough.

    Args:
        columns: those of few values; constants divide nothing, and columns of many values may divide rows alike by chance.
    """
    by_signature: dict[bytes, str] = {}
    for column in columns:
        # Classes of rows are numbered by their first row, so that names play no part.
        _, first, place = np.unique(number_array(frame[column.name]), return_index=True, return_inverse=True)
        signature = np.argsort(np.argsort(first))[place].tobytes()
        if signature in by_signature:
            text = f"{column.name!r} duplicates {by_signature[signature]!r}; keep one of them"
            yield Finding(
                check="redundant", level="note", columns=(by_signature[signature], column.name), text=text, numbers={}
            )
        by_signature.setdefault(signature, column.name)
