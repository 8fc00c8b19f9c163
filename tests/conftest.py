"""Fixtures that every test may use; nasty values on purpose, since paths and names break code first."""

import contextlib
import functools
import random
import signal
import uuid

import botocore.session
import pytest
from hypothesis import settings

from infra.runs import keys

settings.register_profile("steady", derandomize=True, deadline=None)  # a landing is not refused by chance
settings.register_profile("random", deadline=None)  # `make test-slow` looks where nobody has looked yet
settings.load_profile("steady")

# A client reads megabytes of JSON about its service, each session anew; tests make hundreds of them.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# A new workspace remembers nothing of what our modules import: to parse them takes a second, and tests make hundreds of them.
keys.imports = functools.cache(keys.imports)

# A shell ignores Ctrl-C for what it starts in the background, and the processes that tests interrupt would inherit that.
with contextlib.suppress(ValueError):  # not in the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)


WHOLE_RUNS = (
    "tests/infra/sagemaker/test_backend.py",
    "tests/pipelines/test_",
    "tests/test_",
    "tests/infra/container/",
)
"""Where the modules with whole runs begin, which take longest."""


def pytest_addoption(parser):
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the modules, and the tests of each, in another order"
    )


def pytest_report_header(config):
    seed = config.getoption("shuffle")
    return None if seed is None else f"the order of the tests is that of --shuffle {seed}"


def pytest_collection_modifyitems(config, items):
    """Begin with whole runs, so that no worker is left with one at the end; or run in an order of chance."""
    seed = config.getoption("shuffle")
    if seed is None:
        items.sort(key=lambda item: not item.nodeid.startswith(WHOLE_RUNS))
        return
    chance, modules = random.Random(seed), {}  # noqa: S311
    for item in items:
        modules.setdefault(item.path, []).append(item)
    order = list(modules.values())
    chance.shuffle(order)
    for tests in order:
        chance.shuffle(tests)
    items[:] = [item for tests in order for item in tests]


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose path has a blank, a quote, a percent sign and a letter outside ASCII."""
    path = tmp_path / "a 0'%20 [ünïcode]" / ".fourscore"
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A tracking database with MLflow's tables to copy, since making them takes seconds."""
    from tracked import template

    return template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def s3_server():
    """S3 on loopback, the same for all tests of a session."""
    pytest.importorskip("moto.server")
    from moto_s3 import Server

    server = Server()
    yield server
    server.stop()


@pytest.fixture
def root(s3_server, monkeypatch):
    """A place of its own for a store on S3, whose prefix has a blank and a letter outside ASCII."""
    s3_server.client().create_bucket(Bucket="lake")  # again, since other tests empty what moto keeps for this process
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://lake/{uuid.uuid4().hex}/a b/ü/"
