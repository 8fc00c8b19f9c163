"""fourscore infra: what is shown before anything happens, one document with --json, and exit codes; against moto."""

import io
import json

import boto3
import pytest
from click.testing import CliRunner
from motoaws import aws, moto, protected

from infra.aws import templates
from infra.sagemaker.stack import path_of
from pipelines.__main__ import Commands
from pipelines.commands.infra import infra

__all__ = ["aws", "moto", "protected"]  # the fixtures of an account in moto
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")


@pytest.fixture
def cloud(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FOURSCORE_WORKSPACE", str(tmp_path / "work"))
    return tmp_path / "work"


def run(*words, typed=None):
    """The command under the group that turns errors into messages and exit codes."""
    app = Commands(name="fourscore", commands=[infra])
    return CliRunner().invoke(app, ["infra", *words], input=typed)


class Terminal(io.BytesIO):
    """What a person types."""

    def isatty(self):
        return True


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_up_without_anybody_to_ask_wants_yes(cloud):
    result = run("up", "--stack", "dev")
    assert result.exit_code == 2
    assert "fourscore infra up --stack dev --yes" in result.stderr


def test_a_dry_run_shows_what_would_change_and_changes_nothing(cloud):
    report = document(run("up", "--dry-run", "--json"))
    assert (report["executed"], report["file"]) == (False, None)
    assert [change["stack"] for change in report["changes"]] == ["fourscore-dev-data", "fourscore-dev"]
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    result = run("up", "--dry-run")
    assert "stack fourscore-dev-data: " in result.stderr
    assert "AWS::KMS::Key" in result.stderr
    assert "nothing was changed" in result.stderr


def test_up_writes_the_stack_down_where_runs_look_for_it_and_again_changes_nothing(cloud):
    first = run("up", "--yes", "--json", "--repository", "acme/models")
    report = document(first)
    assert report["executed"]
    assert "deploying fourscore-dev-data" in first.stderr
    stack_file = json.loads(path_of(cloud, "dev").read_text())
    assert stack_file["bucket"] == report["outputs"]["bucket"] == "fourscore-dev-123456789012-eu-central-1"
    assert set(stack_file["roles"]) == {"pipeline", "prepare", "train", "assess"}
    again = run("up", "--yes")
    assert again.exit_code == 0
    assert "nothing to change" in again.stderr
    assert "fourscore infra image --stack dev" in again.stderr
    path_of(cloud, "dev").unlink()
    assert document(run("show", "--json"))["root"] == "s3://fourscore-dev-123456789012-eu-central-1/fourscore/"
    assert json.loads(path_of(cloud, "dev").read_text()) == stack_file, "show writes it for other machines"


def test_wrong_options_end_with_exit_code_2_and_a_document(cloud):
    result = run("up", "--yes", "--json", "--repository", "acme/*")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["exit_code"] == 2
    assert "--repository" in json.loads(result.stdout)["message"]


def test_down_says_what_goes_and_what_stays(cloud):
    run("up", "--yes")
    result = run("down", "--yes")
    assert result.exit_code == 0, result.output
    assert "goes" in result.stderr
    assert "stays bucket fourscore-dev-123456789012-eu-central-1" in " ".join(result.stderr.split())
    assert "its data stays" in result.stderr
    assert not path_of(cloud, "dev").exists()


def test_down_of_what_is_not_there_is_the_users_mistake(cloud):
    result = run("down", "--yes", "--json")
    assert result.exit_code == 2
    assert "no stack 'dev'" in json.loads(result.stdout)["message"]


def test_data_is_deleted_only_by_who_types_the_stacks_name(cloud):
    run("up", "--yes")
    assert "nothing was changed" in run("down", "--delete-data", typed=Terminal(b"yes\n")).stderr
    assert len(boto3.client("s3").list_buckets()["Buckets"]) == 1
    assert "is down" in run("down", "--delete-data", typed=Terminal(b"dev\n")).stderr
    assert boto3.client("s3").list_buckets()["Buckets"] == []


def test_a_model_that_waits_or_that_nobody_signed_for_is_refused_with_exit_code_3(cloud):
    run("up", "--yes")
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="fourscore-dev-x")
    package = sagemaker.create_model_package(
        ModelPackageGroupName="fourscore-dev-x", ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={"Containers": [{"Image": "i"}], "SupportedContentTypes": [], "SupportedResponseMIMETypes": []},
    )["ModelPackageArn"]  # fmt: skip
    result = run("approved", package, "--json")
    assert result.exit_code == 3
    assert "not approved (PendingManualApproval)" in json.loads(result.stdout)["message"]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    result = run("approved", package, "--json")  # moto keeps no metadata, so that it names no training
    assert (result.exit_code, "does not name its training" in result.stdout) == (2, True)
    assert run("approved", "fourscore-dev-x/1").exit_code == 2


def test_prices_are_shown_with_their_age():
    report = document(run("prices", "--json"))
    assert {"region", "instance", "job", "dollars", "date", "age_days", "source"} <= set(report["prices"][0])
    assert run("prices", "--refresh").exit_code == 2, "of which region?"


def test_help_needs_nothing_of_aws():
    for command in ("up", "down", "show", "image", "approved", "prices"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "--json" in result.stdout


def test_an_image_of_aws_is_proposed_with_the_torch_that_it_has():
    proposal = document(run("image", "--propose", "--region", "eu-central-1", "--json"))
    assert set(proposal) == {"image", "torch", "wanted", "fits"}
    assert proposal["torch"] in proposal["image"]
    assert run("image", "--propose", "--region", "eu-nowhere-1").exit_code == 2


def test_templates_are_printed_for_who_deploys_by_other_means():
    for name in ("data", "compute"):
        assert run("template", name).stdout == templates.text(name)


def test_an_image_built_elsewhere_is_pinned_by_its_digest_only(cloud):
    run("up", "--yes")
    moving = run("image", "--use", "registry.example/jobs:latest")
    assert moving.exit_code == 2
    assert "tags may move" in moving.stderr
    uri = f"registry.example/jobs@sha256:{'a' * 64}"
    assert document(run("image", "--use", uri, "--json"))["built"] is False
    assert json.loads(path_of(cloud, "dev").read_text())["images"]["cpu"] == uri


def test_the_local_cloud_keeps_what_it_holds_until_somebody_says_so(tmp_path):
    from infra.emulator.local_stack import local_objects, local_stack

    local_objects(local_stack(tmp_path)).put("kept", b"x")
    ask = ("down", "--stack", "local", "--workspace", str(tmp_path), "--json")
    result = document(run(*ask))
    assert (result["executed"], result["kept"]) == (False, [str(tmp_path / "cloud")])
    refusal = run(*ask, "--delete-data")
    assert (refusal.exit_code, "--delete-data --yes" in refusal.stderr) == (2, True)
    assert local_objects(local_stack(tmp_path)).get("kept") == b"x"
    result = document(run(*ask, "--delete-data", "--yes"))
    assert (result["executed"], result["gone"], result["kept"]) == (True, [str(tmp_path / "cloud")], [])
    assert not (tmp_path / "cloud").exists()
    assert document(run(*ask, "--delete-data", "--yes"))["executed"] is False
