"""Champions: a small file that names a model, and what happens when either is damaged."""

import pytest

from infra.sources import champion as champions
from infra.sources.champion import Champion
from steps.errors import InputError

CHAMPION = Champion("flights", "flights-1", "k" * 64, "d" * 64, "1", "2026-01-01")


def test_a_champion_is_read_back_as_it_was_written(workspace):
    champions.write(workspace, CHAMPION)
    assert champions.read(workspace, "flights") == CHAMPION
    assert champions.read(workspace, "other") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": "flights"}'])
def test_a_damaged_file_is_named(workspace, text):
    (workspace / "champions").mkdir(parents=True)
    (workspace / "champions/flights.json").write_text(text)
    with pytest.raises(InputError, match=r"flights\.json: not readable as a champion"):
        champions.read(workspace, "flights")
