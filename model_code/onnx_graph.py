"""The graph of a model archive as ``model.onnx``, for whoever serves models with an ONNX runtime.

``torch.onnx.export`` does not know ``searchsorted``, writes paths of the machine and takes seconds. Here each step of the
program that ``runtime`` evaluates becomes the nodes of ``onnx_nodes``: standard operators, and weights inside the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import ValueInfoProto, checker, helper, numpy_helper

from model_code.onnx_nodes import TRANSLATIONS, Nodes, Value
from model_code.onnx_trees import DOMAIN, VERSION, Walk, walks
from model_code.operators import DTYPES
from model_code.runtime import Program, Step

VERSIONS = {"": 18, DOMAIN: VERSION}
"""The versions of ONNX's operators, as old as possible, so that old runtimes read the files."""


def translate(program: Program) -> bytes:
    """Return a program as an ONNX model with the same inputs; the same program gives the same bytes.

    Raises:
        ValueError: a step has no translation, or the nodes do not fit together.
    """
    nodes = Nodes()
    trees = {walk.result: walk for walk in walks(program)}
    steps = _live_steps(program, trees)
    values = {name: _value(name, program.described[name]) for name in (*program.inputs, *program.weights)}
    for step in steps:
        try:
            if step.output in trees:
                result = trees[step.output].translate(nodes, values[trees[step.output].source])
            else:
                arguments, keywords = step.resolved(values)
                result = TRANSLATIONS[step.target](nodes, *arguments, **keywords)
        except Exception as error:
            raise ValueError(f"{step.target} has no translation to ONNX for these operands: {error}") from error
        values[str(step.output)] = _value(result, program.described[str(step.output)])
    output = _value(nodes.add("Identity", values[program.output]), program.described[program.output])
    used = {name for node in nodes.nodes for name in node.input}
    weights = [numpy_helper.from_array(array, name) for name, array in program.weights.items() if name in used]
    inputs = [_described(values[name]) for name in program.inputs]
    graph = helper.make_graph(nodes.nodes, "model", inputs, [_described(output)], [*weights, *nodes.constants])
    versions = [helper.make_opsetid(name, version) for name, version in VERSIONS.items() if name == "" or trees]
    model = helper.make_model(
        graph,
        opset_imports=versions,
        ir_version=helper.find_min_ir_version_for(versions),
        producer_name="fourscore",
    )
    try:
        checker.check_model(model, full_check=True)
    except Exception as error:
        raise ValueError(f"the nodes do not fit together: {error}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _live_steps(program: Program, trees: Mapping[str, Walk]) -> list[Step]:
    """Return the steps that the output depends on, of a walk through trees the last one only."""
    live, steps = {program.output}, []
    for step in reversed(program.steps):
        if step.output in live:
            live |= {trees[step.output].source} if step.output in trees else step.operands()
            steps.append(step)
    return steps[::-1]


def _value(name: str, described: Mapping[str, Any]) -> Value:
    return Value(name, DTYPES[described["dtype"]], tuple(size.get("as_int") for size in described["sizes"]))


def _described(value: Value) -> ValueInfoProto:
    sizes = ["rows" if size is None else size for size in value.sizes]
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), sizes)
