"""Stacks go up and down through change sets, against moto, which makes what it knows of them; the rest is linted and pinned."""

import json

import pytest
from botocore.stub import ANY

from infra.aws import changes, removal, stacks
from infra.aws.account import StackFailed, account
from infra.aws.changes import ChangeSet
from infra.sagemaker.stack import save
from pipelines.training import TRAINING
from steps.errors import FourscoreError, InputError

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")
BUCKET = "fourscore-dev-123456789012-eu-central-1"


def silent(*_):
    pass


def yes(_):
    return True


def no(_):
    return False


def up(here, name="dev", **given):
    return stacks.up(here, name, given, TRAINING, yes, silent)


def statuses(client):
    """Of what stands: a stack that was deleted has no summary any more that counts."""
    found = client("cloudformation").list_stacks()["StackSummaries"]
    return {each["StackName"]: each["StackStatus"] for each in found if each["StackStatus"] != "DELETE_COMPLETE"}


def test_a_stack_goes_up_after_its_changes_were_shown(here, client):
    shown = []
    outcome = stacks.up(here, "dev", {}, TRAINING, lambda proposed: shown.extend(proposed) or True, silent)
    assert [each.stack for each in shown] == ["fourscore-dev-data", "fourscore-dev"]
    assert {change.action for each in shown for change in each.changes} == {"Add"}
    assert {"Bucket", "Key", "Repository", "PipelineRole", "Budget", "ApprovalRule"} <= {
        change.name for each in shown for change in each.changes
    }
    assert outcome.executed
    assert statuses(client) == {"fourscore-dev-data": "CREATE_COMPLETE", "fourscore-dev": "CREATE_COMPLETE"}
    assert outcome.stack.root == f"s3://{BUCKET}/fourscore/"
    assert [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]] == [BUCKET]
    roles = {role["Arn"] for role in client("iam").list_roles()["Roles"]}
    assert set(outcome.stack.roles.values()) <= roles
    assert outcome.stack.kms_key in {f"{key['KeyArn']}" for key in client("kms").list_keys()["Keys"]}
    trust = client("iam").get_role(RoleName="fourscore-dev-eu-central-1-train")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_who_says_no_changes_nothing_and_leaves_nothing_behind(here, client):
    outcome = stacks.up(here, "dev", {}, TRAINING, no, silent)
    assert (outcome.executed, outcome.stack) == (False, None)
    assert statuses(client) == {}
    assert client("s3").list_buckets()["Buckets"] == []


def test_a_stack_that_is_what_was_asked_for_is_left_alone(here):
    up(here)
    again = stacks.up(here, "dev", {}, TRAINING, lambda _: pytest.fail("nothing is there to be shown"), silent)
    assert (again.executed, again.proposed) == (False, [])
    assert again.stack.bucket == BUCKET


def test_what_was_said_once_stays_said(here):
    up(here, repository="acme/models", notify=("team@example.com",))
    assert stacks.known_options(here, "dev").repository == "acme/models"
    up(here, codebuild=True)
    kept = stacks.known_options(here, "dev")
    assert (kept.repository, kept.notify, kept.codebuild) == ("acme/models", ("team@example.com",), True)


def test_what_changes_no_role_is_kept_too(here):
    """CloudFormation takes a change of a template's own metadata for none, so what was said stands on a resource."""
    up(here)
    again = up(here, tracking_uri="http://mlflow.internal:5000")
    assert [each.stack for each in again.proposed if each.arn] == ["fourscore-dev-data"]
    assert stacks.show_stack(here, "dev").tracking_uri == "http://mlflow.internal:5000"


def test_a_change_is_shown_as_what_it_adds_and_alters(here):
    up(here)
    shown = []
    stacks.up(here, "dev", {"codebuild": True}, TRAINING, lambda proposed: shown.extend(proposed) or True, silent)
    (work,) = (each for each in shown if each.stack == "fourscore-dev")
    assert {change.name for change in work.changes if change.action == "Add"} >= {"BuildRole", "BuildLogs", "Builder"}
    assert not [change for change in work.changes if change.action == "Remove"]


