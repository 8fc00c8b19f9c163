"""Two who ask for the same work get one execution: the first claims it in S3, the other follows what the claim names.

<root>/claims/<digest of the work>.json    {"token", "run", "link", "execution": ARN or null}

The claim is made by a conditional write, and starting with its token is idempotent, so whoever finds a claim without an
execution (its maker is between the two, or died there) starts it too and gets the same one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol


class Objects(Protocol):
    """What is needed of a place in S3 (infra.store.s3)."""

    def get_with_tag(self, name: str) -> tuple[bytes, str] | None: ...

    def put(self, name: str, content: bytes, *, absent: bool = False, tag: str | None = None) -> bool: ...


@dataclass(frozen=True)
class Claim:
    """Who works on what."""

    token: str
    run: str
    link: str = "none"
    """The MLflow run of whoever claimed it: with one token everybody has to start with the same parameters."""
    execution: str | None = None


def claim(
    objects: Objects, work: str, run: str, link: str, start: Callable[[Claim], str], lives: Callable[[str], bool]
) -> Claim:
    """The claim on the work with its execution: the one that lives, or a new one.

    Args:
        work: digest of what is to be done.
        start: starts an execution for a claim, idempotent in its token; returns the ARN.
        lives: whether an execution is still going on.
    """
    name = f"claims/{work}.json"
    while True:
        found = objects.get_with_tag(name)
        if found is None:
            mine = Claim(uuid.uuid4().hex, run, link)
            if not objects.put(name, _text(mine), absent=True):
                continue
            return _started(objects, name, mine, start)
        content, tag = found
        theirs = Claim(**json.loads(content))
        if theirs.execution is None:
            return _started(objects, name, theirs, start)
        if lives(theirs.execution):
            return theirs
        mine = Claim(uuid.uuid4().hex, run, link)
        if objects.put(name, _text(mine), tag=tag):
            return _started(objects, name, mine, start)


def _started(objects: Objects, name: str, mine: Claim, start: Callable[[Claim], str]) -> Claim:
    started = replace(mine, execution=start(mine))
    found = objects.get_with_tag(name)
    if found and Claim(**json.loads(found[0])).token == mine.token:
        objects.put(name, _text(started), tag=found[1])
    return started


def _text(claim: Claim) -> bytes:
    return json.dumps(asdict(claim)).encode()
