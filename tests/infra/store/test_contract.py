"""The contract of every store, on a disk and on S3, where each name is a machine with its own workspace."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import published
import pytest
from published import KEY, publish, sealed

from infra.store.local import LocalStore
from infra.store.manifest import FORMAT, CorruptExecution, Manifest
from infra.store.s3 import S3Store

SCRIPT = Path(published.__file__)


class OnDisk:
    """All in one workspace."""

    def __init__(self, workspace, _root):
        self.workspace, self.root = workspace, "-"

    def place(self, _machine):
        return self.workspace

    def store(self, machine="one", below=""):
        return LocalStore(self.workspace / below)

    def write(self, name, content, below=""):
        (self.workspace / below / "store" / KEY / name).write_bytes(content)

    def remove(self, name):
        (self.workspace / "store" / KEY / name).unlink()

    def put_aside(self):
        return len(list((self.workspace / "quarantine").glob("*")))


class OnS3:
    """Machines without anything in common but the root."""

    def __init__(self, workspace, root):
        import boto3

        self.workspace, self.root, self.client = workspace, root, boto3.client("s3")

    def place(self, machine):
        return self.workspace / machine

    def store(self, machine="one", below=""):
        return S3Store(self.place(machine) / below, f"{self.root}{below}", patience=0, pause=0.1)

    def _key(self, name):
        return {"Bucket": "lake", "Key": f"{self.root.removeprefix('s3://lake/')}{name}"}

    def write(self, name, content, below=""):
        self.client.put_object(**self._key(f"{below}store/{KEY}/{name}"), Body=content)

    def remove(self, name):
        self.client.delete_object(**self._key(f"store/{KEY}/{name}"))

    def put_aside(self):
        prefix = self._key("quarantine/")["Key"]
        return len(self.client.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", []))


@pytest.fixture(params=[OnDisk, OnS3])
def shelf(request, workspace):
    root = request.getfixturevalue("root") if request.param is OnS3 else None
    return request.param(workspace, root)


def text_in(store):
    return (store.open(KEY, "table") / "data.txt").read_text()


def test_what_was_published_is_found_and_read_back(shelf):
    assert shelf.store().find(KEY) is None
    publish(shelf.store())
    manifest = shelf.store("two").find(KEY)
    assert manifest.files.keys() == {"table/data.txt"}
    assert manifest.ingredients == {"python": "3.11"}
    assert text_in(shelf.store("two")) == "content"


def test_an_artifact_without_files_comes_back_as_an_empty_directory(shelf):
    publish(shelf.store())
    assert list(shelf.store("two").open(KEY, "nothing").iterdir()) == []


def test_directories_without_files_and_files_without_bytes_come_back_under_whatever_name(shelf):
    names = ["a b/ü#%+&?=.txt", "'quoted\"/\\back", "~$!*(),;@", "a/deep/er/file"]
    store = shelf.store()
    with store.working(KEY) as directory:
        for name in names:
            path = directory / "odd" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (directory / "odd/empty.csv").touch()
        (directory / "odd/a b/no files").mkdir()
        store.publish(directory, Manifest(key=KEY, step="ingest", ingredients={}, verdict="pass"))
    opened = shelf.store("two").open(KEY, "odd")
    files = {path.relative_to(opened).as_posix(): path for path in opened.rglob("*") if not path.is_dir()}
    assert {name: path.read_text() for name, path in files.items()} == {**{n: n for n in names}, "empty.csv": ""}
    assert (opened / "a b/no files").is_dir()


def test_one_file_is_had_without_its_artifact(shelf):
    publish(shelf.store())
    store = shelf.store("two")
    assert store.file(KEY, "table/data.txt").read_text() == "content"
    assert store.file(KEY, "journal.jsonl").read_text() == '{"kind":"note"}\n'
    assert not store.file(KEY, "table/other.txt").exists()
    assert text_in(store) == "content"
    assert store.file(KEY, "table/data.txt") == store.open(KEY, "table") / "data.txt"


def test_the_directory_of_an_execution_has_its_manifest_its_journal_and_what_was_opened(shelf):
    publish(shelf.store())
    store = shelf.store("two")
    store.find(KEY)
    store.open(KEY, "table")
    assert {path.name for path in store.directory(KEY).iterdir()} >= {"manifest.json", "journal.jsonl", "table"}
    assert store.directory(KEY).is_relative_to(store.workspace)


def test_a_second_publication_of_a_key_changes_nothing(shelf):
    first = publish(shelf.store(), "first")
    assert publish(shelf.store(), "second").files == first.files
    assert publish(shelf.store("two"), "third").files == first.files
    assert {text_in(shelf.store(machine)) for machine in ("one", "two", "three")} == {"first"}
    assert list(shelf.store().workspace.glob("working/*")) == []


def test_pushing_what_is_shared_already_changes_nothing(shelf):
    manifest_ = publish(shelf.store())
    for machine in ("one", "two", "two"):
        assert shelf.store(machine).push(KEY) == manifest_
    with pytest.raises(CorruptExecution, match="bbbbbbbbbbbb is"):
        shelf.store().push("b" * 64)


def test_looking_changes_nothing(shelf):
    assert shelf.store("two").look(KEY) is None
    publish(shelf.store())
    before = sorted(shelf.place("two").rglob("*"))
    assert shelf.store("two").look(KEY).files.keys() == {"table/data.txt"}
    shelf.write("manifest.json", b"{")
    with pytest.raises(CorruptExecution, match=r"manifest\.json is not a manifest"):
        shelf.store("two").look(KEY)
    assert sorted(shelf.place("two").rglob("*")) == before
    assert shelf.put_aside() == 0


@pytest.mark.parametrize("content", [b"cOntent", b"content and more", b""])
def test_a_file_that_is_not_what_was_published_is_noticed_before_it_is_read(shelf, content):
    publish(shelf.store())
    shelf.write("table/data.txt", content)
    store = shelf.store("two")
    with pytest.raises(CorruptExecution, match=r"data\.txt differs from its manifest \(stage ingest\)"):
        store.open(KEY, "table")
    with pytest.raises(CorruptExecution, match=r"data\.txt differs from its manifest"):
        store.verify(store.find(KEY))


def test_a_missing_file_is_noticed(shelf):
    publish(shelf.store())
    shelf.remove("table/data.txt")
    with pytest.raises(CorruptExecution, match=r"data\.txt is missing"):
        shelf.store("two").open(KEY, "table")


def test_what_is_broken_is_put_aside_and_published_again(shelf):
    publish(shelf.store(), "first")
    shelf.write("table/data.txt", b"other")
    store = shelf.store("two")
    with pytest.raises(CorruptExecution):
        store.open(KEY, "table")
    store.quarantine(KEY)
    assert shelf.put_aside() == 1
    assert store.find(KEY) is None
    publish(store, "second")
    assert text_in(shelf.store("three")) == "second"


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        "{}",
        '{"key": 1}',
        json.dumps({"key": "b" * 64, "step": "ingest", "ingredients": {}}),
        json.dumps({"key": KEY, "step": "ingest", "ingredients": {}, "files": {"../x": {"size": 1, "sha256": ""}}}),
    ],
)
def test_a_manifest_that_is_none_counts_as_not_published(shelf, broken):
    publish(shelf.store())
    shelf.write("manifest.json", broken.encode())
    store = shelf.store("two")
    assert store.find(KEY) is None
    assert shelf.put_aside() == 1
    publish(store, "again")
    assert text_in(shelf.store("three")) == "again"


def test_a_manifest_of_a_version_that_knows_more_is_a_manifest(shelf):
    publish(shelf.store())
    content = json.loads((shelf.store().directory(KEY) / "manifest.json").read_text())
    shelf.write("manifest.json", sealed({**content, "format": FORMAT + 1, "signed_by": "someone"}))
    shelf.store("two").verify(shelf.store("two").find(KEY))


@pytest.mark.parametrize("texts", [("one", "one"), ("one", "two")])
def test_processes_that_race_publish_once(shelf, texts):
    """Also where they come to other files, as trainings on different hardware may."""
    racers = [
        subprocess.Popen([sys.executable, SCRIPT, "race", shelf.place(f"m{number}"), shelf.root, text])
        for number, text in enumerate(texts)
    ]
    assert [racer.wait() for racer in racers] == [0, 0]
    check_that_all_read_the_same(shelf, texts)


def check_that_all_read_the_same(shelf, texts):
    machines = [*(f"m{number}" for number in range(len(texts))), "another"]
    for machine in machines:
        shelf.store(machine).verify(shelf.store(machine).find(KEY))
    (read,) = {text_in(shelf.store(machine)) for machine in machines}
    assert read in texts


def test_killed_at_every_point_of_a_publication_it_is_there_whole_or_not_at_all(shelf, workspace):
    """kill -9 before each system call (disk), before and after each request (S3); then the same work can be done again.

    A store on S3 publishes on the disk first, by the same calls; from then on only its requests change anything.
    """
    result = subprocess.run(
        [sys.executable, SCRIPT, "killed", shelf.place("one"), shelf.root], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    points, outcomes = int(result.stdout), set()
    for number in range(1, points + 1):
        below = f"{number}/"
        manifest = shelf.store("two", below).find(KEY)
        outcomes.add(manifest is not None)
        if manifest:
            shelf.store("two", below).verify(manifest)
        store = shelf.store("one", below)
        store.sweep()
        assert list(store.workspace.glob("working/*")) == []
        if number % 2:  # that machine goes on, or is gone for ever and another one does the work
            publish(store)
        else:
            publish(shelf.store("three", below), journal='{"kind":"note","later":true}\n')
        other = shelf.store("four", below)
        other.verify(other.find(KEY))
        shutil.rmtree(other.workspace, ignore_errors=True)
    assert points >= 8
    assert outcomes == {True, False}
