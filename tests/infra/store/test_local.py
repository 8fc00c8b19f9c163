"""Behaviour of the store on a disk beyond the contract in test_contract.py."""

import json
import os
import subprocess
import sys
import time

import pytest
from published import KEY, publish

from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution


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


ENTRY = {"size": 1, "sha256": "a" * 64}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", None),
        ("ingredients", []),
        ("verdict", {}),
        ("reasons", "too many"),
        ("reasons", [1]),
        ("files", ["table/data.txt"]),
        ("files", {"table/data.txt": 5}),
        ("files", {"table/data.txt": {}}),
        ("files", {"table/data.txt": ENTRY | {"size": "1"}}),
        ("files", {"table/data.txt": ENTRY | {"size": True}}),
        ("files", {"table/data.txt": ENTRY | {"sha256": None}}),
        ("journal", [1]),
        ("journal", {"size": 1}),
        ("started", 5),
        ("finished", None),
        ("seconds", "1"),
        ("directories", {}),
        ("directories", [["a"]]),
    ],
)
def test_a_manifest_whose_field_is_of_another_type_is_none_and_the_field_is_named(workspace, field, value):
    store = LocalStore(workspace)
    publish(store)
    path = workspace / "store" / KEY / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    path_name = "table/data.txt" if isinstance(value, dict) and field == "files" else field
    with pytest.raises(CorruptExecution, match=rf"manifest\.json is not a manifest \(.*{path_name}"):
        store.look(KEY)
    assert store.find(KEY) is None, "it is made again"


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
    directory, before, after, flush = workspace / "store" / KEY, set(), set(), os.fsync

    def note(number):
        (after if directory.exists() else before).add(os.fstat(number).st_ino)
        flush(number)

    monkeypatch.setattr(os, "fsync", note)
    publish(LocalStore(workspace))
    assert {path.name for path in (directory, *directory.rglob("*")) if path.stat().st_ino not in before} == set()
    assert directory.parent.stat().st_ino in after


def test_what_lost_its_manifest_is_put_aside_and_published_again(workspace):
    store = LocalStore(workspace)
    publish(store, text="first")
    (workspace / "store" / KEY / "manifest.json").unlink()
    assert store.find(KEY) is None
    publish(store, text="second")
    assert (store.open(KEY, "table") / "data.txt").read_text() == "second"
    assert len(list((workspace / "quarantine").iterdir())) == 1


def test_sweeping_leaves_alone_what_a_living_process_works_on(workspace):
    store = LocalStore(workspace)
    with store.lock(KEY), store.working(KEY) as directory:
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; from infra.store.local import LocalStore; LocalStore(Path(sys.argv[1])).sweep()",
                workspace,
            ],
            check=True,
        )
        assert directory.exists()


def test_half_written_files_of_killed_processes_are_swept(workspace):
    for name, age in (("runs/.a.json.1.tmp", 3600), ("runs/.b.json.2.tmp", 0), ("runs/c.json", 3600)):
        path = workspace / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    LocalStore(workspace).sweep()
    assert sorted(path.name for path in (workspace / "runs").iterdir()) == [".b.json.2.tmp", "c.json"]


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
