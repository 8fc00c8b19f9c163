"""Several processes make the steps that one would make, and end with the same weights."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_code import parallel

CPU = torch.device("cpu")
ROWS = (300, 33)
"""33 rows: batches of 16 or 17, so the shares are not even."""
SCRIPT = """
import os, sys, torch
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import test_training as t
from model_code import parallel
torch.set_num_threads(1)
class Plain(t.Network):
    def __init__(self):
        super().__init__()
        self.layers[2].p = 0.0
t.Network = Plain
with parallel.joined():
    rank = parallel.rank()
    for rows in {rows}:
        path = Path(sys.argv[1]) / str(rows)
        checkpoint = path / f"of-{{rank}}.pt"
        network, done = t.trained(training=t.rows(rows), checkpoint=checkpoint, checkpoint_seconds=0.0)
        torch.save(network.state_dict(), path / f"{{parallel.size()}}-{{rank}}.pt")
        (path / f"{{parallel.size()}}-{{rank}}.txt").write_text(f"{{done.seconds}} {{checkpoint.exists()}}")
os._exit(0)  # as infra.container.processes.leave: torch's threads may abort an interpreter that shuts down
"""


def train(folder, processes):
    """Train on each number of rows, one process or two of them."""
    for rows in ROWS:
        (folder / str(rows)).mkdir(parents=True)
    tests = Path(__file__).resolve().parent
    script = folder / "script.py"
    script.write_text(SCRIPT.format(root=str(tests.parents[1]), here=str(tests), rows=ROWS))
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    subprocess.run([sys.executable, *launcher, str(script), str(folder)], check=True, env=environment, timeout=200)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where one process trained and where two did."""
    folders = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    for processes, folder in enumerate(folders, 1):
        train(folder, processes)
    return folders


@pytest.mark.parametrize("rows", ROWS)
def test_two_processes_end_where_one_does(places, rows):
    alone, together = (folder / str(rows) for folder in places)
    one = torch.load(alone / "1-0.pt", weights_only=True)
    first, second = (torch.load(together / f"2-{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, weights in one.items():
        assert torch.equal(first[name], second[name]), "both processes hold the same bits"
        torch.testing.assert_close(first[name], weights, rtol=1e-3, atol=1e-4)
    seconds = [(together / f"2-{rank}.txt").read_text().split() for rank in (0, 1)]
    assert seconds[0][0] == seconds[1][0], "time is what rank 0 measured, so both stop at once"
    assert [exists for _, exists in seconds] == ["True", "False"], "one process writes checkpoints"


def test_alone_everything_is_the_identity():
    network = torch.nn.Linear(2, 1)
    network(torch.ones(3, 2)).sum().backward()
    before = network.weight.grad.clone()
    parallel.sum_gradients(list(network.parameters()))
    assert torch.equal(network.weight.grad, before)
    assert parallel.share(10, 17) == (10, 17)
    assert parallel.agreed(1.5, CPU) == 1.5
    assert parallel.agreed_bytes(b"x", CPU) == b"x"
    with parallel.joined():
        assert (parallel.rank(), parallel.size()) == (0, 1)
