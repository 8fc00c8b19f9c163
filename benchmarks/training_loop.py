"""The training loop beside a bare forward, backward, clip and step on resident tensors: the ratio of their samples per second.

    python benchmarks/training_loop.py [--rows N] [--rounds N] [--device auto|cpu|cuda|mps]

Both train the same network on the same rows with the same fused optimiser for one epoch a round, and take turns, so that a
busy machine slows both alike. The ratio is that of the medians and is printed last; 1 is as fast, the aim is at least 0.95.
The bare loop has neither shuffling, schedule, loss record nor checks; for the part of the clipping there is a second figure.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn

from model_code.tabular.mlp import MlpConfig, MlpNetwork
from model_code.tabular.preprocessing import Layout, bin_edges
from model_code.tasks import heads
from model_code.training import Options, Recipe, Rows, choose_device, fit

COLUMNS, CATEGORIES, SLOTS = 16, 4, 10
HEAD = heads.create("binary-classification", np.array([0, 1]), ["no", "yes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="default: 16,384 on the CPU, 1,048,576 elsewhere")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(arguments.device)
    count = arguments.rows or (16_384 if device.type == "cpu" else 1_048_576)
    batch = 256 if device.type == "cpu" else 4096
    recipe = Recipe(learning_rate=1e-3, weight_decay=1e-4, batch_size=batch, epochs=1, patience=1)
    rows = _rows(count)
    loops = {"bare": bare, "bare with clipping": clipped, "loop": loop}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(arguments.rounds + 1):
        for name, run in loops.items():
            took = run(_network(), rows, recipe, device)
            if turn:  # the first round warms up
                seconds[name].append(took)
    rates = {name: count / statistics.median(times) for name, times in seconds.items()}
    print(
        f"device: {torch.cuda.get_device_name() if device.type == 'cuda' else device.type}, torch {torch.__version__}, batch {batch}"
    )
    for name, samples in rates.items():
        print(f"{name}: {samples:,.0f} samples/s")
    paired = statistics.median(a / b for a, b in zip(seconds["bare"], seconds["loop"], strict=True))
    print(f"ratio to bare with clipping: {rates['loop'] / rates['bare with clipping']:.3f}")
    print(f"median of the paired ratios: {paired:.3f}")
    print(f"ratio: {rates['loop'] / rates['bare']:.3f}")


def _rows(count: int) -> Rows:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(count, COLUMNS, generator=generator)
    slots = torch.randint(0, SLOTS, (count, CATEGORIES), generator=generator)
    return Rows((values, slots), (values[:, 0] + torch.randn(count, generator=generator) > 0).long())


def _network() -> nn.Module:
    torch.manual_seed(0)
    layout = Layout(continuous=COLUMNS, plain=0, slots=(SLOTS,) * CATEGORIES)
    config = MlpConfig()
    edges = bin_edges(np.random.default_rng(0).normal(size=(5_000, COLUMNS)), config.bins)
    return MlpNetwork(config, layout, edges, HEAD.width)


def loop(network: nn.Module, rows: Rows, recipe: Recipe, device: torch.device) -> float:
    """Ours, with shuffling, schedule, clipping, loss record and checkpoints; its own clock stops after the last loss is read."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(seed=0, device=device, checkpoint=Path(folder) / "latest.pt")
        return fit(network, rows, None, HEAD, recipe, options).seconds


def bare(network: nn.Module, rows: Rows, recipe: Recipe, device: torch.device, *, clip: bool = False) -> float:
    network.to(device).train()
    resident = rows.to(device)
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    _wait(device)
    started = time.perf_counter()
    for start in range(0, len(rows), recipe.batch_size):
        batch = resident.slice(start, start + recipe.batch_size)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            raw = network(*batch.inputs)
        loss = HEAD.loss(raw.float(), batch.target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip, foreach=True)
        optimizer.step()
    _wait(device)
    return time.perf_counter() - started


def clipped(network: nn.Module, rows: Rows, recipe: Recipe, device: torch.device) -> float:
    return bare(network, rows, recipe, device, clip=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
