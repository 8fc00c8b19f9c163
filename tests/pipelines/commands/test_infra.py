"""fourscore infra: what is shown before anything happens, one document with --json, and exit codes; against moto."""

import json
import sys

import boto3
import pytest
from click.testing import CliRunner
from motoaws import aws, moto, protected

from infra.aws import templates
from infra.aws.account import Account
from infra.sagemaker.stack import path_of
from infra.store.manifest import Manifest
from infra.store.s3 import S3Store
from pipelines.__main__ import Commands
from pipelines.commands.infra import infra

__all__ = ["aws", "moto", "protected"]  # the fixtures of an account in moto
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")
PACKAGE = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/fourscore-dev-x/1"


@pytest.fixture
def cloud(aws, monkeypatch, tmp_path):
    monkeypatch.setenv("FOURSCORE_WORKSPACE", str(tmp_path / "work"))
    return tmp_path / "work"


def run(*words, given=None):
    """The command under the group that turns errors into messages and exit codes."""
    app = Commands(name="fourscore", commands=[infra])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fourscore", "infra", *words])
        return CliRunner().invoke(app, ["infra", *words], input=given)


def document(done):
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_up_without_anybody_to_ask_wants_yes(cloud):
    done = run("up", "--stack", "dev")
    assert done.exit_code == 2
    assert "fourscore infra up --stack dev --yes" in done.stderr


def test_a_dry_run_shows_what_would_change_and_changes_nothing(cloud):
    told = document(run("up", "--dry-run", "--json"))
    assert (told["executed"], told["file"]) == (False, None)
    assert [each["stack"] for each in told["changes"]] == ["fourscore-dev-data", "fourscore-dev"]
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    done = run("up", "--dry-run")
    assert "stack fourscore-dev-data: " in done.stderr
    assert "AWS::KMS::Key" in done.stderr
    assert "nothing was changed" in done.stderr


def test_up_writes_the_stack_down_where_runs_look_for_it(cloud):
    told = document(run("up", "--yes", "--json", "--repository", "acme/models"))
    assert told["executed"]
    written = json.loads(path_of(cloud, "dev").read_text())
    assert written["bucket"] == told["outputs"]["bucket"] == "fourscore-dev-123456789012-eu-central-1"
    assert set(written["roles"]) == {"pipeline", "prepare", "train", "assess"}


def test_up_again_says_that_nothing_is_to_be_changed_and_what_comes_next(cloud):
    run("up", "--yes")
    done = run("up", "--yes")
    assert done.exit_code == 0
    assert "nothing to change" in done.stderr
    assert "fourscore infra image --stack dev" in done.stderr


def test_wrong_options_end_with_exit_code_2_and_a_document(cloud):
    done = run("up", "--yes", "--json", "--repository", "acme/*")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["exit_code"] == 2
    assert "--repository" in json.loads(done.stdout)["message"]


def test_show_writes_down_a_stack_that_was_made_elsewhere(cloud):
    run("up", "--yes")
    path_of(cloud, "dev").unlink()
    told = document(run("show", "--json"))
    assert told["root"] == "s3://fourscore-dev-123456789012-eu-central-1/fourscore/"
    assert path_of(cloud, "dev").is_file()


def test_down_says_what_goes_and_what_stays(cloud):
    run("up", "--yes")
    done = run("down", "--yes")
    assert done.exit_code == 0, done.output
    assert "goes" in done.stderr
    assert "stays bucket fourscore-dev-123456789012-eu-central-1 (0 objects)" in " ".join(done.stderr.split())
    assert "its data stays" in done.stderr
    assert not path_of(cloud, "dev").exists()


def test_down_of_what_is_not_there_is_the_users_mistake(cloud):
    done = run("down", "--yes", "--json")
    assert done.exit_code == 2
    assert "no stack 'dev'" in json.loads(done.stdout)["message"]


def test_data_is_deleted_only_by_who_types_the_stacks_name(cloud, monkeypatch):
    run("up", "--yes")
    monkeypatch.setattr("pipelines.commands.infra._require_answer", lambda *_: None)
    assert "nothing was changed" in run("down", "--delete-data", given="yes\n").stderr
    assert len(boto3.client("s3").list_buckets()["Buckets"]) == 1
    assert "is down" in run("down", "--delete-data", given="dev\n").stderr
    assert boto3.client("s3").list_buckets()["Buckets"] == []


