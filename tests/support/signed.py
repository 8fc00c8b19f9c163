"""People who sign: keys from a number, approvers with these keys, and candidates that they approved."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.approvals import log, policy, statement
from infra.approvals.keys import FileSigner
from infra.places import store_of
from infra.runs import records
from pipelines.approval import decide

START = "2026-01-01T00:00:00+00:00"


def signer(seed):
    return FileSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def key_file(path, seed, passphrase=None):
    """Write the private key as ssh-keygen does."""
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    content = signer(seed).private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, protection
    )
    path.write_bytes(content)
    return path


def approver(name, seed, *roles, accounts=()):
    """Return a person of approvers.yaml."""
    return {"name": name, "roles": list(roles), "keys": [signer(seed).public.text], "accounts": list(accounts)}


def approvers(*people, quorum=None, change=None, **fields):
    """Return the content of approvers.yaml; by default one owner, with key 1."""
    content = {
        "approvers": list(people) or [approver("owner", 1, "reviewer", "admin", accounts=["ada"])],
        "quorum": quorum or {"reviewer": 1},
        "change": change or {"admin": 1},
        **fields,
    }
    return policy.of_json(content).model_dump(mode="json")


def adopt(store, content=None, seed=1):
    """Consent to approvers."""
    proposed = policy.of_json(content or approvers())

    def make(current):
        adoption = statement.Adoption(
            approvers=proposed.model_dump(mode="json"), reason="because", time=START, previous=current.head
        )
        return statement.single("approvers.yaml", proposed.digest()), adoption

    return log.append(store, signer(seed), make)


def approve(workspace, run, seed=1, decision="approve", **options):
    """Sign a decision about a run; the first one makes key 1 the owner's."""
    store = store_of(workspace, records.load(workspace, run))
    if log.read(store).policy is None:
        adopt(store)
    return decide(workspace, run, decision, "because", signer(seed), anyway=True, **options)[0]
