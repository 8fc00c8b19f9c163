"""Keys come from files that ssh-keygen or openssl wrote, or from AWS KMS; what is no Ed25519 key is named."""

import shutil
import subprocess

import boto3
import pytest
import signed
from botocore.stub import Stubber
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.approvals import keys
from steps.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_key_file_signs_and_its_public_line_verifies(tmp_path):
    signer = keys.signer(str(signed.key_file(tmp_path / "key", 3)))
    signature = signer.sign(b"message")
    public = keys.PublicKey.parse(f"{signer.public.text} somebody@somewhere")
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"massage")
    assert public == signer.public


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on this machine")
def test_a_key_of_ssh_keygen_has_the_fingerprint_that_it_shows(tmp_path):
    path = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    output = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True).stdout
    assert keys.signer(str(path)).public.id in output.split()


def test_an_encrypted_key_wants_its_passphrase(tmp_path, monkeypatch):
    path = str(signed.key_file(tmp_path / "key", 3, b"open sesame"))
    with pytest.raises(InputError, match="is encrypted: put its passphrase into FOURSCORE_KEY_PASSPHRASE"):
        keys.signer(path)
    monkeypatch.setenv("FOURSCORE_KEY_PASSPHRASE", "wrong")
    with pytest.raises(InputError, match="is the passphrase right"):
        keys.signer(path)
    monkeypatch.setenv("FOURSCORE_KEY_PASSPHRASE", "open sesame")
    assert keys.signer(path).public == signed.signer(3).public


def test_a_passphrase_does_not_keep_an_open_key_from_signing(tmp_path, monkeypatch):
    monkeypatch.setenv("FOURSCORE_KEY_PASSPHRASE", "of another key")
    assert keys.signer(str(signed.key_file(tmp_path / "key", 3))).public == signed.signer(3).public


def test_a_key_of_another_kind_and_a_file_of_something_else_are_refused(tmp_path):
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content, message in ((other, "no Ed25519 key"), (b"words", "cannot be read as a private key")):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(InputError, match=message):
            keys.signer(str(tmp_path / "key"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        keys.signer(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="no Ed25519 key"):
        keys.PublicKey.parse("ssh-rsa AAAA")
    with pytest.raises(ValueError, match="no Ed25519 key"):
        keys.PublicKey.parse("ssh-ed25519 AAAA")


def test_somebody_without_a_key_is_told_how_to_get_one_and_can_have_one_made(home):
    with pytest.raises(InputError, match="no key to sign with"):
        keys.signer(None)
    signer, path = keys.own_or_new(None)
    assert path == home / ".config/fourscore/id_ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("id_ed25519.pub").read_text().startswith(signer.public.text)
    assert keys.signer(None).public == keys.own_or_new(None)[0].public == signer.public


def test_a_key_in_kms_signs_there():
    """KMS's answers as botocore's model of the service has them; moto does not know Ed25519."""
    private = signed.signer(4).private
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
    with Stubber(client) as stub:
        stub.add_response(
            "get_public_key", {"PublicKey": der, "KeySpec": "ECC_NIST_EDWARDS25519"}, {"KeyId": "alias/a"}
        )
        request = {"KeyId": "alias/a", "Message": b"m", "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        stub.add_response("sign", {"Signature": private.sign(b"m")}, request)
        signer = keys.KmsSigner(client, "alias/a")
        assert signer.public.verifies(signer.sign(b"m"), b"m")
        assert signer.public == signed.signer(4).public
