"""Whether a model package was approved, as the registry itself says; and its model, fetched from the store."""

import re
import shutil
from pathlib import Path
from typing import Any

from infra.aws.account import Account
from infra.aws_errors import translate_aws_errors
from infra.places import open_store
from infra.sagemaker.requests import TO_BE_WRITTEN
from infra.sagemaker.stack import Stack
from steps.errors import GateRefused, InputError


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
        **{name: properties.get(name, "") for name in ("run", "problem", "train_key", "evaluate_key")},
    }


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
