"""The model registry: promotion of a run's version, and the models of versions by name, alias or number."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.runs import records
from infra.runs.records import RunRecord
from infra.sources import champion as champions
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution, is_published
from infra.tracking import database, follower
from infra.tracking.mlflow_client import connect, default_uri, lock_projection, translate_mlflow_errors
from infra.tracking.state import OpenStore, TrackingStatus, is_complete, read_state
from infra.tracking.versions import CANDIDATE, CHAMPION, aliases_and_versions, check_version, promote
from model_code.digest import directory_digest
from steps import documents
from steps.cards.document import Registration
from steps.errors import FourscoreError, InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Registry:
    """The model registry of a workspace's runs, as far as promotions need it."""

    workspace: Path
    uri: str | None
    open_store: OpenStore

    def version_of(self, run: str, digest: str) -> str:
        """Return the version that a run registered; one that was not tracked is projected first.

        Raises:
            FourscoreError: the server is away, or has no such version.
            CorruptExecution: the version is not of the model with this digest.
        """
        record = records.load(self.workspace, run)
        uri = self._uri_of(record)
        if not is_complete(self.workspace, record, uri):
            state = follower.project(records.path_of(self.workspace, run), uri, self.open_store)
            if state["status"] != TrackingStatus.COMPLETE:
                raise FourscoreError(f"run {run} cannot be promoted now, nothing was changed: {state['message']}")
        model = read_state(self.workspace, run).get("model")
        if not model:
            raise FourscoreError(f"run {run} registered no model version: it has no candidate; nothing was changed")
        with translate_mlflow_errors(uri):
            check_version(connect(self.workspace, uri), model["name"], model["version"], digest)
        return str(model["version"])

    def move_champion(self, run: str, name: str, version: str, digest: str) -> None:
        """Move the alias ``champion`` to a version, in the registry where the run was tracked.

        Raises:
            FourscoreError: the server is away.
            CorruptExecution: the version is not of the model with this digest.
        """
        uri = self._uri_of(records.load(self.workspace, run))
        with translate_mlflow_errors(uri), lock_projection(self.workspace, uri):
            promote(connect(self.workspace, uri), name, version, digest)

    def _uri_of(self, record: RunRecord) -> str:
        tracked = self.uri or follower.place_of(self.workspace, record)
        return tracked or follower.requested_uri(self.workspace, record, None)


def load(
    workspace: Path,
    uri: str | None,
    reference: str,
    open_store: OpenStore,
    check: Callable[[Mapping[str, str]], None],
    *,
    trust: bool = False,
) -> Path:
    """Return the model directory of ``name``, ``name@alias`` or ``name/version``, each with or without ``models:/``.

    A plain name means its champion, or else its candidate. The copy in the workspace's store comes first.

    Args:
        check: is called with the version's tags before its files are looked for, and may refuse it.
        trust: take a model that no run of this workspace registered.

    Raises:
        InputError: there is no such version, its files are nowhere, or are not those that a run registered.
    """
    reference = reference.removeprefix("models:/").strip("/")
    if uri is None and (own := _own_by_name(workspace, reference, check)):
        return own
    uri = uri or default_uri(workspace)
    with translate_mlflow_errors(uri):
        version = _resolve(connect(workspace, uri), reference)
        check(version.tags)
        record = _record_of(workspace, version.tags)
        if own := _own_model(workspace, record, version.tags):
            return own
        directory = _downloaded(uri, version)
    what = f"model {version.name} version {version.version}: its files are"
    if directory is None:
        raise InputError(f"{what} neither where MLflow looks for them nor in {workspace}; run the problem again")
    digests = set() if trust else _registered_digests(workspace, version.name, record, open_store)
    if not trust and directory_digest(directory) not in digests:
        raise InputError(
            f"{what} not those of a run of {workspace} or its store, and a model is a program of whoever wrote it; run the "
            "problem again, or say --trust 'why you trust it'"
        )
    return directory


def _own_by_name(workspace: Path, reference: str, check: Callable[[Mapping[str, str]], None]) -> Path | None:
    """Return the workspace's own model of that name, or None, and MLflow is to say what is there."""
    name = _name_in(reference)
    try:
        aliases, versions = database.registered(workspace / "mlflow.db", name)
    except sqlite3.Error:
        return None
    number = _choice(reference, aliases, versions)
    own = _own_model(workspace, _record_of(workspace, versions[number]), versions[number]) if number else None
    if number and own:
        check(versions[number])
    return own


def _name_in(reference: str) -> str:
    return reference.partition("@")[0].partition("/")[0]


def _choice(reference: str, aliases: Mapping[str, str], versions: Collection[str]) -> str | None:
    """Return the number of the version that a reference means; a plain name is the champion, or else the candidate."""
    name, at, alias = reference.partition("@")
    _, slash, number = name.partition("/")
    numbers = [number] if slash else [aliases.get(choice, "") for choice in ([alias] if at else [CHAMPION, CANDIDATE])]
    return next((choice for choice in numbers if choice in versions), None)


def _resolve(client: MlflowClient, reference: str) -> ModelVersion:
    name = _name_in(reference)
    aliases, versions = aliases_and_versions(client, name)
    if number := _choice(reference, aliases, versions):
        return versions[number]
    references = [f"{name}/{one}" for one in list(versions)[:5]] + [f"{name}@{one}" for one in aliases]
    advice = f"known are: {', '.join(references)}"
    if not references:
        names = [model.name for model in client.search_registered_models(max_results=10)]
        advice = f"registered are: {', '.join(names)}" if names else "none is registered yet: run a problem first"
    raise InputError(f"no registered model {reference!r}; {advice}")


def _record_of(workspace: Path, tags: Mapping[str, str]) -> RunRecord | None:
    """Return the record of the run that registered a version with these tags."""
    run = tags.get("fourscore.run", "")
    return records.find(workspace, run) if records.NAME.fullmatch(run) else None


def _own_model(workspace: Path, record: RunRecord | None, tags: Mapping[str, str]) -> Path | None:
    """Return the model of a version's run from the workspace's store, if it has the digest that the version names."""
    training = record.producer("model") if record else None
    if training is None:
        return None
    directory = LocalStore(workspace).directory(training.key) / "model"
    is_whole = is_published(workspace, directory) and directory_digest(directory) == tags.get("model_digest")
    return directory if is_whole else None


def _registered_digests(workspace: Path, name: str, record: RunRecord | None, open_store: OpenStore) -> set[str]:
    """Return the digests that a version's model may have: that of the champion, and that which its run registered."""
    champion = champions.read(LocalStore(workspace), name)
    digests = {champion.model_digest} if champion else set()
    registering = record.producer("registration") if record else None
    if record and registering:
        with contextlib.suppress(CorruptExecution, InputError):
            request = documents.read(Registration, open_store(workspace, record).open(registering.key, "registration"))
            digests.add(request.tags["model_digest"])
    return digests


def _downloaded(uri: str, version: ModelVersion) -> Path | None:
    """Return the model directory of a version from where MLflow keeps its files; None if they are not there."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    reference = f"{version.name}/{version.version}"
    try:
        saved = Path(download_artifacts(artifact_uri=f"models:/{reference}", tracking_uri=uri, registry_uri=uri))
    except FileNotFoundError:
        return None
    except MlflowException as error:
        if "No such artifact" not in str(error) and error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    directory = saved / "artifacts" / "model"
    if not directory.is_dir():
        raise InputError(f"model {reference} was not registered by fourscore: it has no artifacts/model")
    return directory
