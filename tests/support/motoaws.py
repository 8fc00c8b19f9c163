"""An account in moto's server, for what is brought up and down through CloudFormation."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.aws import changes, stacks
from infra.aws.account import account

REGION = "eu-central-1"


@pytest.fixture(scope="session")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def here(moto, monkeypatch, protected):
    """The account, empty; and moto's gaps that would be in the way: tags of keys, protection, RetainExceptOnCreate."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    _post(f"{moto}/moto-api/reset")
    whole = stacks.data_template

    def digestible(options):
        template = whole(options)
        del template["Resources"]["Key"]["Properties"]["Tags"]
        for item in template["Resources"].values():
            if "DeletionPolicy" in item:
                item["DeletionPolicy"] = "Retain"
        return template

    monkeypatch.setattr(stacks, "data_template", digestible)
    monkeypatch.setattr(changes, "PAUSE", 0.01)
    monkeypatch.setattr(changes, "protect", lambda _, stack, on: protected.append((stack, on)))
    return account(REGION)


@pytest.fixture
def protected():
    """(stack, on or off) of each time that protection was asked for."""
    return []


def _post(url):
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("POST", parts.path)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture
def client(here):
    return lambda service: boto3.client(service, region_name=REGION)
