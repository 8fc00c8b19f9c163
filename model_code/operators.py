"""The operators that an exported graph may call, each as a function of numpy arrays with torch's semantics.

Parameters have the order and, where a graph passes them by name, the names of the ATen schema. The grammar of archives
takes its list of operators from ``OPERATORS``, so a network that calls another one is refused when it is exported; a new
operator is one line here and one in its test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Scalar = float | int | bool
Operand = Array | Scalar
DType = np.dtype[Any]
Operator = Callable[..., Any]

DTYPES = {
    number: np.dtype(name) for number, name in enumerate(("u1", "i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8"), 1)
}
DTYPES[12] = np.dtype("?")
"""The types of tensors by their numbers (``ScalarType`` in the schema of PT2 archives)."""
_DEFAULTS: dict[type, DType] = {bool: DTYPES[12], int: DTYPES[5], float: DTYPES[7]}
"""The types of scalars."""
_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def promoted(*operands: Operand) -> tuple[Array, ...]:
    """Return the operands in the one type in which torch computes with them.

    Scalars, and tensors without dimensions, count only where their kind (boolean, integer, float) is the higher one.
    """
    levels: tuple[list[DType], ...] = ([], [], [])
    for operand in operands:
        if isinstance(operand, np.ndarray):
            levels[operand.ndim == 0].append(operand.dtype)
        else:
            levels[2].append(_DEFAULTS[type(operand)])
    common, kind = _DEFAULTS[bool], -1
    for types in levels:
        highest = max((_KINDS[dtype.kind] for dtype in types), default=-1)
        if highest > kind:
            common, kind = np.result_type(*(dtype for dtype in types if _KINDS[dtype.kind] == highest)), highest
    return tuple(np.asarray(operand, common) for operand in operands)


def _floating(array: Array) -> Array:
    return array if array.dtype.kind == "f" else array.astype(_DEFAULTS[float])


def _unary(function: Callable[[Array], Any]) -> Operator:
    """Return an operator that computes integers as float32."""
    return lambda self: function(_floating(self))


def _binary(function: Callable[[Array, Array], Any]) -> Operator:
    return lambda self, other: function(*promoted(self, other))


def _sigmoid(values: Array) -> Any:
    result = np.exp(-values)
    result += 1
    return np.reciprocal(result)


def _softmax(self: Array, dim: int, dtype: int | None = None) -> Any:
    values = _floating(self if dtype is None else self.astype(DTYPES[dtype]))
    result = np.exp(values - values.max(axis=dim, keepdims=True))
    result /= result.sum(axis=dim, keepdims=True)
    return result


def _clamp(self: Array, min: Operand | None = None, max: Operand | None = None) -> Any:  # noqa: A002
    result, *_ = promoted(self, *(bound for bound in (min, max) if bound is not None))
    if min is not None:
        result = np.maximum(result, np.asarray(min, result.dtype))
    return result if max is None else np.minimum(result, np.asarray(max, result.dtype))


def _nan_to_num(self: Array, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    return np.nan_to_num(self, nan=nan or 0.0, posinf=posinf, neginf=neginf)


def _where(condition: Array, self: Operand, other: Operand) -> Any:
    return np.where(condition, *promoted(self, other))


def _search(sorted_sequence: Array, self: Array, right: bool = False) -> Any:
    side: Any = "right" if right else "left"
    if sorted_sequence.ndim == 1:
        return np.searchsorted(sorted_sequence, self, side)
    places = np.empty(self.shape, np.int64)
    for row in np.ndindex(self.shape[:-1]):
        places[row] = np.searchsorted(sorted_sequence[row], self[row], side)
    return places


def _not_negative(index: Array) -> Array:
    """Return the index, of which numpy would count negative values from the end.

    Raises:
        IndexError: a value is negative.
    """
    if index.size and index.min() < 0:
        raise IndexError(f"index {index.min()} is negative")
    return index


def _embedding(weight: Array, indices: Array, _padding: int = -1) -> Any:
    return weight.take(_not_negative(indices), axis=0)


def _gather(self: Array, dim: int, index: Array) -> Any:
    dim %= self.ndim
    part = self[tuple(slice(None) if i == dim else slice(extent) for i, extent in enumerate(index.shape))]
    return np.take_along_axis(part, _not_negative(index), axis=dim)


def only_index(indices: Sequence[Any]) -> tuple[int, Any]:
    """Return the axis that is looked up, and the places.

    Raises:
        ValueError: several axes are looked up, or a mask selects values.
    """
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if len(axes) != 1 or indices[axes[0]].dtype.kind == "b":
        raise ValueError("values are looked up by one index of whole numbers; a graph has no masks and no several axes")
    return axes[0], indices[axes[0]]


def _index(self: Array, indices: Sequence[Array | None]) -> Any:
    axis, index = only_index(indices)
    return self[(*[slice(None)] * axis, index)]


def _select(self: Array, dim: int, index: int) -> Any:
    return self[(slice(None),) * (dim % self.ndim) + (index,)]


def _slice(self: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    if step < 1:
        raise ValueError(f"step {step} is not positive")
    return self[(slice(None),) * (dim % self.ndim) + (slice(start, end, step),)]


def _expand(self: Array, size: Sequence[int]) -> Any:
    extents = (1,) * (len(size) - self.ndim) + self.shape
    return np.broadcast_to(self, [old if new == -1 else new for old, new in zip(extents, size, strict=True)])


def _flatten(self: Array, start_dim: int = 0, end_dim: int = -1) -> Any:
    start, end = start_dim % self.ndim, end_dim % self.ndim
    return self.reshape(*self.shape[:start], math.prod(self.shape[start : end + 1]), *self.shape[end + 1 :])


def _cat(tensors: Sequence[Array], dim: int = 0) -> Any:
    return np.concatenate(promoted(*tensors), axis=dim)


def _linear(input: Array, weight: Array, bias: Array | None = None) -> Any:  # noqa: A002
    result = input @ weight.T
    return result if bias is None else result + bias


def _add_product(self: Array, batch1: Array, batch2: Array) -> Any:
    result = np.matmul(batch1, batch2)
    result += self
    return result


def _sum(self: Array, dim: Sequence[int] | None, keepdim: bool = False) -> Any:
    dtype = self.dtype if self.dtype.kind == "f" else _DEFAULTS[int]
    return self.sum(axis=tuple(dim or range(self.ndim)), keepdims=keepdim, dtype=dtype)


def _mean(self: Array, dim: Sequence[int] | None, keepdim: bool = False) -> Any:
    return self.mean(axis=tuple(dim or range(self.ndim)), keepdims=keepdim, dtype=self.dtype)


def _check_metadata(a: Array, dtype: int | None = None, device: Any = None, layout: Any = None) -> None:
    if dtype is not None and a.dtype != DTYPES[dtype]:
        raise TypeError(f"{a.dtype} values where the graph has {DTYPES[dtype]}")


_FUNCTIONS: dict[str, Operator] = {
    "_assert_tensor_metadata.default": _check_metadata,
    "add.Scalar": _binary(np.add),
    "add.Tensor": _binary(np.add),
    "baddbmm.default": _add_product,
    "bitwise_not.default": np.invert,
    "bmm.default": np.matmul,
    "cat.default": _cat,
    "clamp.Tensor": _clamp,
    "clamp.default": _clamp,
    "contiguous.default": lambda self: np.asarray(self, order="C"),
    "cos.default": _unary(np.cos),
    "detach_.default": lambda self: self,
    "div.Tensor": _binary(lambda a, b: _floating(a) / _floating(b)),
    "embedding.default": _embedding,
    "exp.default": _unary(np.exp),
    "expand.default": _expand,
    "flatten.using_ints": _flatten,
    "gather.default": _gather,
    "index.Tensor": _index,
    "index_select.default": lambda self, dim, index: self.take(_not_negative(index), axis=dim),
    "isfinite.default": np.isfinite,
    "isnan.default": np.isnan,
    "lift_fresh_copy.default": lambda self: self,
    "linear.default": _linear,
    "log.default": _unary(np.log),
    "lt.Tensor": _binary(np.less),
    "matmul.default": np.matmul,
    "mean.dim": _mean,
    "mul.Scalar": _binary(np.multiply),
    "mul.Tensor": _binary(np.multiply),
    "nan_to_num.default": _nan_to_num,
    "relu.default": lambda self: np.maximum(self, self.dtype.type(0)),
    "remainder.Scalar": _binary(np.remainder),
    "rsub.Scalar": _binary(lambda a, b: b - a),
    "searchsorted.Tensor": _search,
    "select.int": _select,
    "sigmoid.default": _unary(_sigmoid),
    "sin.default": _unary(np.sin),
    "slice.Tensor": _slice,
    "softmax.int": _softmax,
    "squeeze.dim": lambda self, dim: self.squeeze(dim) if self.shape[dim] == 1 else self,
    "stack.default": lambda tensors, dim=0: np.stack(promoted(*tensors), axis=dim),
    "sub.Tensor": _binary(np.subtract),
    "sum.dim_IntList": _sum,
    "t.default": np.transpose,
    "tanh.default": _unary(np.tanh),
    "to.dtype": lambda self, dtype: self.astype(DTYPES[dtype], copy=False),
    "transpose.int": np.swapaxes,
    "unsqueeze.default": np.expand_dims,
    "view.default": np.reshape,
    "where.ScalarOther": _where,
    "where.ScalarSelf": _where,
    "where.self": _where,
}
OPERATORS = {f"torch.ops.aten.{name}": function for name, function in _FUNCTIONS.items()}
"""Functions of arrays that read and write nothing else, by the names of the operators."""
