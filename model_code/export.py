"""From a trained module to ``model.pt2`` and ``model.onnx``: one torch.export graph, as data without a pickle.

The archive holds the graph as JSON, the raw bytes of each weight, and an empty file for sample inputs. By default those
samples would be a pickle; they are removed before saving. ``archive`` checks what is written, and ``runtime`` evaluates it.
``onnx_graph`` translates the checked program, so both files hold one graph.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from model_code import archive, onnx_graph, onnx_runtime, runtime
from model_code.operators import OPERATORS

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-5
"""The largest difference of an answer, as a share of the largest answer, ..."""
FINE_TOLERANCE = 1e-9
"""... and of a graph without weights of float32."""


class ExportError(RuntimeError):
    """The network cannot be exported, or its exported graph does not answer as the network does."""


def export(model: nn.Module, directory: Path, random_inputs: Callable[[int], tuple[Array, ...]]) -> None:
    """Write ``model.pt2`` and ``model.onnx`` into ``directory``; the same model gives the same bytes.

    Args:
        random_inputs: from a number of rows to that many rows of inputs; the graph is traced and checked on such.

    Raises:
        ExportError: the network calls an operator that ``runtime`` or ONNX does not have, or a written file answers
            differently on random rows, evaluated by ``runtime``, torch or onnxruntime.
    """
    model = model.to("cpu").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    program = _program(model, _tensors(random_inputs(4)))
    buffer = io.BytesIO()  # torch aborts the process where it writes to a full disk itself
    torch.export.save(program, buffer)
    content = archive.rebuild(buffer.getvalue())
    try:
        decoded = runtime.decode(*archive.read(content))
        as_onnx = onnx_graph.translate(decoded)
    except ValueError as error:
        raise ExportError(f"the network cannot be written: {error}") from error
    (directory / archive.MODEL).write_bytes(content)
    (directory / onnx_runtime.MODEL).write_bytes(as_onnx)
    _check(model, directory, random_inputs, tolerance(decoded))


def tolerance(program: runtime.Program) -> float:
    """Return how far answers of one graph may be apart in two runtimes, as a share of the largest answer."""
    is_fine = all(weight.dtype != np.float32 for weight in program.weights.values())
    return FINE_TOLERANCE if is_fine else TOLERANCE


def _program(model: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    """Return the traced program, for any number of rows."""
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    batch = torch.export.Dim("batch")
    for tensor in example:
        shapes[tensor] = {0: batch}
    with torch.no_grad():
        program = torch.export.export(model, example, dynamic_shapes=shapes)
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of the machine that trained
        if node.op == "call_function" and f"torch.ops.{node.target}" not in OPERATORS:
            raise ExportError(
                f"the network calls {node.target}, which models are not served with; "
                "use other operators, or add this one to model_code/operators.py"
            )
    return program


def _check(
    model: nn.Module, directory: Path, random_inputs: Callable[[int], tuple[Array, ...]], tolerance: float
) -> None:
    """Compare the module with the written files, as ``runtime``, torch and onnxruntime evaluate them."""
    path = directory / archive.MODEL
    reloaded = torch.export.load(io.BytesIO(archive.rebuild(path.read_bytes()))).module()
    graphs: dict[str, Callable[..., Array]] = {
        f"{path}": runtime.load(path),
        f"{path} in torch": lambda *arrays: reloaded(*_tensors(arrays)).numpy(),
        f"{directory / onnx_runtime.MODEL}": onnx_runtime.load(directory / onnx_runtime.MODEL),
    }
    for rows in (0, 1, 2, 257):
        inputs = random_inputs(rows)
        with torch.no_grad():
            expected = model(*_tensors(inputs)).numpy()
            answers = {place: graph(*inputs) for place, graph in graphs.items()}
        for place, actual in answers.items():
            if expected.shape != actual.shape or not np.isfinite(actual).all():
                raise ExportError(f"{place}: {rows} rows give shape {actual.shape}, expected finite {expected.shape}")
            # rounding is relative to the values inside the network, which an answer near zero does not show
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            if not np.allclose(actual, expected, rtol=tolerance, atol=tolerance * scale):
                difference = float(np.abs(expected - actual).max())
                raise ExportError(f"{place}: differs from the model by {difference:.3g} on {rows} random rows")


def _tensors(arrays: tuple[Array, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.from_numpy, arrays))
