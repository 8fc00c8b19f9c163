"""Was this model approved? Asked of the registry itself, since an event or a person may say anything; and the model fetched"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from infra.aws.account import Account, asked
from infra.sagemaker.stack import Stack
from infra.store.local import open_store
from steps.errors import GateRefused, InputError


def approved(account: Account, stack: Stack, package: str) -> dict[str, Any]:
    """What the registry says of a model package that a person approved.

    Raises:
        InputError: it is no package of this stack.
        GateRefused: it is not approved.
    """
    wanted = f"arn:{account.partition}:sagemaker:{stack.region}:{stack.account}:model-package/{stack.package_group}-NAME/VERSION"
    pattern = re.escape(wanted).replace("NAME", r"[A-Za-z0-9-]+").replace("VERSION", r"\d+")
    if not re.fullmatch(pattern, package):
        raise InputError(f"{package!r} is no model package of stack {stack.name}; wanted {wanted}")
    with asked(f"model package {package}"):
        found = account.client("sagemaker").describe_model_package(ModelPackageName=package)
    status = found.get("ModelApprovalStatus", "PendingManualApproval")
    if status != "Approved":
        raise GateRefused(
            f"{package} is not approved ({status}); whoever may approve does so in the SageMaker registry"
        )
    by = found.get("LastModifiedBy") or found.get("CreatedBy") or {}
    properties = found.get("CustomerMetadataProperties", {})
    return {
        "package": package,
        "status": status,
        "by": by.get("UserProfileName") or by.get("IamIdentity", {}).get("Arn") or "unknown",
        "description": found.get("ApprovalDescription", ""),
        "run": properties.get("run", ""),
        "problem": properties.get("problem", ""),
        "train_key": properties.get("train_key", ""),
        "evaluate_key": properties.get("evaluate_key", ""),
    }


def fetch_model(stack: Stack, package: dict[str, Any], workspace: Path, directory: Path) -> Path:
    """The package's model, compared file by file with what was published, in a directory of its own.

    Raises:
        InputError: the directory holds something already, or the package names no model.
        CorruptExecution: the model is not what was evaluated.
    """
    if not package["train_key"]:
        raise InputError(
            f"{package['package']} does not say which training made it; it was not registered by Fourscore"
        )
    if directory.exists() and any(directory.iterdir()):
        raise InputError(f"{directory} is not empty; name a directory that is, or none yet")
    found = open_store(workspace, stack.root).open(package["train_key"], "model")
    shutil.copytree(found, directory, dirs_exist_ok=True)
    return directory
