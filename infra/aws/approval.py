"""Whether a model package may be used: as the registry says, and as the log of approvals and the store do, which decide."""

import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from infra.approvals import standing
from infra.approvals.policy import Approvers
from infra.approvals.standing import Standing
from infra.approvals.statement import Decision
from infra.aws.account import Account
from infra.aws_errors import translate_aws_errors
from infra.places import open_store
from infra.sagemaker.requests import TO_BE_WRITTEN
from infra.sagemaker.stack import Stack
from infra.store.store import Store
from steps.errors import GateRefused, InputError
from steps.wording import listed


def approved(account: Account, stack: Stack, package: str) -> dict[str, Any]:
    """Return what the registry says of an approved model package.

    Raises:
        InputError: the ARN is not one of this stack's packages.
        GateRefused: the package is not approved, or its problem has fields that nobody wrote yet.
    """
    example = f"arn:{account.partition}:sagemaker:{stack.region}:{stack.account}:model-package/{stack.package_group}-NAME/VERSION"
    pattern = re.escape(example).replace("NAME", r"[A-Za-z0-9-]+").replace("VERSION", r"\d+")
    if not re.fullmatch(pattern, package):
        raise InputError(f"{package!r} is no model package of stack {stack.name}; those are {example}")
    with translate_aws_errors(f"model package {package}"):
        answer = account.client("sagemaker").describe_model_package(ModelPackageName=package)
    status = answer.get("ModelApprovalStatus", "PendingManualApproval")
    if status != "Approved":
        raise GateRefused(f"{package} is not approved ({status}); approve it in the SageMaker registry first")
    properties = answer.get("CustomerMetadataProperties", {})
    if missing := properties.get(TO_BE_WRITTEN):
        fields = ", ".join(missing.split())
        raise GateRefused(f"nobody answers for {package}: write {fields} in the problem file and run again")
    author = answer.get("LastModifiedBy") or answer.get("CreatedBy") or {}
    return {
        "package": package,
        "status": status,
        "by": author.get("UserProfileName") or author.get("IamIdentity", {}).get("Arn") or "unknown",
        "description": answer.get("ApprovalDescription", ""),
        "model_data": _model_data(answer),
        **{name: properties.get(name, "") for name in ("run", "problem", "train_key", "evaluate_key")},
    }


def _model_data(answer: Mapping[str, Any]) -> str:
    """Return where the registry says that the model is; empty where it has another form than we register."""
    containers = answer.get("InferenceSpecification", {}).get("Containers", [])
    sources = [container.get("ModelDataSource", {}).get("S3DataSource", {}) for container in containers]
    return str(sources[0].get("S3Uri", "")) if len(sources) == 1 else ""


def verified(
    store: Store, package: dict[str, Any], sources: Collection[str], own: Approvers | None = None, where: str = ""
) -> dict[str, Any]:
    """Return who approved a package's model, by the store alone; the registry's fields only say where to look.

    Args:
        package: what :func:`approved` returned.
        sources, own, where: as :func:`standing.of_training` has them.

    Raises:
        GateRefused: the model is not approved, or the registry says of it what was not signed.
    """
    if not package["train_key"]:
        raise InputError(f"{package['package']} does not name its training; it was not registered by Fourscore")
    entry = standing.of_training(store, package["train_key"], sources, own, where)
    assert isinstance(entry.content, Decision)
    signed = {"run": entry.content.run, "model_data": f"{store.uri}store/{package['train_key']}/model/"}
    lineage = {subject.name.split("/")[1] for subject in entry.subjects}
    faults = [name for name, value in signed.items() if package[name] != value]
    if package["evaluate_key"] not in lineage:
        faults.append("evaluate_key")
    if faults:
        raise GateRefused(
            f"{package['package']} says of its model what was not signed ({listed(faults)}): "
            f"the approval {entry.digest[:12]} is of run {entry.content.run}"
        )
    return {"approval": standing.summary(entry)}


def mirror(account: Account, package: str, current: Standing) -> str:
    """Give a model package the status that its approvals come to, and return it; the registry decides nothing by it."""
    status = "Approved" if current.approved else "Rejected" if current.rejected else "PendingManualApproval"
    text = "; ".join(current.reasons) or "signed by " + listed([entry.approver.name for entry in current.approvals])
    with translate_aws_errors(f"model package {package}"):
        account.client("sagemaker").update_model_package(
            ModelPackageArn=package, ModelApprovalStatus=status, ApprovalDescription=text[:1024]
        )
    return status


def fetch_model(stack: Stack, package: dict[str, Any], workspace: Path, directory: Path) -> Path:
    """Copy the package's model into an empty directory, after comparing every file with the store's manifest.

    Raises:
        InputError: the directory is not empty, or the package names no model.
        CorruptExecution: the model differs from what was published.
    """
    if not package["train_key"]:
        raise InputError(f"{package['package']} does not name its training; it was not registered by Fourscore")
    if directory.exists() and any(directory.iterdir()):
        raise InputError(f"{directory} is not empty; name a new or an empty directory")
    model = open_store(workspace, stack.root).open(package["train_key"], "model")
    shutil.copytree(model, directory, dirs_exist_ok=True)
    return directory
