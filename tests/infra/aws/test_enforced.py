"""The roles of the jobs under moto's own enforcement of IAM, as far as that goes: actions and resources, no conditions, no ``?``."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from needs import ARTIFACTS, DIGEST, JOBS, READS, WRITES
from templates import ACCOUNT, BUCKET, REGION, small

from infra.store.manifest import Manifest
from infra.store.s3 import S3Store
from steps.errors import InputError

ROOT = f"s3://{BUCKET}/fourscore/"


@pytest.fixture
def signed_in(monkeypatch):
    """Job -> a client of S3 signed in with the job's role."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "setup")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for artifact in ARTIFACTS:
            s3.put_object(Bucket=BUCKET, Key=f"fourscore/store/{DIGEST}/{artifact}/x", Body=b"x")
        sessions = {job: assume(job) for job in JOBS}
        yield lambda job: boto3.client("s3", **sessions[job])


def assume(job):
    iam, sts = boto3.client("iam"), boto3.client("sts")
    version = "2012-10-17"
    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    policy = {"Version": version, "Statement": [
        {**statement, "Sid": f"{statement['Sid']}{index}"}
        for index, statement in enumerate(small("compute").statements(f"{job.title()}Role"))
    ]}  # fmt: skip
    iam.create_role(RoleName=job, AssumeRolePolicyDocument=json.dumps({"Version": version, "Statement": [everybody]}))
    text = json.dumps(policy).replace("?" * 64, "*")
    iam.put_role_policy(RoleName=job, PolicyName="job", PolicyDocument=text)
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{job}", RoleSessionName="job")["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


@set_initial_no_auth_action_count(0)
def may(call, **arguments):
    """Whether the call goes through, with enforcement on from the first request."""
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return False
    return True


@pytest.mark.parametrize("job", JOBS)
def test_a_job_reads_and_writes_its_own_artifacts_and_no_others(signed_in, job):
    s3 = signed_in(job)
    keys = {artifact: f"fourscore/store/{DIGEST}/{artifact}/x" for artifact in ARTIFACTS}
    assert {name for name, key in keys.items() if may(s3.get_object, Key=key)} == READS[job]
    assert {name for name, key in keys.items() if may(s3.put_object, Key=key, Body=b"y")} == WRITES[job]


@pytest.mark.parametrize("job", JOBS)
def test_the_stores_own_code_publishes_and_opens_under_each_jobs_role(signed_in, job, tmp_path):
    """Its listings, heads, conditional writes and checks, and not only the calls that somebody thought of."""
    results = tmp_path / "results"
    for artifact in WRITES[job]:
        (results / artifact).mkdir(parents=True)
        (results / artifact / "x").write_text(artifact)
    store = S3Store(tmp_path / "first", ROOT, client=lambda: signed_in(job))
    again = S3Store(tmp_path / "second", ROOT, client=lambda: signed_in(job))
    key = "ab" * 32

    @set_initial_no_auth_action_count(0)
    def use():
        assert again.find(key) is None
        store.publish(results, Manifest(key, job, {}, "pass"))
        for artifact in WRITES[job]:
            assert (again.open(key, artifact) / "x").read_text() == artifact

    use()


def test_the_stores_own_code_cannot_open_the_test_set_while_training(signed_in, tmp_path):
    results = tmp_path / "results"
    (results / "test_set").mkdir(parents=True)
    (results / "test_set/x").write_text("sealed")
    key = "cd" * 32
    S3Store(tmp_path / "first", ROOT, client=lambda: signed_in("prepare")).publish(
        results, Manifest(key, "split", {}, "pass")
    )
    store = S3Store(tmp_path / "second", ROOT, client=lambda: signed_in("train"))
    store.find(key)

    @set_initial_no_auth_action_count(0)
    def use():
        with pytest.raises(InputError, match="may not"):
            store.open(key, "test_set")

    use()


def test_what_no_job_does_is_denied(signed_in):
    s3 = signed_in("train")
    for key in ("fourscore/raw/x/cells.csv", f"fourscore/store/{DIGEST}/test_set/x", "elsewhere/x"):
        assert not may(s3.get_object, Key=key)
    assert not may(s3.delete_bucket)
    assert not may(s3.put_bucket_policy, Policy="{}")