def test_the_accounts_provider_for_github_is_made_once(here, client):
    assert up(here, repository="acme/models").options.oidc_provider == "create"
    client("iam").create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"]
    )
    assert up(here, "other", repository="acme/models").options.oidc_provider == "existing"


def test_a_stack_that_is_written_down_is_what_show_finds(here, tmp_path):
    made = up(here).stack
    client = here.client("ecr")
    client.put_image(repositoryName="fourscore-dev", imageManifest=manifest("a"), imageTag="cpu-0123456789abcdef")
    client.put_image(repositoryName="fourscore-dev", imageManifest=manifest("b"), imageTag="gpu-0123456789abcdef")
    found = stacks.show_stack(here, "dev")
    assert set(found.images) == {"cpu", "gpu"}
    assert all("fourscore-dev@sha256:" in uri for uri in found.images.values())
    assert (found.roles, found.kms_key, made.images) == (made.roles, made.kms_key, {})
    assert json.loads(save(tmp_path, found).read_text())["bucket"] == BUCKET


def manifest(content):
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "size": 1,
        "digest": f"sha256:{content * 64}",
    }
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": layer,
            "layers": [layer],
        }
    )


def test_showing_what_is_not_there_says_how_to_make_it(here):
    with pytest.raises(InputError, match=r"no stack 'dev' in eu-central-1 .*fourscore infra up --stack dev"):
        stacks.show_stack(here, "dev")


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("my-stack", {}, "--stack 'my-stack'"),
        ("dev", {"repository": "acme/*"}, "--repository 'acme/.*'"),
        ("dev", {"notify": ("nobody",)}, "--notify 'nobody'"),
        ("dev", {"budget_dollars": -1}, "--budget-dollars -1"),
    ],
)
def test_wrong_options_are_named_as_a_person_gave_them(here, name, given, words):
    with pytest.raises(InputError, match=words):
        up(here, name, **given)


def test_data_that_was_kept_is_not_run_into(here, client):
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with pytest.raises(InputError, match="it was kept when that went"):
        up(here)
    assert statuses(client) == {}


def test_down_takes_the_roles_and_leaves_the_data(here, client):
    up(here)
    client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=b"1")
    found, done = removal.down(here, "dev", delete_data=False, show=yes, tell=silent)
    assert done
    assert any("1 objects" in each for each in found.stays)
    assert statuses(client) == {"fourscore-dev-data": "CREATE_COMPLETE"}
    assert client("s3").get_object(Bucket=BUCKET, Key="fourscore/raw/x")["Body"].read() == b"1"
    assert client("iam").list_roles()["Roles"] == []


def test_after_down_the_stack_goes_up_around_the_same_data(here, client):
    key = up(here).stack.kms_key
    client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=b"1")
    removal.down(here, "dev", delete_data=False, show=yes, tell=silent)
    for policy in client("iam").list_policies(Scope="Local")["Policies"]:  # moto forgets them when their stack goes
        client("iam").delete_policy(PolicyArn=policy["Arn"])
    again = up(here)
    assert [each.stack for each in again.proposed] == ["fourscore-dev"], "data stands already"
    assert again.stack.kms_key == key
    assert client("s3").get_object(Bucket=BUCKET, Key="fourscore/raw/x")["Body"].read() == b"1"


def test_only_who_says_so_deletes_data_and_then_all_of_it(here, client, protected):
    up(here)
    for body in (b"1", b"2"):
        client("s3").put_object(Bucket=BUCKET, Key="fourscore/raw/x", Body=body)
    client("ecr").put_image(repositoryName="fourscore-dev", imageManifest=manifest("a"), imageTag="cpu-0")
    key = stacks.key_of(here, "dev")
    told = []
    found, done = removal.down(here, "dev", delete_data=True, show=yes, tell=lambda *what: told.append(what[:3]))
    assert done
    assert found.stays == ()
    assert (key, "AWS::KMS::Key", "DELETE_SCHEDULED") in told
    assert statuses(client) == {}
    assert protected == [("fourscore-dev-data", True), ("fourscore-dev-data", False)]
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("ecr").describe_repositories()["repositories"] == []


