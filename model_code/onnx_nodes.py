"""The operators of an exported graph as ONNX nodes, beside the functions of arrays in ``operators``.

Parameters are those of the functions there, operands are ``Value``; each translation returns the name of its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from model_code.operators import DTYPES, DType, Scalar, only_index, promoted

Array = np.ndarray[Any, Any]

_INTEGER, _SINGLE = DTYPES[5], DTYPES[7]
_LOGICAL = {"Add": "Or", "Mul": "And"}
"""What torch means by arithmetic on booleans, which ONNX does not have."""
_TO_THE_END = 2**63 - 1


@dataclass(frozen=True)
class Value:
    """A tensor of the graph; a size is None where it depends on the number of rows."""

    name: str
    dtype: DType
    sizes: tuple[int | None, ...]


Operand = Value | Scalar
Translation = Callable[..., str]


class Nodes:
    """The nodes of a graph in the order of their evaluation, and the constants that they read."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._names: dict[tuple[Any, ...], str] = {}

    def add(self, kind: str, *inputs: str | Value | Array, **attributes: Any) -> str:
        """Add a node and return the name of its output; an array becomes a constant."""
        name = f"node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(map(self._name, inputs)), [name], **attributes))
        return name

    def cast(self, operand: Operand, dtype: DType) -> str:
        """Return the name of the operand in that type."""
        if not isinstance(operand, Value):
            return self._name(np.asarray(operand, dtype))
        if operand.dtype == dtype:
            return operand.name
        return self.add("Cast", operand, to=helper.np_dtype_to_tensor_dtype(dtype))

    def common(self, *operands: Operand) -> DType:
        """Return the type in which torch computes with the operands."""
        examples = (np.zeros((0,) * len(o.sizes), o.dtype) if isinstance(o, Value) else o for o in operands)
        dtype: DType = promoted(*examples)[0].dtype
        return dtype

    def promoted(self, *operands: Operand) -> list[str]:
        """Return the names of the operands in the type in which torch computes with them."""
        common = self.common(*operands)
        return [self.cast(operand, common) for operand in operands]

    def floating(self, operand: Value) -> str:
        """Return the name of the operand, an integer as float32."""
        return self.cast(operand, floating(operand.dtype))

    def _name(self, item: str | Value | Array) -> str:
        if isinstance(item, str):
            return item
        if isinstance(item, Value):
            return item.name
        key = (item.dtype.str, item.shape, item.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(item, self._names[key]))
        return self._names[key]


def floating(dtype: DType) -> DType:
    return dtype if dtype.kind == "f" else _SINGLE


def _integers(*numbers: int) -> Array:
    return np.array(numbers, _INTEGER)


def _itself(_nodes: Nodes, self: Value) -> str:
    return self.name


def _unary(kind: str) -> Translation:
    return lambda nodes, self: nodes.add(kind, nodes.floating(self))


def _binary(kind: str) -> Translation:
    def translate(nodes: Nodes, self: Operand, other: Operand) -> str:
        logical = nodes.common(self, other).kind == "b" and kind in _LOGICAL
        return nodes.add(_LOGICAL[kind] if logical else kind, *nodes.promoted(self, other))

    return translate


def _div(nodes: Nodes, self: Operand, other: Operand) -> str:
    dtype = floating(nodes.common(self, other))
    return nodes.add("Div", nodes.cast(self, dtype), nodes.cast(other, dtype))


def _remainder(nodes: Nodes, self: Value, other: Scalar) -> str:
    left, right = nodes.promoted(self, other)
    dtype = nodes.common(self, other)
    if dtype.kind != "f":
        return nodes.add("Mod", left, right)
    rest, zero = nodes.add("Mod", left, right, fmod=1), np.zeros((), dtype)  # of the sign of the dividend
    is_other_sign = nodes.add("Less", *((rest, zero) if other > 0 else (zero, rest)))
    return nodes.add("Where", is_other_sign, nodes.add("Add", rest, right), rest)


def _clamp(nodes: Nodes, self: Value, min: Operand | None = None, max: Operand | None = None) -> str:  # noqa: A002
    bounds = [bound for bound in (min, max) if bound is not None]
    dtype = nodes.common(self, *bounds)
    result = nodes.cast(self, dtype)
    if min is not None:
        result = nodes.add("Max", result, nodes.cast(min, dtype))
    return result if max is None else nodes.add("Min", result, nodes.cast(max, dtype))


