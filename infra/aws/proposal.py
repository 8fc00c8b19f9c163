"""AWS's own PyTorch image that is nearest to ours, by the SDK's image_uris: what there is for who would rather not build one"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import metadata

from steps.errors import InputError


@dataclass(frozen=True)
class Proposal:
    """An image, by its tag; a stack pins digests."""

    uri: str
    torch: str
    wanted: str
    """The torch that keys are made of here; a job in an image with another one refuses to run."""

    @property
    def fits(self) -> bool:
        return self.torch == self.wanted


def propose(region: str, *, gpu: bool) -> Proposal:
    """The newest image whose torch is not newer than the one installed here.

    Raises:
        InputError: the extra is missing, or AWS has no image in the region.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    try:
        from sagemaker.core import image_uris
    except ImportError:
        raise InputError("AWS's images are listed by the SDK; install the extra: pip install -e '.[aws]'") from None
    wanted = metadata.version("torch").partition("+")[0]
    known = image_uris.config_for_framework("pytorch")["training"]["versions"]
    newest = max((each for each in known if _parts(each) <= _parts(wanted)), key=_parts)
    instance = "ml.g5.xlarge" if gpu else "ml.m5.xlarge"
    try:
        uri = image_uris.retrieve("pytorch", region, version=newest, instance_type=instance, image_scope="training")
    except (KeyError, ValueError) as error:
        raise InputError(f"AWS lists no PyTorch image for {region}: {error}") from None
    return Proposal(uri, newest, wanted)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version))


def check_pinned(uri: str) -> str:
    """The URI itself.

    Raises:
        InputError: it is not pinned by a digest.
    """
    if not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", uri):
        raise InputError(f"{uri}: an image is used by its digest, as in REPOSITORY@sha256:...; tags may move")
    return uri
