"""The one training loop.

Training tensors lie on the device when they fit, are shuffled once per epoch by a pure function of (seed, epoch) and
are read as slices; nothing in a step waits for the device. Losses are kept on the device and looked at once per segment
of steps: that is where a diverged loss is noticed and a checkpoint is written.

A checkpoint holds tensors and plain values only (weights, optimiser, best weights, random state, place in the
schedule). Killed and called again, ``fit`` goes on from it; on the CPU the result is bit-equal to an uninterrupted one.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_code import parallel

SEGMENT = 100
"""Steps between two looks at the losses."""
OUT_OF_TIME = "time budget"
"""What ``Fit.stopped`` says where time ran out."""

Loss = Callable[[Tensor, Tensor], Tensor]


class Diverged(RuntimeError):
    """The training loss is not a finite number."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    """Stop after this many epochs without a better validation loss."""
    warmup: float = 0.05
    """Share of all steps in which the learning rate rises from zero; then it falls along a cosine, to zero."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient over all weights."""


@dataclass(frozen=True)
class Rows:
    """Preprocessed rows: values float32[n, v], slots int64[n, m], truth int64[n] or float32[n]."""

    values: Tensor
    slots: Tensor
    truth: Tensor

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, positions: Tensor) -> Rows:
        return Rows(*(t.index_select(0, positions) for t in self.tensors()))

    def slice(self, start: int, stop: int) -> Rows:
        return Rows(*(t[start:stop] for t in self.tensors()))

    def to(self, device: torch.device) -> Rows:
        return Rows(*(t.to(device, non_blocking=True) for t in self.tensors()))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.values, self.slots, self.truth

    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self.tensors())


@dataclass
class Fit:
    """What training gave; the network itself holds the best weights."""

    epochs: int = 0
    """After how many epochs the kept weights were reached."""
    scheduled: int = 0
    """How many epochs the learning rate was laid out for."""
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = "all epochs done"


def choose_device(wanted: str = "auto") -> torch.device:
    """The device to train on: cuda, then mps, then cpu.

    Raises:
        ValueError: the wanted device is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present.get(wanted, False):
        available = ", ".join(name for name, there in present.items() if there)
        raise ValueError(f"device {wanted!r} is not available here; available: {available}")
    return torch.device(wanted)


def order(seed: int, epoch: int, rows: int) -> Tensor:
    """The order int64[rows] in which an epoch takes the rows: a pure function, so a resumed epoch is the same epoch."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(rows))


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of a step: linear warm-up, then cosine to zero."""
    warmup = max(int(recipe.warmup * steps), 1)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def fits(rows: Rows, device: torch.device) -> bool:
    """Whether the rows and one shuffled copy of them can lie on the device and leave half of it free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return 2 * rows.bytes() < free // 2
    return 2 * rows.bytes() < 8 * 2**30


