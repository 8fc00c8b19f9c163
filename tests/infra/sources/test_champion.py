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
    store, path = LocalStore(workspace), workspace / "champions/flights.json"
    champions.write(store, CHAMPION)
    content = path.read_bytes()
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(bytes(flipped))
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
