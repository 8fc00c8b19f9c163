"""Names and errors in the form of AWS's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REGION, ACCOUNT = "us-east-1", "123456789012"
"""An account that belongs to nobody."""
BUCKET = "fourscore-local"

Response = dict[str, Any]


@dataclass
class ApiError(Exception):
    """An error as the API returns it."""

    code: str
    message: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid(message: object) -> ApiError:
    return ApiError("ValidationException", str(message))


def make_arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"
