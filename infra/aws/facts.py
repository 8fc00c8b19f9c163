"""The names in a stack: every ARN that a policy speaks of, as text or as CloudFormation fills it in"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PROJECT = "fourscore"
GITHUB = "token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Facts:
    """A stack in one account and region. All names follow from these fields, so policies can name what is not there yet."""

    stack: str
    region: str
    account: str
    prefix: str
    key: str
    """ARN of the stack's KMS key."""
    partition: str = "aws"
    suffix: str = "amazonaws.com"
    """What the names of AWS's hosts end in; another one in China."""

    @classmethod
    def symbolic(cls, stack: str, prefix: str, key: str) -> Facts:
        """For a template, whose account and region are known only where it is deployed."""
        return cls(stack, "${AWS::Region}", "${AWS::AccountId}", prefix, key, "${AWS::Partition}", "${AWS::URLSuffix}")

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def iam(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    @property
    def name(self) -> str:
        """What names of the stack start with. A stack's own name has no hyphen, so that none is the start of another."""
        return f"{PROJECT}-{self.stack}"

    @property
    def bucket(self) -> str:
        return f"{self.name}-{self.account}-{self.region}"

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def root(self) -> str:
        """``s3://BUCKET/PREFIX/``, which all keys are below."""
        return f"s3://{self.bucket}/{self.below}"

    @property
    def below(self) -> str:
        """What keys below the root start with."""
        return f"{self.prefix}/" if self.prefix else ""

    def objects(self, pattern: str) -> str:
        """ARN of the objects below the root."""
        return f"{self.bucket_arn}/{self.below}{pattern}"

    def role_name(self, role: str) -> str:
        """Roles know no region, so their names say it: the same stack may stand in two regions."""
        return f"{self.name}-{self.region}-{role}"

    def role(self, role: str) -> str:
        return self.iam(f"role/{self.role_name(role)}")

    @property
    def registry(self) -> str:
        """The host of the image repository."""
        return f"{self.account}.dkr.ecr.{self.region}.{self.suffix}"

    @property
    def repository(self) -> str:
        return self.arn("ecr", f"repository/{self.name}")

    @property
    def topic(self) -> str:
        return self.arn("sns", self.name)

    @property
    def packages(self) -> tuple[str, str]:
        """Model package groups of the stack, and the versions in them."""
        return (
            self.arn("sagemaker", f"model-package-group/{self.name}-*"),
            self.arn("sagemaker", f"model-package/{self.name}-*/*"),
        )

    @property
    def oidc_provider(self) -> str:
        return self.iam(f"oidc-provider/{GITHUB}")

    def tags(self) -> list[dict[str, str]]:
        return [
            {"Key": "fourscore:project", "Value": PROJECT},
            {"Key": "fourscore:stack", "Value": self.stack},
        ]


def substituted(template: dict[str, Any]) -> dict[str, Any]:
    """The same template with every text that has ``${...}`` in it marked to be filled in."""
    return {name: _marked(value) for name, value in template.items()}


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return {"Fn::Sub": value} if "${" in value else value
    if isinstance(value, dict):
        return {name: _marked(each) for name, each in value.items()}
    return [_marked(each) for each in value] if isinstance(value, list | tuple) else value
