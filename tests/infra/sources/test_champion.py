"""Champions: a small file that names a model, and what happens when either is damaged."""

import contextlib
import json
from dataclasses import asdict, replace

import pytest

from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.local import LocalStore
from infra.store.s3 import S3Store
from steps.errors import InputError

CHAMPION = Champion("flights", "flights-1", "k" * 64, "d" * 64, "1", "2026-01-01")


def test_a_champion_is_read_back_as_it_was_written(workspace):
    champions.write(LocalStore(workspace), CHAMPION)
    assert champions.read(LocalStore(workspace), "flights") == CHAMPION
    assert champions.read(LocalStore(workspace), "other") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": "flights"}'])
def test_a_damaged_file_is_named(workspace, text):
    (workspace / "champions").mkdir(parents=True)
    (workspace / "champions/flights.json").write_text(text)
    with pytest.raises(InputError, match=r"flights\.json: not readable as a champion"):
        champions.read(LocalStore(workspace), "flights")


def test_every_flipped_bit_of_the_file_is_noticed_or_harmless(workspace):
    store = LocalStore(workspace)
    champions.write(store, CHAMPION)
    content = store.get("champions/flights.json")
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        store.get = lambda _, content=bytes(flipped): content
        with contextlib.suppress(InputError):
            assert champions.read(store, "flights") == CHAMPION


def test_a_file_of_the_version_before_is_read(workspace):
    LocalStore(workspace).put("champions/flights.json", json.dumps(asdict(CHAMPION)).encode())
    assert champions.read(LocalStore(workspace), "flights") == CHAMPION


def test_the_champion_of_a_shared_store_is_that_of_every_machine(workspace, root):
    one, two = S3Store(workspace / "one", root), S3Store(workspace / "two", root)
    champions.write(LocalStore(two.workspace), replace(CHAMPION, run="own"))
    assert champions.read(two, "flights").run == "own", "as long as the store has none"
    champions.write(one, CHAMPION)
    assert champions.read(two, "flights") == CHAMPION
    assert champions.read(LocalStore(two.workspace), "flights") == CHAMPION, "for a report without a network"


def stores(place, workspace, root):
    """Two machines that share a store, or two processes of one workspace."""
    if place == "S3":
        return S3Store(workspace / "one", root), S3Store(workspace / "two", root)
    return LocalStore(workspace), LocalStore(workspace)


@pytest.mark.parametrize("place", ["a disk", "S3"])
def test_of_two_that_read_the_same_champion_only_the_first_replaces_it(place, workspace, root):
    one, two = stores(place, workspace, root)
    for before in (None, CHAMPION):
        first, second = replace(CHAMPION, run=f"first after {before}"), replace(CHAMPION, run="second")
        assert champions.write(one, first, before)
        assert not champions.write(two, second, before)
        assert champions.read(two, "flights") == champions.read(one, "flights") == first
        assert champions.write(two, CHAMPION, first)


def test_what_another_machine_wrote_between_reading_and_writing_stays(workspace, root, monkeypatch):
    one, two = stores("S3", workspace, root)
    champions.write(one, CHAMPION)
    other, read = replace(CHAMPION, run="other"), two.objects.read
    reads = []

    def read_and_lose(name):
        reads.append(read(name))
        if len(reads) == 3:  # the last before the write
            assert champions.write(one, other, CHAMPION)
        return reads[-1]

    monkeypatch.setattr(two.objects, "read", read_and_lose)
    assert not champions.write(two, replace(CHAMPION, run="mine"), CHAMPION)
    assert champions.read(two, "flights") == other


def test_a_champion_that_only_the_workspace_has_is_replaced_in_the_store(workspace, root):
    store = S3Store(workspace, root)
    champions.write(LocalStore(workspace), CHAMPION)
    assert champions.write(store, replace(CHAMPION, run="next"), CHAMPION)
    assert store.objects.get("champions/flights.json") == LocalStore(workspace).get("champions/flights.json")
