"""Model versions in MLflow, created from the request of the register step.

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
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs.records import RunRecord, now
from infra.sources import champion as champions
from infra.store.manifest import CorruptExecution
from infra.store.store import Store
from infra.tracking import descriptions
from infra.tracking.descriptions import Outcome
from infra.tracking.state import identity_of
from model_code.digest import directory_digest
from steps import documents
from steps.cards.document import Registration
from steps.errors import InputError
from steps.training.document import ModelSchema

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
WORKSPACE, NUMBER = "fourscore.workspace", "fourscore.number"
"""Tags of a version: the workspace of its run, and the run's number there."""
REQUIREMENTS = ("polars", "numpy", "pandas", "pyarrow")
"""What loading and predicting needs, pinned to the versions that trained the model, without labels such as ``+cpu``."""


def register(
    client: MlflowClient, store: Store, outcome: Outcome, experiment: str, parent: str
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
    record = outcome.record
    registering, training = record.producer("registration"), record.producer("model")
    if registering is None or training is None or not {registering.status, training.status} <= {"ran", "cached"}:
        return None
    request = documents.read(Registration, store.open(registering.key, "registration"))
    name = request.name
    tags = request.tags | {"verdict": request.verdict, "smoke": str(record.smoke).lower()}
    tags |= {"fourscore.run": record.run, "fourscore.parent": parent}
    tags |= {WORKSPACE: identity_of(store.workspace), NUMBER: str(record.number)}
    is_candidate = request.alias is not None and not record.smoke
    aliases, versions = aliases_and_versions(client, name)
    same = [tag for tag in tags if tag.endswith("digest")] + ["fourscore.parent"]
    alike = [one for one in versions.values() if all(one.tags.get(tag) == tags[tag] for tag in same)]
    version = alike[0] if alike and is_candidate else None
    if version is None:
        model, expected = store.open(training.key, "model"), tags["model_digest"]
        if (digest := directory_digest(model)) != expected:
            raise CorruptExecution(f"{model} has the digest {digest[:12]}, the request is for {expected[:12]}")
        fitness = "" if is_candidate else f"-{outcome.verdict}" if outcome.verdict != "pass" else "-unanswered"
        logged = _logged(client, experiment, parent, model, name + fitness, tags)
        if not is_candidate:
            return None
        text = descriptions.of_version(outcome, request, descriptions.report_address(experiment, parent))
        version = _create(client, name, logged, parent, tags, text)
        _describe(client, name, record)
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


def aliases_and_versions(client: MlflowClient, name: str) -> tuple[dict[str, str], dict[str, ModelVersion]]:
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
    version = aliases_and_versions(client, name)[1].get(number)
    if version is None or version.tags.get("model_digest") != digest:
        raise CorruptExecution(f"version {number} of {name} is not the model of this run")


def promote(client: MlflowClient, name: str, number: str, digest: str) -> None:
    """Move the alias ``champion`` to a version and ``previous`` to the one that had it; tags link both.

    Raises:
        CorruptExecution: the version is not of the model with this digest; nothing was changed.
    """
    check_version(client, name, number, digest)
    before = aliases_and_versions(client, name)[0].get(CHAMPION)
    if before == number:
        return
    client.set_model_version_tag(name, number, "promoted", now())
    if before:
        client.set_model_version_tag(name, number, "previous_champion", before)
        client.set_model_version_tag(name, before, "succeeded_by", number)
        client.set_registered_model_alias(name, PREVIOUS, before)
    client.set_registered_model_alias(name, CHAMPION, number)


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


def _describe(client: MlflowClient, name: str, record: RunRecord) -> None:
    """Say of a registered model what it answers and how its versions come about."""
    model = client.get_registered_model(name)
    holds = (
        f"Each version is a model that kept its promises; `{CANDIDATE}` is the newest, `{CHAMPION}` the approved one "
        f"that was promoted. Rejected models and rehearsals stay with their runs."
    )
    text = descriptions.of_problem(record.problem, holds)
    tags = descriptions.tags_of_problem(record.problem)
    if model.description != text and descriptions.may_replace(model.description, model.tags):
        client.update_registered_model(name, text)
        tags[descriptions.SIGNATURE] = descriptions.digest(text)
    for tag, value in tags.items():
        if model.tags.get(tag) != value:
            client.set_registered_model_tag(name, tag, value)


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
    inputs = [{"name": column.name, "type": column.type} for column in schema.inputs]
    pins = [f"{name}=={metadata.version(name).partition('+')[0]}" for name in ("mlflow", *REQUIREMENTS)]
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
            pip_requirements=pins,
            metadata={"task": schema.task, "inputs": inputs},
            mlflow_model=Model(run_id=run_id, **identity),
        )
    _remove_paths(target)


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
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    if not schema.classes:
        level = ParamSchema([ParamSpec("intervals", DataType.double, 0.0)])
        return ModelSignature(outputs=Schema([ColSpec(DataType.double, "prediction")]), params=level)
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "prediction")]
    outputs += [ColSpec(DataType.double, f"probability_{name}") for name in schema.classes]
    return ModelSignature(outputs=Schema(outputs))
