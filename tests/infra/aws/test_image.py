"""The image of the jobs, built and pushed by Docker, against moto's registry and a docker that writes its calls down."""

import dataclasses
import re
import stat
import sys

import pytest
from motoaws import manifest

from infra.aws.change_sets import Deployment
from infra.aws.image import FOLDER, Proposal, make_image, propose, tag_of
from steps.errors import FourscoreError, InputError

PARAMETERS = {"Stack": "dev", "Bucket": "data", "Prefix": "fourscore/", "ImageRepository": "fourscore-dev"}
COMPUTE = Deployment("CREATE_COMPLETE", PARAMETERS, {})
OCI = "application/vnd.oci.image.index.v1+json"


def test_a_tag_follows_from_what_the_image_is_made_from(tmp_path):
    tags = {tag_of("cpu"), tag_of("gpu")}
    assert all(re.fullmatch(r"(cpu|gpu)-[0-9a-f]{16}", tag) for tag in tags)
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert tag_of("cpu", tmp_path) in tags
    (tmp_path / "requirements.txt").write_text("other==1")
    assert tag_of("cpu", tmp_path) not in tags


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


def make(account, tmp_path, kind="cpu"):
    return make_image(account, COMPUTE, kind, tmp_path, lambda _: None)


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
    with pytest.raises(InputError, match=r"no docker on this machine; install it, or name an image .* --use"):
        make(registry, tmp_path)


@pytest.mark.parametrize(("gpu", "kind"), [(False, "cpu"), (True, "cu")])
def test_the_image_with_the_torch_that_is_installed_here_is_proposed(gpu, kind):
    proposal = propose("eu-central-1", gpu=gpu)
    assert proposal.fits
    assert proposal.uri.startswith("763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch")
    assert f":{proposal.torch}-{kind}" in proposal.uri


@pytest.mark.parametrize(("torch", "fits"), [("2.13", True), ("2.13.0", True), ("2.1", False), ("2.12", False)])
def test_an_image_fits_if_its_torch_is_the_same_as_far_as_it_is_named(torch, fits):
    assert Proposal("uri", torch, "2.13.0").fits is fits


def test_a_region_without_images_is_named():
    with pytest.raises(InputError, match="AWS lists no PyTorch image for eu-nowhere-1"):
        propose("eu-nowhere-1", gpu=False)
