"""Fixtures that every test may use; nasty values on purpose, since paths and names break code first."""

import functools
import uuid

import botocore.session
import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)  # a landing is not refused by chance
settings.register_profile("random", deadline=None)  # `make test-slow` looks where nobody has looked yet
settings.load_profile("steady")

# A client reads megabytes of JSON about its service, each session anew; tests make hundreds of them.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


WHOLE_RUNS = (
    "tests/infra/sagemaker/test_backend.py",
    "tests/pipelines/test_",
    "tests/test_",
    "tests/infra/container/",
)
"""Where the modules with whole runs begin, which take longest."""


def pytest_collection_modifyitems(items):
    """Begin with whole runs, so that no worker is left with one at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(WHOLE_RUNS))


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose path has a blank, a quote, a percent sign and a letter outside ASCII."""
    path = tmp_path / "a 0'%20 [ünïcode]" / ".fourscore"
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="session")
def s3_server():
    """S3 on loopback, the same for all tests of a session."""
    pytest.importorskip("moto.server")
    from moto_s3 import Server

    server = Server()
    server.client().create_bucket(Bucket="lake")
    yield server
    server.stop()


@pytest.fixture
def root(s3_server, monkeypatch):
    """A place of its own for a store on S3, whose prefix has a blank and a letter outside ASCII."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://lake/{uuid.uuid4().hex}/a b/ü/"
