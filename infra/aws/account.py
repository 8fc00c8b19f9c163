"""The AWS account and region in use."""

import re
from dataclasses import dataclass, field
from typing import Any

from infra import aws_errors
from infra.aws_errors import translate_aws_errors
from steps.errors import FourscoreError, InputError

REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


@dataclass(frozen=True)
class Account:
    """An account, as the credentials in use sign in to it, and a region of it."""

    region: str
    account: str
    partition: str
    pause: float = 3.0
    """Seconds between two requests while something is going on."""
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def client(self, service: str) -> Any:
        """Return the client of a service; the same one each time."""
        if service not in self._clients:
            self._clients[service] = aws_errors.client(service, self.region)
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
        from botocore.session import get_session

        name = region or get_session().get_config_variable("region")
        if name is None:
            raise InputError("no region: pass --region, such as --region eu-central-1, or set AWS_DEFAULT_REGION")
        if not REGION.fullmatch(name):
            raise InputError(f"{name!r} is not a region; regions have names such as eu-central-1")
    return str(name)


def account(region: str | None) -> Account:
    """Return the account that the credentials in use belong to.

    Raises:
        InputError: boto3, a region or credentials are missing.
    """
    name = region_of(region)
    with translate_aws_errors("AWS"):
        identity = aws_errors.client("sts", name).get_caller_identity()
    return Account(name, identity["Account"], identity["Arn"].split(":")[1])


class StackFailed(FourscoreError):
    """CloudFormation failed; the message names the resource, the reason and what to do."""
