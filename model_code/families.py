"""The model families by name: one folder each, one table of import strings; a family is imported when it is used.

A family is one kind of input: its encoder, the architectures that learn from it, its yardsticks. Everything else in
``model_code`` sees tensors only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import Tensor, nn

    from model_code.training import Fit, Objective, Options, Recipe, Rows

    Array = np.ndarray[Any, Any]
    Inputs = Sequence[Array]
    Schema = Mapping[str, Any]

FAMILIES = {"tabular": "model_code.tabular:Tabular"}
Quality = Literal["standard", "best"]
"""How much time a training may take: what a person waits for, or more for a better model."""
FORMAT = 1
"""The format of schema.json."""
_BEFORE_FAMILIES = "tabular"
"""The family of a model whose schema names none."""


@dataclass(frozen=True)
class Fault:
    """Values of one column that cannot be read."""

    column: str
    count: int
    rows: tuple[int, ...]
    """The numbers of the rows."""
    text: str
    """The sentence for people: column, rows, values, and what training had."""


@dataclass(frozen=True)
class Remark:
    """How the values of one column are unlike those of training."""

    column: str
    kind: Literal["unseen", "respelled", "range", "missing"]
    count: int
    of: int
    """The number of values, or of rows where they are missing."""
    values: dict[str, int]
    """The most frequent of them and their counts; of numbers and dates, the most distant."""
    text: str


@dataclass(frozen=True)
class Readout:
    """Rows of a foreign table as the model's typed columns, and what was noticed while they were read."""

    frame: pl.DataFrame
    rows: pl.Series
    """The number of each row."""
    faults: tuple[Fault, ...] = ()
    """The reasons why other rows were left out."""
    remarks: tuple[Remark, ...] = ()


