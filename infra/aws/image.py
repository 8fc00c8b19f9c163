"""The image of the jobs built and pushed, by the engineer's Docker or by CodeBuild, and found again by its digest

A tag is the digest of what the image is made from, and tags never move: what is there already is not built again.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from infra.aws.account import Account, absent, asked
from infra.aws.facts import Facts
from infra.aws.people import SOURCES
from infra.aws.stacks import key_of, known_options
from steps.errors import FourscoreError, InputError

FOLDER = Path(__file__).parents[1] / "docker"
FILES = ("Dockerfile", ".dockerignore", "buildspec.yml", "requirements.txt", "torch-cpu.txt", "torch-gpu.txt")
USER, ROOT = "10001:10001", "root"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""What SageMaker takes: "Unsupported manifest media type" is its answer to OCI's."""
PAUSE, PATIENCE = 10.0, 3600.0

Kind = Literal["cpu", "gpu"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """An image in the stack's repository."""

    kind: Kind
    tag: str
    uri: str
    """By digest."""
    built: bool
    """False: it was there."""


def make_image(
    account: Account, stack: str, kind: Kind, builder: str, workspace: Path, say: Say, *, as_root: bool = False
) -> Image:
    """Build and push the image, unless the one made from these very files is there.

    Args:
        builder: docker or codebuild.
        as_root: run jobs as root, where SageMaker gives ``/opt/ml`` to nobody else.

    Raises:
        InputError: there is no such stack, no Docker, no builder in the stack.
        FourscoreError: the build failed, or made what SageMaker does not take.
    """
    options = known_options(account, stack)
    if options is None:
        raise InputError(f"no stack {stack!r} in {account.region}: 'fourscore infra up --stack {stack}' makes it")
    if builder == "codebuild" and not options.codebuild:
        raise InputError(f"stack {stack} has no builder; 'fourscore infra up --stack {stack} --codebuild' adds one")
    facts = account.facts(stack, options.prefix, key_of(account, stack))
    user = ROOT if as_root else USER
    tag = tag_of(kind, user)
    found = _digest(account, facts, tag)
    built = found is None
    if found is None:
        build = _with_codebuild if builder == "codebuild" else _with_docker
        build(account, facts, tag, {"TORCH": kind, "RUN_AS": user}, workspace, say)
        found = _digest(account, facts, tag)
    if found is None:
        raise FourscoreError(f"image {facts.name}:{tag} was built but is not in the repository; run again")
    _check_manifest(account, facts, tag)
    return Image(kind, tag, f"{facts.registry}/{facts.name}@{found}", built)


def tag_of(kind: Kind, user: str = USER) -> str:
    """Kind, and the digest of everything that the image is made from."""
    torch = f"torch-{kind}.txt"
    parts = [(FOLDER / name).read_bytes() for name in ("Dockerfile", "requirements.txt", torch)]
    made_from = b"\0".join([*parts, user.encode()])
    return f"{kind}-{hashlib.sha256(made_from).hexdigest()[:16]}"


def _digest(account: Account, facts: Facts, tag: str) -> str | None:
    with asked(f"repository {facts.name}"), absent("ImageNotFoundException", "RepositoryNotFoundException"):
        found = account.client("ecr").describe_images(repositoryName=facts.name, imageIds=[{"imageTag": tag}])
        return str(found["imageDetails"][0]["imageDigest"])
    return None


def _check_manifest(account: Account, facts: Facts, tag: str) -> None:
    """Docker with its containerd image store writes OCI manifests, whatever it is told.

    Raises:
        FourscoreError: this is one.
    """
    with asked(f"image {facts.name}:{tag}"):
        asked_for = [MANIFEST, "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"]
        found = account.client("ecr").batch_get_image(
            repositoryName=facts.name, imageIds=[{"imageTag": tag}], acceptedMediaTypes=asked_for
        )["images"]
    kind = found[0].get("imageManifestMediaType", MANIFEST) if found else MANIFEST
    if kind != MANIFEST:
        raise FourscoreError(
            f"image {facts.name}:{tag} is of type {kind}, which SageMaker does not take; remove it from the repository, "
            "switch off Docker's containerd image store (Docker Desktop: Settings, General) or use --with codebuild"
        )


def _with_docker(
    account: Account, facts: Facts, tag: str, arguments: dict[str, str], workspace: Path, say: Say
) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise InputError("there is no docker on this machine; install it, or use --with codebuild")
    with asked("registry"):
        token = account.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    _run([docker, "login", "--username", "AWS", "--password-stdin", facts.registry], password)
    name = f"{facts.registry}/{facts.name}:{tag}"
    build = [docker, "buildx", "build", "--platform", "linux/amd64", "--provenance=false", "--sbom=false"]
    build += [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    say(f"building {name}")
    _run([*build, "--output", f"type=image,name={name},push=true,oci-mediatypes=false", str(FOLDER)])
    bill = workspace / "images" / tag
    bill.mkdir(parents=True, exist_ok=True)
    _run([*build, "--target", "sbom", "--output", f"type=local,dest={bill}", str(FOLDER)])
    say(f"bill of materials: {bill / 'sbom.spdx.json'}")


def _run(command: list[str], given: bytes | None = None) -> None:
    """Docker's own words go to the terminal, whatever is asked of standard output.

    Raises:
        FourscoreError: it failed.
    """
    done = subprocess.run(command, input=given, stdout=sys.stderr, check=False)
    if done.returncode:
        advice = "is the Docker engine running?" if command[1] == "login" else "its last lines say why"
        raise FourscoreError(f"docker {command[1]} ended with exit code {done.returncode}; {advice}")


def _with_codebuild(
    account: Account, facts: Facts, tag: str, arguments: dict[str, str], _workspace: Path, say: Say
) -> None:
    with asked("CodeBuild"):
        key = f"{facts.below}{SOURCES}/source.zip"
        sent = account.client("s3").put_object(Bucket=facts.bucket, Key=key, Body=source())
        client = account.client("codebuild")
        variables = [{"name": name, "value": value} for name, value in {**arguments, "TAG": tag}.items()]
        build = client.start_build(
            projectName=facts.name, sourceVersion=sent.get("VersionId", ""), environmentVariablesOverride=variables
        )["build"]
        say(f"build {build['id']}")
        _follow(client, build["id"], say)


def _follow(client: Any, build: str, say: Say) -> None:
    phase = ""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        (now,) = client.batch_get_builds(ids=[build])["builds"]
        if now.get("currentPhase", "") != phase:
            phase = now.get("currentPhase", "")
            say(phase.lower().replace("_", " "))
        if now["buildStatus"] == "SUCCEEDED":
            return
        if now["buildStatus"] != "IN_PROGRESS":
            where = now.get("logs", {}).get("deepLink", "the CodeBuild console")
            raise FourscoreError(f"build {build} ended as {now['buildStatus']} in phase {phase}; its log: {where}")
        time.sleep(PAUSE)
    raise FourscoreError(
        f"build {build} still goes on after {PATIENCE:.0f} s; the CodeBuild console follows it further"
    )


def source() -> bytes:
    """The files that an image is made from, under their names in the repository; the same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            entry = zipfile.ZipInfo(f"infra/docker/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (FOLDER / name).read_bytes())
    return packed.getvalue()
