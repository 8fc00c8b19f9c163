"""The generated policies under moto's own enforcement of IAM, as far as that goes: actions and resources, no conditions, no ``?``."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from needs import JOB_READS, JOB_WRITES, KEY

from infra.aws.facts import Facts
from infra.aws.permissions import DIGEST, policies
from infra.aws.reference import reference_definition
from infra.aws.statements import document
from infra.store.local import Manifest
from infra.store.s3 import S3Store
from pipelines.training import TRAINING
from steps.errors import InputError

FACTS = Facts("dev", "us-east-1", "123456789012", "fourscore", "arn:aws:kms:us-east-1:123456789012:key/0")
ARTIFACTS = sorted({name for names in (*JOB_READS.values(), *JOB_WRITES.values()) for name in names})


@pytest.fixture
def signed_in(monkeypatch):
    """Job -> a client of S3 signed in with the job's role."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "setup")
    monkeypatch.setenv("AWS_DEFAULT_REGION", FACTS.region)
    made = policies(reference_definition(FACTS, TRAINING, private=False, tracking_uri=None), FACTS, TRAINING)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=FACTS.bucket)
        for artifact in ARTIFACTS:
            s3.put_object(Bucket=FACTS.bucket, Key=f"fourscore/store/{KEY}/{artifact}/x", Body=b"x")
        sessions = {job: _take(job, document(made[job])) for job in ("prepare", "train", "assess")}
        yield lambda job: boto3.client("s3", **sessions[job])


def _take(job, policy):
    iam, sts = boto3.client("iam"), boto3.client("sts")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName=job, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=job, PolicyName="generated", PolicyDocument=json.dumps(policy).replace(DIGEST, "*"))
    given = sts.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{job}", RoleSessionName="job")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


@set_initial_no_auth_action_count(0)
def may(call, **asked):
    """Whether the call goes through, with enforcement on from the first request."""
    try:
        call(Bucket=FACTS.bucket, **asked)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return False
    return True


@pytest.mark.parametrize("job", ["prepare", "train", "assess"])
def test_each_job_reads_and_writes_its_own_artifacts_and_no_others(signed_in, job):
    s3 = signed_in(job)
    keys = {artifact: f"fourscore/store/{KEY}/{artifact}/x" for artifact in ARTIFACTS}
    assert {name for name, key in keys.items() if may(s3.get_object, Key=key)} == set(JOB_READS[job])
    assert {name for name, key in keys.items() if may(s3.put_object, Key=key, Body=b"y")} == set(JOB_WRITES[job])


@pytest.mark.parametrize("job", ["prepare", "train", "assess"])
def test_the_stores_own_code_publishes_and_opens_under_each_jobs_role(signed_in, job, tmp_path):
    """Its listings, heads, conditional writes and checks, and not only the calls that somebody thought of."""
    made = tmp_path / "made"
    for artifact in JOB_WRITES[job]:
        (made / artifact).mkdir(parents=True)
        (made / artifact / "x").write_text(artifact)
    store = S3Store(tmp_path / "here", FACTS.root, client=lambda: signed_in(job))
    again = S3Store(tmp_path / "there", FACTS.root, client=lambda: signed_in(job))
    key = "ab" * 32

    @set_initial_no_auth_action_count(0)
    def use():
        assert again.find(key) is None
        store.publish(made, Manifest(key, job, {}))
        for artifact in JOB_WRITES[job]:
            assert (again.open(key, artifact) / "x").read_text() == artifact

    use()


def test_the_stores_own_code_cannot_open_the_test_set_while_training(signed_in, tmp_path):
    made = tmp_path / "made"
    (made / "test_set").mkdir(parents=True)
    (made / "test_set/x").write_text("sealed")
    key = "cd" * 32
    S3Store(tmp_path / "here", FACTS.root, client=lambda: signed_in("prepare")).publish(
        made, Manifest(key, "split", {})
    )
    store = S3Store(tmp_path / "there", FACTS.root, client=lambda: signed_in("train"))
    store.find(key)

    @set_initial_no_auth_action_count(0)
    def use():
        with pytest.raises(InputError, match="may not"):
            store.open(key, "test_set")

    use()


def test_what_no_job_does_is_denied(signed_in):
    s3 = signed_in("train")
    for key in ("fourscore/raw/x/cells.csv", f"fourscore/store/{KEY}/test_set/x", "elsewhere/x"):
        assert not may(s3.get_object, Key=key)
    assert not may(s3.delete_bucket)
    assert not may(s3.put_bucket_policy, Policy="{}")
