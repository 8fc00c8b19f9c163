"""The promotion of an approved candidate to champion, and the way back to the champion before.

What decides is the approval (``infra/approvals``), compared with the digests in the store. A run file only names the keys, and
the aliases of the registry follow.

<workspace>/champions/<model name>.pending    the run whose promotion has begun; gone once registry and champion agree
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from infra.approvals import standing
from infra.files import locked, write_atomically
from infra.places import store_of
from infra.runs import records
from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.manifest import CorruptExecution
from infra.store.store import Store
from pipelines.approval import standing_of
from steps.errors import FourscoreError, InputError


class Registry(Protocol):
    """The registry of models, as far as promotions need it."""

    def version_of(self, run: str, digest: str) -> str:
        """Return the version that a run registered, which is of the model with this digest."""

    def move_champion(self, run: str, name: str, version: str, digest: str) -> None:
        """Move the alias ``champion`` to a version, in the registry where the run was tracked."""


def promote(
    workspace: Path,
    run: str,
    tracking_uri: str | None,
    registry: Registry | None = None,
    *,
    approvers: Path | None = None,
) -> dict[str, Any]:
    """Make the approved candidate of a run the champion, in the store and then in the registry.

    The champion's file decides: whoever moves the alias looks at the file afterwards and follows it, so that promotions
    at once, on one machine or on two that share a store, leave both equal.

    Args:
        approvers: the approvers.yaml that the reader trusts; the one beside the problem file, if there is one.

    Raises:
        InputError: the run is not finished, or is a smoke run.
        GateRefused: it is not approved, the store has a verdict that is not "pass", or nobody answers for the problem yet.
        CorruptExecution: the store has not what was published.
        BrokenLog: the log of approvals is not what was signed.
        FourscoreError: another promotion was faster, or the registry is away.
    """
    if registry is None:
        from infra.tracking.registry import Registry as ModelRegistry

        registry = ModelRegistry(workspace, tracking_uri, store_of)
    with locked(workspace / "locks" / "promotion"):
        record = records.load(workspace, run)
        store = store_of(workspace, record)
        subject, current = standing_of(store, record, approvers)
        standing.refuse(run, current)
        name, digest = subject.request.name, subject.request.tags["model_digest"]
        before = champions.read(store, name)
        version = registry.version_of(run, digest)
        champion = Champion(
            name,
            run,
            subject.training,
            digest,
            version,
            since=records.now(),
            previous=before.previous if before and before.run == run else before.run if before else None,
            approved_by=tuple(entry.approver.name for entry in current.approvals),
        )
        pending = workspace / "champions" / f"{name}.pending"
        pending.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(pending, run)
        if not champions.write(store, champion, before):
            pending.unlink()
            raise FourscoreError(
                f"another promotion of {name} was faster; nothing was changed: look at its champion, then promote again"
            )
        _follow(store, champion, registry)
        pending.unlink()
    return {
        "name": champion.name,
        "run": run,
        "version": version,
        "before": before.run if before else None,
        "approved_by": list(champion.approved_by),
    }


def rollback(
    workspace: Path,
    name: str,
    tracking_uri: str | None,
    store: Store,
    registry: Registry | None = None,
    *,
    approvers: Path | None = None,
) -> dict[str, Any]:
    """Make the champion before the present one the champion again, if its approval still stands.

    Raises:
        InputError: no model of this name was promoted, or none before it.
        GateRefused: the approval was revoked, has expired, or is of other files.
    """
    champion = champions.read(store, name)
    if champion is None:
        raise InputError(f"no model {name!r} was promoted")
    if champion.previous is None:
        raise InputError(f"{name} has had one champion only, run {champion.run}: there is nothing to go back to")
    return promote(workspace, champion.previous, tracking_uri, registry, approvers=approvers)


def _follow(store: Store, champion: Champion, registry: Registry) -> None:
    """Move the registry's alias to the champion, and on to whatever champion took its place meanwhile."""
    current: Champion | None = champion
    moved = None
    while current is not None and current != moved:
        try:
            registry.move_champion(champion.run, current.name, str(current.version), current.model_digest)
        except CorruptExecution:
            if current == champion:
                raise
            return  # the other one is in a registry of its own
        moved, current = current, champions.read(store, champion.name)


def interrupted(workspace: Path) -> dict[str, str]:
    """Return the run of each model's promotion that was cut off, or goes on."""
    return {path.stem: path.read_text() for path in sorted((workspace / "champions").glob("*.pending"))}
