"""How a column was distributed in training, and the bins of later values of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from steps.monitoring.document import Kind, Reference, Role
from steps.tables.truth import number_array

Array = np.ndarray[Any, Any]

BINS, CATEGORIES = 10, 20
LEAST_ROWS, LEAST_SHARE = 10, 0.01
"""A category is named if so many rows, and this share of the rows, have it."""
MISSING, NEW = -1, -2
"""Where values go that are in no bin."""


def reference_of(values: pl.Series, *, role: Role = "feature", vocabulary: Collection[str] | None = None) -> Reference:
    """Return the reference of a column.

    Numbers have bins of about equally many rows, between quantiles of four digits. The chance that a further row has a
    value that these rows have not is estimated by the share of the values that one row alone has (Good, "The population
    frequencies of species and the estimation of population parameters", Biometrika 40 (3/4), 1953).

    Args:
        vocabulary: the values that are not new; None: those of the rows.
    """
    kind, rows = kind_of(values.dtype), len(values)
    reference = Reference(name=values.name, kind=kind, role=role, rows=rows, missing=values.null_count())
    if kind == "moment":
        return reference
    if kind == "number":
        reference = reference.model_copy(update={"edges": _edges(number_array(values))})
    else:
        reference = reference.model_copy(update=_categories(_text(values), vocabulary))
    places = bins(values, reference)
    counted = np.bincount(places[places >= 0], minlength=width_of(reference))
    return reference.model_copy(update={"counts": tuple(map(int, counted))})


def _categories(text: pl.Series, vocabulary: Collection[str] | None) -> dict[str, Any]:
    """Return the frequent values, and about how many values of further rows would be new."""
    counts = text.drop_nulls().value_counts(name="rows").sort(["rows", text.name], descending=[True, False])
    frequent = counts.filter(pl.col("rows") >= max(LEAST_ROWS, LEAST_SHARE * len(text)))
    familiar = counts[text.name] if vocabulary is None else pl.Series([*vocabulary], dtype=pl.String)
    rare = counts.filter(~pl.col(text.name).is_in(familiar.implode()) | (pl.col("rows") == 1))
    return {"names": tuple(frequent[text.name].to_list()[:CATEGORIES]), "new": int(rare["rows"].sum())}


def kind_of(dtype: pl.DataType) -> Kind:
    """Return how values of a type are compared: numbers by their order, moments not at all, since time goes on."""
    if dtype.is_temporal():
        return "moment"
    return "number" if dtype.is_numeric() else "category"


def width_of(reference: Reference) -> int:
    """Return the number of bins."""
    return {"number": len(reference.edges) + 1, "category": len(reference.names) + 1, "moment": 0}[reference.kind]


def bins(values: pl.Series, reference: Reference, vocabulary: Collection[str] | None = None) -> Array:
    """Return the bin of each value int64[n], ``MISSING`` or, outside of the vocabulary, ``NEW``; moments are in bin 0."""
    if reference.kind == "moment":
        return np.where(values.is_null().to_numpy(), MISSING, 0)
    if reference.kind == "number":
        numbers = number_array(values)
        places = np.searchsorted(np.asarray(reference.edges), numbers, side="right")
        return np.where(np.isnan(numbers), MISSING, places)
    text = _text(values)
    names = {name: position for position, name in enumerate(reference.names)}
    other = len(names)
    if vocabulary is not None:
        names |= dict.fromkeys(set(vocabulary) - set(names), other)
    unknown = other if vocabulary is None else NEW
    coded = text.replace_strict(list(names), list(names.values()), default=unknown, return_dtype=pl.Int64)
    return np.asarray(coded.set(text.is_null(), MISSING).to_numpy())


def _edges(numbers: Array) -> tuple[float, ...]:
    """Return the ends of bins; a value that is an end itself is in the bin above it."""
    present = numbers[np.isfinite(numbers)]
    if not len(present):
        return ()
    quantiles = np.quantile(present, np.arange(1, BINS) / BINS, method="closest_observation")
    rounded = sorted({float(f"{value:.4g}") for value in quantiles})
    return tuple(value for value in rounded if value > present.min())


def _text(values: pl.Series) -> pl.Series:
    return values if values.dtype == pl.String else values.cast(pl.String)
