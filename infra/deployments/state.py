"""The state of a deployment: two small files, replaced atomically, that survive whatever dies.

<workspace>/deployments/<name>/desired.json     what people want: written by commands, and by the server when a trial ends
<workspace>/deployments/<name>/status.json      what the server does: written by it alone
<workspace>/deployments/<name>/history.jsonl    every change, with who approved the model
<workspace>/deployments/<name>/server.log       the lines of the server
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from infra import typed_json
from infra.files import append_lines, locked, write_json
from infra.runs.records import now
from steps.errors import InputError

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Version:
    """A model that is, was or may become the one that answers. Whether it may is asked of the approvals, not of this."""

    run: str
    training: str
    """Key of the execution that made the model."""
    approved_by: list[str]
    since: str


@dataclass(frozen=True)
class Desired:
    """What people want of a deployment."""

    name: str
    number: int
    """Rises with every change."""
    host: str
    port: int
    store: str | None
    """Root of the store on S3; None: the workspace's own."""
    stable: Version | None
    trial: Version | None = None
    """The next version, which has a share of the requests until the trial ends."""
    share: float = 1.0
    seconds: float = 30.0
    """How long a trial takes."""
    shift: float = 0.2
    """How much the answers of a trial may differ from those of the stable version: total variation."""
    previous: Version | None = None
    capture: bool = False
    """Whether requests and answers are kept below ``capture/``, for monitoring."""


@dataclass(frozen=True)
class Status:
    """What the server does."""

    number: int
    """Of the desired state that it has come to."""
    state: Literal["serving", "trial", "refused", "stopped"]
    address: str
    pid: int
    stable: str | None
    """Run of the version that answers."""
    trial: str | None
    reason: str
    """Why the last change was refused or taken back; empty after a success."""
    time: str
    last_request: str | None = None


def directory_of(workspace: Path, name: str) -> Path:
    """Return the directory of a deployment.

    Raises:
        InputError: no deployment can have this name.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"deployment {name!r:.80}: a name has lower-case letters, digits, - _ . and at most 63 of them"
        )
    return workspace / "deployments" / name


def names(workspace: Path) -> list[str]:
    return sorted(path.parent.name for path in (workspace / "deployments").glob("*/desired.json"))


def desired(directory: Path) -> Desired | None:
    """Return what people want; None if there is no such deployment.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return typed_json.parse(Desired, (directory / "desired.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(
            f"{directory / 'desired.json'} cannot be read ({error}); deploy again after moving it away"
        ) from None


def status(directory: Path) -> Status | None:
    """Return what the server said last; None if it has said nothing that can be read."""
    try:
        return typed_json.parse(Status, (directory / "status.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def say(directory: Path, current: Status) -> None:
    write_json(directory / "status.json", asdict(current))


def change(
    directory: Path, event: str, update: Callable[[Desired | None], Desired | None], **details: object
) -> Desired | None:
    """Replace what people want, and note it in the history; one after another.

    Args:
        update: returns the next state, or None to leave everything as it is.

    Returns:
        The state that was written, or None.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / "lock"):
        before = desired(directory)
        target = update(before)
        if target is None:
            return None
        after = replace(target, number=before.number + 1 if before else 1)
        versions = {
            role: asdict(version) if (version := getattr(after, role)) else None for role in ("stable", "trial")
        }
        line = {"time": now(), "event": event, "number": after.number, **versions, **details}
        append_lines(directory / "history.jsonl", [json.dumps(line, ensure_ascii=False).encode()])
        write_json(directory / "desired.json", asdict(after))
        return after


def end_trial(directory: Path, number: int, *, accepted: bool, reason: str) -> Desired | None:
    """Make the version on trial the stable one, or drop it, unless people have changed their minds meanwhile."""

    def update(before: Desired | None) -> Desired | None:
        if before is None or before.number != number or before.trial is None:
            return None
        if not accepted:
            return replace(before, trial=None)
        return replace(before, stable=before.trial, trial=None, previous=before.stable)

    return change(directory, "trial passed" if accepted else "trial taken back", update, reason=reason)
