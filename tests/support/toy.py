"""A pipeline of three trivial steps that can be told to fail in every way."""

import errno
import os
import sys
import time
from pathlib import Path
from typing import Literal

from infra.backends.local import LocalBackend
from infra.runs import records
from infra.runs.records import RunRecord
from infra.store.local import LocalStore
from pipelines.plan import make_plan
from steps.core import Config, Input, Output, Pipeline, step
from steps.errors import GateRefused, InputError
from steps.journal import Journal


class StartConfig(Config):
    text: str = "x"


class DoubleConfig(Config):
    times: int = 2
    refuse: bool = False
    fail: Literal["", "input", "defect", "disk", "interrupt"] = ""
    sleep: float = 0


class JudgeConfig(Config):
    reject: bool = False


def start(started: Output, config: StartConfig, log: Journal) -> None:
    (started / "x.txt").write_text(config.text)


def double(started: Input, doubled: Output, test_set: Output, config: DoubleConfig, log: Journal) -> None:
    text = (started / "x.txt").read_text()
    (doubled / "x.txt").write_text(text * config.times)
    (test_set / "secret.txt").write_text("sealed")
    log.metric("data/rows", config.times)
    time.sleep(config.sleep)
    if config.fail == "input":
        raise InputError("bad input")
    if config.fail == "defect":
        raise ZeroDivisionError("a defect")
    if config.fail == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if config.fail == "interrupt":
        raise KeyboardInterrupt
    if config.refuse:
        raise GateRefused("too many")


def judge(doubled: Input, test_set: Input, judged: Output, config: JudgeConfig, log: Journal) -> None:
    (judged / "y.txt").write_text((doubled / "x.txt").read_text())
    log.verdict("rejected" if config.reject else "pass", ["not good enough"] if config.reject else [])


CHAIN = Pipeline("toy", step(start), step(double), step(judge))
TOY = {"start": StartConfig, "double": DoubleConfig, "judge": JudgeConfig}


def toy_plan(workspace, settings, until=None):
    configs = {name: config(**settings.get(name, {})) for name, config in TOY.items()}
    return make_plan(CHAIN, configs, {}, LocalStore(workspace), "toy", until)


def toy_record(plan, run="toy-1"):
    stages = [planned.record() for planned in plan.steps]
    return RunRecord(
        run, "toy", "toy.yaml", {}, {}, smoke=False, status="running", started=records.now(), stages=stages
    )


def one_of_two(workspace):
    """Run in a process of its own beside another (a process that is spawned imports no test file)."""
    plan = toy_plan(workspace, {"double": {"sleep": 0.5}})
    LocalBackend(LocalStore(workspace)).run(plan, toy_record(plan, f"run-{os.getpid()}"), lambda *_: None)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    long = toy_plan(place, {"double": {"sleep": 60}})
    with records.locked(records.lock_of(place, "toy-long")):
        LocalBackend(LocalStore(place)).run(long, toy_record(long, "toy-long"), lambda *_: None)
