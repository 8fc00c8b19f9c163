"""AWS's own PyTorch image that is nearest to the torch installed here, by the SDK's image_uris."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from importlib import metadata

from steps.errors import InputError
from steps.wording import install

FRAMEWORKS = ("pytorch", "pytorch-amzn2023")
"""The SDK lists images with PyTorch 2.11 and newer under the second name."""


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
