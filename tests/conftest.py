"""Fixtures that every test may use; nasty values on purpose, since paths and names break code first."""

import pytest


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose path has a blank, a quote, a percent sign and a letter outside ASCII."""
    path = tmp_path / "a 0'%20 [ünïcode]" / ".fourscore"
    path.mkdir(parents=True)
    return path
