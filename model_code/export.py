"""From a trained module to ``model.pt2``, one torch.export graph without a pickle, and back.

The archive holds the graph as JSON, the raw bytes of each weight, and an empty file for sample inputs. By default those
samples would be a pickle; they are removed before saving. ``archive`` checks what is written and what is read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_code import archive

MODEL = "model.pt2"
TOLERANCE = 1e-5


class ExportDiffers(RuntimeError):
    """The exported graph does not answer as the module that it was exported from."""


def export(model: nn.Module, directory: Path, random_inputs: Callable[[int], tuple[Tensor, ...]]) -> None:
    """Write ``model.pt2`` into ``directory``; the same model gives the same bytes.

    Args:
        random_inputs: from a number of rows to that many rows of inputs; the graph is traced and checked on such.

    Raises:
        ExportDiffers: the written file, loaded again, answers differently on random rows.
    """
    model = model.to("cpu").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    example = random_inputs(4)
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    batch = torch.export.Dim("batch")
    for tensor in example:
        shapes[tensor] = {0: batch}
    with torch.no_grad():
        program = torch.export.export(model, example, dynamic_shapes=shapes)
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of the machine that trained
    buffer = io.BytesIO()  # torch aborts the process where it writes to a full disk itself
    torch.export.save(program, buffer)
    path = directory / MODEL
    path.write_bytes(archive.rebuild(buffer.getvalue()))
    _check(model, path, random_inputs)


def load(path: Path) -> nn.Module:
    """Return the exported graph as a module; the file is checked first, so that no code of its maker runs.

    Raises:
        ValueError: the file is not a model archive, or holds what our export does not write.
    """
    try:
        content = archive.rebuild(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: refused, since {MODEL} can run code when loaded: {error}") from error
    try:
        return torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # a graph of allowed values that do not fit together; torch raises many types
        raise ValueError(f"{path}: not a graph that torch can read: {error}") from error


def _check(model: nn.Module, path: Path, random_inputs: Callable[[int], tuple[Tensor, ...]]) -> None:
    loaded = load(path)
    for rows in (0, 1, 2, 257):
        inputs = random_inputs(rows)
        with torch.no_grad():
            expected, actual = model(*inputs), loaded(*inputs)
        if expected.shape != actual.shape or not torch.isfinite(actual).all():
            raise ExportDiffers(
                f"{path}: {rows} rows give shape {tuple(actual.shape)}, expected finite {tuple(expected.shape)}"
            )
        if not torch.allclose(expected, actual, rtol=TOLERANCE, atol=TOLERANCE):
            raise ExportDiffers(
                f"{path}: differs from the model by {float((expected - actual).abs().max()):.3g} on {rows} random rows"
            )