@pytest.fixture
def package(cloud, monkeypatch):
    """A model package of the stack that waits; its metadata, which moto forgets, is put back into the answers."""
    whole = Account.client

    def client(self, service):
        made = whole(self, service)
        made.meta.events.register("after-call.sagemaker.DescribeModelPackage", _with_metadata, unique_id="metadata")
        return made

    monkeypatch.setattr(Account, "client", client)
    run("up", "--yes")
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="fourscore-dev-x")
    return sagemaker.create_model_package(
        ModelPackageGroupName="fourscore-dev-x",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={"Containers": [{"Image": "i"}], "SupportedContentTypes": [], "SupportedResponseMIMETypes": []},
    )["ModelPackageArn"]  # fmt: skip


def _with_metadata(parsed, **_):
    parsed["CustomerMetadataProperties"] = {"run": "r1", "problem": "x", "train_key": "ab" * 32}


def test_a_model_that_waits_is_refused_with_exit_code_3_and_one_that_was_approved_is_named(package):
    done = run("approved", package, "--json")
    assert done.exit_code == 3
    assert "not approved (PendingManualApproval)" in json.loads(done.stdout)["message"]
    boto3.client("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    told = document(run("approved", package, "--json"))
    assert (told["status"], told["run"], told["train_key"]) == ("Approved", "r1", "ab" * 32)


@pytest.mark.parametrize(
    "other",
    [
        PACKAGE.replace("123456789012", "210987654321"),
        PACKAGE.replace("fourscore-dev-x", "fourscore-prod-x"),
        PACKAGE.replace("eu-central-1", "us-east-1"),
        f"{PACKAGE}; rm -rf /",
        "fourscore-dev-x/1",
    ],
)
def test_a_package_of_another_stack_is_not_even_asked_for(cloud, other):
    run("up", "--yes")
    done = run("approved", other)
    assert done.exit_code == 2
    assert "is no model package of stack dev" in done.stderr


def test_an_approved_model_is_fetched_as_it_was_published(package, tmp_path, cloud):
    made = tmp_path / "made"
    (made / "model").mkdir(parents=True)
    (made / "model/model.pt2").write_bytes(b"weights")
    bucket = "s3://fourscore-dev-123456789012-eu-central-1/fourscore/"
    S3Store(tmp_path / "elsewhere", bucket).publish(made, Manifest("ab" * 32, "train", {}))
    boto3.client("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    told = document(run("approved", package, "--json", "--fetch", str(tmp_path / "model")))
    assert (tmp_path / "model/model.pt2").read_bytes() == b"weights"
    assert told["model"] == str(tmp_path / "model")
    assert run("approved", package, "--fetch", str(tmp_path / "model")).exit_code == 2, "it is not empty any more"


def test_prices_are_shown_with_their_age():
    told = document(run("prices", "--json"))
    assert {"region", "instance", "job", "dollars", "date", "age_days", "source"} <= set(told["prices"][0])
    assert run("prices", "--refresh").exit_code == 2, "of which region?"


def test_help_needs_nothing_of_aws():
    for command in ("up", "down", "show", "image", "approved", "prices"):
        done = run(command, "--help")
        assert done.exit_code == 0
        assert "--json" in done.stdout


def test_events_are_told_as_they_come(cloud):
    done = run("up", "--yes")
    assert "CREATE_COMPLETE" in done.stderr


def test_the_local_cloud_ends_by_the_same_command_and_keeps_what_it_holds(tmp_path):
    from infra.emulator import local_cloud

    name = {"Bucket": "fourscore-local", "Key": "kept"}
    local_cloud.start(tmp_path).client("s3").put_object(**name, Body=b"x")
    for executed in (True, False):
        done = document(run("down", "--stack", "local", "--workspace", str(tmp_path), "--json"))
        assert done["executed"] is executed
    assert local_cloud.running(tmp_path) is None
    assert local_cloud.start(tmp_path).client("s3").get_object(**name)["Body"].read() == b"x"
    local_cloud.stop(tmp_path)


def test_the_local_clouds_data_is_deleted_by_who_says_so(tmp_path):
    from infra.emulator import local_cloud

    local_cloud.start(tmp_path)
    ask = ("down", "--stack", "local", "--delete-data", "--workspace", str(tmp_path), "--json")
    asked = run(*ask)
    assert (asked.exit_code, "--delete-data --yes" in asked.stderr) == (2, True)
    assert local_cloud.running(tmp_path) is not None
    done = document(run(*ask, "--yes"))
    assert (done["executed"], done["gone"], done["kept"]) == (True, [str(tmp_path / "cloud")], [])
    assert not (tmp_path / "cloud").exists()
    assert document(run(*ask, "--yes"))["executed"] is False


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
