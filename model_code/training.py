"""The one training loop.

Training tensors lie on the device when they fit, are shuffled once per epoch by a pure function of (seed, epoch) and
are read as slices; nothing in a step waits for the device. Losses are kept on the device and looked at once per segment
of steps: that is where a diverged loss is noticed and a checkpoint is written.

A checkpoint holds weights, optimiser, best weights, random state and the place in the schedule. Killed and called again,
``fit`` goes on from it; on the CPU the result is bit-equal to an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from model_code import checkpoints, parallel

SEGMENT = 20
"""Steps between two checks of the losses and the time."""
OUT_OF_TIME = "time budget"
"""The value of ``Fit.stopped`` when time ran out."""
CONVERGED = "validation loss no longer improves"
"""The value of ``Fit.stopped`` when patience ended."""
BEHIND = "behind all others at half time"
"""The value of ``Fit.stopped`` when the network was worse than ``Options.behind``."""


FEWEST_EPOCHS = 3
"""After fewer epochs no network is said to be behind."""


class Diverged(RuntimeError):
    """The training loss is not a finite number."""


class Objective(Protocol):
    """A pair of losses, each of raw outputs and target."""

    def loss(self, raw: Tensor, target: Tensor, /) -> Tensor:
        """Return the loss that a step follows downwards."""

    def validation_loss(self, raw: Tensor, target: Tensor, /) -> Tensor:
        """Return the loss that early stopping compares, of all validation rows at once."""


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
    """Examples to learn from: the inputs of a network and the target, tensors of n rows."""

    inputs: tuple[Tensor, ...]
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def take(self, positions: Tensor) -> Rows:
        return self._map(lambda tensor: tensor.index_select(0, positions))

    def slice(self, start: int, stop: int) -> Rows:
        return self._map(lambda tensor: tensor[start:stop])

    @torch.no_grad()
    def prepared(self, preprocessor: nn.Module) -> Rows:
        return Rows(preprocessor(*self.inputs), self.target)

    def to(self, device: torch.device) -> Rows:
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self.inputs, self.target))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Rows:
        return Rows(tuple(function(tensor) for tensor in self.inputs), function(self.target))


@dataclass
class Fit:
    """The course of a training; the network itself holds the best weights."""

    epochs: int = 0
    """The epochs after which the network had the weights that it ends with."""
    unit: str = "epoch"
    """What the losses are counted by: epochs, or the rounds of a solver."""
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = "all epochs done"


@dataclass(frozen=True)
class Options:
    """Where, how long and how visibly to train."""

    seed: int
    device: torch.device
    epochs: int | None = None
    """The most epochs of a network's schedule; the recipe's own number when None."""
    stop_after: int | None = None
    """The epochs to run of those in the schedule, or the rounds of a solver; all when None."""
    seconds: float = math.inf
    """The time after which training stops; an epoch that it cuts short counts as one."""
    behind: float = math.inf
    """A validation loss; a network that is above it after half of its epochs is stopped."""
    tune: bool = False
    """True on the first fold: a solver may then choose its settings, which all later fits have."""
    checkpoint: Path | None = None
    """The file to resume from and to write to; its folder must exist."""
    checkpoint_seconds: float = 10.0
    """About how often the checkpoint is written."""
    stream: bool = False
    """True to move rows to the device batch by batch even where it could hold them all."""
    note: Callable[[str], None] | None = None
    """Called with what a person should know, such as a damaged checkpoint."""
    report: Callable[[float, float], None] | None = None
    """Called several times in a second with the epochs, or rounds of a solver, so far and in all.

    An exception from it stops the training where it can be resumed, as a machine that is about to be reclaimed needs.
    """


class Dropout(nn.Module):
    """Dropout in x[k, b, h] with one mask for all k members: drawing random numbers costs as much as a matrix product here."""

    generator: torch.Generator | None = None
    """That of the training that the network is in: several may run at the same time."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        mask = torch.empty_like(x[0]).bernoulli_(1 - self.rate, generator=self.generator).div_(1 - self.rate)
        return x * mask


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to train on: the one of that name, or for ``auto`` the first of cuda, mps and cpu.

    Raises:
        ValueError: this machine has no such device.
    """
    available = ["cuda"] if torch.cuda.is_available() else []
    available += ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    if name != "auto" and name not in available:
        raise ValueError(f"device {name!r} is not available here; available: {', '.join(available)}")
    return torch.device(available[0] if name == "auto" else name)


def order(seed: int, epoch: int, rows: int) -> Tensor:
    """Return the order int64[rows] of an epoch's rows: a pure function, so that a resumed epoch is the same epoch."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(rows))


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine to zero."""
    warmup = max(int(recipe.warmup * steps), 1)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def fits(rows: Rows, device: torch.device) -> bool:
    """Return whether the rows and a shuffled copy of them fit on the device and leave half of it free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return 2 * rows.bytes() < free // 2
    return 2 * rows.bytes() < 8 * 2**30


