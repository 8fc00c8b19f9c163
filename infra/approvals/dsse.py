"""Signed envelopes in one canonical form, so that no byte of one can change unnoticed.

The form is DSSE 1.0 (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md) around an in-toto statement: what is
signed is the payload with its type and both lengths, so that it cannot be taken for anything else that a key has signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.approvals.keys import PublicKey, Signer

TYPE = "application/vnd.in-toto+json"
LARGEST = 4_000_000
"""Bytes of an envelope that are read."""


@dataclass(frozen=True)
class Envelope:
    """A payload and its signatures, of which nothing has been checked yet."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]
    """Id of the key and signature."""

    def signers(self, keys: Iterable[PublicKey]) -> set[str]:
        """Return the ids of those of the keys that have signed; a wrong signature of one counts as none."""
        by_id = {key.id: key for key in keys}
        message = preauthenticated(self.payload)
        return {
            name for name, signature in self.signatures if name in by_id and by_id[name].verifies(signature, message)
        }


def preauthenticated(payload: bytes) -> bytes:
    """Return what is signed for a payload: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def seal(payload: bytes, signer: Signer) -> bytes:
    """Return the payload in an envelope that the signer has signed: one line of JSON, without its end."""
    signature = signer.sign(preauthenticated(payload))
    return canonical(
        {
            "payloadType": TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": signer.public.id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def unseal(line: bytes) -> Envelope:
    """Return the envelope in a line.

    Raises:
        ValueError: it is none, or is written otherwise than :func:`seal` writes it.
    """
    if len(line) > LARGEST:
        raise ValueError(f"it has {len(line):,} bytes; an envelope has at most {LARGEST:,}")
    content = canonical_json(line)
    if not isinstance(content, dict) or content.keys() != {"payloadType", "payload", "signatures"}:
        raise ValueError("it is no envelope of payloadType, payload and signatures")
    if content["payloadType"] != TYPE:
        raise ValueError(f"its payloadType is {content['payloadType']!r:.60}, not {TYPE}")
    signatures = content["signatures"]
    if not isinstance(signatures, list) or not signatures:
        raise ValueError("it has no signatures")
    pairs = []
    for entry in signatures:
        if not isinstance(entry, dict) or entry.keys() != {"keyid", "sig"} or not isinstance(entry["keyid"], str):
            raise ValueError("a signature is not a pair of keyid and sig")
        pairs.append((entry["keyid"], _bytes(entry["sig"])))
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key has signed it twice")
    return Envelope(_bytes(content["payload"]), tuple(pairs))


def canonical(content: Any) -> bytes:
    """Return JSON in the one form that envelopes and statements have: sorted keys, no spaces, UTF-8."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def canonical_json(data: bytes) -> Any:
    """Return the value of JSON in canonical form.

    Raises:
        ValueError: it is not JSON, or in another form: with spaces, a key twice, other escapes.
    """
    try:
        content = json.loads(data)
        same = canonical(content) == data
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not same:
        raise ValueError("it is not in canonical form (sorted keys, no spaces, UTF-8)")
    return content


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{text!r:.40} is not base64")  # noqa: TRY004
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{text[-20:]!r} is not canonical base64")
    return data
