"""The model registry: model versions in MLflow, created from the request of the register step.

A version is recognised by its run and digests, so registering again creates nothing.
The version is a pyfunc model made "from code" (infra/tracking/pyfunc_model.py): the model directory as artifact, the package
model_code beside it, a signature, pinned requirements, and no pickle; it loads where pickle is forbidden.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.runs.records import RunRecord, now
from infra.sources import champion as champions
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution, is_published
from infra.store.store import Store
from infra.tracking import follower
from infra.tracking.mlflow_client import connect, default_uri, lock_projection, translate_mlflow_errors
from infra.tracking.state import OpenStore, TrackingStatus, identity_of, is_complete, read_state
from steps import documents
from steps.cards.document import Registration
from steps.cards.markdown import bullets, escape
from steps.errors import FourscoreError, InputError
from steps.register import directory_digest
from steps.training.document import ModelSchema

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

CHAMPION, CANDIDATE = "champion", "candidate"
WORKSPACE, NUMBER = "fourscore.workspace", "fourscore.number"
"""Tags of a version: the workspace of its run, and the run's number there."""
REQUIREMENTS = ("polars", "numpy", "pandas", "pyarrow")
"""What loading and predicting needs, pinned to the versions that trained the model."""


def register(
    client: MlflowClient, store: Store, record: RunRecord, experiment: str, parent: str
) -> dict[str, Any] | None:
    """Log the model of a run, and create or find its version if it is a candidate; None if it is not.

    A model that was rejected or rehearsed, or that nobody answers for, stays with its run: ``models:/NAME/latest`` would
    load the newest version, whatever its tags say.

    Args:
        parent: the id of the run in MLflow.

    Returns:
        name, version and alias.

    Raises:
        CorruptExecution: the request or the model differs from what was published; nothing was registered.
    """
    registering, training = record.producer("registration"), record.producer("model")
    if registering is None or training is None or not {registering.status, training.status} <= {"ran", "cached"}:
        return None
    request = documents.read(Registration, store.open(registering.key, "registration"))
    name = request.name
    tags = request.tags | {"verdict": request.verdict, "smoke": str(record.smoke).lower()}
    tags |= {"fourscore.run": record.run, "fourscore.parent": parent}
    tags |= {WORKSPACE: identity_of(store.workspace), NUMBER: str(record.number)}
    is_candidate = request.alias is not None and not record.smoke
    aliases, versions = _model(client, name)
    same = [tag for tag in tags if tag.endswith("digest")] + ["fourscore.parent"]
    alike = [one for one in versions.values() if all(one.tags.get(tag) == tags[tag] for tag in same)]
    version = alike[0] if alike and is_candidate else None
    if version is None:
        model = store.open(training.key, "model")
        if (digest := directory_digest(model)) != tags.get("model_digest"):
            raise CorruptExecution(
                f"{model} has the digest {digest[:12]}, the request is for {tags['model_digest'][:12]}"
            )
        logged = _logged(client, experiment, parent, model, name, tags)
        if not is_candidate:
            return None
        version = _create(client, name, logged, parent, tags, _description(record, request))
    holder = versions.get(aliases.get(str(request.alias), ""))
    if holder is None or _order(holder, version) < _order(version, holder):
        client.set_registered_model_alias(name, str(request.alias), str(version.version))
    if CHAMPION not in aliases:
        _restore_champion(client, store, record, version)
    return {"name": name, "version": str(version.version), "alias": request.alias}


def _order(version: ModelVersion, other: ModelVersion) -> tuple[int, int]:
    """Return the place of a version among those of its workspace, by the runs' numbers: a clock may have jumped.

    So an old run that is projected late takes no alias back from a later one.
    """
    is_comparable = version.tags.get(WORKSPACE) == other.tags.get(WORKSPACE)
    return int(version.tags.get(NUMBER, 0)) if is_comparable else 0, int(version.version)


def _restore_champion(client: MlflowClient, store: Store, record: RunRecord, version: ModelVersion) -> None:
    """Give the champion its alias again in a registry that was made anew."""
    with contextlib.suppress(InputError):  # doctor and promote say that the champion's file is damaged
        champion = champions.read(store, version.name)
        if champion and champion.run == record.run:
            promote(client, version.name, str(version.version), champion.model_digest)


