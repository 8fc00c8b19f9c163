"""Both stacks are deployed, data first, and described, against moto, which creates what it knows of them."""

import json

import pytest
from motoaws import manifest, silent, statuses, up, yes
from templates import BUCKET

from infra.aws import change_sets, removal, stacks
from infra.sagemaker.stack import save
from steps.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")
BOTH = ["fourscore-dev-data", "fourscore-dev"]


def down(aws, name="dev"):
    removal.down(aws, name, delete_data=False, confirm=yes, log=silent)


def test_a_stack_goes_up_after_its_changes_were_shown(aws, client):
    proposals = []
    outcome = stacks.up(aws, "dev", {}, lambda proposed: proposals.extend(proposed) or True, silent)
    assert [change_set.stack for change_set in proposals] == BOTH
    assert {change.action for change_set in proposals for change in change_set.changes} == {"Add"}
    names = {change.name for change_set in proposals for change in change_set.changes}
    assert {"Bucket", "Key", "ImageRepository", "PipelineRole", "Budget", "ApprovalRule"} <= names
    assert outcome.executed
    assert statuses(client) == dict.fromkeys(BOTH, "CREATE_COMPLETE")
    assert outcome.stack.root == f"s3://{BUCKET}/fourscore/"
    assert [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]] == [BUCKET]
    assert set(outcome.stack.roles) == {"pipeline", "prepare", "train", "assess"}
    assert set(outcome.stack.roles.values()) <= {role["Arn"] for role in client("iam").list_roles()["Roles"]}
    assert outcome.stack.kms_key in {key["KeyArn"] for key in client("kms").list_keys()["Keys"]}
    policy = client("iam").get_role_policy(RoleName="fourscore-dev-eu-central-1-train", PolicyName="key")
    assert policy["PolicyDocument"]["Statement"][0]["Resource"] == outcome.stack.kms_key, (
        "and not one that was foreseen"
    )


def test_who_says_no_changes_nothing_and_leaves_nothing_behind(aws, client):
    outcome = stacks.up(aws, "dev", {}, lambda _: False, silent)
    assert (outcome.executed, outcome.stack) == (False, None)
    assert statuses(client) == {}
    assert client("s3").list_buckets()["Buckets"] == []


def test_a_stack_that_is_up_to_date_is_left_alone(aws):
    up(aws)
    again = stacks.up(aws, "dev", {}, lambda _: pytest.fail("there is nothing to show"), silent)
    assert (again.executed, again.proposed) == (False, [])
    assert again.stack.bucket == BUCKET


def test_options_stay_as_they_were(aws, client):
    up(aws, repository="acme/models", notify=("team@example.com",))
    parameters = {}

    def confirm(proposed):
        (change_set,) = proposed
        answer = client("cloudformation").describe_change_set(ChangeSetName=change_set.arn, StackName="fourscore-dev")
        parameters.update((entry["ParameterKey"], entry["ParameterValue"]) for entry in answer["Parameters"])
        return False

    stacks.up(aws, "dev", {"tracking_uri": "http://mlflow:5000"}, confirm, silent)
    assert {parameters[name] for name in ("Repository", "Notify", "TrackingUri")} == {
        "acme/models", "team@example.com", "http://mlflow:5000",
    }  # fmt: skip


def test_both_stacks_have_the_tags_that_cloudformation_gives_to_all_that_they_contain(aws, client):
    up(aws)
    for name in ("fourscore-dev-data", "fourscore-dev"):
        (stack,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        tags = {tag["Key"]: tag["Value"] for tag in stack["Tags"]}
        assert tags == {"fourscore:project": "fourscore", "fourscore:stack": "dev"}


def test_a_stack_with_other_options_gets_what_they_ask_for(aws):
    up(aws)
    current = up(aws, "other", prefix="ml", tracking_uri="http://mlflow:5000").stack
    assert (current.prefix, current.tracking_uri) == ("ml", "http://mlflow:5000")


def test_the_accounts_provider_for_github_is_created_once(aws, client):
    def provider(name):
        return change_sets.describe(aws, f"fourscore-{name}").parameters["OidcProvider"]

    up(aws, repository="acme/models")
    assert provider("dev") == "create"
    client("iam").create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"]
    )
    up(aws, "other", repository="acme/models")
    assert provider("other") == "existing"


def test_a_stack_is_shown_with_its_images(aws, client, tmp_path):
    before = up(aws).stack
    for content, tag in (("a", "cpu-0123456789abcdef"), ("b", "gpu-0123456789abcdef")):
        client("ecr").put_image(repositoryName="fourscore-dev", imageManifest=manifest(content), imageTag=tag)
    current = stacks.show_stack(aws, "dev")
    assert set(current.images) == {"cpu", "gpu"}
    assert all("/fourscore-dev@sha256:" in uri for uri in current.images.values())
    assert (current.roles, current.kms_key, before.images) == (before.roles, before.kms_key, {})
    assert json.loads(save(tmp_path, current).read_text())["bucket"] == BUCKET


def test_showing_a_stack_that_does_not_exist_names_the_command_that_creates_it(aws):
    with pytest.raises(InputError, match=r"no stack 'dev' in eu-central-1 .*fourscore infra up --stack dev"):
        stacks.show_stack(aws, "dev")


def test_after_down_the_stack_goes_up_around_the_same_data(aws, client):
    key = up(aws).stack.kms_key
    client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=b"1")
    down(aws)
    for policy in client("iam").list_policies(Scope="Local")["Policies"]:  # moto forgets them when their stack goes
        client("iam").delete_policy(PolicyArn=policy["Arn"])
    again = up(aws)
    assert [change_set.stack for change_set in again.proposed] == ["fourscore-dev"], "data is deployed already"
    assert again.stack.kms_key == key
    assert client("s3").get_object(Bucket=BUCKET, Key="fourscore/raw/x")["Body"].read() == b"1"
