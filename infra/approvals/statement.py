"""What is signed: in-toto statements over the digests of everything that a model was made from and judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.approvals.dsse import canonical, canonical_json
from infra.store.manifest import CorruptExecution, Manifest
from infra.store.store import Store

DECISION, REVOCATION, ADOPTION = (f"urn:fourscore:{kind}:1" for kind in ("decision", "revocation", "adoption"))
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
_PROPERTIES = ("key", "step", "ingredients", "verdict", "reasons", "files", "directories")
"""What a manifest says of a result; not when and where it was made."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Digest(_Part):
    sha256: Hex


class Subject(_Part):
    """A file, or what a manifest says, by its digest."""

    name: str
    digest: Digest


class Decision(_Part):
    """Somebody's decision about a model."""

    decision: Literal["approve", "reject"]
    model: str
    """Name that it is registered under."""
    run: str
    registration: str
    """Key of the execution that asked to register the model."""
    training: str
    """Key of the execution that made the model."""
    model_digest: Hex
    author: str
    """Who started the run."""
    four_eyes: bool
    anyway: bool
    """Whether it is known that something else does as well or better."""
    reason: Text
    answers: dict[str, str]
    """Question of the problem -> answer."""
    recomputed: str
    """What a third party found that computed the numbers anew; empty for those who did not."""
    time: Moment
    expires: Moment
    policy: Hex
    """Digest of the approvers in force."""
    previous: Hex | None
    """Digest of the line of the log before; None in statements of those who do not have the log."""


class Revocation(_Part):
    """The end of an approval."""

    statement: Hex
    """Digest of the line of the log that is revoked."""
    reason: Text
    time: Moment
    policy: Hex
    previous: Hex


class Adoption(_Part):
    """The consent to a new approvers.yaml."""

    approvers: dict[str, Any]
    reason: Text
    time: Moment
    previous: Hex | None


Predicate = Decision | Revocation | Adoption
_KINDS: Mapping[str, type[Predicate]] = {DECISION: Decision, REVOCATION: Revocation, ADOPTION: Adoption}


class Statement(_Part):
    """A statement; the JSON names of its fields are in-toto's."""

    kind: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Subject, ...] = Field(strict=False, min_length=1)
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any]

    def content(self) -> Predicate:
        """Return the predicate; raises ValueError where it is none of ours."""
        kind = _KINDS.get(self.predicate_type)
        if kind is None:
            raise ValueError(f"its predicateType is {self.predicate_type!r:.60}, which is none of Fourscore's")
        return kind.model_validate(self.predicate)


def payload(subjects: Collection[Subject], predicate: Predicate) -> bytes:
    """Return the bytes of a statement."""
    kind = next(name for name, candidate in _KINDS.items() if isinstance(predicate, candidate))
    statement = Statement(subject=tuple(subjects), predicate_type=kind, predicate=predicate.model_dump(mode="json"))
    return canonical(statement.model_dump(mode="json", by_alias=True))


def parse(data: bytes) -> tuple[tuple[Subject, ...], Predicate]:
    """Return subjects and predicate of a statement.

    Raises:
        ValueError: it is no statement of ours, or is written otherwise than :func:`payload` writes it.
    """
    try:
        statement = Statement.model_validate(canonical_json(data))
        predicate = statement.content()
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if payload(statement.subject, predicate) != data:
        raise ValueError("it is not written as statements are")
    return statement.subject, predicate


def single(name: str, digest: str) -> tuple[Subject, ...]:
    return (Subject(name=name, digest=Digest(sha256=digest)),)


def subjects(lineage: Mapping[str, Manifest]) -> tuple[Subject, ...]:
    """Return the subjects of a decision: every file of every execution, and what each manifest says of code, config and data.

    Args:
        lineage: the manifests by their keys, as :func:`lineage_of` returns them.
    """
    names = {}
    for key, manifest in lineage.items():
        names[f"{manifest.step}/{key}"] = hashlib.sha256(
            canonical({name: getattr(manifest, name) for name in _PROPERTIES})
        ).hexdigest()
        names |= {f"{manifest.step}/{key}/{file}": entry["sha256"] for file, entry in manifest.files.items()}
    return tuple(Subject(name=name, digest=Digest(sha256=names[name])) for name in sorted(names))


def lineage_of(store: Store, key: str, sources: Collection[str]) -> dict[str, Manifest]:
    """Return the manifests of an execution and of all that it was made from, by their keys.

    Args:
        sources: the names of inputs that no execution wrote.

    Raises:
        CorruptExecution: one is no longer in the store, or is broken.
    """
    manifests: dict[str, Manifest] = {}
    waiting = [key]
    while waiting:
        key = waiting.pop()
        if key in manifests:
            continue
        manifest = store.look(key)
        if manifest is None:
            raise CorruptExecution(f"execution {key[:12]} is no longer in the store; run the problem again")
        manifests[key] = manifest
        waiting.extend(_inputs(manifest, sources))
    return manifests


def _inputs(manifest: Manifest, sources: Collection[str]) -> Iterator[str]:
    for name, value in manifest.ingredients.items():
        kind, _, artifact = name.partition(" ")
        if kind == "input" and artifact not in sources:
            yield value