def _model(client: MlflowClient, name: str) -> tuple[dict[str, str], dict[str, ModelVersion]]:
    """Return the aliases of a registered model and its versions by number; both are empty if there is no such model."""
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    versions = {str(version.version): version for version in client.search_model_versions(f"name = {quoted}")}
    aliases = client.get_registered_model(name).aliases if versions else {}
    return {alias: str(number) for alias, number in aliases.items()}, versions


def check_version(client: MlflowClient, name: str, number: str, digest: str) -> None:
    """Check that a version is of the model with this digest.

    Raises:
        CorruptExecution: it is of another model, or there is none.
    """
    version = _model(client, name)[1].get(number)
    if version is None or version.tags.get("model_digest") != digest:
        raise CorruptExecution(f"version {number} of {name} is not the model of this run")


def promote(client: MlflowClient, name: str, number: str, digest: str) -> None:
    """Move the alias ``champion`` to a version; tags link it and the previous champion.

    Raises:
        CorruptExecution: the version is not of the model with this digest; nothing was changed.
    """
    check_version(client, name, number, digest)
    before = _model(client, name)[0].get(CHAMPION)
    if before == number:
        return
    client.set_model_version_tag(name, number, "promoted", now())
    if before:
        client.set_model_version_tag(name, number, "previous_champion", before)
        client.set_model_version_tag(name, before, "succeeded_by", number)
    client.set_registered_model_alias(name, CHAMPION, number)


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


def rejected_versions(workspace: Path, *, remove: bool = False) -> list[str]:
    """Return as name/version the rejected and smoke models that earlier releases registered, unless an alias names them.

    Args:
        remove: delete these versions, too; their runs keep the models.
    """
    uri = default_uri(workspace)
    with translate_mlflow_errors(uri):
        client = connect(workspace, uri)
        versions = [
            version
            for version in client.search_model_versions()
            if "model_digest" in version.tags
            and (version.tags.get("verdict") == "rejected" or version.tags.get("smoke") == "true")
            and not client.get_model_version(version.name, version.version).aliases
        ]
        for version in versions if remove else ():
            client.delete_model_version(version.name, version.version)
    return [f"{version.name}/{version.version}" for version in versions]


def load(workspace: Path, uri: str | None, reference: str, open_store: OpenStore, *, trust: bool = False) -> Path:
    """Return the model directory of ``name``, ``name@alias`` or ``name/version``, each with or without ``models:/``.

    A plain name means its champion, or else its candidate. The copy in the workspace's store comes first.

    Args:
        trust: take a model that no run of this workspace registered.

    Raises:
        InputError: there is no such version, its files are nowhere, or are not those that a run registered.
    """
    uri = uri or default_uri(workspace)
    with translate_mlflow_errors(uri):
        version = _resolve(connect(workspace, uri), reference.removeprefix("models:/").strip("/"))
        run = version.tags.get("fourscore.run", "")
        record = records.find(workspace, run) if records.NAME.fullmatch(run) else None
        if own := _own_model(workspace, record, version):
            return own
        directory = _downloaded(uri, version)
    what = f"model {version.name} version {version.version}: its files are"
    if directory is None:
        raise InputError(f"{what} neither where MLflow looks for them nor in {workspace}; run the problem again")
    if not trust and directory_digest(directory) not in _registered_digests(
        workspace, version.name, record, open_store
    ):
        raise InputError(
            f"{what} not those of a run of {workspace} or its store, and a model is a program of whoever wrote it; run the "
            "problem again, or say --trust 'why you trust it'"
        )
    return directory


def _resolve(client: MlflowClient, reference: str) -> ModelVersion:
    name, at, alias = reference.partition("@")
    name, slash, number = name.partition("/")
    aliases, versions = _model(client, name)
    numbers = [number] if slash else [aliases.get(choice, "") for choice in ([alias] if at else [CHAMPION, CANDIDATE])]
    for choice in numbers:
        if choice in versions:
            return versions[choice]
    references = [f"{name}/{one}" for one in list(versions)[:5]] + [f"{name}@{one}" for one in aliases]
    advice = f"known are: {', '.join(references)}"
    if not references:
        names = [model.name for model in client.search_registered_models(max_results=10)]
        advice = f"registered are: {', '.join(names)}" if names else "none is registered yet: run a problem first"
    raise InputError(f"no registered model {reference!r}; {advice}")


