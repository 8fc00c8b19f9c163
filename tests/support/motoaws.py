"""An account in moto's server, for stacks that are deployed through CloudFormation."""

import copy
import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import boto3
import pytest
from moto.cloudformation.models import ChangeSet
from moto.server import ThreadedMotoServer
from templates import load

from infra.aws import change_sets, stacks, templates
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
def aws(moto, monkeypatch, protected):
    """The account, empty.

    moto does not know outputs after change sets, tags of keys, AWS::NoValue in lists, RetainExceptOnCreate, protection.
    """
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
    monkeypatch.setattr(ChangeSet, "apply", apply_with_outputs)
    monkeypatch.setattr(templates, "text", SIMPLIFIED.__getitem__)
    monkeypatch.setattr(change_sets, "protect", lambda _, stack, on: protected.append((stack, on)))
    yield account(REGION)
    _post(f"{moto}/moto-api/reset")
    # moto's servers in one process share their state, and the tests of stores have their bucket all the time
    boto3.client("s3", endpoint_url=moto, region_name="us-east-1").create_bucket(Bucket="lake")


def apply_with_outputs(change_set):
    stack = change_set.stack
    stack.resource_map.update(change_set.template_dict, change_set.parameters)
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.output_map = stack._create_output_map()


def simplified(name):
    template = copy.deepcopy(load(name))
    for resource in template["Resources"].values():
        if "DeletionPolicy" in resource:
            resource["DeletionPolicy"] = "Retain"
        if "Roles" in resource["Properties"]:
            roles = resource["Properties"]["Roles"]
            resource["Properties"]["Roles"] = [role for role in roles if "Fn::If" not in role]
    return json.dumps(template)


SIMPLIFIED = {name: simplified(name) for name in (templates.DATA, templates.COMPUTE)}


@pytest.fixture
def protected():
    """(stack, on or off) of each time that the protection from deletion was switched."""
    return []


def _post(url):
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    connection.request("POST", parts.path)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture
def client(aws):
    return lambda service: boto3.client(service, region_name=REGION)


def manifest(content="a", media_type="application/vnd.docker.distribution.manifest.v2+json"):
    """An image for ECR."""
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "size": 1,
        "digest": f"sha256:{content * 64}",
    }
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": layer, "layers": [layer]})


def silent(*_):
    """Reports nothing."""


def yes(_):
    """Confirms everything."""
    return True


def up(aws, name="dev", **options):
    return stacks.up(aws, name, options, yes, silent)


def statuses(client):
    """Stack -> status, of those that were not deleted."""
    summaries = client("cloudformation").list_stacks()["StackSummaries"]
    return {
        stack["StackName"]: stack["StackStatus"] for stack in summaries if stack["StackStatus"] != "DELETE_COMPLETE"
    }
