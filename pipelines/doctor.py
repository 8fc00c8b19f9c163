"""The health check of an installation and its workspace; every finding says what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from infra.runs import records
from infra.runs.records import RunRecord
from infra.store import ledger
from infra.store.local import LocalStore
from infra.store.manifest import CorruptExecution
from pipelines.promotion import interrupted
from steps.errors import FourscoreError

ENOUGH_SPACE = 1 << 30
Finding = dict[str, Any]


def examine(workspace: Path) -> list[Finding]:
    """Return the findings of all checks; none changes anything."""
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _device,
        _workspace,
        _store,
        _stores_on_s3,
        _run_files,
        _readings,
        _unfinished,
        _promotions,
        _tracking,
    )
    return [finding for check in checks for finding in check(workspace)]


def _finding(check: str, ok: bool, detail: str) -> Finding:
    return {"check": check, "ok": ok, "found": detail}


def _python(_: Path) -> Iterator[Finding]:
    fits = sys.version_info >= (3, 11)
    yield _finding("python", fits, sys.version.split()[0] + ("" if fits else "; 3.11 or newer is required"))


def _packages(_: Path) -> Iterator[Finding]:
    """Check that every required package is installed in a version that fits."""
    from packaging.requirements import Requirement

    for text in metadata.requires("fourscore") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield _finding(
                requirement.name,
                ok=False,
                detail=f"not installed; {requirement.specifier} is required: run 'make setup'",
            )
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        yield _finding(
            requirement.name,
            fits,
            version if fits else f"{version}; {requirement.specifier} is required: run 'make setup'",
        )


def _device(_: Path) -> Iterator[Finding]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else device
    yield _finding("training device", ok=True, detail=name)


def _workspace(workspace: Path) -> Iterator[Finding]:
    place = next(path for path in (workspace.absolute(), *workspace.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    yield _finding("disk space", free > ENOUGH_SPACE, f"{free / (1 << 30):.1f} GiB free at {place}")


def _store(workspace: Path) -> Iterator[Finding]:
    store = LocalStore(workspace)
    keys = sorted(path.name for path in store.root.iterdir() if path.is_dir()) if store.root.is_dir() else []
    damage = []
    for key in keys:
        try:
            manifest = store.look(key)
            if manifest is None:
                damage.append(f"{store.directory(key)} has no manifest")
            else:
                store.verify(manifest)
        except CorruptExecution as error:
            damage.append(str(error))
    yield _finding("store", not damage, "; ".join(damage) or f"{len(keys)} executions, every file matches its manifest")


def _stores_on_s3(workspace: Path) -> Iterator[Finding]:
    """Check that each store on S3 answers and holds the results of the newest run that used it."""
    newest: dict[str, RunRecord] = {}
    for record in records.every(workspace):
        if record.store and record.on != "sagemaker-local":  # its store is in the workspace
            newest.setdefault(record.store, record)
    for uri, record in newest.items():
        from infra.store.s3 import S3Store

        store = S3Store(workspace, uri)
        keys = [stage.key for stage in record.stages if stage.status in ("ran", "cached", "refused")]
        try:
            missing = [key[:12] for key in keys if not store.exists(key)]
        except FourscoreError as error:
            yield _finding("store on S3", ok=False, detail=str(error))
            continue
        detail = f"{uri} has all {len(keys)} executions of run {record.run}"
        if missing:
            detail = f"{uri} lacks {', '.join(missing)} of run {record.run}; run it again"
        yield _finding("store on S3", not missing, detail)


def _run_files(workspace: Path) -> Iterator[Finding]:
    errors = records.unreadable(workspace)
    yield _finding("run files", not errors, "; ".join(errors) or "all can be read")


def _readings(workspace: Path) -> Iterator[Finding]:
    torn = ledger.unreadable(workspace)
    detail = (
        f"{'; '.join(torn)}: cannot be read or was deleted, but still counts; only who used the test set is lost: leave "
        "it as it is"
    )
    yield _finding("uses of the test set", not torn, detail if torn else "all can be read")


def _unfinished(workspace: Path) -> Iterator[Finding]:
    lost = [
        record.run
        for record in records.every(workspace)
        if record.status == "running" and record.execution is None and not records.is_alive(workspace, record.run)
    ]
    yield _finding(
        "runs",
        not lost,
        f"killed and not yet marked: {', '.join(lost)}; 'fourscore runs' marks them"
        if lost
        else "none was killed unnoticed",
    )


def _promotions(workspace: Path) -> Iterator[Finding]:
    """Check that no promotion was cut off between the registry and the champion's file."""
    cut = interrupted(workspace)
    detail = "; ".join(
        f"the promotion of run {run} to champion of {name} did not end: 'fourscore promote {run}' ends it"
        for name, run in cut.items()
    )
    yield _finding("promotions", not cut, detail or "all ended")


def _tracking(workspace: Path) -> Iterator[Finding]:
    """Check the workspace's own MLflow database."""
    path = workspace / "mlflow.db"
    if not path.is_file():
        return
    from infra.tracking import database

    if fault := database.fault_of(path):
        detail = f"{path}: {fault}; 'fourscore runs --sync' makes it again from the run files and journals"
        yield _finding("tracking", ok=False, detail=detail)
        return
    yield _finding("tracking", ok=True, detail="the database of MLflow is whole")
