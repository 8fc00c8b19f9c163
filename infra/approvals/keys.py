"""Keys that sign and verify: Ed25519 in an OpenSSH or PEM file, or in AWS KMS."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infra.files import arriving
from steps.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KMS = "awskms:"
"""How references to keys in AWS KMS begin; the id, ARN or alias of the key follows."""
OWN = Path("~/.config/fourscore/id_ed25519")
"""Where a key is made for a person who has none."""
PLACES = (OWN, Path("~/.ssh/id_ed25519"))
"""Where keys are looked for, in this order."""
PASSPHRASE = "FOURSCORE_KEY_PASSPHRASE"  # noqa: S105  the name of a variable


@dataclass(frozen=True)
class PublicKey:
    """A public key as OpenSSH writes it: ``ssh-ed25519 AAAA...``, without a comment."""

    text: str

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key in a line of a .pub file; what follows it is left out.

        Raises:
            ValueError: it is not an Ed25519 key.
        """
        words = text.split()
        if len(words) < 2 or words[0] != "ssh-ed25519":
            raise ValueError(f"{text[:40]!r} is no Ed25519 key; wanted is a line such as ssh-ed25519 AAAA...")
        key = cls(f"{words[0]} {words[1]}")
        _ = key._loaded  # it is refused where it is written, not where it verifies
        return key

    @cached_property
    def id(self) -> str:
        """The fingerprint that ``ssh-keygen -l`` shows."""
        blob = base64.b64decode(self.text.split()[1])
        return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")

    @cached_property
    def _loaded(self) -> Ed25519PublicKey:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key

        try:
            loaded = load_ssh_public_key(self.text.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"{self.text[:40]!r} is no Ed25519 key ({error})") from None
        assert isinstance(loaded, Ed25519PublicKey)
        return loaded

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether the signature is this key's, of this message."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._loaded.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Whoever has a private key."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""


@dataclass(frozen=True)
class FileSigner:
    """A private key in a file."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return _public_of(self.private.public_key())

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self.private.sign(message)
        return signature


@dataclass(frozen=True)
class KmsSigner:
    """A key of AWS KMS (key spec ECC_NIST_EDWARDS25519), which never leaves it."""

    client: Any
    key: str

    @cached_property
    def public(self) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        from infra.aws_errors import translate_aws_errors

        with translate_aws_errors(f"KMS key {self.key}"):
            answer = self.client.get_public_key(KeyId=self.key)
        loaded = load_der_public_key(answer["PublicKey"])
        if not isinstance(loaded, Ed25519PublicKey):
            raise InputError(f"KMS key {self.key} is of {answer.get('KeySpec')}; wanted is ECC_NIST_EDWARDS25519")
        return _public_of(loaded)

    def sign(self, message: bytes) -> bytes:
        from infra.aws_errors import translate_aws_errors

        with translate_aws_errors(f"KMS key {self.key}"):
            answer = self.client.sign(
                KeyId=self.key, Message=message, MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
            )
        signature: bytes = answer["Signature"]
        return signature


def signer(reference: str | None) -> Signer:
    """Return the signer of a reference: a file, or ``awskms:`` with the id of a key; None for the person's own key.

    Raises:
        InputError: there is no such key, it is of another kind, or its passphrase is wrong.
    """
    if reference and reference.startswith(KMS):
        return _in_kms(reference.removeprefix(KMS))
    if reference:
        return FileSigner(_private(Path(reference).expanduser()))
    places = [place.expanduser() for place in PLACES]
    own = next((place for place in places if place.is_file()), None)
    if own is None:
        listed = " nor ".join(map(str, PLACES))
        raise InputError(
            f"no key to sign with: neither {listed} is there; make one with 'fourscore approvers init' or "
            "'ssh-keygen -t ed25519', or name one with --key"
        )
    return FileSigner(_private(own))


def own_or_new(reference: str | None) -> tuple[Signer, Path | None]:
    """Return the signer of a reference, and the file of a key that was made since there was none.

    Raises:
        InputError: as :func:`signer`, but for a person who has no key yet.
    """
    if reference or any(place.expanduser().is_file() for place in PLACES):
        return signer(reference), None
    return FileSigner(_new(OWN.expanduser())), OWN.expanduser()


def _new(path: Path) -> Ed25519PrivateKey:
    """Make a key in a new file that only its owner can read, and the public key beside it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    content = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with arriving(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
    path.with_name(f"{path.name}.pub").write_text(f"{_public_of(private.public_key()).text} fourscore\n")
    return private


def _private(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"key {path} cannot be read: {error.strerror}") from None
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    passphrase = os.environ.get(PASSPHRASE)
    try:
        private = load(data, passphrase.encode() if passphrase else None)
    except TypeError as error:  # a passphrase is missing, or there is one and none is wanted
        if passphrase and "not encrypted" in str(error):
            private = load(data, None)
        else:
            raise InputError(f"key {path} is encrypted: put its passphrase into {PASSPHRASE}") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "; is the passphrase right?" if passphrase else ""
        raise InputError(f"key {path} cannot be read as a private key ({error}){hint}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"key {path} is no Ed25519 key; make one with: ssh-keygen -t ed25519")
    return private


def _public_of(key: Ed25519PublicKey) -> PublicKey:
    from cryptography.hazmat.primitives import serialization

    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return PublicKey(text.decode())


def _in_kms(key: str) -> KmsSigner:
    try:
        import boto3
    except ImportError:
        raise InputError("keys of AWS KMS want boto3: pip install 'fourscore[aws]'") from None
    region = key.split(":")[3] if key.startswith("arn:") and key.count(":") >= 4 else None
    return KmsSigner(boto3.client("kms", region_name=region), key)
