"""A manifest has a digest of itself, and nothing that it lacks decides."""

import json

import pytest
from published import KEY, sealed

from infra.store.manifest import FORMAT, CorruptExecution, Manifest, manifest_bytes, manifest_of

MANIFEST = Manifest(
    KEY, "validate", {"python": "3.11"}, "refused", ["too many"], {"a/ü.txt": {"size": 1, "sha256": "b" * 64}},
    {"size": 2, "sha256": "c" * 64}, "2025-06-01T10:00:00+00:00", "2025-06-01T10:01:00+00:00", 60.125, ["empty"],
)  # fmt: skip
BEFORE = {
    name: value for name, value in json.loads(manifest_bytes(MANIFEST)).items() if name not in ("format", "digest")
}


def read(content):
    return manifest_of(content if isinstance(content, bytes) else json.dumps(content).encode(), KEY, "manifest.json")


def test_a_manifest_is_read_as_it_was_written():
    assert read(manifest_bytes(MANIFEST)) == MANIFEST


def test_every_flipped_bit_is_noticed_or_harmless():
    content = manifest_bytes(MANIFEST)
    noticed = 0
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert read(bytes(flipped)) == MANIFEST
        except CorruptExecution:
            noticed += 1
    assert noticed > 0.9 * 8 * len(content)


@pytest.mark.parametrize("field", ["key", "step", "ingredients", "verdict", "files", "journal"])
def test_no_default_stands_for_a_field_that_is_missing(field):
    without = {name: value for name, value in json.loads(manifest_bytes(MANIFEST)).items() if name != field}
    for content in (without, json.loads(sealed(without))):
        with pytest.raises(CorruptExecution, match=field):
            read(content)


def test_a_field_that_its_own_format_does_not_have_is_refused():
    with pytest.raises(CorruptExecution, match=f"format {FORMAT} has no field 'werdict'"):
        read(sealed({**BEFORE, "format": FORMAT, "werdict": "pass"}))


@pytest.mark.parametrize("fields", [{}, {"format": 1}, {"format": "2"}])
def test_a_manifest_of_an_earlier_format_is_refused(fields):
    with pytest.raises(CorruptExecution, match=f"its format is .*, not {FORMAT} or later"):
        read(json.loads(sealed({**BEFORE, **fields})))


def test_a_later_format_has_a_digest_too_and_may_have_more_fields():
    later = {**BEFORE, "format": FORMAT + 1, "signed_by": "someone"}
    assert read(sealed(later)) == MANIFEST
    with pytest.raises(CorruptExecution, match="was changed"):
        read(later)


@pytest.mark.parametrize("verdict", ["", "Pass", "passed"])
def test_a_verdict_that_is_none_is_refused(verdict):
    with pytest.raises(CorruptExecution, match="verdict is"):
        read({**BEFORE, "verdict": verdict})
