"""What a person may decide about a stack; kept in the template of the stack's data, so that it is said once"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from steps.core import Config

StackName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(@\d+)?/[A-Za-z0-9._-]+(@\d+)?$")]
Environment = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,255}$")]
Branch = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,255}$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s*?]+@[^@\s*?]+$")]


class Options(Config):
    """Everything that the templates depend on; no field takes a wildcard."""

    stack: StackName
    """Letters and digits only: a hyphen would let one stack's names be the start of another's."""
    prefix: Prefix = "fourscore"
    """Below which everything lies in the bucket."""
    models: tuple[Name, ...] = ()
    """Registered models whose package groups the stack makes; runs make those that are missing."""
    notify: tuple[Email, ...] = ()
    """Who hears of approvals and of the budget."""
    budget_dollars: float = Field(default=200, gt=0, le=1_000_000)
    """A month; at 80 % of it, and when it is about to be passed, those are told."""
    repository: Repository | None = None
    """On GitHub: ``org/name``, or ``org@ID/name@ID`` for one with immutable subjects."""
    branch: Branch = "main"
    train_environment: Environment = "train"
    deploy_environment: Environment = "deploy"
    oidc_provider: Literal["create", "existing"] = "create"
    """An account has one provider for GitHub at most."""
    codebuild: bool = False
    """A project that builds images in AWS, for engineers without Docker."""
    private: bool = False
    """Jobs may run in a network of one's own (the problem's sagemaker.subnets)."""
    tracking_uri: str | None = Field(default=None, pattern=r"^(https?://[^\s*]+|arn:[^\s*]+)$")
    """MLflow as the jobs reach it: a server, or the ARN of a managed one."""
    log_bucket: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Where S3 writes access logs, when the account has such a bucket."""
    permissions_boundary: str | None = Field(default=None, pattern=r"^arn:[^\s*]+$")
    """ARN of the policy that bounds every role, where an organisation wants one."""
