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
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs import records
from infra.runs.records import RunRecord, now
from infra.sources import champion as champions
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution, is_published
from infra.store.store import Store
from infra.tracking.state import OpenStore
from steps import documents
from steps.cards.document import Registration
from steps.cards.markdown import bullets, escape
from steps.errors import InputError
from steps.register import directory_digest
from steps.training.document import ModelSchema

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

CHAMPION, CANDIDATE = "champion", "candidate"
REQUIREMENTS = ("polars", "numpy", "pandas", "pyarrow")
"""What loading and predicting needs, pinned to the versions that trained the model."""
Registered = dict[str, Any]


def register(client: MlflowClient, store: Store, record: RunRecord, experiment: str, parent: str) -> Registered | None:
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
    tags |= {"fourscore.run": record.run, "fourscore.started": record.started, "fourscore.parent": parent}
    is_candidate = request.alias is not None and not record.smoke
    version = _find(client, name, tags) if is_candidate else None
    if version is None:
        model = _verified(store, training.key, tags)
        logged = _logged(client, experiment, parent, model, name, tags)
        if not is_candidate:
            return None
        version = _create(client, name, logged, parent, tags, _description(record, request))
    _move_forward(client, name, str(request.alias), version)
    return {"name": name, "version": str(version.version), "alias": request.alias}


def _verified(store: Store, key: str, tags: dict[str, str]) -> Path:
    """Return the model directory if it has the digest that the request was written for."""
    model = store.open(key, "model")
    digest, expected = directory_digest(model), tags.get("model_digest")
    if digest != expected:
        raise CorruptExecution(f"{model} has the digest {digest[:12]}, the request is for {str(expected)[:12]}")
    return model


def promote(client: MlflowClient, name: str, version: str, digest: str) -> None:
    """Move the alias ``champion`` to a version; tags link it and the previous champion.

    Raises:
        CorruptExecution: the version is not of the model with this digest; nothing was changed.
    """
    if client.get_model_version(name, version).tags.get("model_digest") != digest:
        raise CorruptExecution(f"version {version} of {name} is not the model of this run; nothing was changed")
    before = _holder(client, name, CHAMPION)
    if before is not None and str(before.version) == str(version):
        return
    client.set_model_version_tag(name, version, "promoted", now())
    if before is not None:
        client.set_model_version_tag(name, version, "previous_champion", str(before.version))
        client.set_model_version_tag(name, str(before.version), "succeeded_by", str(version))
    client.set_registered_model_alias(name, CHAMPION, str(version))


def download(
    client: MlflowClient, uri: str, reference: str, workspace: Path, open_store: OpenStore, *, trust: bool
) -> Path:
    """Return the model directory of a registered version; a plain name means its champion, or else its candidate.

    The workspace's own copy comes first: MLflow records absolute places, which a workspace that was moved no longer has.

    Raises:
        InputError: there is no such version, its files are nowhere, or are not those that a run registered.
    """
    name, version = _resolve(client, reference.removeprefix("models:/").strip("/"))
    tags = client.get_model_version(name, version).tags
    if (own := own_model(workspace, tags)) is not None:
        return own
    if (directory := _downloaded(uri, name, version)) is None:
        raise InputError(
            f"model {name} version {version}: its files are neither where MLflow looks for them nor in {workspace}; run "
            "the problem again"
        )
    if not trust and directory_digest(directory) not in _registered_digests(workspace, name, tags, open_store):
        raise InputError(
            f"model {name} version {version}: its files are not those of a run of {workspace} or its store, and a model is "
            "a program of whoever wrote it; run the problem again, or say --trust 'why you trust it'"
        )
    return directory


def _registered_digests(workspace: Path, name: str, tags: Mapping[str, str], open_store: OpenStore) -> set[str]:
    """Return the digests that a version's model may have: that of the champion, and that which its run registered."""
    champion = champions.read(LocalStore(workspace), name)
    digests = {champion.model_digest} if champion else set()
    record = _record_of(workspace, tags)
    registering = record.producer("registration") if record else None
    if record and registering:
        with contextlib.suppress(CorruptExecution, InputError):
            request = documents.read(Registration, open_store(workspace, record).open(registering.key, "registration"))
            digests.add(request.tags["model_digest"])
    return digests


