"""Expectations about the type of a column, by its name in NumPy or Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from steps.expectations.checks import Answers, Check, present_check
from steps.expectations.outcomes import Result
from steps.expectations.questions import LARGEST, Question

_NATIVE = {"bool": bool, "int": int, "long": int, "float": float, "str": str, "string_types": str}


def of_type(question: Question) -> Check:
    name = question.argument("type_")
    question.require(isinstance(name, str))
    return _type(question, [name], is_list=False)


def in_type_list(question: Question) -> Check:
    return _type(question, question.words("type_list"), is_list=True)


def _type(question: Question, names: list[str], *, is_list: bool) -> Check:
    """Return the check of a type by its name in NumPy or Python, on the type that the column has in pandas.

    A column of booleans with missing values is one of objects, which are asked row by row; another has one type.
    """
    values, types = question.values(), _types(question, names)
    has_gaps, family = values.column.missing > 0, values.family
    question.require(not values.is_whole or question.types[values.name] == pl.Int64)
    question.require(family != "text" or values.column.missing < question.schema.rows)
    if family == "boolean" and has_gaps:
        question.require(is_list or names[0] not in ("object", "object_", "O"))
        fails = not isinstance(True, tuple(kind for kind in types if isinstance(kind, type)))
        return present_check(question, values, values.expr.is_not_null() & fails)
    question.mostly()

    def judge(answers: Answers) -> Result:
        if values.column.timezone:
            return Result(False, {"observed_value": "Timestamp"})
        if family == "text":
            return Result(not is_list and any(kind is str for kind in types), {"observed_value": "str"})
        if values.is_whole and has_gaps and (answers["largest"] or 0) > LARGEST:
            return Result(not is_list and np.int64 in types, {"observed_value": "int64"})
        numbers = "int64" if values.is_whole and not has_gaps else "float64"
        dtype = np.dtype({"number": numbers, "boolean": "bool"}.get(family, "datetime64[us]"))
        actual = dtype if is_list else dtype.type
        return Result(any(actual == kind for kind in types), {"observed_value": dtype.type.__name__})

    return Check(judge, {"largest": values.expr.abs().max()} if values.is_whole else {})


def _types(question: Question, names: list[str]) -> list[Any]:
    """Return the types that names mean; Great Expectations knows those of pandas."""
    types: list[Any] = []
    for name in names:
        native = _NATIVE.get(name.lower())
        try:
            dtype = np.dtype(name)
        except TypeError:
            question.require(native is not None)
        else:
            types += [dtype.type, dtype]
        types += [native] if native else []
    return types
