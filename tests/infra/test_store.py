"""An execution is published whole or not at all, and verified before it is read."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from infra.store import CorruptExecution, LocalStore, Manifest

KEY = "a" * 64


def publish(store, key=KEY, text="content"):
    with store.working(key) as directory:
        (directory / "table").mkdir()
        (directory / "table/data.txt").write_text(text)
        (directory / "journal.jsonl").write_text('{"kind":"note"}\n')
        store.publish(directory, Manifest(key=key, step="ingest", ingredients={"python": "3.11"}))


def test_what_was_published_is_found_and_read_back(workspace):
    store = LocalStore(workspace)
    assert store.find(KEY) is None
    publish(store)
    assert store.find(KEY).files.keys() == {"table/data.txt"}
    assert (store.open(KEY, "table") / "data.txt").read_text() == "content"


def test_a_flipped_bit_is_noticed_before_the_file_is_read(workspace):
    publish(LocalStore(workspace))
    (workspace / "store" / KEY / "table/data.txt").write_text("cOntent")
    with pytest.raises(CorruptExecution, match=r"data\.txt differs from its manifest"):
        LocalStore(workspace).open(KEY, "table")


def test_a_missing_file_is_noticed(workspace):
    publish(LocalStore(workspace))
    (workspace / "store" / KEY / "table/data.txt").unlink()
    with pytest.raises(CorruptExecution, match="is missing"):
        LocalStore(workspace).open(KEY, "table")


def test_a_manifest_that_is_no_manifest_is_put_aside(workspace):
    store = LocalStore(workspace)
    publish(store)
    (workspace / "store" / KEY / "manifest.json").write_text("{")
    assert store.find(KEY) is None
    assert len(list((workspace / "quarantine").iterdir())) == 1
    publish(store)
    assert store.find(KEY) is not None


def test_looking_at_a_manifest_that_is_none_changes_nothing(workspace):
    store = LocalStore(workspace)
    assert store.look(KEY) is None
    publish(store)
    assert store.look(KEY) == store.find(KEY)
    for broken in ("{", "[]", "{}", json.dumps({"key": "b" * 64, "step": "ingest", "ingredients": {}})):
        (workspace / "store" / KEY / "manifest.json").write_text(broken)
        with pytest.raises(CorruptExecution, match=r"manifest\.json is"):
            store.look(KEY)
    assert (workspace / "store" / KEY / "table/data.txt").exists()
    assert not (workspace / "quarantine").exists()


def test_a_manifest_of_a_version_that_knows_more_is_a_manifest(workspace):
    store = LocalStore(workspace)
    publish(store)
    path = workspace / "store" / KEY / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "signed_by": "someone"}))
    store.verify(store.find(KEY))


def test_the_journal_is_verified_with_the_whole_execution_and_is_none_of_its_files(workspace):
    """It holds times, so it has a field of its own: two equal executions have equal files."""
    store = LocalStore(workspace)
    publish(store)
    manifest = store.find(KEY)
    assert manifest.files.keys() == {"table/data.txt"}
    assert manifest.journal.keys() == {"size", "sha256"}
    store.verify(manifest)
    (workspace / "store" / KEY / "journal.jsonl").write_text('{"kind":"metric"}\n')
    for prefix in ("", "journal.jsonl"):
        with pytest.raises(CorruptExecution, match=r"journal\.jsonl differs from its manifest"):
            store.verify(manifest, prefix)
    assert (store.open(KEY, "table") / "data.txt").read_text() == "content"


def test_every_file_of_a_publication_is_flushed_to_the_disk_before_it_is_seen(workspace, monkeypatch):
    flushed, flush = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (flushed.add(os.fstat(number).st_ino), flush(number)))
    publish(LocalStore(workspace))
    directory = workspace / "store" / KEY
    made = [workspace / "store", directory, *directory.rglob("*")]
    assert {path.name for path in made if path.stat().st_ino not in flushed} == set()


def test_what_lost_its_manifest_is_put_aside_and_published_again(workspace):
    store = LocalStore(workspace)
    publish(store, text="first")
    (workspace / "store" / KEY / "manifest.json").unlink()
    assert store.find(KEY) is None
    publish(store, text="second")
    assert (store.open(KEY, "table") / "data.txt").read_text() == "second"
    assert len(list((workspace / "quarantine").iterdir())) == 1


def test_a_second_publication_of_a_key_changes_nothing(workspace):
    store = LocalStore(workspace)
    publish(store, text="first")
    publish(store, text="second")
    assert (store.open(KEY, "table") / "data.txt").read_text() == "first"
    assert list((workspace / "working").iterdir()) == []


def _race(workspace, text):
    publish(LocalStore(workspace), text=text)


def test_two_processes_that_race_publish_once(workspace):
    context = multiprocessing.get_context("spawn")
    racers = [context.Process(target=_race, args=(workspace, text)) for text in ("one", "two")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0]
    store = LocalStore(workspace)
    store.verify(store.find(KEY))


KILLED = """
import os, signal, sys
from pathlib import Path
import infra.files, infra.store
from infra.store import LocalStore, Manifest

