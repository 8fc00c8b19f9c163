"""A trial of the label and the split stage on the proposed columns, so that a run accepts what is proposed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from steps import documents
from steps.errors import GateRefused, InputError
from steps.journal import Journal
from steps.label import LabelConfig, label
from steps.split import SplitConfig, UnusablePart, split
from steps.splitting.document import Finding, SplitReport
from steps.splitting.leaks import GIVES_AWAY
from steps.tables.schema import TableSchema

Roles = Mapping[str, tuple[str, str]]
_TEXT = ("category", "text")


@dataclass(frozen=True)
class Outcome:
    """What the leak checks of a run say, and how it has to divide the rows."""

    leaks: tuple[Finding, ...]
    seed: int | None
    """The seed that gives both parts rows and classes, where the default does not."""

    @property
    def refused(self) -> set[str]:
        """The columns that the leak gate would refuse."""
        return {name for leak in self.leaks if leak.level == "refused" for name in leak.columns}


def attempt(table: Path, schema: TableSchema, roles: Roles, labelling: LabelConfig, division: SplitConfig) -> Outcome:
    """Label and split a table as a run would, again and again without the columns that the leak gate refuses.

    Args:
        roles: type and role of the columns that are not as the table has them.

    Raises:
        InputError: a run would refuse something that other columns or another seed do not mend.
    """
    with tempfile.TemporaryDirectory(prefix="fourscore-") as scratch, Journal(Path(scratch) / "journal.jsonl") as log:
        place = Path(scratch)
        proposed, labeled = place / "table", place / "labeled"
        proposed.mkdir()
        labeled.mkdir()
        _write(table, schema, roles, proposed)
        label(proposed, labeled, labelling, log)
        refused: list[Finding] = []
        while True:
            report, seed = _split(labeled, place / str(len(refused)), division, log)
            leaks = [finding for finding in report.findings if finding.check in GIVES_AWAY]
            reasons = [f.text for f in report.findings if f.level == "refused" and f not in leaks]
            if reasons:
                raise InputError("\n".join(reasons))
            fresh = [leak for leak in leaks if leak.level == "refused"]
            refused += fresh
            if not fresh:
                warnings = (leak for leak in leaks if leak.level == "warning")
                return Outcome((*refused, *warnings), seed)
            _ignore(labeled, fresh)


def _write(table: Path, schema: TableSchema, roles: Roles, place: Path) -> None:
    """Write a table with the proposed types and roles; numbers that are categories become text, as when they are read."""
    data = pl.scan_parquet(table / "data.parquet", glob=False)
    text = [column.name for column in schema.columns if column.type not in _TEXT and roles[column.name][0] in _TEXT]
    if text:
        data.with_columns(pl.col(text).cast(pl.String)).sink_parquet(place / "data.parquet", maintain_order=True)
    else:
        (place / "data.parquet").symlink_to(table / "data.parquet")
    columns = tuple(
        column.model_copy(update=dict(zip(("type", "role"), roles[column.name], strict=True)))
        for column in schema.columns
    )
    documents.write(place, schema.model_copy(update={"columns": columns}))


def _split(labeled: Path, place: Path, config: SplitConfig, log: Journal) -> tuple[SplitReport, int | None]:
    """Return the report of the split, and the seed that was needed if it is another one."""
    parts = [place / name for name in ("train_set", "test_set", "division")]
    for part in parts:
        part.mkdir(parents=True)
    try:
        split(labeled, parts[0], parts[1], parts[2], config, log)
    except UnusablePart as error:
        if error.seed is None or "seed" in config.model_fields_set:
            raise
        report, _ = _split(labeled, place / "again", config.model_copy(update={"seed": error.seed}), log)
        return report, error.seed
    except GateRefused:
        pass  # its findings are in the report
    return documents.read(SplitReport, parts[2]), None


def _ignore(labeled: Path, leaks: Sequence[Finding]) -> None:
    """Leave the columns of leaks out of the features.

    Raises:
        InputError: none is left.
    """
    schema = documents.read(TableSchema, labeled)
    names = {name for leak in leaks for name in leak.columns}
    columns = tuple(
        column.model_copy(update={"role": "ignore"}) if column.name in names else column for column in schema.columns
    )
    schema = schema.model_copy(update={"columns": columns})
    if not schema.features():
        raise InputError("\n".join([*(leak.text for leak in leaks), "no other column is left to learn from"]))
    documents.write(labeled, schema)
