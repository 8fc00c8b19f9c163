"""From a fitted model to ``model.pt2``: preprocessing, network and task activation in one torch.export graph.

What the archive holds (PyTorch documentation, "torch.export Archive format"): the graph as JSON, each weight as raw
bytes, and an empty file for sample inputs. By default those samples would be a pickle; they are taken out
before saving, so nothing in the archive is one, and ``pickles`` checks that.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from model_code.tabular.preprocessing import Preprocessor
from model_code.tasks import Task

MODEL = "model.pt2"
TOLERANCE = 1e-5


class ExportDiffers(RuntimeError):
    """The exported graph does not answer as the module it was made from."""


class Model(nn.Module):
    """What ships: (numeric float64[b, a], category int64[b, m]) -> float64 probabilities [b, k] or values [b].

    One or several fitted pairs of preprocessing and network, whose predictions are averaged; the last step undoes the
    scaling of a regression target.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, task: Task, fitted: Sequence[tuple[Preprocessor, nn.Module]], centre: float, spread: float
    ) -> None:
        super().__init__()
        self.preprocessors = nn.ModuleList(preprocessor for preprocessor, _ in fitted)
        self.networks = nn.ModuleList(network for _, network in fitted)
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float64))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float64))
        self._task = task

    def forward(self, numeric: Tensor, category: Tensor) -> Tensor:
        predictions = []
        for preprocessor, network in zip(self.preprocessors, self.networks, strict=True):
            values, slots = preprocessor(numeric, category)
            predictions.append(average(self._task, network(values, slots)))
        mean = torch.stack(predictions).mean(dim=0)
        return self._task.unscaled(mean, self.centre, self.spread)


def average(task: Task, raw: Tensor) -> Tensor:
    """From raw outputs [b, members, width] to the mean of the members' predictions, float64."""
    return task.activate(raw.to(torch.float64)).mean(dim=1)


def export(model: Model, directory: Path) -> None:
    """Write ``model.pt2`` into ``directory``; the same model gives the same bytes.

    Raises:
        ExportDiffers: the written file, loaded again, answers differently on random rows.
    """
    model = model.to("cpu").eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    numeric, category = _random_rows(model, 4)
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(model, (numeric, category), dynamic_shapes=({0: batch}, {0: batch}))
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of the machine that trained
    path = directory / MODEL
    torch.export.save(program, path)
    _canonical(path)
    if found := pickles(path):
        raise ExportDiffers(f"{path}: the archive holds pickles: {', '.join(found)}")
    _check(model, path)


def load(path: Path) -> nn.Module:
    """The exported graph as a module; nothing is unpickled.

    Raises:
        ValueError: the file is not a model archive, or holds a pickle.
    """
    try:
        found = pickles(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a model archive: {error}") from error
    if found:
        raise ValueError(f"{path}: refused, since it holds pickles, which can run code when loaded: {', '.join(found)}")
    return torch.export.load(path).module()


def pickles(path: Path) -> list[str]:
    """Members of the archive that are a pickle, by their first bytes, or that tell torch to unpickle one."""
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


def _canonical(path: Path) -> None:
    """Rewrite the archive with nothing in it that depends on when or where it was written."""
    with zipfile.ZipFile(path) as archive:
        members = [(m.filename, archive.read(m)) for m in archive.infolist()]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            if not name.endswith(".data/serialization_id"):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    path.write_bytes(written.getvalue())


def _random_rows(model: Model, rows: int) -> tuple[Tensor, Tensor]:
    """Rows around the fitted range with missing numbers, unknown categories and infinities among them."""
    first = model.preprocessors[0]
    assert isinstance(first, Preprocessor)
    generator = torch.Generator().manual_seed(0)
    numeric = torch.randn(rows, first.numeric_columns, generator=generator, dtype=torch.float64)
    numeric = numeric * 10 ** torch.randint(0, 10, numeric.shape, generator=generator)
    numeric[torch.rand(numeric.shape, generator=generator) < 0.2] = torch.nan
    numeric[torch.rand(numeric.shape, generator=generator) < 0.02] = torch.inf
    category = torch.randint(-1, 6, (rows, len(first.layout.slots)), generator=generator)
    return numeric, category


def _check(model: Model, path: Path) -> None:
    loaded = load(path)
    for rows in (0, 1, 2, 257):
        numeric, category = _random_rows(model, rows)
        with torch.no_grad():
            wanted, found = model(numeric, category), loaded(numeric, category)
        if wanted.shape != found.shape or not torch.isfinite(found).all():
            raise ExportDiffers(
                f"{path}: {rows} rows give shape {tuple(found.shape)}, wanted finite {tuple(wanted.shape)}"
            )
        if not torch.allclose(wanted, found, rtol=TOLERANCE, atol=TOLERANCE):
            raise ExportDiffers(
                f"{path}: differs from the model by {float((wanted - found).abs().max()):.3g} on {rows} random rows"
            )
