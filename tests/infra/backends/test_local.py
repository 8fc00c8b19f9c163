"""The local backend: what is cached is not run, what fails leaves nothing half-written, two at once do the work once."""

import errno
import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import CHAIN, TOY, StartConfig, one_of_two, start, toy_plan, toy_record

from infra.backends.local import LocalBackend, full_disk
from infra.runs import records
from infra.store.ledger import divisions, ledgers
from infra.store.local import LocalStore
from pipelines.plan import make_plan
from steps.core import Config, Input, Output, Pipeline, Scratch, step
from steps.errors import FourscoreError, InputError, Interrupted
from steps.journal import Journal


def run(workspace, settings=None, record=None):
    events = []
    store = LocalStore(workspace)
    plan = toy_plan(workspace, settings or {})
    record = record or toy_record(plan)
    try:
        return LocalBackend(store).run(plan, record, lambda stage, event: events.append((stage, event))), events
    finally:
        (workspace / "heard.json").write_text(json.dumps(events))


def statuses(record):
    return {stage.name: stage.status for stage in record.stages}


def test_a_second_run_of_the_same_plan_runs_nothing(workspace):
    first, _ = run(workspace)
    assert set(statuses(first).values()) == {"ran"}
    second, _ = run(workspace)
    assert set(statuses(second).values()) == {"cached"}
    assert second.status == "pass"


def test_a_changed_setting_runs_the_step_that_has_it_and_those_that_read_from_it(workspace):
    run(workspace)
    record, _ = run(workspace, {"double": {"times": 3}})
    assert statuses(record) == {"start": "cached", "double": "ran", "judge": "ran"}


def test_a_gate_that_says_no_is_published_and_stops_the_run_now_and_the_next_time(workspace):
    record, _ = run(workspace, {"double": {"refuse": True}})
    assert record.status == "rejected"
    assert record.message == "too many"
    assert statuses(record) == {"start": "ran", "double": "refused", "judge": "skipped"}
    again, _ = run(workspace, {"double": {"refuse": True}})
    assert statuses(again) == {"start": "cached", "double": "refused", "judge": "skipped"}
    assert (LocalStore(workspace).open(again.stage("double").key, "doubled") / "x.txt").exists()


def test_a_rejection_does_not_stop_the_run_but_decides_it(workspace):
    record, _ = run(workspace, {"judge": {"reject": True}})
    assert statuses(record)["judge"] == "ran"
    assert (record.status, record.message) == ("rejected", "not good enough")


def test_a_wrong_input_found_inside_a_step_is_not_published(workspace):
    with pytest.raises(InputError, match="bad input"):
        run(workspace, {"double": {"fail": "input"}})
    (record,) = records.every(workspace)
    assert (record.status, record.stage("double").status, record.stage("judge").status) == (
        "error",
        "failed",
        "skipped",
    )
    assert LocalStore(workspace).find(record.stage("double").key) is None
    assert list((workspace / "working").iterdir()) == []


def test_a_defect_in_a_step_names_the_stage_and_keeps_the_details(workspace):
    with pytest.raises(ZeroDivisionError):
        run(workspace, {"double": {"fail": "defect"}})
    (record,) = records.every(workspace)
    assert "stage double broke: ZeroDivisionError" in record.message
    assert "Traceback" in (workspace / "runs" / f"{record.run}.traceback.txt").read_text()
    assert (workspace / record.stage("double").journal).exists()


def test_a_full_disk_is_said_in_plain_words(workspace):
    with pytest.raises(OSError, match="No space"):
        run(workspace, {"double": {"fail": "disk"}})
    (record,) = records.every(workspace)
    assert "no space left on the disk" in record.message
    assert LocalStore(workspace).find(record.stage("double").key) is None


def test_an_interrupted_run_says_so_and_leaves_nothing_half_written(workspace):
    with pytest.raises(Interrupted, match="interrupted in stage double"):
        run(workspace, {"double": {"fail": "interrupt"}})
    (record,) = records.every(workspace)
    assert (record.status, record.stage("double").status) == ("interrupted", "stopped")
    assert list((workspace / "working").iterdir()) == []


def test_an_input_that_rotted_on_disk_is_made_again(workspace):
    first, _ = run(workspace)
    started = workspace / "store" / first.stage("start").key / "started/x.txt"
    started.write_text("rot")
    record, events = run(workspace, {"double": {"times": 5}})
    assert statuses(record) == {"start": "ran", "double": "ran", "judge": "ran"}
    assert started.read_text() == "x"
    assert any("differs from its manifest" in event.get("text", "") for _, event in events)


