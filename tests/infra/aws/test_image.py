"""The image of the jobs, built and pushed by Docker or CodeBuild, against moto's registry and a docker that writes its calls down."""

import dataclasses
import io
import re
import stat
import sys
import zipfile

import pytest
from botocore.stub import ANY, Stubber
from motoaws import manifest

from infra.aws.change_sets import Deployment
from infra.aws.image import FILES, FOLDER, make_image, source, tag_of
from steps.errors import FourscoreError, InputError

PARAMETERS = {"Stack": "dev", "Bucket": "data", "Prefix": "fourscore/", "ImageRepository": "fourscore-dev"}
COMPUTE = Deployment("CREATE_COMPLETE", PARAMETERS, {"Builder": "fourscore-dev"})
OCI = "application/vnd.oci.image.index.v1+json"


def test_a_tag_follows_from_what_the_image_is_made_from(tmp_path):
    tags = {tag_of("cpu"), tag_of("gpu")}
    assert all(re.fullmatch(r"(cpu|gpu)-[0-9a-f]{16}", tag) for tag in tags)
    for name in FILES:
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert tag_of("cpu", tmp_path) in tags
    (tmp_path / "requirements.txt").write_text("other==1")
    assert tag_of("cpu", tmp_path) not in tags


def test_the_sources_for_codebuild_are_the_same_bytes_every_time():
    assert source() == source()
    with zipfile.ZipFile(io.BytesIO(source())) as archive:
        assert archive.namelist() == [f"infra/docker/{name}" for name in FILES]


@pytest.fixture
def registry(aws):
    """The account with the stack's repository; pauses are short."""
    aws.client("ecr").create_repository(repositoryName="fourscore-dev")
    return dataclasses.replace(aws, pause=0.0)


def push(account, kind, media_type="application/vnd.docker.distribution.manifest.v2+json"):
    account.client("ecr").put_image(
        repositoryName="fourscore-dev",
        imageManifest=manifest(media_type=media_type),
        imageManifestMediaType=media_type,
        imageTag=tag_of(kind),
    )


PUSH = """
import sys
sys.path[:0] = {path!r}
import boto3
boto3.client("ecr").put_image(
    repositoryName="fourscore-dev", imageManifest={manifest!r}, imageTag={tag!r},
    imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
)
"""


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """The calls of a docker that pushes a small image when it is asked to push."""
    calls, program, push = tmp_path / "calls", tmp_path / "bin/docker", tmp_path / "push.py"
    push.write_text(PUSH.format(path=sys.path, manifest=manifest(), tag=tag_of("gpu")))
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\ncat > /dev/null\n'
        f'case "$*" in *push=true*) {sys.executable} {push};; esac\nexit ${{EXIT:-0}}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


def make(account, tmp_path, kind="cpu", builder="docker", log=lambda _: None, compute=COMPUTE):
    return make_image(account, compute, kind, builder, tmp_path, log)


def test_docker_builds_for_sagemaker_and_the_digest_counts(registry, docker, tmp_path):
    image = make(registry, tmp_path, "gpu")
    assert image.built
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert re.fullmatch(re.escape(f"{host}/fourscore-dev@sha256:") + "[0-9a-f]{64}", image.uri)
    login, build, bill = docker.read_text().splitlines()
    assert login == f"login --username AWS --password-stdin {host}", "the password is not on the command line"
    assert "--build-arg TORCH=gpu" in build
    assert f":{tag_of('gpu')},push=true,oci-mediatypes=false" in build
    assert "--target sbom --output type=local" in bill


def test_an_image_is_built_once(registry, docker, tmp_path):
    push(registry, "cpu")
    assert not make(registry, tmp_path).built
    assert not docker.exists()


def test_a_failed_build_names_the_command(registry, docker, tmp_path, monkeypatch):
    monkeypatch.setenv("EXIT", "1")
    with pytest.raises(FourscoreError, match="docker login ended with exit code 1; is the Docker engine running"):
        make(registry, tmp_path)


def test_an_oci_image_is_refused_before_a_job_fails_on_it(registry, tmp_path):
    push(registry, "cpu", OCI)
    with pytest.raises(FourscoreError, match=r"oci\.image\.index.* which SageMaker does not accept"):
        make(registry, tmp_path)


def test_without_docker_the_way_out_is_named(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no docker on this machine; install it, or use --with codebuild"):
        make(registry, tmp_path)


def test_without_a_builder_in_the_stack_the_command_that_adds_one_is_named(registry, tmp_path):
    with pytest.raises(InputError, match="fourscore infra up --stack dev --codebuild"):
        make(registry, tmp_path, builder="codebuild", compute=dataclasses.replace(COMPUTE, outputs={}))


def builds(account, *statuses):
    stubber = Stubber(account.client("codebuild"))
    variables = [{"name": "TORCH", "value": "cpu"}, {"name": "TAG", "value": tag_of("cpu")}]
    expected = {"projectName": "fourscore-dev", "sourceVersion": ANY, "environmentVariablesOverride": variables}
    stubber.add_response("start_build", {"build": {"id": "fourscore-dev:1"}}, expected)
    for phase, status in statuses:
        build = {
            "id": "fourscore-dev:1",
            "currentPhase": phase,
            "buildStatus": status,
            "logs": {"deepLink": "https://log"},
        }
        stubber.add_response("batch_get_builds", {"builds": [build]})
    return stubber


@pytest.fixture
def bucket(client):
    client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})


def test_codebuild_builds_from_the_uploaded_sources_and_is_followed(registry, tmp_path, client, bucket):
    lines = []

    def log(text):
        lines.append(text)
        if text == "completed":
            push(registry, "cpu")

    with builds(registry, ("PROVISIONING", "IN_PROGRESS"), ("BUILD", "IN_PROGRESS"), ("COMPLETED", "SUCCEEDED")):
        assert make(registry, tmp_path, builder="codebuild", log=log).built
    assert lines == ["build fourscore-dev:1", "provisioning", "build", "completed"]
    upload = client("s3").get_object(Bucket="data", Key="fourscore/images/source.zip")
    assert upload["Body"].read() == source()


def test_a_build_that_fails_in_aws_names_its_phase_and_its_log(registry, tmp_path, bucket):
    words = "ended as FAILED in phase BUILD; its log: https://log"
    with builds(registry, ("BUILD", "FAILED")), pytest.raises(FourscoreError, match=words):
        make(registry, tmp_path, builder="codebuild")