class _Run:
    """The state of one training, and the part of it that a checkpoint holds."""

    def __init__(self, network: nn.Module, rows: int, objective: Objective, recipe: Recipe, options: Options) -> None:
        self.network, self.objective, self.recipe, self.options = network, objective, recipe, options
        self.device = options.device
        self.steps_per_epoch = math.ceil(rows / recipe.batch_size)
        self.last_epoch = min(options.stop_after or recipe.epochs, recipe.epochs)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.generator = torch.Generator(self.device).manual_seed(options.seed)
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.epoch = self.step = 0
        self.fit = Fit()
        self.best: dict[str, Tensor] | None = None
        self.best_loss = math.inf
        self.finished = False
        self._last_save = time.monotonic()

    def set_generator(self, generator: torch.Generator | None) -> None:
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    def identity(self) -> dict[str, Any]:
        return {"recipe": asdict(self.recipe), "seed": self.options.seed, "steps_per_epoch": self.steps_per_epoch}

    def seconds(self, start: float) -> float:
        """Return how long the training took so far, with what came before a checkpoint; ``start`` is that of the epoch."""
        return parallel.agreed(self.fit.seconds + time.perf_counter() - start, self.device)

    def save_when_due(self) -> None:
        if time.monotonic() - self._last_save >= self.options.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, if there is to be one; a finished training needs its optimiser no more."""
        self._last_save = time.monotonic()
        state = {
            "identity": self.identity(),
            "network": self.network.state_dict(),
            "optimizer": None if self.finished else self.optimizer.state_dict(),
            "losses": self.losses,
            "epoch": self.epoch,
            "step": self.step,
            "fit": asdict(self.fit),
            "best": self.best,
            "best_loss": self.best_loss,
            "finished": self.finished,
            "random": self.generator.get_state(),
        }
        checkpoints.write(self.options.checkpoint, state, last=self.finished)

    def load(self) -> None:
        """Resume from the checkpoint; one of another training, or one that cannot be read, is ignored."""
        options = self.options
        state = checkpoints.read(options.checkpoint, self.identity(), self.device, options.note)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        if not state["finished"]:
            self.optimizer.load_state_dict(state["optimizer"])
        self.losses.copy_(state["losses"])
        self.epoch, self.step, self.finished = state["epoch"], state["step"], state["finished"]
        self.best_loss = state["best_loss"]
        self.best = None if state["best"] is None else {k: v.to(self.device) for k, v in state["best"].items()}
        self.fit = Fit(**state["fit"])
        self.generator.set_state(state["random"])


def fit(
    network: nn.Module,
    training: Rows,
    validation: Rows | None,
    objective: Objective,
    recipe: Recipe,
    options: Options,
) -> Fit:
    """Train ``network`` in place; it ends with its best weights on the validation rows, or without those with its last.

    Raises:
        Diverged: the loss is not finite; the message says where and what to try.
    """
    network.to(options.device).train()
    run = _Run(network, len(training), objective, recipe, options)
    run.load()
    resident = not options.stream and fits(training, options.device)
    rows = training.to(options.device) if resident else training
    held_out = validation.to(options.device) if validation else None
    run.set_generator(run.generator)
    while not run.finished:
        start = time.perf_counter()
        cut = _train_epoch(run, rows, resident, start)
        _finish_epoch(run, held_out)
        run.fit.seconds = run.seconds(start)
        if cut or (not run.finished and run.fit.seconds > options.seconds):
            run.finished, run.fit.stopped = True, OUT_OF_TIME
        run.save() if run.finished else run.save_when_due()
        _report(run)
    run.set_generator(None)
    if run.best is not None:
        network.load_state_dict(run.best)
    network.eval()
    return run.fit


def _report(run: _Run) -> None:
    if run.options.report:
        try:
            run.options.report(run.epoch + run.step / run.steps_per_epoch, run.last_epoch)
        except BaseException:
            run.save()
            raise


def _train_epoch(run: _Run, rows: Rows, resident: bool, start: float) -> bool:
    """Take the remaining steps of an epoch, in segments; return whether time ran out before the last."""
    positions = order(run.options.seed, run.epoch, len(rows))
    shuffled = rows.take(positions.to(run.device)) if resident else None
    while run.step < run.steps_per_epoch:
        stop = min(run.step + SEGMENT, run.steps_per_epoch)
        _take_steps(run, rows, shuffled, positions, stop)
        parallel.sum_over(run.losses[run.step : stop])
        _check_finite(run, stop)
        run.step = stop
        if stop < run.steps_per_epoch:
            if run.seconds(start) > run.options.seconds:
                return True
            run.save_when_due()
            _report(run)
    return False


def _take_steps(run: _Run, rows: Rows, shuffled: Rows | None, positions: Tensor, stop: int) -> None:
    """Take the steps up to ``stop``: forward, backward, clip, step; nothing waits for the device."""
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
            raw = network(*batch.inputs)
        value = run.objective.loss(raw.float(), batch.target)
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


def _finish_epoch(run: _Run, validation: Rows | None) -> None:
    """Record the losses, remember the weights if they are the best so far, decide whether training ends."""
    fit = run.fit
    fit.train_loss.append(float(run.losses[: run.step].mean()))
    run.epoch, run.step = run.epoch + 1, 0
    if validation is None:
        fit.epochs = run.epoch
    else:
        value = validation_loss(run.network, validation, run.objective)
        run.network.train()
        fit.validation_loss.append(value)
        if value < run.best_loss or run.best is None:
            run.best_loss, fit.epochs = value, run.epoch
            run.best = {k: v.detach().clone() for k, v in run.network.state_dict().items()}
        elif run.epoch - fit.epochs >= run.recipe.patience:
            run.finished, fit.stopped = True, CONVERGED
        half = run.recipe.epochs // 2
        if run.epoch == half >= FEWEST_EPOCHS and run.best_loss > run.options.behind:
            run.finished, fit.stopped = True, BEHIND
    run.finished = run.finished or run.epoch >= run.last_epoch


def validation_loss(network: nn.Module, rows: Rows, objective: Objective) -> float:
    """Return the loss that early stopping compares; the network is left without dropout."""
    return float(objective.validation_loss(raw_outputs(network, rows), rows.target))


@torch.no_grad()
def raw_outputs(network: nn.Module, rows: Rows, chunk: int = 8192) -> Tensor:
    """Return the raw outputs of all rows, without dropout, in float32 or better."""
    network.eval()
    device = next(network.parameters()).device
    starts = range(0, max(len(rows), 1), chunk)
    raw = torch.cat([network(*rows.slice(i, i + chunk).to(device).inputs) for i in starts])
    return raw.to(torch.promote_types(raw.dtype, torch.float32))