@pytest.mark.parametrize("name", ["journal.jsonl", "manifest.json", "started/x.txt"])
def test_whatever_rotted_of_a_cached_stage_is_made_again(workspace, name):
    first, _ = run(workspace)
    path = workspace / "store" / first.stage("start").key / name
    path.write_bytes(path.read_bytes().replace(b"x", b"y").replace(b"s", b"t") + b"rot")
    record, _ = run(workspace)
    assert statuses(record) == {"start": "ran", "double": "cached", "judge": "cached"}
    assert b"rot" not in path.read_bytes()
    assert set(statuses(run(workspace)[0]).values()) == {"cached"}


def test_the_sealed_test_set_is_given_only_to_who_declares_it_and_every_reading_is_counted(workspace):
    record, _ = run(workspace)
    split = record.stage("double").key
    assert [line["step"] for line in ledgers(workspace)[split]] == ["judge"]
    run(workspace)
    assert len(ledgers(workspace)[split]) == 1, "a cached result reads nothing"
    run(workspace, {"judge": {"reject": True}})
    assert len(ledgers(workspace)[split]) == 2


def test_dividing_one_table_again_and_again_is_counted_too(workspace):
    first, _ = run(workspace)
    assert divisions(workspace, first.stage("double").key) == 1
    again, _ = run(workspace, {"double": {"times": 3}})
    assert divisions(workspace, again.stage("double").key) == 2


def test_two_runs_of_one_plan_at_once_do_the_work_once(workspace):
    context = multiprocessing.get_context("spawn")
    pair = [context.Process(target=one_of_two, args=(workspace,)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join()
    assert [process.exitcode for process in pair] == [0, 0]
    stages = [statuses(record)["double"] for record in records.every(workspace)]
    assert sorted(stages) == ["cached", "ran"]


def test_a_run_killed_with_minus_9_is_marked_at_the_next_start_and_swept(workspace):
    script = Path(__file__).parents[2] / "support/toy.py"
    process = subprocess.Popen([sys.executable, script, str(workspace)], stdout=subprocess.PIPE, cwd=Path.cwd())
    while not list(workspace.glob("working/*/journal.jsonl")) or "double" not in _running(workspace):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (record,) = records.mark_killed(workspace)
    assert (record.status, record.stage("double").status) == ("killed", "failed")
    assert records.mark_killed(workspace) == []
    again, _ = run(workspace, {})
    assert again.status == "pass"
    assert list((workspace / "working").iterdir()) == []


def _running(workspace):
    return [stage.name for record in records.every(workspace) for stage in record.stages if stage.status == "running"]


class Bound(Config):
    scratch_ignores = ("bound",)
    bound: int = 0
    text: str = ""


def attempt(started: Input, attempts: Output, notes: Scratch, config: Bound, log: Journal) -> None:
    """Count the attempts with the same notes."""
    with (notes / "attempts").open("a+") as file:
        file.write(f"{config.bound}\n")
    shutil.copy(notes / "attempts", attempts / "attempts")


def test_a_step_finds_its_scratch_files_again_where_only_what_they_do_not_depend_on_changed(workspace):
    store, pipeline = LocalStore(workspace), Pipeline("toy", step(start), step(attempt))

    def attempts(**settings):
        plan = make_plan(pipeline, {"start": StartConfig(), "attempt": Bound(**settings)}, {}, store, "toy")
        LocalBackend(store).run(plan, toy_record(plan), lambda *_: None)
        return store.file(plan.steps[-1].key, "attempts/attempts").read_text().split()

    assert attempts(bound=1) == ["1"]
    assert attempts(bound=2) == ["1", "2"]
    assert attempts(bound=2, text="other") == ["2"]


def test_a_living_run_is_not_marked_as_killed(workspace):
    plan = toy_plan(workspace, {})
    record = toy_record(plan)
    records.save(workspace, record)
    with records.locked(records.lock_of(workspace, record.run)):
        alive = subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path; from infra.runs import records; print(len(records.mark_killed(Path(sys.argv[1]))))", workspace],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert alive.stdout.strip() == "0"


def test_an_unknown_run_lists_the_newest_that_exist(workspace):
    run(workspace)
    with pytest.raises(FourscoreError, match=r"no run 'other'.*the newest are: toy"):
        records.load(workspace, "other")


def test_the_toy_pipeline_is_the_chain_that_these_tests_think_it_is():
    assert [step.name for step in CHAIN] == list(TOY)


def test_only_a_full_disk_is_called_full(workspace):
    assert "no space left" in full_disk(OSError(errno.ENOSPC, "No space left on device"), workspace)
    assert full_disk(OSError(errno.EROFS, "Read-only file system"), workspace) is None
    assert full_disk(ValueError("full"), workspace) is None
