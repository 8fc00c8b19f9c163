"""The account and region that a stack stands in, and what AWS says of it; errors say what to do"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from infra.aws.facts import Facts
from infra.sagemaker.service import said_plainly
from steps.errors import FourscoreError, InputError

REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


@dataclass(frozen=True)
class Account:
    """Who is signed in, and where."""

    region: str
    account: str
    partition: str
    session: Any
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def client(self, service: str) -> Any:
        """A client that tries again by itself, more slowly while AWS says that it is too much."""
        from botocore.config import Config

        if service not in self._clients:
            retries = Config(retries={"mode": "adaptive", "max_attempts": 10})
            self._clients[service] = self.session.client(service, config=retries)
        return self._clients[service]

    def facts(self, stack: str, prefix: str, key: str) -> Facts:
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return Facts(stack, self.region, self.account, prefix, key, self.partition, suffix)


def region_of(region: str | None) -> str:
    """The region that was said, or else the one of AWS's own settings.

    Raises:
        InputError: there is none.
    """
    with said_plainly("AWS"):
        import boto3

        found = boto3.Session(region_name=region).region_name
        if found is None:
            raise InputError("no region: say --region, such as --region eu-central-1, or set AWS_REGION")
        if not REGION.fullmatch(found):
            raise InputError(f"region {found!r} is none; regions are named as eu-central-1 is")
    return str(found)


def account(region: str | None) -> Account:
    """The account that the credentials in use belong to.

    Raises:
        InputError: boto3, a region or credentials are missing.
    """
    with said_plainly("AWS"):
        import boto3

        session = boto3.Session(region_name=region_of(region))
        told = session.client("sts").get_caller_identity()
        partition = told["Arn"].split(":")[1]
    return Account(session.region_name, told["Account"], partition, session)


@contextlib.contextmanager
def absent(*codes: str) -> Iterator[None]:
    """Where something is not there, that is no error; other errors stay errors."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes and "does not exist" not in str(error):
            raise


def asked(what: str) -> contextlib.AbstractContextManager[None]:
    """Whatever boto raises becomes a message for a person."""
    return said_plainly(what)


class StackFailed(FourscoreError):
    """CloudFormation could not do it; the message names the resource, why, and what to do."""