def _record_of(workspace: Path, tags: Mapping[str, str]) -> RunRecord | None:
    """Return the record of a version's run; None if the workspace has none."""
    run = tags.get("fourscore.run", "")
    exists = records.NAME.fullmatch(run) and records.path_of(workspace, run).is_file()
    return records.load(workspace, run) if exists else None


def own_model(workspace: Path, tags: Mapping[str, str]) -> Path | None:
    """Return the model of a version's run from the workspace's store, if it has the digest that the version names."""
    record = _record_of(workspace, tags)
    training = record.producer("model") if record else None
    directory = LocalStore(workspace).directory(training.key) / "model" if training else None
    if directory is None or not is_published(workspace, directory):
        return None
    return directory if directory_digest(directory) == tags.get("model_digest") else None


def misplaced(client: MlflowClient, workspace: Path) -> dict[str, bool]:
    """Return the versions whose files MLflow looks for outside of the workspace or where they no longer are.

    Returns:
        for each version, as name/version, whether the workspace has its model.
    """
    from mlflow.utils.file_utils import local_file_uri_to_path

    versions = {}
    for version in client.search_model_versions():
        source = version.source or ""
        model_id = source.removeprefix("models:/")
        place = source if model_id == source else client.get_logged_model(model_id).artifact_location
        if not place.startswith(("/", "file:")):
            continue
        directory = Path(local_file_uri_to_path(place))  # type: ignore[no-untyped-call]
        if not directory.is_dir() or not directory.resolve().is_relative_to(workspace.resolve()):
            versions[f"{version.name}/{version.version}"] = own_model(workspace, version.tags) is not None
    return versions


def _downloaded(uri: str, name: str, version: str) -> Path | None:
    """Return the model directory of a version from where MLflow keeps its files; None if they are not there.

    Raises:
        InputError: the version is a model of another program.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        saved = Path(download_artifacts(artifact_uri=f"models:/{name}/{version}", tracking_uri=uri, registry_uri=uri))
    except FileNotFoundError:
        return None
    except MlflowException as error:
        if "No such artifact" not in str(error) and error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    directory = saved / "artifacts" / "model"
    if not directory.is_dir():
        raise InputError(f"model {name} version {version} was not registered by fourscore: it has no artifacts/model")
    return directory


def _resolve(client: MlflowClient, reference: str) -> tuple[str, str]:
    from mlflow.exceptions import MlflowException

    name, at, alias = reference.partition("@")
    name, slash, version = name.partition("/")
    try:
        if slash:
            return name, str(client.get_model_version(name, version).version)
        for choice in [alias] if at else [CHAMPION, CANDIDATE]:
            if (holder := _holder(client, name, choice)) is not None:
                return name, str(holder.version)
    except MlflowException:
        pass
    raise InputError(f"no registered model {reference!r}; {_known_models(client, name)}")


def _known_models(client: MlflowClient, name: str) -> str:
    versions = client.search_model_versions(f"name = {_quoted(name)}")
    if versions:
        aliases = client.get_registered_model(name).aliases
        references = [f"{name}/{version.version}" for version in versions[:5]] + [
            f"{name}@{alias}" for alias in aliases
        ]
        return f"known are: {', '.join(references)}"
    names = [model.name for model in client.search_registered_models(max_results=10)]
    return f"registered are: {', '.join(names)}" if names else "none is registered yet: run a problem first"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _find(client: MlflowClient, name: str, tags: dict[str, str]) -> ModelVersion | None:
    """Return the version of this run with these digests."""
    same = [key for key in tags if key.endswith("digest")] + ["fourscore.parent"]
    for version in client.search_model_versions(f"name = {_quoted(name)}"):
        if all(version.tags.get(key) == tags[key] for key in same):
            return version
    return None


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


def _move_forward(client: MlflowClient, name: str, alias: str, version: ModelVersion) -> None:
    """Move the alias to the version, unless a later run holds it: an old run projected late takes nothing back."""
    holder = _holder(client, name, alias)
    started = "fourscore.started"
    if holder is None or holder.tags.get(started, "") < version.tags.get(started, ""):
        client.set_registered_model_alias(name, alias, str(version.version))


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
