"""A folder in place of S3 answers as S3 does, which moto stands for."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.s3.folder import FolderObjects
from infra.s3.objects import Absent, Conflict, Objects
from steps.errors import FourscoreError


@pytest.fixture(params=["folder", "moto"])
def objects(request, tmp_path):
    """Objects below a prefix with a blank and a letter outside ASCII."""
    if request.param == "moto":
        return Objects(request.getfixturevalue("root"))
    return FolderObjects("s3://lake/a b/ü/", tmp_path / "s3")


def test_what_is_written_is_read_and_listed(objects):
    for name in ("b", "a/c d", "a b", "aa"):
        assert objects.put(name, name.encode())
    listing = objects.list("")
    assert sorted(listing) == ["a b", "a/c d", "aa", "b"]
    assert {name: entry.size for name, entry in listing.items()} == {"a b": 3, "a/c d": 5, "aa": 2, "b": 1}
    assert all(-2 <= entry.age < 60 for entry in listing.values())
    (entry,) = objects.list("a/").items()
    assert (entry[0], entry[1].name) == ("c d", "a/c d")
    assert objects.get("a/c d") == b"a/c d"
    assert objects.get("nothing") is objects.get("a") is None
    assert objects.list("nothing/") == {}


def test_an_object_is_replaced_and_where_absence_is_a_condition_it_is_not(objects):
    assert objects.put("x", b"1", absent=True)
    assert not objects.put("x", b"2", absent=True)
    assert objects.get("x") == b"1"
    assert objects.put("x", b"2")
    assert objects.get("x") == b"2"


def test_an_object_is_deleted_only_in_the_version_that_was_read(objects):
    objects.put("x", b"1")
    old = objects.list("")["x"].tag
    objects.put("x", b"2")
    objects.delete("x", old)
    assert objects.get("x") == b"2"
    objects.delete("x", objects.list("")["x"].tag)
    assert objects.get("x") is None
    objects.delete("x", old)


def test_of_many_who_replace_one_version_one_does(objects):
    objects.put("x", b"1")
    tag = objects.list("")["x"].tag
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: objects.put("x", b"%d" % number, tag=tag), range(10, 20)))
    assert results.count(True) == 1
    assert objects.get("x") == b"%d" % (10 + results.index(True))
    assert not objects.put("nothing", b"", tag=tag)


def test_below_the_store_the_first_of_many_writers_wins(objects):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: objects.put("store/key/manifest.json", b"%d" % number), range(24)))
    assert results.count(True) == 1
    assert objects.get("store/key/manifest.json") == b"%d" % results.index(True)


def test_files_are_compared_by_their_digest(objects, tmp_path):
    contents = {"small": b"s", "empty": b"", "deep/large": bytes(range(256)) * 4096}
    files = {f"store/{name}": tmp_path / name for name in contents}
    entries = {}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
        entries[f"store/{name}"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    objects.upload(files, entries)
    assert all(objects.holds(name, entry) for name, entry in entries.items())
    assert not objects.holds("store/small", entries["store/small"] | {"sha256": "0" * 64})
    assert not objects.holds("store/other", entries["store/small"])
    with pytest.raises(Conflict):
        objects.upload(files, entries)
    objects.download({f"store/{name}": tmp_path / "back" / name for name in contents})
    assert {name: (tmp_path / "back" / name).read_bytes() for name in contents} == contents
    with pytest.raises(Absent):
        objects.download({"store/other": tmp_path / "other"})


def test_a_file_that_is_not_that_of_its_entry_is_refused(tmp_path):
    """As S3 does by the checksum; moto does not."""
    objects = FolderObjects("s3://lake/", tmp_path / "s3")
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(FourscoreError, match="changed while it was copied"):
        objects.upload({"x": tmp_path / "x"}, {"x": {"size": 1, "sha256": "0" * 64}})
    assert objects.get("x") is None