def _own_model(workspace: Path, record: RunRecord | None, version: ModelVersion) -> Path | None:
    """Return the model of a version's run from the workspace's store, if it has the digest that the version names."""
    training = record.producer("model") if record else None
    if training is None:
        return None
    directory = LocalStore(workspace).directory(training.key) / "model"
    is_whole = is_published(workspace, directory) and directory_digest(directory) == version.tags.get("model_digest")
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
    """Return the model directory of a version from where MLflow keeps its files; None if they are not there.

    Raises:
        InputError: the version is a model of another program.
    """
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


def _create(
    client: MlflowClient, name: str, logged: LoggedModel, run_id: str, tags: dict[str, str], description: str
) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, f"models:/{logged.model_id}", run_id, tags=tags, description=description, model_id=logged.model_id
    )


def _description(record: RunRecord, request: Registration) -> str:
    question, message = escape(record.problem.get("question", "")), bullets(record.message.splitlines())
    return "\n\n".join(filter(None, (question, message.strip(), escape(request.description))))


def _logged(
    client: MlflowClient, experiment: str, parent: str, directory: Path, name: str, tags: dict[str, str]
) -> LoggedModel:
    """Return the model's files in MLflow; an upload that was cut off is repeated in the same place."""
    models = client.search_logged_models([experiment], f"source_run_id = '{parent}'")
    logged = next((model for model in models if model.tags.get("model_digest") == tags.get("model_digest")), None)
    if logged is None:
        allowed = re.sub(r"[/:.%\"']", "-", name)
        logged = client.create_logged_model(experiment, allowed, parent, tags, model_type="fourscore")
    if str(logged.status) != "READY":
        with tempfile.TemporaryDirectory() as place:
            save(Path(place) / "saved", directory, parent, logged)
            client.log_model_artifacts(logged.model_id, str(Path(place) / "saved"))
        logged = client.finalize_logged_model(logged.model_id, "READY")
    run = client.get_run(parent)
    if not run.outputs or logged.model_id not in [output.model_id for output in run.outputs.model_outputs]:
        from mlflow.entities import LoggedModelOutput

        client.log_outputs(parent, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def save(target: Path, model: Path, run_id: str | None = None, logged: LoggedModel | None = None) -> None:
    """Write the pyfunc model folder; it holds only text, numbers and source code."""
    import model_code

    schema = documents.read(ModelSchema, model)
    identity: dict[str, Any] = {"model_uuid": logged.model_id, "model_id": logged.model_id} if logged else {}
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for an input example, which would be rows of the user's data
        import mlflow.pyfunc
        from mlflow.models import Model

        code = Path(place) / "model_code"
        shutil.copytree(Path(model_code.__file__).parent, code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"model": model.absolute().as_uri()},  # as a plain path, a # or % in it would be misread
            code_paths=[str(code)],
            signature=signature(schema),
            pip_requirements=[f"{package}=={_public_version(package)}" for package in ("mlflow", *REQUIREMENTS)],
            metadata={
                "task": schema.task,
                "inputs": [{"name": column.name, "type": column.type} for column in schema.inputs],
            },
            mlflow_model=Model(run_id=run_id, **identity),
        )
    _remove_paths(target)


def _public_version(package: str) -> str:
    """Return the installed version as the public index has it, without a local label such as ``+cpu``."""
    return metadata.version(package).partition("+")[0]


def _remove_paths(saved: Path) -> None:
    """Remove this machine's paths, which MLflow records and does not need: loading is relative."""
    from mlflow.models import Model

    description = Model.load(str(saved))
    flavor = description.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    description.save(str(saved / "MLmodel"))


def signature(schema: ModelSchema) -> ModelSignature:
    """Return the columns that come out, by name and type; those that go in are in the metadata and read by the model.

    MLflow checks input types before the model runs, and no kind of them lets all clients through, optional columns or
    not. Typed ones refuse what pandas makes of the same CSV file with other rows: int64 becomes float64 by one missing
    value. Strings refuse every number in a frame. With ``any``, MLflow's server answers no request of ``text/csv``.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    if not schema.classes:
        return ModelSignature(outputs=Schema([ColSpec(DataType.double, "prediction")]))
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "prediction")]
    outputs += [ColSpec(DataType.double, f"probability_{name}") for name in schema.classes]
    return ModelSignature(outputs=Schema(outputs))
