"""The image of the jobs: built and pushed by Docker, named by its digest; and AWS's own that is nearest to it.

A tag is the digest of what the image is made from, and tags never move: an image is built once.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from infra.aws.account import Account
from infra.aws.change_sets import Deployment
from infra.aws_errors import ignore_errors, translate_aws_errors
from steps.errors import FourscoreError, InputError
from steps.wording import install

FOLDER = Path(__file__).parents[1] / "docker"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""What SageMaker accepts; to OCI manifests it answers "Unsupported manifest media type"."""
OCI = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json")
FRAMEWORKS = ("pytorch", "pytorch-amzn2023")
"""AWS's own images in the SDK, which lists those with PyTorch 2.11 and newer under the second name."""
Kind = Literal["cpu", "gpu"]
Print = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """An image in the stack's repository."""

    kind: Kind
    tag: str
    uri: str
    """With the digest."""
    built: bool
    """False if the repository had it already."""


def make_image(account: Account, compute: Deployment, kind: Kind, workspace: Path, log: Print) -> Image:
    """Build and push the image, unless the repository has the one made from the same files.

    Args:
        compute: the stack, by :func:`infra.aws.stacks.deployment`.

    Raises:
        InputError: there is no Docker.
        FourscoreError: the build failed, or its result is not what SageMaker accepts.
    """
    repository, tag = compute.parameters["ImageRepository"], tag_of(kind)
    digest = _digest(account, repository, tag)
    if built := digest is None:
        _build(account, f"{account.registry}/{repository}:{tag}", kind, workspace / "images" / tag, log)
        digest = _digest(account, repository, tag)
    if digest is None:
        raise FourscoreError(f"image {repository}:{tag} was built but is not in the repository; run again")
    return Image(kind, tag, f"{account.registry}/{repository}@{digest}", built)


def tag_of(kind: Kind, folder: Path = FOLDER) -> str:
    """Return the kind, and the digest of all files that the image is made from."""
    names = ("Dockerfile", "requirements.txt", f"torch-{kind}.txt")
    content = b"\0".join((folder / name).read_bytes() for name in names)
    return f"{kind}-{hashlib.sha256(content).hexdigest()[:16]}"


def _digest(account: Account, repository: str, tag: str) -> str | None:
    """Return the image's digest; None if there is no image of that tag."""
    with translate_aws_errors(f"image {repository}:{tag}"), ignore_errors("RepositoryNotFoundException"):
        images = account.client("ecr").batch_get_image(
            repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=[MANIFEST, *OCI]
        )["images"]
        # Docker with its containerd image store writes OCI images whatever the options say
        if images and (media_type := images[0].get("imageManifestMediaType", MANIFEST)) != MANIFEST:
            raise FourscoreError(
                f"image {repository}:{tag} is of type {media_type}, which SageMaker does not accept; delete it from the repository "
                "and switch off Docker's containerd image store (Docker Desktop: Settings, General)"
            )
        return str(images[0]["imageId"]["imageDigest"]) if images else None
    return None


def _build(account: Account, name: str, kind: Kind, materials: Path, log: Print) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise InputError(
            "there is no docker on this machine; install it, or name an image that was built elsewhere: --use URI@sha256:DIGEST"
        )
    with translate_aws_errors("registry"):
        token = account.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    _run([docker, "login", "--username", "AWS", "--password-stdin", account.registry], password)
    build = [docker, "buildx", "build", "--platform", "linux/amd64", "--provenance=false", "--sbom=false"]
    build += ["--build-arg", f"TORCH={kind}"]
    log(f"building {name}")
    _run([*build, "--output", f"type=image,name={name},push=true,oci-mediatypes=false", str(FOLDER)])
    materials.mkdir(parents=True, exist_ok=True)
    _run([*build, "--target", "sbom", "--output", f"type=local,dest={materials}", str(FOLDER)])
    log(f"bill of materials: {materials / 'sbom.spdx.json'}")


def _run(command: list[str], stdin: bytes | None = None) -> None:
    """Run docker with its output on standard error, so that standard output stays for ``--json``."""
    code = subprocess.run(command, input=stdin, stdout=sys.stderr, check=False).returncode
    if code:
        advice = "is the Docker engine running?" if command[1] == "login" else "its last lines give the reason"
        raise FourscoreError(f"docker {command[1]} ended with exit code {code}; {advice}")


@dataclass(frozen=True)
class Proposal:
    """An image, by its tag; a stack pins digests."""

    uri: str
    torch: str
    """The image's, maybe without its last number: "2.13"."""
    installed: str
    """The torch that keys are made of here; a job in an image with another one refuses to run."""

    @property
    def fits(self) -> bool:
        return f"{self.installed}.".startswith(f"{self.torch}.")


def propose(region: str, *, gpu: bool) -> Proposal:
    """Return the newest image whose torch is not newer than the one installed here.

    Raises:
        InputError: the extra is missing, or AWS has no image in the region.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    try:
        with warnings.catch_warnings():  # compiled for the first time, the SDK warns of escapes in its docstrings
            warnings.simplefilter("ignore")
            from sagemaker.core import image_uris
    except ImportError:
        raise InputError(f"AWS's images are listed by the SDK; {install('aws')}") from None
    installed = metadata.version("torch").partition("+")[0]
    listed = {name: image_uris.config_for_framework(name)["training"]["versions"] for name in FRAMEWORKS}
    versions = {version: name for name, versions in listed.items() for version in versions}
    newest = max((version for version in versions if _parts(version) <= _parts(installed)), key=_parts)
    machine = {"instance_type": "ml.g5.xlarge" if gpu else "ml.m5.xlarge", "image_scope": "training"}
    try:
        uri = image_uris.retrieve(versions[newest], region, version=newest, **machine)
    except (KeyError, ValueError) as error:
        raise InputError(f"AWS lists no PyTorch image for {region}: {error}") from None
    return Proposal(uri, newest, installed)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def check_pinned(uri: str) -> str:
    """Return the URI.

    Raises:
        InputError: it has no digest.
    """
    if not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", uri):
        raise InputError(f"{uri}: name the image by its digest, as in REPOSITORY@sha256:...; tags may move")
    return uri