count, at = 0, int(sys.argv[2])

def counted(call):
    def wrapper(*args, **kwargs):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapper

for name in ("fsync", "open", "close"):
    setattr(os, name, counted(getattr(os, name)))
for name in ("rename", "replace", "open", "mkdir"):
    setattr(Path, name, counted(getattr(Path, name)))

store = LocalStore(Path(sys.argv[1]))
with store.working("a" * 64) as directory:
    (directory / "table").mkdir()
    (directory / "table/data.txt").write_text("content")
    store.publish(directory, Manifest(key="a" * 64, step="ingest", ingredients={}))
print(count)
"""


def test_killed_at_every_point_of_a_publication_it_is_there_whole_or_not_at_all(workspace, tmp_path):
    """kill -9 before each system call that publishing makes; afterwards the same work can be done again."""
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    at, seen = 1, set()
    while True:
        place = workspace / str(at)
        done = subprocess.run(
            [sys.executable, script, str(place), str(at)], capture_output=True, text=True, cwd=Path.cwd(), check=False
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        store = LocalStore(place)
        manifest = store.find(KEY)
        seen.add(manifest is not None)
        if manifest:
            store.verify(manifest)
        store.sweep()
        assert list(place.glob("working/*")) == []
        publish(store)
        store.verify(store.find(KEY))
        at += 1
    assert at > 8
    assert seen == {True, False}


def test_sweeping_leaves_alone_what_a_living_process_works_on(workspace):
    store = LocalStore(workspace)
    with store.lock(KEY), store.working(KEY) as directory:
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; from infra.store import LocalStore; LocalStore(Path(sys.argv[1])).sweep()",
                workspace,
            ],
            check=True,
        )
        assert directory.exists()


def test_checkpoints_go_when_the_step_is_published(workspace):
    store = LocalStore(workspace)
    (store.scratch(KEY, "checkpoints") / "c.pt").write_text("state")
    publish(store)
    assert not (workspace / "scratch" / KEY).exists()


def age(directory, days):
    before = time.time() - days * 24 * 3600
    for path in (*directory.rglob("*"), directory):
        os.utime(path, (before, before))


def test_checkpoints_that_nobody_came_back_for_are_swept_after_two_weeks(workspace):
    store = LocalStore(workspace)
    keys = {name: name[0] * 64 for name in ("abandoned", "held", "recent", "touched")}
    for key in keys.values():
        (store.scratch(key, "checkpoints") / "c.pt").write_text("state")
        age(workspace / "scratch" / key, 13 if key == keys["recent"] else 15)
    (workspace / "scratch" / keys["touched"] / "checkpoints" / "c.pt").write_text("later")
    with store.lock(keys["held"]):
        LocalStore(workspace).sweep()
    left = {path.name for path in (workspace / "scratch").iterdir()}
    assert left == {keys["held"], keys["recent"], keys["touched"]}
