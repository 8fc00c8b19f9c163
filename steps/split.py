"""split: the labelled rows are divided into a training part and a held-out test part, and checked for leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from steps import documents
from steps.core import Config, Input, Output
from steps.errors import GateRefused, InputError
from steps.journal import Journal
from steps.splitting import By
from steps.splitting.document import Balance, Fraction, PartRows, SplitReport
from steps.tables.schema import TableSchema, unused
from steps.wording import absent

if TYPE_CHECKING:
    from steps.splitting.division import Division
    from steps.tables.truth import Array

LISTED = 50
"""The shares of at most this many classes are compared."""


class UnusablePart(InputError):
    """A part of a division has no rows, or rows of one class only; ``seed`` is one that works, if there is any."""

    def __init__(self, message: str, seed: int | None) -> None:
        super().__init__(message)
        self.seed = seed


class SplitConfig(Config):
    """How the labelled rows are divided."""

    test_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="The share of the rows that is held out for the test."
    )
    by: By = Field(
        default="row",
        description=(
            "'row': rows are independent; 'group': rows of a group stay together; 'time': the last rows are the test."
        ),
    )
    column: str | None = Field(
        default=None,
        description="The column of the group or time; the one of that role when left out. Not used by row.",
    )
    key: tuple[str, ...] = Field(
        default=(), description="By row, the columns that identify a row; all features together when left out."
    )
    stratify: Literal["hash", "exact"] = Field(
        default="hash",
        description="By row, 'hash' keeps each row in its part for ever; 'exact' gives each class its share instead.",
    )
    seed: int = Field(default=0, description="The salt of the hash; another seed divides differently.")
    allow_proxies: dict[str, str] = Field(
        default_factory=dict,
        description="Columns that legitimately predict the target nearly alone: column -> why that is fine.",
    )
    duplicates_at_most: float = Field(
        default=0.01, ge=0, le=1, description="The largest share of test rows with an equal row in the training part."
    )

    sample_values: int = Field(
        default=0,
        ge=0,
        le=20,
        description="How many values of training rows the report shows of the target and each feature; 0: none, since rows may "
        "be about people.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.by != "row" and self.stratify == "exact":
            raise ValueError(f"stratify: exact needs by: row; by: {self.by} divides whole {self.by}s")
        if self.by != "row" and self.key:
            raise ValueError(f"key is for by: row; with by: {self.by} write column: {self.key[0]}")
        return self


def split(
    labeled: Input, train_set: Output, test_set: Output, division: Output, config: SplitConfig, log: Journal
) -> None:
    """Divide the labelled rows and check the division for leaks.

    Raises:
        InputError: the columns do not allow this division.
        GateRefused: a leak check refuses; both parts and the findings are written first.
    """
    from steps.splitting.dropped import find_dropped
    from steps.splitting.leaks import Parts, find_leaks
    from steps.splitting.profiles import profile
    from steps.tables.truth import read_truth

    schema = documents.read(TableSchema, labeled)
    data = labeled / "data.parquet"
    truth = read_truth(data, schema)
    divided = _divide(data, schema, truth, config)
    _check_parts(data, divided, truth, schema, config)
    rows = {
        "train": _publish(data, train_set, divided, schema, test=False),
        "test": _publish(data, test_set, divided, schema, test=True),
    }
    column = divided.columns[0] if config.by != "row" else None
    findings = find_leaks(
        Parts(
            train=train_set,
            test=test_set,
            schema=schema,
            by=config.by,
            column=column or config.column,
            proxies=config.allow_proxies,
            duplicates=config.duplicates_at_most,
        )
    )
    findings += find_dropped(train_set, documents.read(TableSchema, train_set))
    balance, notes = _balance(divided, truth, schema, config)
    fraction = Fraction(
        wanted=config.test_fraction,
        found=divided.fraction,
        standard_error=divided.expected_error(config.test_fraction),
    )
    report = SplitReport(
        by=config.by,
        column=column,
        hashed=divided.columns if divided.by_chance or config.by == "row" else (),
        stratify=config.stratify,
        seed=config.seed,
        test_fraction=fraction,
        rows=rows,
        units=divided.units,
        boundary=divided.boundary,
        balance=tuple(balance),
        notes=(*divided.notes, *notes),
        findings=tuple(findings),
    )
    documents.write(division, report)
    documents.write(division, profile(data, schema, divided, config.sample_values))
    _log(report, log)
    reasons = [finding.text for finding in findings if finding.level == "refused"]
    if reasons:
        raise GateRefused(*reasons)


def _divide(data: Path, schema: TableSchema, truth: Array, config: SplitConfig) -> Division:
    from steps.splitting.division import by_class, by_group, by_row, by_time

    if config.by != "row":
        column = _column(schema, config)
        if config.by == "time":
            return by_time(data, column, config.test_fraction)
        return by_group(data, column, config.test_fraction, config.seed)
    columns = _row_columns(schema, config)
    if config.stratify == "hash":
        return by_row(data, columns, config.test_fraction, config.seed)
    assert schema.target is not None
    if not schema.target.classes:
        raise InputError(
            "split.stratify: exact gives each class its share, and a regression has no classes; use stratify: hash"
        )
    return by_class(data, columns, config.test_fraction, config.seed, truth)


def _column(schema: TableSchema, config: SplitConfig) -> str:
    """Return the column of the group or time: the declared one, else the only one of that role."""
    names = [column.name for column in schema.columns]
    if config.column is not None:
        if config.column not in names:
            raise InputError(f"split.column: {absent(config.column, names)}")
        return config.column
    of_role = [column.name for column in schema.of_role("group" if config.by == "group" else "time")]
    if len(of_role) != 1:
        count = f"{len(of_role)} columns have it: {', '.join(of_role)}" if of_role else "no column has it"
        raise InputError(f"split.by: {config.by} needs split.column, or one column of role {config.by}; {count}")
    return of_role[0]


def _row_columns(schema: TableSchema, config: SplitConfig) -> list[str]:
    """Return the columns of the hash of a row: its key, or all features."""
    names = [column.name for column in schema.columns]
    for name in config.key:
        if name not in names:
            raise InputError(f"split.key: {absent(name, names)}")
    missing = {column.name: column.missing for column in schema.columns if column.name in config.key and column.missing}
    if missing:
        listed = ", ".join(f"{name!r} in {count:,} rows" for name, count in missing.items())
        raise InputError(
            f"split.key: a key identifies every row, and it is missing: {listed}; leave split.key out to use the features"
        )
    columns = list(config.key) or [column.name for column in schema.features()]
    if not columns:
        raise InputError(
            "split.by: row hashes the features, and the table has none; write split.key, or check data.columns' roles"
        )
    return columns


def _check_parts(data: Path, divided: Division, truth: Array, schema: TableSchema, config: SplitConfig) -> None:
    """Check that both parts have rows and, for a classification, two classes or more."""
    import numpy as np

    assert schema.target is not None
    tests = int(divided.in_test.sum())
    total = len(divided.in_test)
    for name, count, rows in (("test", tests, divided.in_test), ("training", total - tests, ~divided.in_test)):
        present = np.unique(truth[rows])
        if not count:
            units = "groups" if config.by == "group" else "units"
            what = (
                f"would be empty: {total:,} rows in {divided.units:,} {units}, test_fraction {config.test_fraction:g}"
            )
        elif schema.target.classes and len(present) < 2:
            what = (
                f"would hold only class {schema.target.classes[present[0]]!r} ({count:,} rows), and nothing can be learned or "
                "measured on one class"
            )
        else:
            continue
        seed = _working_seed(data, divided, truth, schema, config)
        cures = {
            "row": "name columns that tell rows apart in split.key",
            "group": "change split.test_fraction",
            "time": "split by row or group",
        }
        cure = cures[config.by] if seed is None else f"write split.seed: {seed}"
        raise UnusablePart(f"the {name} part {what}; {cure}, or use more rows", seed)


def _working_seed(data: Path, divided: Division, truth: Array, schema: TableSchema, config: SplitConfig) -> int | None:
    """Return a seed by which both parts have rows and classes; None if there is none, or no seed decides."""
    from steps.splitting.division import working_seed
    from steps.splitting.rowhash import unsalted_hashes

    if not divided.by_chance:
        return None
    classes = truth if schema.target and schema.target.classes else None
    return working_seed(unsalted_hashes(data, divided.columns), config.test_fraction, config.seed, classes)


def _publish(data: Path, part: Path, divided: Division, schema: TableSchema, *, test: bool) -> PartRows:
    """Write one part as a table, streamed; its rows stay in order."""
    import polars as pl

    from steps.tables.digest import ROW_GROUP, table_digest, with_missing

    in_test = unused("_in_test", [column.name for column in schema.columns])
    mask = pl.LazyFrame({in_test: divided.in_test})
    lazy = pl.concat([pl.scan_parquet(data, glob=False), mask], how="horizontal")
    target = part / "data.parquet"
    lazy.filter(pl.col(in_test) if test else ~pl.col(in_test)).drop(in_test).sink_parquet(
        target, maintain_order=True, row_group_size=ROW_GROUP
    )
    rows = int((divided.in_test if test else ~divided.in_test).sum())
    digest = table_digest(target)
    columns = with_missing(target, schema.columns)
    documents.write(part, schema.model_copy(update={"rows": rows, "digest": digest, "columns": columns}))
    return PartRows(rows=rows, digest=digest)


def _balance(
    divided: Division, truth: Array, schema: TableSchema, config: SplitConfig
) -> tuple[list[Balance], list[str]]:
    """Return the share of each class (or the mean of the target) in both parts, and notes on unusual ones.

    A difference is reported and stops nothing. Under a hash it is chance, which nobody should be able to select away; by time
    it is a change of the world.
    """
    from steps.splitting.division import UNUSUAL, deviation

    assert schema.target is not None
    classes = schema.target.classes
    values = (
        {name: (truth == index).astype(float) for index, name in enumerate(classes[:LISTED])}
        if classes
        else {"mean": truth}
    )
    balance, notes = [], []
    for name, indicator in values.items():
        train, test, errors = deviation(divided, indicator, config.test_fraction)
        balance.append(Balance(name=name if classes else None, train=train, test=test, standard_errors=errors))
        what = (
            f"class {name!r}: {train:.2%} of the training and {test:.2%} of the test rows"
            if classes
            else f"target mean {train:g} and {test:g}"
        )
        if errors is not None and abs(errors) > UNUSUAL:
            notes.append(f"{what}, {abs(errors):.1f} standard errors apart; another split.seed divides differently")
        elif classes and not (train and test):
            notes.append(f"{what}: the class cannot be {'measured' if train else 'learned'}")
    return balance, notes


def _log(report: SplitReport, log: Journal) -> None:
    findings = report.findings
    for name, part in report.rows.items():
        log.metric(f"data/rows_{name}", part.rows)
    log.metric("data/test_fraction", report.test_fraction.found)
    log.metric("data/leak_findings", len(findings))
    log.metric("data/leaks_refused", sum(finding.level == "refused" for finding in findings))
    duplicates = [finding.numbers["rows"] for finding in findings if finding.check == "duplicates"]
    log.metric("data/duplicates_across_parts", sum(duplicates))
    log.table("balance", [share.model_dump(by_alias=True) for share in report.balance])
    log.table("leak checks", [finding.model_dump(include={"check", "level", "text"}) for finding in findings])
    for note in report.notes:
        log.warning(note)
    for finding in findings:
        if finding.level in ("warning", "allowed"):
            log.warning(finding.text)
        elif finding.level == "note":
            log.note(finding.text)
