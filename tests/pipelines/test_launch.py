"""Asking again for a run: one that goes on elsewhere is not forgotten, one that rotted is made again."""

import json
import shutil
from pathlib import Path

import pytest
from cli import EXAMPLE, fourscore

from infra.runs import records
from pipelines import launch
from pipelines.request import Request, prepare
from steps.errors import InputError

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/fourscore-dev-breast-cancer/execution/abc"


@pytest.mark.parametrize(
    ("status", "message"),
    [("running", "goes on on sagemaker, stack dev, and costs: 'fourscore attach"), ("pass", "was made on sagemaker")],
)
def test_a_run_that_was_started_elsewhere_is_not_overwritten_by_one_here(tmp_path, status, message):
    defined = ("run", EXAMPLE / "problem.yaml", "--until", "define", "--no-tracking")
    assert fourscore(*defined, cwd=tmp_path).returncode == 0
    workspace = tmp_path / ".fourscore"
    (record,) = records.every(workspace)
    record.status, record.on, record.stack, record.execution = status, "sagemaker", "dev", ARN
    records.save(workspace, record)
    shutil.rmtree(workspace / "store")  # its results are in the stack's bucket
    before = records.path_of(workspace, record.run).read_bytes()
    result = fourscore(*defined, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert records.path_of(workspace, record.run).read_bytes() == before


def test_a_finished_run_whose_card_rotted_is_put_right_when_it_is_asked_for_again(tmp_path):
    defined = ("run", EXAMPLE / "problem.yaml", "--until", "define", "--no-tracking", "--json")
    assert fourscore(*defined, cwd=tmp_path).returncode == 0
    (rotten,) = (tmp_path / ".fourscore/store").glob("*/card/card.md")
    whole = rotten.read_bytes()
    rotten.write_bytes(whole.replace(b"a", b"b"))
    result = fourscore(*defined, cwd=tmp_path)
    again = json.loads(result.stdout)
    assert (result.returncode, again["stages"][0]["status"]) == (0, "ran")
    assert rotten.read_bytes() == whole
    (report,) = (tmp_path / ".fourscore/reports").glob("*.html")
    report.unlink()
    assert json.loads(fourscore(*defined, cwd=tmp_path).stdout)["stages"][0]["key"] == again["stages"][0]["key"]
    assert report.is_file(), "a finished run without its report gets it"


def test_what_cannot_run_leaves_no_run_behind(tmp_path):
    shutil.copytree(Path(__file__).parents[1] / "wrong_inputs/good", tmp_path / "p")
    for settings, message in (
        ({"evaluate.slices": "[plaec]"}, "the data has no column 'plaec'"),
        ({"success": "[{metric: rocauc, at_least: 0.5}]"}, "'rocauc' is not a metric"),
    ):
        prepared = prepare(Request(tmp_path / "p/problem.yaml", tmp_path / "w", settings, tracking=False))
        with pytest.raises(InputError, match=message):
            launch.run(prepared, lambda *_: None)
    assert not [*(tmp_path / "w").glob("runs/*.json"), *(tmp_path / "w").glob("reports/*")]
