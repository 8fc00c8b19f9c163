"""The AWS account and region in use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError, InputError

REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


@dataclass(frozen=True)
class Account:
    """An account, as the credentials in use sign in to it, and a region of it."""

    region: str
    account: str
    partition: str
    session: Any
    pause: float = 3.0
    """Seconds between two requests while something is going on."""
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def client(self, service: str) -> Any:
        """Return a client that retries, and slows down while AWS throttles it."""
        from botocore.config import Config

        if service not in self._clients:
            retries = Config(retries={"mode": "adaptive", "max_attempts": 10})
            self._clients[service] = self.session.client(service, config=retries)
        return self._clients[service]

    @property
    def registry(self) -> str:
        """The host of the account's image repositories."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.account}.dkr.ecr.{self.region}.{suffix}"


def region_of(region: str | None) -> str:
    """Return the given region, or the one of AWS's own settings.

    Raises:
        InputError: there is none, or it is not the name of a region.
    """
    with translate_aws_errors("AWS"):
        import boto3

        name = boto3.Session(region_name=region).region_name
        if name is None:
            raise InputError("no region: pass --region, such as --region eu-central-1, or set AWS_REGION")
        if not REGION.fullmatch(name):
            raise InputError(f"{name!r} is not a region; regions have names such as eu-central-1")
    return str(name)


def account(region: str | None) -> Account:
    """Return the account that the credentials in use belong to.

    Raises:
        InputError: boto3, a region or credentials are missing.
    """
    with translate_aws_errors("AWS"):
        import boto3

        session = boto3.Session(region_name=region_of(region))
        identity = session.client("sts").get_caller_identity()
    return Account(session.region_name, identity["Account"], identity["Arn"].split(":")[1], session)


class StackFailed(FourscoreError):
    """CloudFormation failed; the message names the resource, the reason and what to do."""
