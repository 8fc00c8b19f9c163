"""From a trained module to ``model.pt2``, one torch.export graph without a pickle, and back.

What the archive holds (PyTorch documentation, "torch.export Archive format"): the graph as JSON, each weight as raw
bytes, and an empty file for sample inputs. By default those samples would be a pickle; they are taken out
before saving, so nothing in the archive is one, and ``pickles`` checks that.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

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
    path = directory / MODEL
    torch.export.save(program, path)
    _make_canonical(path)
    if members := pickles(path):
        raise ExportDiffers(f"{path}: the archive holds pickles: {', '.join(members)}")
    _check(model, path, random_inputs)


def load(path: Path) -> nn.Module:
    """Return the exported graph as a module; nothing is unpickled.

    Raises:
        ValueError: the file is not a model archive, or holds a pickle.
    """
    try:
        members = pickles(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a model archive: {error}") from error
    if members:
        raise ValueError(
            f"{path}: refused, since it holds pickles, which can run code when loaded: {', '.join(members)}"
        )
    return torch.export.load(path).module()


def pickles(path: Path) -> list[str]:
    """Return the members of the archive that are a pickle, by their first bytes, or that tell torch to unpickle one."""
    with zipfile.ZipFile(path) as archive:
        return [
            m.filename
            for m in archive.infolist()
            if _is_pickle(m.filename, archive.read(m)[:4]) or _asks_pickle(archive, m.filename)
        ]


def _is_pickle(name: str, head: bytes) -> bool:
    if "/data/weights/weight_" in name or "/data/constants/tensor_" in name:
        return False  # raw numbers, unless the index says otherwise
    return head[:1] == b"\x80" or head == b"PK\x03\x04"


def _asks_pickle(archive: zipfile.ZipFile, name: str) -> bool:
    return name.endswith("_config.json") and b'"use_pickle": true' in archive.read(name)


def _make_canonical(path: Path) -> None:
    """Rewrite the archive with nothing in it that depends on when or where it was written."""
    with zipfile.ZipFile(path) as archive:
        members = [(m.filename, archive.read(m)) for m in archive.infolist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            if not name.endswith(".data/serialization_id"):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    path.write_bytes(buffer.getvalue())


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