def _nan_to_num(
    nodes: Nodes, self: Value, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> str:
    largest = float(np.finfo(self.dtype).max)
    result = self.name
    bounds = ((math.inf, largest if posinf is None else posinf), (-math.inf, -largest if neginf is None else neginf))
    for infinity, bound in bounds:
        is_infinite = nodes.add("Equal", result, nodes.cast(infinity, self.dtype))
        result = nodes.add("Where", is_infinite, nodes.cast(bound, self.dtype), result)
    return nodes.add("Where", nodes.add("IsNaN", self), nodes.cast(nan or 0.0, self.dtype), result)


def _isfinite(nodes: Nodes, self: Value) -> str:
    infinity = nodes.cast(math.inf, floating(self.dtype))
    return nodes.add("Less", nodes.add("Abs", nodes.floating(self)), infinity)


def _summed(dtype: DType) -> DType:
    return dtype if dtype.kind == "f" else _INTEGER


def _where(nodes: Nodes, condition: Value, self: Operand, other: Operand) -> str:
    return nodes.add("Where", condition, *nodes.promoted(self, other))


def _search(nodes: Nodes, sorted_sequence: Value, self: Value, right: bool = False) -> str:
    """Halve the range of places until one is left: ONNX has no such operator."""
    count = sorted_sequence.sizes[-1]
    if count is None:
        raise ValueError("the sequence is searched along its rows")
    half, axis = 2 ** (count.bit_length() - 1), len(sorted_sequence.sizes) - 1
    sequence, spare = sorted_sequence.name, 2 * half - 1 - count
    if spare:  # only infinity and NaN are behind infinity
        padding = _integers(*[0] * (2 * axis + 1), spare)
        sequence = nodes.add("Pad", sequence, padding, np.array(np.inf, sorted_sequence.dtype))

    def steps(compared: str) -> str:
        is_before = nodes.add("Less" if right else "LessOrEqual", self, compared)
        return nodes.add("Where", is_before, _integers(0), _integers(half))

    if axis == 0:
        place = steps(nodes.add("Gather", sequence, np.array(half - 1, _INTEGER)))
    else:
        place = steps(nodes.add("Slice", sequence, _integers(half - 1), _integers(half), _integers(axis)))
    while half > 1:
        half //= 2
        probe = nodes.add("Add", place, np.array(half - 1, _INTEGER))
        kind = "Gather" if axis == 0 else "GatherElements"
        place = nodes.add("Add", place, steps(nodes.add(kind, sequence, probe, axis=axis)))
    return nodes.add("Min", place, np.array(count, _INTEGER)) if spare else place


def _index(nodes: Nodes, self: Value, indices: Sequence[Value | None]) -> str:
    axis, index = only_index(indices)
    return nodes.add("Gather", self, index, axis=axis)


def _select(nodes: Nodes, self: Value, dim: int, index: int) -> str:
    return nodes.add("Gather", self, np.array(index, _INTEGER), axis=dim)


def _slice(
    nodes: Nodes, self: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str:
    bounds = _integers(start or 0), _integers(_TO_THE_END if end is None else end)
    return nodes.add("Slice", self, *bounds, _integers(dim), _integers(step))


def _expand(nodes: Nodes, self: Value, size: Sequence[int]) -> str:
    return nodes.add("Expand", self, _integers(*(1 if extent == -1 else extent for extent in size)))


def _flatten(nodes: Nodes, self: Value, start_dim: int = 0, end_dim: int = -1) -> str:
    start, end = start_dim % len(self.sizes), end_dim % len(self.sizes)
    flat = [size for size in self.sizes[start : end + 1] if size is not None]
    middle = math.prod(flat) if len(flat) == end + 1 - start else -1
    before = [0 if size is None else size for size in self.sizes[:start]]  # 0: as it is
    after = [-1 if size is None else size for size in self.sizes[end + 1 :]]
    return nodes.add("Reshape", self, _integers(*before, middle, *after))


def _view(nodes: Nodes, self: Value, size: Sequence[int]) -> str:
    return nodes.add("Reshape", self, _integers(*size), allowzero=int(0 in size))


def _cat(nodes: Nodes, tensors: Sequence[Value], dim: int = 0) -> str:
    return nodes.add("Concat", *nodes.promoted(*tensors), axis=dim)


def _stack(nodes: Nodes, tensors: Sequence[Value], dim: int = 0) -> str:
    parts = [nodes.add("Unsqueeze", name, _integers(dim)) for name in nodes.promoted(*tensors)]
    return nodes.add("Concat", *parts, axis=dim)


def _linear(nodes: Nodes, input: Value, weight: Value, bias: Value | None = None) -> str:  # noqa: A002
    result = nodes.add("MatMul", input, nodes.add("Transpose", weight))
    return result if bias is None else nodes.add("Add", result, bias)


def _reduce(kind: str, convert: Callable[[Nodes, Value], str]) -> Translation:
    def translate(nodes: Nodes, self: Value, dim: Sequence[int] | None, keepdim: bool = False) -> str:
        axes = _integers(*(dim or range(len(self.sizes))))
        return nodes.add(kind, convert(nodes, self), axes, keepdims=int(keepdim))

    return translate


def _transpose(nodes: Nodes, self: Value, dim0: int, dim1: int) -> str:
    axes = list(range(len(self.sizes)))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return nodes.add("Transpose", self, perm=axes)


def _squeeze(nodes: Nodes, self: Value, dim: int) -> str:
    return nodes.add("Squeeze", self, _integers(dim)) if self.sizes[dim] == 1 else self.name


def _softmax(nodes: Nodes, self: Value, dim: int, dtype: int | None = None) -> str:
    values = nodes.floating(self) if dtype is None else nodes.cast(self, DTYPES[dtype])
    return nodes.add("Softmax", values, axis=dim)


_TRANSLATIONS: dict[str, Translation] = {
    "_assert_tensor_metadata.default": lambda _nodes, a, **_expected: a.name,  # has no output
    "add.Scalar": _binary("Add"),
    "add.Tensor": _binary("Add"),
    "baddbmm.default": lambda nodes, self, batch1, batch2: nodes.add("Add", nodes.add("MatMul", batch1, batch2), self),
    "bitwise_not.default": lambda nodes, self: nodes.add("Not" if self.dtype.kind == "b" else "BitwiseNot", self),
    "bmm.default": lambda nodes, self, mat2: nodes.add("MatMul", self, mat2),
    "cat.default": _cat,
    "clamp.Tensor": _clamp,
    "clamp.default": _clamp,
    "contiguous.default": _itself,
    "cos.default": _unary("Cos"),
    "detach_.default": _itself,
    "div.Tensor": _div,
    "embedding.default": lambda nodes, weight, indices, _padding=-1: nodes.add("Gather", weight, indices),
    "exp.default": _unary("Exp"),
    "expand.default": _expand,
    "flatten.using_ints": _flatten,
    "gather.default": lambda nodes, self, dim, index: nodes.add("GatherElements", self, index, axis=dim),
    "index.Tensor": _index,
    "index_select.default": lambda nodes, self, dim, index: nodes.add("Gather", self, index, axis=dim),
    "isfinite.default": _isfinite,
    "isnan.default": _unary("IsNaN"),
    "lift_fresh_copy.default": _itself,
    "linear.default": _linear,
    "log.default": _unary("Log"),
    "lt.Tensor": _binary("Less"),
    "matmul.default": lambda nodes, self, other: nodes.add("MatMul", self, other),
    "mean.dim": _reduce("ReduceMean", lambda _nodes, self: self.name),
    "mul.Scalar": _binary("Mul"),
    "mul.Tensor": _binary("Mul"),
    "nan_to_num.default": _nan_to_num,
    "relu.default": lambda nodes, self: nodes.add("Relu", self),
    "remainder.Scalar": _remainder,
    "rsub.Scalar": lambda nodes, self, other: nodes.add("Sub", *reversed(nodes.promoted(self, other))),
    "searchsorted.Tensor": _search,
    "select.int": _select,
    "sigmoid.default": _unary("Sigmoid"),
    "sin.default": _unary("Sin"),
    "slice.Tensor": _slice,
    "softmax.int": _softmax,
    "squeeze.dim": _squeeze,
    "stack.default": _stack,
    "sub.Tensor": _binary("Sub"),
    "sum.dim_IntList": _reduce("ReduceSum", lambda nodes, self: nodes.cast(self, _summed(self.dtype))),
    "t.default": lambda nodes, self: nodes.add("Transpose", self),
    "tanh.default": _unary("Tanh"),
    "to.dtype": lambda nodes, self, dtype: nodes.cast(self, DTYPES[dtype]),
    "transpose.int": _transpose,
    "unsqueeze.default": lambda nodes, self, dim: nodes.add("Unsqueeze", self, _integers(dim)),
    "view.default": _view,
    "where.ScalarOther": _where,
    "where.ScalarSelf": _where,
    "where.self": _where,
}
TRANSLATIONS = {f"torch.ops.aten.{name}": translation for name, translation in _TRANSLATIONS.items()}
"""Translations by the names of the operators, which are those of ``OPERATORS``."""
