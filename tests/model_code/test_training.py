"""The loop: what it learns, when it stops, and that a killed training goes on to the same bits."""

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_code import training
from model_code.checkpoints import _last_whole
from model_code.tasks import heads
from model_code.training import Diverged, Dropout, Options, Recipe, Rows, choose_device, fit, fits, order, rate

CPU = torch.device("cpu")
RECIPE = Recipe(learning_rate=0.02, weight_decay=1e-4, batch_size=32, epochs=6, patience=3)


class Network(nn.Module):
    """Small, with dropout, so that the random state matters."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), Dropout(0.2), nn.Linear(16, 1))

    def forward(self, values):
        return self.layers(values).unsqueeze(1)


def rows(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 4, generator=generator)
    return Rows((values,), values[:, 0] - values[:, 1] * values[:, 2])


def trained(recipe=RECIPE, validation=True, training=None, **options):
    torch.manual_seed(0)
    network = Network()
    held_out = rows(100, 1) if validation else None
    objective = heads.create("regression", np.array([-1.0, 1.0]), ())
    options = Options(**{"seed": 3, "device": CPU, **options})
    return network, fit(network, training or rows(300), held_out, objective, recipe, options)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_an_epoch_takes_every_row_once_in_an_order_that_depends_on_seed_and_epoch_only():
    assert sorted(order(1, 2, 50).tolist()) == list(range(50))
    assert order(1, 2, 50).equal(order(1, 2, 50))
    assert not order(1, 2, 50).equal(order(1, 3, 50))
    assert not order(1, 2, 50).equal(order(2, 2, 50))


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = [rate(RECIPE, step, 100) for step in range(101)]
    assert rates[0] < rates[4] == max(rates) == RECIPE.learning_rate
    assert rates[100] == pytest.approx(0)
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))


def test_two_trainings_end_in_the_same_bits_and_the_loss_falls():
    first, course = trained()
    second, _ = trained()
    assert same(first, second)
    assert course.train_loss[-1] < course.train_loss[0]


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best_weights():
    recipe = Recipe(learning_rate=0.05, weight_decay=0.0, batch_size=8, epochs=200, patience=3)
    network, course = trained(recipe, training=rows(24))
    assert course.stopped == "validation loss no longer improves"
    assert len(course.validation_loss) == course.epochs + recipe.patience
    held_out = rows(100, 1)
    with torch.no_grad():
        loss = nn.functional.mse_loss(network.eval()(*held_out.inputs)[:, 0, 0], held_out.target)
    assert float(loss) == pytest.approx(min(course.validation_loss))


def test_without_validation_rows_it_runs_as_many_epochs_as_asked():
    _, course = trained(validation=False, stop_after=2)
    assert course.epochs == len(course.train_loss) == 2


def test_a_budget_of_no_time_still_finishes_one_epoch():
    _, course = trained(seconds=0.0)
    assert (course.epochs, course.stopped) == (1, "time budget")


def test_time_that_runs_out_within_an_epoch_ends_it_and_its_weights_are_judged():
    reports = []
    recipe = Recipe(learning_rate=0.02, weight_decay=1e-4, batch_size=1, epochs=6, patience=3)
    _, course = trained(recipe, seconds=0.0, report=lambda *epochs: reports.append(epochs))
    assert (course.epochs, course.stopped, reports) == (1, "time budget", [(1, 6)])
    _, whole = trained(recipe, stop_after=1)
    assert 0 < course.train_loss[0] != whole.train_loss[0]
    assert len(course.validation_loss) == 1


def test_a_network_that_is_behind_at_half_time_is_stopped_there():
    _, behind = trained(behind=1e-9)
    assert (len(behind.validation_loss), behind.stopped) == (3, "behind all others at half time")
    _, ahead = trained(behind=99.0)
    assert len(ahead.validation_loss) == 6


def test_a_diverged_loss_says_where_and_what_to_try():
    bad = rows(300)
    bad.inputs[0][17, 0] = math.inf
    with pytest.raises(
        Diverged, match=r"became (nan|inf).* epoch 1, step \d+ of 10, at learning rate .*try a smaller learning rate"
    ):
        trained(training=bad)


def test_rows_that_do_not_fit_on_the_device_are_streamed_to_the_same_result():
    resident, _ = trained()
    streamed, _ = trained(stream=True)
    assert same(resident, streamed)
    assert fits(rows(10), CPU)


def test_a_missing_device_is_named_with_those_that_are_there():
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(ValueError, match=f"'{missing}' is not available here; available: .*cpu"):
        choose_device(missing)


def test_a_finished_training_is_read_from_its_checkpoint(tmp_path):
    first, course = trained(checkpoint=tmp_path / "latest.pt")
    reports = []
    second, again = trained(checkpoint=tmp_path / "latest.pt", report=lambda *a: reports.append(a))
    assert same(first, second)
    assert (again, reports) == (course, [])


def test_a_training_that_its_report_stops_goes_on_from_that_very_epoch(tmp_path):
    def stop(epoch, *_):
        if epoch == 2:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "latest.pt"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=checkpoint, report=stop)
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 2
    assert same(trained(checkpoint=checkpoint)[0], trained()[0])


def test_a_checkpoint_of_another_training_or_a_broken_one_is_not_used(tmp_path):
    path = tmp_path / "latest.pt"
    plain, _ = trained()
    trained(Recipe(learning_rate=0.1, weight_decay=0.0, batch_size=16, epochs=2, patience=3), checkpoint=path)
    assert same(trained(checkpoint=path)[0], plain)
    path.write_bytes(path.read_bytes()[:100])
    assert same(trained(checkpoint=path)[0], plain)


def test_a_checkpoint_with_a_flipped_bit_is_not_used_but_the_one_before_and_that_is_said(tmp_path):
    def stop(epoch, *_):
        if epoch == 3:
            raise KeyboardInterrupt

    path, notes = tmp_path / "latest.pt", []
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, checkpoint_seconds=0.0, report=stop)
    content = path.read_bytes()
    for position in range(0, 8 * len(content), 8 * len(content) // 40):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(bytes(flipped))
        assert _last_whole(path, notes.append) == (tmp_path / "latest.pt.before").read_bytes()[:-64]
    assert set(notes) == {"checkpoint latest.pt is damaged and not used: training starts from an earlier one or anew"}
    assert same(trained(checkpoint=path)[0], trained()[0])


SCRIPT = """
import sys, time, torch
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import test_training as t
from model_code import training
torch.set_num_threads(1)
training.SEGMENT = 3  # checkpoints in the middle of an epoch, too
class Slow(t.Network):
    def forward(self, values):
        time.sleep(0.05)
        return super().forward(values)
t.Network = Slow
t.trained(checkpoint=Path(sys.argv[1]), checkpoint_seconds=0.0)
"""


def test_killed_and_run_again_it_ends_bit_equal_to_an_uninterrupted_run(tmp_path, monkeypatch):
    """A real process, killed with -9 in the middle of an epoch."""
    checkpoint = tmp_path / "latest.pt"
    tests = Path(__file__).resolve().parent
    script = SCRIPT.format(root=str(tests.parents[1]), here=str(tests))
    process = subprocess.Popen([sys.executable, "-c", script, str(checkpoint)])
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    state = torch.load(checkpoint, weights_only=True)
    assert not state["finished"]
    monkeypatch.setattr(training, "SEGMENT", 3)
    again, rest = trained(checkpoint=checkpoint, checkpoint_seconds=0.0)
    monkeypatch.undo()
    network, course = trained()
    assert (rest.train_loss, rest.validation_loss, rest.epochs) == (
        course.train_loss,
        course.validation_loss,
        course.epochs,
    )
    assert same(again, network)
