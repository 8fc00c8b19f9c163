"""The runtime of exported graphs: ``model.pt2`` is read as checked values and evaluated by numpy; torch is not imported.

A graph is decoded once into steps. A step whose operands are all weights is evaluated at that time, and a value is freed
after its last use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_code import archive
from model_code.operators import DTYPES, OPERATORS

Array = np.ndarray[Any, Any]

_POSITIONAL = 1
"""The kind of an argument that is passed by its place (``ArgumentKind`` in the schema)."""


@dataclass(frozen=True)
class Step:
    """One call of an operator; a text among its arguments is the name of a value."""

    target: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: str | None
    unused: tuple[str, ...] = ()
    """The values that no later step uses."""

    def operands(self) -> set[str]:
        """Return the names of the values that the step reads."""
        arguments = [*self.arguments, *self.keywords.values()]
        lists = (argument if isinstance(argument, list) else [argument] for argument in arguments)
        return {item for items in lists for item in items if isinstance(item, str)}

    def run(self, values: Mapping[str, Array]) -> Any:
        arguments, keywords = self.resolved(values)
        return OPERATORS[self.target](*arguments, **keywords)

    def resolved(self, values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments by place and by name, with values instead of their names."""
        keywords = {key: _resolved(argument, values) for key, argument in self.keywords.items()}
        return tuple(_resolved(argument, values) for argument in self.arguments), keywords


def _resolved(argument: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(argument, list):
        return [_resolved(item, values) for item in argument]
    return values[argument] if isinstance(argument, str) else argument


@dataclass(frozen=True)
class Program:
    """The steps from the inputs and weights to one output."""

    inputs: tuple[str, ...]
    weights: Mapping[str, Array]
    steps: tuple[Step, ...]
    output: str
    described: Mapping[str, Mapping[str, Any]]
    """The type and sizes of each value by its name (``TensorMeta`` in the schema)."""


def decode(program: Mapping[str, Any], tensors: Mapping[str, Array]) -> Program:
    """Return the steps of a program that ``archive.read`` checked.

    Raises:
        ValueError: the program is no graph from arrays to one array.
    """
    module = program["graph_module"]
    inputs, weights = [], {}
    try:
        for specification in module["signature"]["input_specs"]:
            [(kind, fields)] = specification.items()
            if kind == "user_input":
                inputs.append(fields["arg"]["as_tensor"]["name"])
            else:
                weights[fields["arg"]["name"]] = tensors[fields[f"{kind}_name"]]
        [output] = module["signature"]["output_specs"]
        return Program(
            inputs=tuple(inputs),
            weights=weights,
            steps=tuple(map(_decode, module["graph"]["nodes"])),
            output=output["user_output"]["arg"]["as_tensor"]["name"],
            described=module["graph"]["tensor_values"],
        )
    except Exception as error:  # checked values that do not fit together
        raise ValueError(f"not a graph of known operators: {_described(error)}") from error


class Graph:
    """A graph that answers arrays with an array."""

    def __init__(self, program: Program) -> None:
        """Evaluate what depends on weights alone.

        Raises:
            ValueError: an operator does not take its operands.
        """
        self._output = program.output
        self._values: dict[str, Array] = dict(program.weights)
        try:
            self._inputs = {name: program.described[name] for name in program.inputs}
            with np.errstate(all="ignore"):
                self._steps = self._plan(program.steps)
        except Exception as error:  # checked values that do not fit together
            raise ValueError(f"not a graph of known operators: {_described(error)}") from error

    def __call__(self, *inputs: Array) -> Array:
        """Evaluate the graph.

        Raises:
            ValueError: the inputs are not those of the graph, or an operator does not take its operands.
        """
        try:
            with np.errstate(all="ignore"):
                return self._run(inputs)
        except Exception as error:  # numpy raises many types where operands do not fit together
            raise ValueError(f"{archive.MODEL} does not run on these inputs: {_described(error)}") from error

    def _plan(self, steps: Sequence[Step]) -> list[Step]:
        """Evaluate the steps that depend on weights alone, and return the others with what is unused after each."""
        remaining = []
        for step in steps:
            if step.output is not None and step.operands() <= self._values.keys():
                self._values[step.output] = np.asarray(step.run(self._values))
            else:
                remaining.append(step)
        used = {self._output} | self._values.keys()
        plan = []
        for step in reversed(remaining):
            unused = step.operands() - used
            used |= unused
            plan.append(replace(step, unused=tuple(unused)))
        return plan[::-1]

    def _run(self, inputs: tuple[Array, ...]) -> Array:
        values = dict(self._values)
        for (name, expected), array in zip(self._inputs.items(), inputs, strict=True):
            values[name] = _checked(name, array, expected)
        for step in self._steps:
            result = step.run(values)
            if step.output is not None:
                values[step.output] = np.asarray(result)
            for name in step.unused:
                del values[name]
        return values[self._output]


def load(path: Path) -> Graph:
    """Return the graph of a ``model.pt2``; whatever the file holds, no code of its maker runs.

    Raises:
        ValueError: the file is not a model archive, or holds what our export does not write.
    """
    try:
        return Graph(decode(*archive.read(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: refused, since it is not as our export writes it: {error}") from error


def _decode(node: Mapping[str, Any]) -> Step:
    outputs = [output["as_tensor"]["name"] for output in node["outputs"]]
    if len(outputs) > 1:
        raise ValueError(f"{node['target']} with {len(outputs)} outputs")
    positional = tuple(_argument(entry["arg"]) for entry in node["inputs"] if entry["kind"] == _POSITIONAL)
    keywords = {entry["name"]: _argument(entry["arg"]) for entry in node["inputs"] if entry["kind"] != _POSITIONAL}
    return Step(node["target"], positional, keywords, outputs[0] if outputs else None)


def _argument(entry: Mapping[str, Any]) -> Any:
    """Return an argument as a plain value; a tensor is its name."""
    [(kind, value)] = entry.items()
    match kind:
        case "as_tensor":
            return value["name"]
        case "as_tensors":
            return [item["name"] for item in value]
        case "as_optional_tensors" | "as_sym_ints":
            return [_argument(item) for item in value]
        case "as_sym_int":
            return value["as_int"]
        case "as_none":
            return None
        case "as_float":
            return float(value)
        case "as_device":
            return value["type"] == "cpu"
        case _:
            return value


def _checked(name: str, array: Array, expected: Mapping[str, Any]) -> Array:
    """Return the input.

    Raises:
        ValueError: it is of another type or shape than the graph was exported for.
    """
    sizes = [size.get("as_int") for size in expected["sizes"]]  # None: as many as there are
    fits = len(sizes) == array.ndim and all(size in (None, n) for size, n in zip(sizes, array.shape, strict=True))
    if not fits or array.dtype != DTYPES.get(expected["dtype"]):
        shape = tuple("rows" if size is None else size for size in sizes)
        raise ValueError(f"{name} is {array.dtype}{array.shape}, not {DTYPES.get(expected['dtype'])}{shape}")
    return array


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
