"""The decision that makes a candidate the champion. Approvals will take this place; until then a person says --yes.

What decides is read from the store: the registration and the verdicts of everything that it was made from. A run file
only names the keys.

<workspace>/champions/<model name>.pending    the run whose promotion has begun; gone once registry and champion agree
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from infra.files import locked, write_atomically
from infra.places import store_of
from infra.runs import records
from infra.runs.records import RunRecord
from infra.sources import champion as champions
from infra.sources.champion import Champion
from infra.store.manifest import CorruptExecution, Manifest
from infra.store.store import Store
from pipelines.training import TRAINING
from steps import documents
from steps.cards.document import ProblemCard, Registration, unwritten
from steps.errors import FourscoreError, GateRefused, InputError
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation
from steps.register import directory_digest
from steps.wording import listed


class Registry(Protocol):
    """The registry of models, as far as promotions need it."""

    def version_of(self, run: str, digest: str) -> str:
        """Return the version that a run registered, which is of the model with this digest."""

    def move_champion(self, run: str, name: str, version: str, digest: str) -> None:
        """Move the alias ``champion`` to a version, in the registry where the run was tracked."""


def promote(
    workspace: Path, run: str, tracking_uri: str | None, registry: Registry | None = None, *, anyway: bool = False
) -> dict[str, Any]:
    """Make the candidate of a run the champion, in the store and then in the registry.

    The champion's file decides: whoever moves the alias looks at the file afterwards and follows it, so that promotions
    at once, on one machine or on two that share a store, leave both equal.

    Args:
        anyway: promote a model although a simpler one or the champion does as well or better.

    Raises:
        InputError: the run is not finished, or is a smoke run.
        GateRefused: the store has a verdict that is not "pass", nobody answers for the problem yet, or something else does as
            well and ``anyway`` is not set.
        CorruptExecution: the store has not what was published.
        FourscoreError: another promotion was faster, or the registry is away.
    """
    if registry is None:
        from infra.tracking.registry import Registry as ModelRegistry

        registry = ModelRegistry(workspace, tracking_uri, store_of)
    with locked(workspace / "locks" / "promotion"):
        record = records.load(workspace, run)
        store = store_of(workspace, record)
        request, training = _candidate(store, record, anyway=anyway)
        before = champions.read(store, request.name)
        digest = request.tags["model_digest"]
        version = registry.version_of(run, digest)
        champion = Champion(request.name, run, training, digest, version, since=records.now())
        pending = workspace / "champions" / f"{request.name}.pending"
        pending.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(pending, run)
        if not champions.write(store, champion, before):
            pending.unlink()
            raise FourscoreError(
                f"another promotion of {request.name} was faster; nothing was changed: look at its champion, then promote again"
            )
        _follow(store, champion, registry)
        pending.unlink()
    return {"name": champion.name, "run": run, "version": version, "before": before.run if before else None}


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


def _candidate(store: Store, record: RunRecord, *, anyway: bool) -> tuple[Registration, str]:
    """Return the request to register the run's model, and the key of its training.

    Raises:
        InputError: it has none.
        GateRefused: a verdict in the store is not "pass", nobody answers for the problem, or something else does as well.
        CorruptExecution: the model is not the one that was judged.
    """
    if record.smoke:
        raise _smoke(record.run)
    if record.status == "rejected":
        raise GateRefused(f"run {record.run} was rejected and cannot be promoted:\n{record.message}")
    record.check_outputs()
    registering = record.producer("registration")
    if record.status != "pass" or not registering or registering.status == "skipped":
        raise InputError(
            f"run {record.run} has no candidate (it is {record.status}); "
            f"finish it with 'fourscore run {record.problem_path}'"
        )
    lineage = _lineage(store, registering.key)
    for manifest in lineage.values():
        if manifest.verdict != "pass":
            reasons = "\n".join(manifest.reasons)
            raise GateRefused(
                f"run {record.run} cannot be promoted: its stage {manifest.step} says {manifest.verdict}\n{reasons}"
            )
    ingredients = lineage[registering.key].ingredients
    training = ingredients["input model"]
    card = documents.read(ProblemCard, store.open(ingredients["input card"], "card"))
    if fields := unwritten(card.model_dump()):
        raise GateRefused(
            f"run {record.run} cannot be promoted, since nobody answers for it: write the {listed(fields)} in "
            f"{record.problem_path}, then run it again (finished stages are not repeated)"
        )
    request = documents.read(Registration, store.open(registering.key, "registration"))
    if request.smoke:
        raise _smoke(record.run)
    if request.verdict != "pass":
        raise GateRefused(f"run {record.run} cannot be promoted: its registration says {request.verdict}")
    evaluation = documents.read(Evaluation, store.open(ingredients["input evaluation"], "evaluation"))
    if evaluation.grade == "reserved" and not anyway:
        raise GateRefused(
            f"run {record.run} passes, but {listed(sentences.reservations(evaluation))}; if it is right all the same: "
            f"fourscore promote {record.run} --yes --anyway"
        )
    model = store.open(training, "model")
    if directory_digest(model) != request.tags["model_digest"]:
        raise CorruptExecution(f"{model} is not the model that run {record.run} judged; run the problem again")
    return request, training


def _smoke(run: str) -> InputError:
    return InputError(f"run {run} is a smoke run on a sample; only a whole run has a candidate")


def _lineage(store: Store, key: str) -> dict[str, Manifest]:
    """Return the manifests of an execution and of all that it was made from, by their keys.

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
        for name, value in manifest.ingredients.items():
            kind, _, artifact = name.partition(" ")
            if kind == "input" and artifact not in TRAINING.sources:
                waiting.append(value)
    return manifests
