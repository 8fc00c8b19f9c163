"""The rows of a file as a model reads them: written as the file shows or, where that fails, as the training file was."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from model_code.families import Readout
from model_code.serving import Predictor
from model_code.tabular import MISSING
from model_code.tabular.values import cleaned
from steps.errors import InputError
from steps.tables.file_settings import FileSettings
from steps.tables.readers import Part, read_parts, reading

if TYPE_CHECKING:
    from steps.tables.file_settings import Settings

_SETTING = re.compile(r"\b(encoding|names|format|quote|delimiter|sheet|member): ")
"""What is said of settings in messages of the readers."""
_ADVICE = "settings of the file are given as --set input.FIELD=VALUE"


@dataclass(frozen=True)
class Rows:
    """The rows of a file, and what was noticed while they were read."""

    source: Path
    cells: pl.DataFrame
    """The readable rows as they are written."""
    readout: Readout
    count: int
    """The number of records that hold any value."""
    blank: int
    """The number of other records."""
    settings: Mapping[str, Any]
    """How the file is written, where detection was not enough."""
    encoding: str | None
    """The encoding of a text file."""

    unreadable: pl.DataFrame
    """The other rows as they are written."""

    def bad(self) -> list[int]:
        """Return the numbers of the rows with values that cannot be read."""
        return sorted({row for fault in self.readout.faults for row in fault.rows})

    def beside_the_table(self) -> bool:
        """True if some rows cannot be read and hold little else, as totals and remarks do; a record has one wrong cell."""
        cells = self.unreadable
        if cells.is_empty():
            return False
        text = [(cells[name].str.strip_chars() != "").sum() for name in cells.select(pl.col(pl.String)).columns]
        typed = [column.count() for column in cells.select(pl.exclude(pl.String))]
        wrong = sum(fault.count for fault in self.readout.faults)
        return 2 * (sum(text) + sum(typed) - wrong) < cells.height * cells.width


def read_rows(predictor: Predictor, source: Path, settings: Mapping[str, str] | None = None) -> Rows:
    """Read a file for a model.

    Args:
        settings: how the file is written, as ``input.skip`` and other fields of ``Source``; without any, what training was
            told of its only file is tried where the file cannot be read without it.

    Raises:
        InputError: the file cannot be read, a column is missing, or a setting is wrong.
    """
    if settings:
        return _rows(predictor, source, dict(_parsed(settings)))
    trained = predictor.schema.get("layout") or {}
    readable: list[tuple[int, bool, Rows]] = []
    errors = []
    for layout in _layouts(trained, predictor.schema["target"]):
        try:
            rows = _rows(predictor, source, layout)
        except InputError as error:
            errors.append(error)
            continue
        is_guess = "encoding" in trained.keys() - layout.keys() and not str(rows.encoding).startswith("utf")
        readable.append((len(rows.bad()), is_guess, rows))
        if not is_guess and not rows.beside_the_table():
            break
    if not readable:
        raise errors[0]
    return min(readable, key=lambda attempt: attempt[:2])[2]


def _layouts(trained: Mapping[str, Any], target: str) -> list[dict[str, Any]]:
    """Return how a file may be written, first as it shows: lines and rows that training skipped are there only if needed."""
    part = {name: trained[name] for name in ("sheet", "member") if name in trained}
    layouts: list[dict[str, Any]] = [part, dict(trained)]
    if "names" in trained:
        layouts.append({**trained, "names": [name for name in trained["names"] if name != target]})
    layouts.append({})
    return [layout for i, layout in enumerate(layouts) if layout not in layouts[:i]]


def _parsed(settings: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that a user sets.

    Raises:
        InputError: a file has no such setting.
    """
    from pipelines.problem.yaml_lines import parse
    from steps.tables.source import Source

    names = [name for name in Source.model_fields if name not in ("path", "decimal", "thousands", "missing")]
    for key, text in settings.items():
        name = key.removeprefix("input.")
        if name not in names:
            raise InputError(f"--set {key}: use one of {', '.join(f'input.{name}' for name in names)}")
        yield name, parse(f"--set {key}", text)[0]


def _rows(predictor: Predictor, source: Path, settings: Mapping[str, Any]) -> Rows:
    """Read a file with these settings.

    Raises:
        InputError: see ``read_rows``.
    """
    part, cells = _cells(source, _checked(source, settings) if settings else FileSettings())
    total = cells.height
    if not total:
        raise InputError(f"{source}: there are no rows below the header; at least one is needed")
    numbers = pl.Series("row", range(1, total + 1), dtype=pl.Int64)
    if part.dialect is not None:
        some_value = _has_value(cells, predictor.schema["inputs"])
        cells, numbers = cells.filter(some_value), numbers.filter(some_value)
    readout = _readout(predictor, source, cells, numbers)
    is_readable = numbers.is_in(readout.rows.to_list())
    encoding = part.report.get("encoding")
    blank = total - len(numbers)
    readable, unreadable = cells.filter(is_readable), cells.filter(~is_readable)
    return Rows(source, readable, readout, len(numbers), blank, settings, encoding, unreadable)


def _checked(source: Path, settings: Mapping[str, Any]) -> Settings:
    """Return the settings of a file.

    Raises:
        InputError: one is wrong.
    """
    from pydantic import ValidationError

    from steps.tables.source import Source

    try:
        return Source.model_validate({"path": source.name, **settings})
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"--set input.{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _cells(source: Path, config: Settings) -> tuple[Part, pl.DataFrame]:
    """Return the cells of a file as text, or as the types of its format.

    Raises:
        InputError: the file cannot be read; the message says why.
    """
    with tempfile.TemporaryDirectory(prefix="fourscore-") as place:
        folder = Path(place) / "raw"
        folder.mkdir()
        (folder / f"01-{source.name}").symlink_to(source.resolve())  # file names in a raw artifact begin with a number
        try:
            [part] = read_parts(folder, "input", config, Path(place))
        except InputError as error:
            raise InputError(f"{error}\n({_ADVICE})" if _SETTING.search(str(error)) else str(error)) from None
        if part.dialect is not None and (fault := part.fault("input")):
            raise InputError(f"{source}, {fault}\n({_ADVICE})")
        with reading(str(source)):
            return part, part.text().collect(engine="streaming")


def _has_value(cells: pl.DataFrame, inputs: Sequence[dict[str, Any]]) -> pl.Series:
    """Return for each record of a text file whether any of its cells holds a value."""
    markers = {entry["name"]: entry["reading"]["missing"] for entry in inputs if entry.get("reading")}
    present = [cleaned(pl.col(name), markers.get(name, MISSING)).is_not_null() for name in cells.columns]
    return cells.select(pl.any_horizontal(present)).to_series()


def _readout(predictor: Predictor, source: Path, cells: pl.DataFrame, numbers: pl.Series) -> Readout:
    """Read the values for the model; rows with values that cannot be read are left out.

    Raises:
        InputError: a column is missing.
    """
    try:
        return predictor.read(cells, rows=numbers, skip=True)
    except ValueError as error:
        nameless = all(re.fullmatch(r"column_\d+", name) for name in cells.columns)
        hint = "\nThe file has no header: name all its columns with --set 'input.names=[a, b]'" if nameless else ""
        raise InputError(f"{source}: {error}{hint}") from None