class _Run:
    """The state of one training, and what is saved of it."""

    def __init__(self, network: nn.Module, recipe: Recipe, seed: int, rows: int, device: torch.device) -> None:
        self.network, self.recipe, self.seed, self.device = network, recipe, seed, device
        self.steps_per_epoch = math.ceil(rows / recipe.batch_size)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.losses = torch.zeros(self.steps_per_epoch, device=device)
        self.epoch = self.step = 0
        self.fit = Fit(scheduled=recipe.epochs)
        self.best: dict[str, Tensor] | None = None
        self.best_loss = math.inf
        self.done = False

    def identity(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe), "seed": self.seed, "steps_per_epoch": self.steps_per_epoch}

    def save(self, path: Path) -> None:
        """Write a checkpoint that is either there as a whole or not at all."""
        if parallel.rank() > 0:
            return
        state = {
            "identity": self.identity(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "epoch": self.epoch,
            "step": self.step,
            "fit": asdict(self.fit),
            "best": self.best,
            "best_loss": self.best_loss,
            "done": self.done,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        temporary = path.with_name(path.name + ".part")
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; one of another training, or one that can not be read, is left aside."""
        content = parallel.agreed_bytes(path.read_bytes() if path.exists() else b"", self.device)
        if not content:
            return
        file = io.BytesIO(content)
        try:
            state: Mapping[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        except Exception:  # noqa: BLE001  whatever is wrong with the file, the answer is to start anew
            return
        if state["identity"] != self.identity():
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses.copy_(state["losses"])
        self.epoch, self.step, self.done = state["epoch"], state["step"], state["done"]
        self.best_loss = state["best_loss"]
        self.best = None if state["best"] is None else {k: v.to(self.device) for k, v in state["best"].items()}
        self.fit = Fit(**state["fit"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"], self.device)


def fit(
    network: nn.Module,
    training: Rows,
    validation: Rows | None,
    *,
    loss: Loss,
    validate: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    seed: int,
    device: torch.device,
    stop_after: int | None = None,
    seconds: float = math.inf,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 10.0,
    report: Callable[[int, int, Fit], None] | None = None,
) -> Fit:
    """Train ``network`` in place; it ends with its best weights on the validation rows, or without those with its last.

    Args:
        loss: from (raw outputs [b, members, width], truth [b]) to the mean loss.
        validate: the same on all validation rows at once; this is what early stopping looks at.
        stop_after: epochs to run of those that the schedule is laid out for; all when None.
        seconds: time after which training stops with what it has; not looked at before the first epoch is done.
        checkpoint: a file to go on from and to write to; its folder must exist.
        checkpoint_seconds: about how often it is written.
        report: called with (epochs done, epochs of the schedule, the fit so far); whatever it raises stops the
            training where it can be gone on from, as a machine that is about to be taken away asks for.

    Raises:
        Diverged: the loss is not finite; the message says where and what to try.
    """
    network.to(device).train()
    run = _Run(network, recipe, seed, len(training), device)
    if checkpoint:
        run.load(checkpoint)
    resident = fits(training, device)
    rows = training.to(device) if resident else training
    held_out = validation.to(device) if validation else None
    last = min(stop_after or recipe.epochs, recipe.epochs)
    saved = time.monotonic()
    while not run.done:
        begun = time.perf_counter()
        _segments(run, rows, resident, loss, checkpoint, checkpoint_seconds)
        _finish_epoch(run, held_out, validate, last)
        run.fit.seconds = parallel.agreed(run.fit.seconds + time.perf_counter() - begun, device)
        if not run.done and run.fit.seconds > seconds:
            run.done, run.fit.stopped = True, OUT_OF_TIME
        if checkpoint and (run.done or time.monotonic() - saved >= checkpoint_seconds):
            run.save(checkpoint)
            saved = time.monotonic()
        if report:
            try:
                report(run.epoch, last, run.fit)
            except BaseException:
                if checkpoint:
                    run.save(checkpoint)
                raise
    if run.best is not None:
        network.load_state_dict(run.best)
    network.eval()
    return run.fit


def _segments(run: _Run, rows: Rows, resident: bool, loss: Loss, checkpoint: Path | None, every: float) -> None:
    """The rest of one epoch."""
    positions = order(run.seed, run.epoch, len(rows))
    shuffled = rows.take(positions.to(run.device)) if resident else None
    saved = time.monotonic()
    while run.step < run.steps_per_epoch:
        stop = min(run.step + SEGMENT, run.steps_per_epoch)
        _steps(run, rows, shuffled, positions, stop, loss)
        parallel.sum_over(run.losses[run.step : stop])
        _check_finite(run, stop)
        run.step = stop
        if checkpoint and stop < run.steps_per_epoch and time.monotonic() - saved >= every:
            run.save(checkpoint)
            saved = time.monotonic()


def _steps(run: _Run, rows: Rows, shuffled: Rows | None, positions: Tensor, stop: int, loss: Loss) -> None:
    """The steps up to ``stop``: forward, backward, clip, step; nothing here waits for the device."""
    network, optimizer, device = run.network, run.optimizer, run.device
    parameters = list(network.parameters())
    half = device.type == "cuda"
    total = run.steps_per_epoch * run.recipe.epochs
    first = run.epoch * run.steps_per_epoch
    for step in range(run.step, stop):
        # Even shares: with n rows in s steps, step i takes rows i*n//s to (i+1)*n//s, so no batch is a leftover.
        begin, end = (i * len(rows) // run.steps_per_epoch for i in (step, step + 1))
        whole = end - begin
        begin, end = parallel.share(begin, end)
        batch = shuffled.slice(begin, end) if shuffled else rows.take(positions[begin:end]).to(device)
        optimizer.param_groups[0]["lr"] = rate(run.recipe, first + step, total)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            raw = network(batch.values, batch.slots)
        value = loss(raw.float(), batch.truth)
        if end - begin < whole:  # one of several processes: the shares' means add up to the mean of the batch
            value = value * ((end - begin) / whole) if end > begin else raw.sum() * 0
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        parallel.sum_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, run.recipe.gradient_clip, foreach=True)
        optimizer.step()
        run.losses[step] = value.detach()


def _check_finite(run: _Run, stop: int) -> None:
    bad = (~torch.isfinite(run.losses[run.step : stop])).nonzero()
    if len(bad):
        step = run.step + int(bad[0])
        total = run.steps_per_epoch * run.recipe.epochs
        learning_rate = rate(run.recipe, run.epoch * run.steps_per_epoch + step, total)
        raise Diverged(
            f"the training loss became {float(run.losses[step])} in epoch {run.epoch + 1}, "
            f"step {step + 1} of {run.steps_per_epoch}, "
            f"at learning rate {learning_rate:.3g}; look for extreme values in the target and the features, "
            f"or try a smaller learning rate or a smaller gradient_clip (now {run.recipe.gradient_clip:g})"
        )


def _finish_epoch(run: _Run, validation: Rows | None, validate: Callable[[Tensor, Tensor], Tensor], last: int) -> None:
    """Note the losses, keep the weights if they are the best so far, decide whether training goes on."""
    fit = run.fit
    run.epoch, run.step = run.epoch + 1, 0
    fit.train_loss.append(float(run.losses.mean()))
    if validation is None:
        fit.epochs = run.epoch
    else:
        value = float(validate(raw_outputs(run.network, validation), validation.truth))
        run.network.train()
        fit.validation_loss.append(value)
        if value < run.best_loss or run.best is None:
            run.best_loss, fit.epochs = value, run.epoch
            run.best = {k: v.detach().clone() for k, v in run.network.state_dict().items()}
        elif run.epoch - fit.epochs >= run.recipe.patience:
            run.done, fit.stopped = True, "validation loss no longer improves"
    run.done = run.done or run.epoch >= last


@torch.no_grad()
def raw_outputs(network: nn.Module, rows: Rows, chunk: int = 8192) -> Tensor:
    """Raw outputs [n, members, width] of all rows, without dropout, in float32."""
    network.eval()
    device = next(network.parameters()).device
    parts = [
        network(p.values, p.slots)
        for p in (rows.slice(i, i + chunk).to(device) for i in range(0, max(len(rows), 1), chunk))
    ]
    return torch.cat(parts).float()
