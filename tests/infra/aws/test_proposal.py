"""AWS's own images, as the SDK lists them."""

from importlib import metadata

import pytest

from infra.aws.proposal import Proposal, propose
from steps.errors import InputError

TORCH = metadata.version("torch").partition("+")[0]


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
