"""What a server may be asked to do differently, and the limits of requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """The limits of requests; beyond them is 413, 408 or 503, and never a server that stands still."""

    body_bytes: int = 10 << 20
    """Bytes of a body. JSON of that many takes up to twenty times as much memory while it is read."""
    rows: int = 100_000
    arrival_seconds: float = 30
    """How long a request may take to arrive, its headers as well as its body."""
    answer_seconds: float = 60
    """How long a request may wait for its answer; SageMaker waits no longer."""
    requests: int = 64
    """How many requests may be in progress at once; others are to come back a second later."""
    connections: int = 1_000
    idle_seconds: float = 75
    """How long a connection may be idle; longer than the 60 seconds of most load balancers."""
    drain_seconds: float = 30
    """How long requests in progress may take to end after SIGTERM; SageMaker sends SIGKILL after 30."""


@dataclass(frozen=True)
class Settings:
    """How a model is served."""

    host: str = "127.0.0.1"
    port: int = 8080
    limits: Limits = field(default_factory=Limits)
    capture: Path | None = None
    """The folder for requests and answers; None: they are not kept."""
    page: bool = False
    """Whether ``/`` is a page to try the model."""
