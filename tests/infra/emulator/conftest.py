"""One local cloud in the tests' own process; each test has a bucket and a pipeline of its own."""

import emulated
import pytest

from infra.emulator.server import Server


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    place = tmp_path_factory.mktemp("cloud")
    server = Server(place, **emulated.QUICK)
    yield place, server
    server.close()


@pytest.fixture
def lab(cloud):
    place, server = cloud
    return emulated.Lab(place, server.address)
