"""An envelope has one form, and only its signer's key verifies it."""

import base64
import json

import pytest
import signed
from hypothesis import given
from hypothesis import strategies as st

from infra.approvals import dsse

SEALED = dsse.seal(b'{"a":1}', signed.signer(1))
KEYS = [signed.signer(seed).public for seed in (1, 2)]


def test_what_is_signed_is_the_encoding_of_the_protocol():
    """The example of the protocol: the type and the payload with their lengths in bytes."""
    assert dsse.preauthenticated(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"


def test_an_envelope_names_its_signer_among_the_keys():
    envelope = dsse.unseal(SEALED)
    assert envelope.payload == b'{"a":1}'
    assert envelope.signers(KEYS) == {KEYS[0].id}
    assert envelope.signers(KEYS[1:]) == set()


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_of_an_envelope_can_change(place, difference):
    data = bytearray(SEALED)
    data[place] ^= difference
    try:
        signers = dsse.unseal(bytes(data)).signers(KEYS)
    except ValueError:
        signers = set()
    assert signers == set()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[]", "no envelope"),
        (b"{", "Expecting"),
        (json.dumps(json.loads(SEALED)).encode(), "not in canonical form"),
        (
            SEALED.replace(b'"payloadType":"application/vnd.in-toto+json"', b'"payloadType":"text"'),
            "payloadType is 'text'",
        ),
        (b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}', "no signatures"),
        (b"[" * 100_000, "nested too deeply|Expecting|recursion"),
        (b" " * (dsse.LARGEST + 1), "an envelope has at most"),
    ],
)
def test_what_is_no_envelope_is_refused_with_its_fault(line, message):
    with pytest.raises(ValueError, match=message):
        dsse.unseal(line)


def test_a_key_signs_an_envelope_once():
    content = json.loads(SEALED)
    content["signatures"] *= 2
    with pytest.raises(ValueError, match="signed it twice"):
        dsse.unseal(dsse.canonical(content))


def test_base64_has_one_form():
    content = json.loads(SEALED)
    content["payload"] = base64.b64encode(b"a").decode().replace("YQ==", "YR==")
    with pytest.raises(ValueError, match="canonical base64"):
        dsse.unseal(dsse.canonical(content))