class Family(Protocol):
    """One kind of input.

    ``Inputs`` are encoded rows: the arrays, n rows each, that the exported graph takes.
    """

    architectures: Mapping[str, str]
    """Import strings of the architectures by the name that a problem gives to a candidate."""
    monotone: Collection[str]
    """The architectures that never let a prediction fall, or rise, with a column whose entry says ``monotone``."""
    yardsticks: Sequence[str]
    """The architectures that a chosen model is compared with, the simplest first."""

    def describe(self, frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what a model trained on ``frame`` needs for encoding, as its part of schema.json.

        Its ``inputs`` list the columns, each with ``name``, ``type`` and what ``columns`` say of how it is read.
        """

    def encode(self, frame: pl.DataFrame, schema: Schema) -> tuple[Array, ...]:
        """Turn rows into the graph's inputs; training and serving share this function.

        Raises:
            ValueError: a column is missing or of the wrong type.
        """

    def read(
        self, frame: pl.DataFrame, schema: Schema, *, rows: pl.Series | None, skip: bool, blanks_hide_words: bool
    ) -> Readout:
        """Read a table of foreign values, strings among them, as columns of the types that ``encode`` takes.

        Args:
            rows: the number of each row, for messages; left out: from 1 on.
            skip: leave out rows that hold a value which cannot be read.
            blanks_hide_words: the frame comes from pandas, which takes words such as NA for missing values.

        Raises:
            ValueError: a column is missing, or, unless ``skip``, a value cannot be read; the message names each column.
        """

    def record_encoder(
        self, schema: Schema
    ) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Array, ...] | None] | None:
        """Return a function that reads and encodes a few rows as ``read`` and ``encode`` do, only faster, if there is one.

        The function returns None for rows with a value that is not ordinary: ``read`` is to say what it means.
        """

    def random_inputs(self, schema: Schema, rows: int) -> tuple[Array, ...]:
        """Return inputs of the graph, hard ones among them, on which an export is checked."""


class Network(Protocol):
    """A network that the training loop fits, and how.

    Created with the number of rows of the whole training part and the quality. Folds and the final fit share one: a config that each fit
    chose by its own rows would differ between them around a limit, and the exported model would not be the one that was
    validated.
    """

    tunes: bool
    """Whether the fit on the first of several folds chooses settings that the others have."""
    side_by_side: bool
    """Whether fits gain by running at the same time."""

    def recipe(self) -> Recipe:
        """Return how to train the network."""

    def preprocessor(self, inputs: Inputs, schema: Schema) -> nn.Module:
        """Return a module, fitted on these training rows, from encoded inputs to the tuple that the network takes."""

    def network(self, preprocessor: nn.Module, prepared: tuple[Tensor, ...], width: int) -> nn.Module:
        """Return the untrained network, from prepared inputs to raw outputs float32[b, members, width].

        What it draws while it is trained, it draws by ``training.Dropout``: several fits may run at the same time.

        Args:
            prepared: the preprocessed training rows, for what is fitted on them.
        """

    def describe(self) -> dict[str, Any]:
        """Return the config as plain values for the training record."""


@runtime_checkable
class Solver(Protocol):
    """A model that an algorithm of its own fits; created as a ``Network`` is."""

    tunes: bool
    side_by_side: bool
    """As of a ``Network``."""

    def solve(
        self,
        training: Rows,
        validation: Rows | None,
        schema: Schema,
        objective: Objective,
        width: int,
        options: Options,
    ) -> tuple[nn.Module, nn.Module, Fit]:
        """Fit on encoded rows and return a preprocessor and a network as of a ``Network``, and the course of the fit.

        Args:
            validation: the rows by which the fit is ended.
            width: the number of raw outputs, as of a ``Network``.
        """

    def solution(self, network: nn.Module) -> dict[str, Any]:
        """Return a fitted network as tensors and plain values, for a checkpoint."""

    def restore(
        self, solution: Mapping[str, Any], training: Rows, schema: Schema, width: int
    ) -> tuple[nn.Module, nn.Module]:
        """Return the preprocessor and the network that ``solve`` returned for the same training rows.

        Settings that it chose are those of this solver from now on.
        """

    def describe(self) -> dict[str, Any]:
        """Return the config as plain values for the training record."""


Architecture: TypeAlias = Network | Solver


def get(name: str) -> Family:
    """Return the family of that name.

    Raises:
        ValueError: no family has that name; the message lists those that exist.
    """
    return _create("family", name, FAMILIES)  # type: ignore[no-any-return]


def load_schema(directory: Path) -> dict[str, Any]:
    """Return the schema of the model in ``directory``; the model is not loaded.

    Raises:
        ValueError: a file of the model is missing, or the schema is of another format.
    """
    for name in ("model.pt2", "schema.json"):
        if not (directory / name).is_file():
            raise ValueError(f"{directory}: no {name}; a model directory has model.pt2 and schema.json")
    schema: dict[str, Any] = json.loads((directory / "schema.json").read_bytes())
    if schema.get("format") != FORMAT:
        raise ValueError(
            f"{directory / 'schema.json'}: format {schema.get('format')!r}; this version reads format {FORMAT}"
        )
    return schema


def of_model(schema: Schema) -> Family:
    """Return the family of a model by its schema.json."""
    return get(schema.get("family", _BEFORE_FAMILIES))


def of_candidates(candidates: Sequence[str]) -> str:
    """Return the name of the family that has all these architectures.

    Raises:
        ValueError: no family has one of them, or they are of different families.
    """
    family_of = {architecture: family for family in FAMILIES for architecture in get(family).architectures}
    if unknown := [name for name in candidates if name not in family_of]:
        raise ValueError(f"unknown candidate {', '.join(map(repr, unknown))}; known are: {', '.join(family_of)}")
    families = sorted({family_of[name] for name in candidates})
    if len(families) > 1:
        raise ValueError(f"candidates of different families ({', '.join(families)}): {', '.join(candidates)}")
    return families[0]


def architecture(family: Family, name: str, rows: int, quality: Quality = "standard") -> Architecture:
    """Return the architecture of that name for a training part of that many rows."""
    return _create("architecture", name, family.architectures, rows, quality)  # type: ignore[no-any-return]


def _create(kind: str, name: str, table: Mapping[str, str], *arguments: Any) -> Any:
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known are: {', '.join(table)}")
    return resolve_name(table[name])(*arguments)