def test_who_says_no_to_down_keeps_everything(here, client):
    up(here)
    _, done = removal.down(here, "dev", delete_data=True, show=no, tell=silent)
    assert not done
    assert set(statuses(client)) == {"fourscore-dev-data", "fourscore-dev"}


def test_a_stack_whose_pipeline_runs_is_not_taken_down(here, client):
    made = up(here).stack
    sagemaker = client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="fourscore-x", PipelineDefinition="{}", ClientRequestToken="0" * 32, RoleArn=made.roles["pipeline"]
    )
    arn = sagemaker.start_pipeline_execution(PipelineName="fourscore-x", ClientRequestToken="0" * 32)[
        "PipelineExecutionArn"
    ]
    assert removal.foresee(here, "dev", delete_data=False).in_use == (), "moto's executions have succeeded at once"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "RUNNING", ("Succeeded",))
        with pytest.raises(FourscoreError, match="is in use, so nothing was changed") as caught:
            removal.down(
                here, "dev", delete_data=False, show=lambda _: pytest.fail("it is not even asked"), tell=silent
            )
    assert arn in str(caught.value)
    assert set(statuses(client)) == {"fourscore-dev-data", "fourscore-dev"}


def test_an_endpoint_of_the_stack_keeps_it_up(here, client):
    up(here)
    sagemaker = client("sagemaker")
    tags = [{"Key": "fourscore:stack", "Value": "dev"}]
    sagemaker.create_model(
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/x",
        PrimaryContainer={"Image": "i", "ModelDataUrl": "s3://b/m"},
    )
    variants = [
        {
            "VariantName": "a",
            "ModelName": "m",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1,
        }
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="theirs", EndpointConfigName="c")
    assert removal.foresee(here, "dev", delete_data=False).in_use == ()
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="c", Tags=tags)
    (used,) = removal.foresee(here, "dev", delete_data=False).in_use
    assert used.startswith("endpoint live")


def test_taking_down_what_is_not_there_is_said(here):
    with pytest.raises(InputError, match="no stack 'dev'"):
        removal.down(here, "dev", delete_data=False, show=yes, tell=silent)


def test_only_data_left_is_said_too(here):
    up(here)
    removal.down(here, "dev", delete_data=False, show=yes, tell=silent)
    with pytest.raises(InputError, match="only its data is left; --delete-data"):
        removal.down(here, "dev", delete_data=False, show=yes, tell=silent)


def test_what_never_came_to_be_is_taken_away_without_a_word_of_data(here, client, monkeypatch):
    up(here)
    removal.down(here, "dev", delete_data=False, show=yes, tell=silent)
    known = changes.status
    monkeypatch.setattr(
        changes,
        "status",
        lambda account, stack: (
            "ROLLBACK_COMPLETE" if known(account, stack) and stack.endswith("-data") else known(account, stack)
        ),
    )
    found = removal.foresee(here, "dev", delete_data=False)
    assert (found.stacks, found.stays) == (("fourscore-dev-data",), ())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("UPDATE_IN_PROGRESS", "is busy"),
        ("ROLLBACK_COMPLETE", "was never finished .*fourscore infra down --stack dev"),
        ("UPDATE_ROLLBACK_FAILED", "Continue update rollback"),
    ],
)
def test_a_stack_in_a_state_that_nothing_can_be_made_of_is_said(here, monkeypatch, status, words):
    monkeypatch.setattr(changes, "status", lambda *_: status)
    with pytest.raises(FourscoreError, match=words):
        changes.propose(here, "fourscore-dev-data", {}, {}, [])


class Stubbed:
    """An account whose CloudFormation answers what it is told to: what moto cannot do, it fails."""

    def __init__(self, here, answers):
        from botocore.stub import Stubber

        self.region, self.made = here.region, here.client("cloudformation")
        self.stubber = Stubber(self.made)
        for operation, answer in answers:
            self.stubber.add_response(operation, answer, ANY if operation == "never" else None)
        self.stubber.activate()

    def client(self, service):
        assert service == "cloudformation"
        return self.made


