"""One local cloud in the tests' own process; each test has a bucket and a pipeline of its own."""

import emulated
import pytest


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    lab = emulated.Lab(tmp_path_factory.mktemp("a 0'%20 [ü]") / "cloud")
    yield lab
    lab.server.close()


@pytest.fixture
def lab(cloud):
    return cloud.new()
