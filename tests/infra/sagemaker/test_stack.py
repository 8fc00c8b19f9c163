"""A stack is read as it was written; a missing or broken one is named with what would create it."""

import json

import pytest
from compiled import make_stack

from infra.sagemaker import stack
from steps.errors import InputError


def test_a_stack_comes_back_as_it_was_saved(workspace):
    whole = make_stack(kms_key="arn:aws:kms:eu-central-1:123456789012:key/k", endpoint="http://127.0.0.1:5000")
    assert stack.save(workspace, whole) == workspace / "stacks" / "dev.json"
    assert stack.load(workspace, "dev") == whole


def test_the_root_ends_in_a_slash_with_and_without_a_prefix():
    assert make_stack(prefix="a/b").root == "s3://fourscore-dev-123456789012/a/b/"
    assert make_stack(prefix="").root == "s3://fourscore-dev-123456789012/"


def test_a_missing_stack_is_answered_with_the_command_that_creates_it(workspace):
    with pytest.raises(InputError, match=r"no stack 'dev' in .*'fourscore infra up --stack dev' creates it"):
        stack.load(workspace, "dev")
    stack.save(workspace, make_stack(name="test"))
    with pytest.raises(InputError, match="which has test"):
        stack.load(workspace, "dev")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": {"pipeline": "arn"}}, "lacks the role of prepare, role of train, role of assess"),
        ({"images": {"cpu": "repository:latest"}}, "lacks the digest of image repository:latest"),
        ({"images": {}}, "no image 'cpu'"),
        ({"bucket": None}, "bucket: Input should be a valid string"),
        ({"roles": ["arn"]}, "roles: Input should be"),
    ],
)
def test_a_stack_that_lacks_something_is_refused_by_name(workspace, change, message):
    path = stack.save(workspace, make_stack())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        stack.load(workspace, "dev")


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"name": 1}', "\x00"])
def test_a_file_that_is_not_a_stack_is_named(workspace, content):
    path = stack.save(workspace, make_stack())
    path.write_text(content)
    with pytest.raises(InputError, match=r"dev.json cannot be read.*'fourscore infra up --stack dev' creates it again"):
        stack.load(workspace, "dev")


def test_what_a_later_version_adds_is_left_out(workspace):
    path = stack.save(workspace, make_stack())
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    assert stack.load(workspace, "dev") == make_stack()
