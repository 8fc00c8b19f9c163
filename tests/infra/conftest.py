"""Runs in a store that was published to, as those that project them find them."""

import json

import pytest
import tracked

from infra.runs import records
from infra.store.local import LocalStore
from infra.store.manifest import Manifest
from model_code.digest import directory_digest


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A small exported model."""
    return tracked.write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="session")
def write_run():
    """``tracked.write_run``, published: every file digested, and the request names the digest of the model."""

    def write(workspace, *arguments, **options):
        run_file = tracked.write_run(workspace, *arguments, **options)
        record = records.load(workspace, run_file.stem)
        store = LocalStore(workspace)
        if model := options.get("model"):
            request = store.directory(record.stage("register").key) / "registration/registration.json"
            content = json.loads(request.read_text())
            content["tags"]["model_digest"] = directory_digest(model)
            request.write_text(json.dumps(content))
        for stage in record.stages:
            directory = store.directory(stage.key)
            (directory / "manifest.json").unlink()
            store.publish(directory, Manifest(stage.key, stage.name, {}, "pass", started=record.started))
        return run_file

    return write
