"""From a trained module to ``model.pt2``: one torch.export graph without a pickle.

The archive holds the graph as JSON, the raw bytes of each weight, and an empty file for sample inputs. By default those
samples would be a pickle; they are removed before saving. ``archive`` checks what is written, and ``runtime`` evaluates it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from model_code import archive, runtime
from model_code.operators import OPERATORS

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-5
"""The largest difference of an answer, as a share of the largest answer."""


class ExportError(RuntimeError):
    """The network cannot be exported, or its exported graph does not answer as the network does."""


def export(model: nn.Module, directory: Path, random_inputs: Callable[[int], tuple[Array, ...]]) -> None:
    """Write ``model.pt2`` into ``directory``; the same model gives the same bytes.

    Args:
        random_inputs: from a number of rows to that many rows of inputs; the graph is traced and checked on such.

    Raises:
        ExportError: the network calls an operator that ``runtime`` does not have, or the written file answers differently on
            random rows, evaluated by ``runtime`` or by torch.
    """
    model = model.to("cpu").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    program = _program(model, _tensors(random_inputs(4)))
    buffer = io.BytesIO()  # torch aborts the process where it writes to a full disk itself
    torch.export.save(program, buffer)
    path = directory / archive.MODEL
    path.write_bytes(archive.rebuild(buffer.getvalue()))
    _check(model, path, random_inputs)


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


def _check(model: nn.Module, path: Path, random_inputs: Callable[[int], tuple[Array, ...]]) -> None:
    """Compare the module with the written file, as ``runtime`` and as torch evaluate it."""
    graph = runtime.load(path)
    reloaded = torch.export.load(io.BytesIO(archive.rebuild(path.read_bytes()))).module()
    for rows in (0, 1, 2, 257):
        inputs = random_inputs(rows)
        with torch.no_grad():
            expected, in_torch = (module(*_tensors(inputs)).numpy() for module in (model, reloaded))
        for place, actual in (("", graph(*inputs)), (" in torch", in_torch)):
            if expected.shape != actual.shape or not np.isfinite(actual).all():
                raise ExportError(
                    f"{path}: {rows} rows give shape {actual.shape}{place}, expected finite {expected.shape}"
                )
            # rounding is relative to the values inside the network, which an answer near zero does not show
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            if not np.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * scale):
                difference = float(np.abs(expected - actual).max())
                raise ExportError(f"{path}: differs from the model by {difference:.3g} on {rows} random rows{place}")


def _tensors(arrays: tuple[Array, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.from_numpy, arrays))