def event(number, name, kind, status, reason=""):
    return {
        "StackId": "arn:x",
        "EventId": f"e{number}",
        "StackName": "fourscore-dev",
        "LogicalResourceId": name,
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": 0,
    }


def stack_in(status):
    return {"Stacks": [{"StackName": "fourscore-dev", "StackStatus": status, "CreationTime": 0, "StackId": "arn:x"}]}


def test_a_failed_stack_names_the_resource_that_failed_first_why_and_what_to_do(here):
    provider = event(
        2,
        "GithubProvider",
        "AWS::IAM::OIDCProvider",
        "CREATE_FAILED",
        "Provider with url ... oidc-provider/token already exists",
    )
    after = event(3, "Topic", "AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled")
    stubbed = Stubbed(here, [
        ("describe_stack_events", {"StackEvents": [event(0, "fourscore-dev", "AWS::CloudFormation::Stack", "REVIEW_IN_PROGRESS")]}),
        ("execute_change_set", {}),
        ("describe_stacks", stack_in("CREATE_IN_PROGRESS")),
        ("describe_stack_events", {"StackEvents": [after, provider]}),
        ("describe_stacks", stack_in("ROLLBACK_COMPLETE")),
        ("describe_stack_events", {"StackEvents": [after, provider]}),
    ])  # fmt: skip
    told = []
    with pytest.raises(
        StackFailed,
        match=r"(?s)GithubProvider \(AWS::IAM::OIDCProvider\) failed: .*already exists.*--oidc-provider existing",
    ) as caught:
        changes.execute(stubbed, ChangeSet("fourscore-dev", (), "arn:c"), lambda *what: told.append(what))
    assert caught.value.exit_code == 1
    assert [name for name, *_ in told] == ["GithubProvider", "Topic"], "each is told once, the first one first"


def test_a_template_that_cloudformation_refuses_says_why(here):
    stubbed = Stubbed(here, [
        ("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}),
        ("describe_change_set", {"Status": "FAILED", "StatusReason": "User is not authorized to perform iam:CreateRole"}),
        ("delete_change_set", {}),
    ])  # fmt: skip
    with pytest.raises(
        StackFailed, match="not authorized to perform iam:CreateRole\n  the credentials in use may not do this"
    ):
        changes._described(stubbed.made, "fourscore-dev", "arn:c")


def test_changes_of_many_pages_are_all_shown_and_replacements_named(here):
    def change(action, name, **more):
        return {
            "Type": "Resource",
            "ResourceChange": {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::IAM::Role", **more},
        }

    details = [{"Target": {"Attribute": "Properties", "Name": "RoleName"}}]
    stubbed = Stubbed(here, [
        ("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "A")], "NextToken": "t"}),
        ("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Modify", "B", Replacement="True", Details=details), change("Modify", "C", Replacement="False")]}),
    ])  # fmt: skip
    found = changes._described(stubbed.made, "fourscore-dev", "arn:c")
    assert [(each.name, each.action, each.properties) for each in found.changes] == [
        ("A", "Add", ()),
        ("B", "Replace", ("RoleName",)),
        ("C", "Modify", ()),
    ]


def test_a_template_too_long_for_a_request_goes_by_way_of_the_bucket(here, client, monkeypatch):
    client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    monkeypatch.setattr(changes, "LONGEST", 10)
    body = changes._body(here, {"Resources": {}}, ("bucket", "fourscore/"))
    key = body["TemplateURL"].removeprefix("https://bucket.s3.eu-central-1.amazonaws.com/")
    assert client("s3").get_object(Bucket="bucket", Key=key)["Body"].read() == b'{"Resources":{}}'


def test_without_a_region_or_credentials_the_message_says_so(monkeypatch):
    for name in (
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InputError, match="no region: say --region"):
        account(None)
    with pytest.raises(InputError, match="region 'frankfurt' is none"):
        account("frankfurt")
    with pytest.raises(InputError, match="sign in"):
        account("eu-central-1")
