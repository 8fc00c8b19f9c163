"""The grammar of the JSON in a model archive: what our own export writes, and nothing else.

A grammar is a dictionary (an object with exactly these keys), a list of one grammar (an array of such items), a ``Map``, a
``Union``, a pattern (the whole of a text), a frozenset (one of these values), or a function that is true for a value.
"""

from __future__ import annotations

import json
import re
from typing import Any

from model_code.operators import DTYPES, OPERATORS

Grammar = Any


class Map:
    """An object with free keys of one pattern and values of one grammar."""

    def __init__(self, keys: re.Pattern[str], values: Grammar) -> None:
        self.keys, self.values = keys, values


class Union:
    """An object with exactly one of these keys."""

    def __init__(self, **kinds: Grammar) -> None:
        self.kinds = kinds


def parse(text: str | bytes) -> Any:
    """Return the JSON value.

    Raises:
        ValueError: the text is not JSON, or an object has a name twice.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is twice in an object")
    return value


def check(value: Any, grammar: Grammar, path: str = "") -> Any:
    """Return the value if it is of the grammar.

    Raises:
        ValueError: it is not; the message says where and what.
    """
    match grammar, value:
        case [dict(), dict()] if grammar.keys() == value.keys():
            return {key: check(value[key], grammar[key], f"{path}/{key}") for key in value}
        case [list(), list()]:
            return [check(item, grammar[0], f"{path}/{i}") for i, item in enumerate(value)]
        case [Map(), dict()]:
            return {check(k, grammar.keys, path): check(v, grammar.values, f"{path}/{k}") for k, v in value.items()}
        case [Union(), dict()] if len(value) == 1 and (key := next(iter(value))) in grammar.kinds:
            return {key: check(value[key], grammar.kinds[key], f"{path}/{key}")}
        case [re.Pattern(), str()] if len(value) < 1000 and grammar.fullmatch(value):
            return value
        case [frozenset(), str() | bool() | int() | None] if (type(value), value) in {(type(v), v) for v in grammar}:
            return value
        case _ if callable(grammar) and grammar(value):
            return value
    excerpt = json.dumps(value)
    raise ValueError(
        f"{path}: {excerpt if len(excerpt) < 80 else excerpt[:80] + '...'}: the export writes no such value"
    )


def _integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def _float(value: Any) -> bool:
    return type(value) in (int, float) or value in ("Infinity", "-Infinity", "NaN")


def _tree(value: Any) -> bool:
    """True for the text of a pytree of tuples, lists and dictionaries without keys."""
    if not isinstance(value, str) or len(value) > 100_000:
        return False
    parts = parse(value)
    return isinstance(parts, list) and len(parts) == 2 and parts[0] == 1 and _is_node(parts[1])


def _is_node(tree: Any) -> bool:
    return (
        isinstance(tree, dict)
        and tree.keys() == {"type", "context", "children_spec"}
        and tree["type"] in (None, "builtins.tuple", "builtins.list", "builtins.dict")
        and tree["context"] in (None, "null", "[]")
        and isinstance(tree["children_spec"], list)
        and all(map(_is_node, tree["children_spec"]))
    )


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUALIFIED = re.compile(r"(\w+(\.\w+)*)?", re.ASCII)
SYMBOL = re.compile(r"[su]\d{1,9}", re.ASCII)
_WORD = (
    r"(?:(?:Mul|Add|Max|Min)\(|Integer\(-?\d{1,18}\)|Symbol\('[su]\d{1,9}', (?:positive=True, )?integer=True\)|, |\))"
)
EXPRESSION = re.compile(_WORD + "{1,99}", re.ASCII)
"""A size as sympy writes it: sums and products of integers and symbols. Whatever order these words are in, none does anything."""

_SIDE = r"(?:L\['\w{1,99}'\](?:\[\d{1,9}\])*\.size\(\)\[\d{1,9}\]|\d{1,18})"
GUARD = re.compile(rf"{_SIDE} (?:==|!=|<=|>=|<|>) {_SIDE}", re.ASCII)

BOOL, NULL = frozenset((True, False)), frozenset((None,))

SIZE = Union(as_int=_integer, as_expr={"expr_str": EXPRESSION, "hint": Union(as_int=_integer)})
DEVICE = {"type": frozenset(("cpu",)), "index": NULL}
TENSOR = {
    "dtype": frozenset(DTYPES),
    "sizes": [SIZE],
    "requires_grad": frozenset((False,)),
    "device": DEVICE,
    "strides": [SIZE],
    "storage_offset": SIZE,
    "layout": _integer,
}
_ZERO = {"as_int": frozenset((0,))}
_FILE = {
    "path_name": re.compile(r"(weight|tensor)_\d{1,9}", re.ASCII),
    "is_param": BOOL,
    "use_pickle": frozenset((False,)),
    "tensor_meta": TENSOR
    | {"sizes": [Union(as_int=_integer)], "strides": [Union(as_int=_integer)], "storage_offset": _ZERO},
}
TENSOR_FILES = {"config": Map(QUALIFIED, _FILE)}
VALUE = Union(as_tensor={"name": NAME})
SYM_INT = Union(as_int=_integer, as_name=NAME)
ARGUMENT = Union(
    as_tensor={"name": NAME},
    as_tensors=[{"name": NAME}],
    as_optional_tensors=[Union(as_tensor={"name": NAME}, as_none=BOOL)],
    as_none=BOOL,
    as_int=_integer,
    as_ints=[_integer],
    as_sym_int=SYM_INT,
    as_sym_ints=[SYM_INT],
    as_float=_float,
    as_floats=[_float],
    as_bool=BOOL,
    as_bools=[BOOL],
    as_scalar_type=_integer,
    as_memory_format=_integer,
    as_layout=_integer,
    as_device=DEVICE,
)
NODE = {
    "target": frozenset(OPERATORS),
    "inputs": [{"name": NAME, "arg": ARGUMENT, "kind": _integer}],
    "outputs": [VALUE],
    "metadata": lambda value: isinstance(value, dict),
    "is_hop_single_tensor_return": NULL,
    "name": NAME,
}
_REFERENCE = {"name": NAME}
INPUT = Union(
    parameter={"arg": _REFERENCE, "parameter_name": QUALIFIED},
    buffer={"arg": _REFERENCE, "buffer_name": QUALIFIED, "persistent": BOOL},
    tensor_constant={"arg": _REFERENCE, "tensor_constant_name": QUALIFIED},
    user_input={"arg": VALUE},
)
CALL = {"inputs": [VALUE], "outputs": [VALUE], "in_spec": _tree, "out_spec": _tree, "forward_arg_names": [NAME]}
EMPTY: dict[str, Grammar] = {}
PROGRAM = {
    "graph_module": {
        "graph": {
            "inputs": [VALUE],
            "outputs": [VALUE],
            "nodes": [NODE],
            "tensor_values": Map(NAME, TENSOR),
            "sym_int_values": EMPTY,
            "sym_bool_values": EMPTY,
            "sym_float_values": EMPTY,
            "custom_obj_values": EMPTY,
            "is_single_tensor_return": BOOL,
        },
        "signature": {"input_specs": [INPUT], "output_specs": [Union(user_output={"arg": VALUE})]},
        "module_call_graph": [{"fqn": QUALIFIED, "signature": lambda value: value is None or bool(check(value, CALL))}],
        "metadata": EMPTY,
        "treespec_namedtuple_fields": EMPTY,
    },
    "opset_version": {"aten": _integer},
    "range_constraints": Map(SYMBOL, {"min_val": _integer, "max_val": lambda value: value is None or _integer(value)}),
    "schema_version": {"major": _integer, "minor": _integer},
    "verifiers": [frozenset(("TRAINING",))],
    "torch_version": re.compile(r"\d{1,4}(\.\d{1,4}){1,3}\w{0,9}(\+\w{1,20})?", re.ASCII),
    "guards_code": [GUARD],
}
