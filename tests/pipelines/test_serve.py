"""serve hands the verified directory of a model and its digest to the server, and refuses what predict refuses."""

from pathlib import Path

import pytest
import reported
from reported import make_run

from model_code.digest import directory_digest
from pipelines.serve import server_command
from steps.errors import GateRefused, InputError


def test_a_directory_that_no_run_published_needs_a_reason_and_gets_no_digest(workspace, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.pt2").write_bytes(b"")
    with pytest.raises(InputError, match="is not the model of a run"):
        server_command(str(tmp_path / "model"), workspace, None)
    with pytest.raises(InputError, match="wanted a sentence"):
        server_command(str(tmp_path / "model"), workspace, None, trust="ok")
    command = server_command(str(tmp_path / "model"), workspace, None, trust="our own export of May")
    assert command[-3:] == ["-m", "infra.serving", str(tmp_path / "model")]


def test_the_model_of_a_run_is_served_by_its_digest_and_a_rejected_one_only_on_request(workspace):
    files = reported.documents() | {"train/model/model.pt2": {}}
    run = make_run(workspace, files=files, status="rejected", message="not good enough")
    with pytest.raises(GateRefused, match="not good enough"):
        server_command(run, workspace, None)
    *_, directory, option, digest = server_command(run, workspace, None, rejected=True)
    assert (option, digest) == ("--digest", directory_digest(Path(directory)))
